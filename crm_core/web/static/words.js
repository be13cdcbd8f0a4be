// The page's words: looks English source texts up in the catalogue the server wrote into the page. It holds no words of
// its own and formats no numbers (format.js does). Every text in a module stands literally inside a call of t,
// so that the catalogue can be made by reading the sources.

let words = {};

export function readWords(doc = document) {
  const node = doc.getElementById("words");
  words = node ? JSON.parse(node.textContent) : {};
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

// A text that counts takes its plural as `many` and its count as `n`: the catalogue knows it by its singular and has one form
// (Chinese); English is the source itself.
export function t(text, values = {}, many = "") {
  return filled(words[text] || (many && values.n !== 1 ? many : text), values);
}

export const language = () => document.documentElement.lang || "zh";

readWords();
