// A field that refers to something: types words, shows what they may mean, keeps its identifier in a hidden field.
// The server answers with what this person may see; an empty field means nothing.

import { send } from "/static/commands.js";
import { fill, make } from "/static/nodes.js";
import { t } from "/static/words.js";

const PAUSE_MS = 150;

export function mountPickers(el) {
  for (const holder of el.querySelectorAll("[data-picker]")) mountPicker(holder);
}

function mountPicker(holder) {
  const kept = holder.querySelector("input[type=hidden]");
  const shown = holder.querySelector("[role=combobox]");
  const list = holder.querySelector("[role=listbox]");
  let timer = 0;
  let asked = 0;
  let at = -1;

  const options = () => [...list.querySelectorAll("[role=option]")];
  function close() { list.hidden = true; at = -1; shown.setAttribute("aria-expanded", "false"); shown.removeAttribute("aria-activedescendant"); }

  function choose(option) {
    kept.value = option.dataset.id;
    shown.value = option.dataset.title;
    holder.dataset.title = option.dataset.title;
    close();
    kept.dispatchEvent(new Event("input", { bubbles: true }));
  }

  async function ask() {
    const mine = ++asked;
    let answer = { found: [] };
    try { answer = await send("GET", `/api/v1/references?${new URLSearchParams({ kind: holder.dataset.picker, q: shown.value })}`); } catch { /* the list stays empty; what is typed stays */ }
    if (mine !== asked || document.activeElement !== shown) return;
    const made = answer.found.map((one, n) => make("li", { role: "option", id: `${list.id}-${n}`, "aria-selected": "false", data: { id: one.id, title: one.title } }, make("bdi", {}, one.title), one.hint ? make("span.faint", {}, one.hint) : null));
    fill(list, ...(made.length ? made : [make("li.faint", {}, t("Nothing found"))]));
    list.hidden = false;
    shown.setAttribute("aria-expanded", "true");
  }

  function mark(n) {
    const all = options();
    if (!all.length) return;
    at = (n + all.length) % all.length;
    all.forEach((one, i) => one.setAttribute("aria-selected", String(i === at)));
    shown.setAttribute("aria-activedescendant", all[at].id);
    all[at].scrollIntoView({ block: "nearest" });
  }

  shown.addEventListener("input", (event) => {
    event.stopPropagation();
    if (kept.value) { kept.value = ""; kept.dispatchEvent(new Event("input", { bubbles: true })); }
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  shown.addEventListener("focus", () => { shown.select(); ask(); });
  shown.addEventListener("blur", () => setTimeout(() => {
    if (!kept.value && shown.value && options().length === 1) choose(options()[0]);
    else if (!kept.value) shown.value = "";
    close();
  }, 150));
  shown.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); event.stopPropagation(); mark(at + (event.key === "ArrowDown" ? 1 : -1)); }
    if (event.key === "Enter" && !list.hidden && at >= 0) { event.preventDefault(); choose(options()[at]); }
    if (event.key === "Escape" && !list.hidden) { event.stopPropagation(); close(); }
  });
  list.addEventListener("pointerdown", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) { event.preventDefault(); choose(option); }
  });
}
