// The search over everything, in the shell: answers while typing, arrows and Enter choose, Enter on the words opens the page
// of all that was found. It keeps nothing and decides nothing about who may see what.

import { send } from "/static/commands.js";
import { fill, icon, make } from "/static/nodes.js";
import { go } from "/static/pages.js";
import { t } from "/static/words.js";

const PAUSE_MS = 120;

export function startSearch() {
  const menu = document.getElementById("search-menu");
  if (!menu) return;
  const box = menu.querySelector("input[type=search]");
  const list = menu.querySelector("[role=listbox]");
  let timer = 0;
  let asked = 0;
  let at = -1;

  const options = () => [...list.querySelectorAll("[role=option]")];

  function mark(n) {
    const all = options();
    at = all.length ? (n + all.length) % all.length : -1;
    all.forEach((one, i) => one.setAttribute("aria-selected", String(i === at)));
    if (at >= 0) { box.setAttribute("aria-activedescendant", all[at].id); all[at].scrollIntoView({ block: "nearest" }); } else box.removeAttribute("aria-activedescendant");
  }

  function open(option) { menu.hidePopover(); go(option.dataset.href); }

  async function ask() {
    const mine = ++asked;
    const words = box.value.trim();
    if (!words) { list.hidden = true; fill(list); return; }
    let answer;
    try { answer = await send("GET", `/api/v1/search?${new URLSearchParams({ q: words })}`); } catch { return; }
    if (mine !== asked) return;
    at = -1;
    fill(list, ...(answer.hits.length
      ? answer.hits.map((hit, n) => make("li", { role: "option", id: `hit-${n}`, "aria-selected": "false", data: { href: hit.href, test: "search-hit" } }, icon(hit.icon), make("bdi.cut", {}, hit.title), make("span.faint.push", {}, hit.hint || hit.label)))
      : [make("li.faint", {}, t("Nothing found"))]));
    list.hidden = false;
  }

  box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, PAUSE_MS); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(at + (event.key === "ArrowDown" ? 1 : -1)); }
    if (event.key === "Enter" && at >= 0) { event.preventDefault(); open(options()[at]); }
  });
  list.addEventListener("click", (event) => { const option = event.target.closest("[role=option]"); if (option) open(option); });
  menu.addEventListener("toggle", (event) => { if (event.newState === "closed") { box.value = ""; list.hidden = true; fill(list); at = -1; } });
}
