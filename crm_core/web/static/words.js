// The page's words: looks English source texts up in the catalogue the server wrote into the page. It holds no words of
// its own and formats no numbers (format.js does). Every text in a module stands literally inside a call of t or tn,
// so that the catalogue can be made by reading the sources.

let words = {};

export function readWords(doc = document) {
  const node = doc.getElementById("words");
  words = node ? JSON.parse(node.textContent) : {};
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

export function t(text, values = {}) {
  return filled(words[text] || text, values);
}

// A text that counts: the catalogue knows it by its singular and has one form (Chinese); English is the source itself.
export function tn(one, many, n, values = {}) {
  return filled(words[one] || (n === 1 ? one : many), { n, ...values });
}

export const language = () => document.documentElement.lang || "zh";

readWords();
