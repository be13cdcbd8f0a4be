// The data dictionary: names and colours are saved when a field is left, options move by dragging or Alt with the arrow keys, and
// each change can be undone. It sends changes and loads the page again; it keeps no list of its own.

import { command, send } from "/static/commands.js";
import { toast } from "/static/notices.js";
import { reload } from "/static/pages.js";
import { findIn } from "/static/system.js";
import { t } from "/static/words.js";

const OPTIONS = "/api/v1/system/dictionary/options";
const ORDER = "/api/v1/system/dictionary/order";

export function mount(el) {
  const section = el.querySelector("[data-list]");
  const { list } = section.dataset;
  const body = section.querySelector("tbody");
  const rows = () => [...body.rows];
  const keys = () => rows().map((row) => row.dataset.key);
  let order = keys();
  let dragged = null;

  findIn(el.querySelector("[data-find]"), el.querySelectorAll(".list-of-lists a"), el.querySelector(".list-of-lists [data-none]"));

  async function change(key, values, undo) {
    try {
      await send("PUT", OPTIONS, { list, key, ...values });
      toast(t("Saved."), { undo: undo ? () => change(key, undo) : null });
    } catch (refusal) {
      toast(refusal.message, { level: "danger" });
    }
    await again();
  }

  // Loads the page again, with the focus where it was.
  async function again() {
    const at = document.activeElement;
    const key = at?.closest("tr")?.dataset.key;
    const part = at?.dataset.part ? `[data-part="${at.dataset.part}"]` : ".handle";
    await reload();
    if (key) document.querySelector(`#page tr[data-key="${CSS.escape(key)}"] ${part}`)?.focus();
  }

  async function arrange(wanted, undoable = true) {
    const before = order;
    order = wanted;
    try {
      await send("PUT", ORDER, { list, keys: wanted });
      toast(t("Order saved."), { undo: undoable ? () => arrange(before, false) : null });
      if (!undoable) await reload();
    } catch (refusal) {
      toast(refusal.message, { level: "danger" });
      await reload();
    }
  }

  function step(row, by) {
    const other = by < 0 ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    const had = document.activeElement;
    if (by < 0) other.before(row); else other.after(row);
    had?.focus();
    arrange(keys());
  }

  body.addEventListener("change", (event) => {
    const { part } = event.target.dataset;
    const row = event.target.closest("tr");
    if (!part) return;
    const old = event.target.tagName === "SELECT" ? [...event.target.options].find((one) => one.defaultSelected)?.value : event.target.defaultValue;
    change(row.dataset.key, { [part]: event.target.value }, { [part]: old });
  });
  body.addEventListener("click", (event) => {
    const button = event.target.closest("[data-retire]");
    if (!button) return;
    const retired = button.dataset.retire === "true";
    change(button.closest("tr").dataset.key, { retired }, { retired: !retired });
  });
  body.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.code];
    if (event.altKey && by) { event.preventDefault(); step(event.target.closest("tr"), by); }
    if (event.key === "Enter" && event.target.matches("input")) event.target.blur();
    if (event.key === "Escape" && event.target.matches("input")) { event.target.value = event.target.defaultValue; event.target.blur(); }
  });
  body.addEventListener("dragstart", (event) => {
    dragged = event.target.closest("tr");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.said);
    event.dataTransfer.setDragImage(dragged, 12, 12);
  });
  body.addEventListener("dragover", (event) => {
    const over = event.target.closest("tr");
    if (!dragged || !over) return;
    event.preventDefault();
    const { top, height } = over.getBoundingClientRect();
    if (over !== dragged) (event.clientY < top + height / 2 ? over.before(dragged) : over.after(dragged));
  });
  body.addEventListener("drop", (event) => event.preventDefault());
  body.addEventListener("dragend", () => {
    dragged = null;
    if (keys().join(" ") !== order.join(" ")) arrange(keys());
  });

  section.querySelector("[data-add]").addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const form = event.target;
    const { zh, en, key, tone } = Object.fromEntries(new FormData(form));
    if (!zh.trim() && !en.trim()) return form.elements.zh.focus();
    if (!(await command(form.querySelector("button"), "POST", OPTIONS, { list, zh, en, key, tone }))) return undefined;
    toast(t("Added."));
    await reload();
    return document.querySelector("#new-zh")?.focus();
  });
  return () => {};
}
