// Opens the small panels that float below what opened them (popovers): places them, moves the focus in and back. It knows
// no panel's content, save the formula of a figure, which every page has. One with data-center stands in the middle.

import { fill, make } from "/static/nodes.js";
import { t } from "/static/words.js";

let opener = null;

// Below the button, or above it near the foot of the window; never over the call bar.
export function place(menu, button) {
  const box = button.getBoundingClientRect();
  const style = menu.style;
  const right = box.left > window.innerWidth / 2;
  const above = box.top > window.innerHeight * 0.62;
  style.left = right ? "auto" : `${Math.max(8, box.left)}px`;
  style.right = right ? `${Math.max(8, document.documentElement.clientWidth - box.right)}px` : "auto";
  style.top = above ? "auto" : `${Math.max(56, box.bottom + 4)}px`;
  style.bottom = above ? `${window.innerHeight - box.top + 4}px` : "auto";
}

export function open(menu, button) {
  opener = button;
  place(menu, button);
  if (!menu.matches(":popover-open")) menu.showPopover();
}

export const items = (menu) => [...menu.querySelectorAll("button:not([hidden]), a[href], input")];

document.addEventListener("click", (event) => {
  const button = event.target.closest("[popovertarget]");
  if (button) opener = button;
  const info = event.target.closest(".info[data-formula]");
  if (info) explain(info);
}, true);

document.addEventListener("beforetoggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof HTMLElement) || !menu.classList.contains("menu") || event.newState !== "open") return;
  const button = opener?.getAttribute("popovertarget") === menu.id ? opener : document.querySelector(`[popovertarget="${menu.id}"]`) || opener;
  if (button && menu.dataset.center === undefined) place(menu, button);
}, true);

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof HTMLElement) || !menu.classList.contains("menu")) return;
  const button = document.querySelector(`[popovertarget="${menu.id}"]`);
  button?.setAttribute("aria-expanded", String(event.newState === "open"));
  if (event.newState !== "open") return;
  const first = menu.querySelector("[autofocus]") || (menu.dataset.enter === "no" ? null : items(menu)[0]);
  first?.focus();
}, true);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu");
  if (!menu || !["ArrowDown", "ArrowUp"].includes(event.key) || event.target.matches("input")) return;
  const all = items(menu);
  const next = all[(all.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length];
  if (next) { next.focus(); event.preventDefault(); }
});

function explain(info) {
  const note = document.getElementById("formula");
  if (!note) return;
  const { formula, num, den, name } = info.dataset;
  fill(note, make("b", {}, name || t("Formula")), make("p", {}, formula || "–"));
  if (Number(den) > 1) note.append(make("p.faint", {}, `= ${Math.round(num)} ÷ ${Math.round(den)}`));
  open(note, info);
}

