// The keys of a call, on every page and in every field, also while an input method composes: matched on event.code. A key
// presses the one button that wears it (data-key) and is left to the browser when there is none that could act now.
// Letters without Ctrl+Alt never do anything to a call.

const mac = /Mac|iPhone|iPad/.test(navigator.platform);
const letters = { KeyY: "F2", KeyQ: "F4", KeyH: "F8", KeyM: "F9", KeyR: "ready", KeyP: "state-menu", KeyE: "notes", KeyU: "say", KeyK: "keypad" };
const acts = new Map();

// Something a key does that is not a button: bindKey("notes", () => …); returns how to unbind it.
export function bindKey(name, run) {
  acts.set(name, run);
  return () => { if (acts.get(name) === run) acts.delete(name); };
}

const canPress = (button) => button.checkVisibility() && button.getAttribute("aria-disabled") !== "true" && !button.disabled;

function wearer(key) {
  return [...document.querySelectorAll(`[data-key="${key}"]`)].find(canPress);
}

function meant(event) {
  if (event.getModifierState("AltGraph")) return "";
  const plain = !event.ctrlKey && !event.altKey && !event.shiftKey && !event.metaKey;
  if (plain) return ["F2", "F4", "F8", "F9"].includes(event.code) ? event.code : "";
  const prefix = mac ? event.ctrlKey && event.shiftKey && !event.altKey : event.ctrlKey && event.altKey && !event.shiftKey;
  if (prefix && !event.metaKey) return letters[event.code] || "";
  if (event.ctrlKey && !event.altKey && !event.shiftKey && event.code === "KeyK") return "search";
  if (event.ctrlKey && !event.altKey && event.code === "Slash") return "help";
  return "";
}

window.addEventListener("keydown", (event) => {
  const name = meant(event);
  if (!name) return;
  const button = wearer(name);
  const run = acts.get(name);
  if (!button && !run) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.repeat) return;
  if (button) button.click(); else run();
}, { capture: true });

const inField = (node) => Boolean(node?.closest?.("input, textarea, select, [contenteditable]"));

// One key outside fields: `?` to the list of keys, `/` to the page's filter, arrows or J and K through the rows of a list, digits to a choice.
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || inField(event.target) || event.defaultPrevented) return;
  if (event.key === "?") { acts.get("help")?.(); event.preventDefault(); return; }
  if (event.key === "/") {
    const filter = document.querySelector("#page [data-filter]");
    if (filter) { filter.focus(); filter.select(); event.preventDefault(); }
    return;
  }
  if (/^Digit[1-9]$/.test(event.code)) {
    const button = wearer(event.code.slice(5));
    if (button) { button.click(); event.preventDefault(); }
    return;
  }
  const step = { ArrowDown: 1, KeyJ: 1, ArrowUp: -1, KeyK: -1 }[event.code];
  const row = step && event.target.closest?.("tr");
  if (!step || (!row && event.code.startsWith("Arrow"))) return;
  const links = [...document.querySelectorAll("#page table.rows tbody tr a:first-of-type")].filter((link, n, all) => all.findIndex((one) => one.closest("tr") === link.closest("tr")) === n);
  const at = links.findIndex((link) => link.closest("tr") === row);
  const next = links[at + step] || (at < 0 ? links[0] : null);
  if (next) { next.focus(); event.preventDefault(); }
});
