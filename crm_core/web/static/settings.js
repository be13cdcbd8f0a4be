// A person's own settings that show at once: theme, density, language. The page is not reloaded and the call goes on; a
// new language comes as the same page rendered again, whose words replace the old ones in place.

import { readBoot } from "/static/boot.js";
import { send } from "/static/commands.js";
import { toast } from "/static/notices.js";
import { swap } from "/static/pages.js";
import { readWords } from "/static/words.js";

const root = document.documentElement;

export function markSettings() {
  for (const button of document.querySelectorAll("[data-set]")) {
    const now = { theme: root.dataset.theme, density: root.dataset.density, lang: root.lang }[button.dataset.set];
    button.setAttribute("aria-pressed", String(now === button.dataset.value));
  }
}

async function keep(values) {
  try { await send("PUT", "/api/v1/me/looks", values); return true; } catch (refused) { toast(refused.message, { level: "danger" }); return false; }
}

async function choose(name, value) {
  if (name === "theme" || name === "density") {
    root.dataset[name] = value;
    markSettings();
    await keep({ [name]: value });
    return;
  }
  if (await keep({ lang: value })) await relabel();
}

// What was typed survives the change of language: fields are matched by name or id.
const fields = () => [...document.querySelectorAll("#page :is(input, textarea, select):is([name], [id])")].filter((field) => field.type !== "hidden");
const known = (field) => field.id || `${field.name}:${field.type === "radio" || field.type === "checkbox" ? field.value : ""}`;

export async function relabel() {
  const answer = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
  const doc = new DOMParser().parseFromString(await answer.text(), "text/html");
  const typed = new Map(fields().map((field) => [known(field), { value: field.value, checked: field.checked }]));
  const focused = document.activeElement && known(document.activeElement);
  root.lang = doc.documentElement.lang;
  for (const id of ["words", "boot"]) document.getElementById(id).textContent = doc.getElementById(id).textContent;
  readWords();
  readBoot();
  document.querySelector(".nav")?.replaceWith(document.importNode(doc.querySelector(".nav"), true));
  for (const node of document.querySelectorAll("[data-say]")) copyWords(doc.querySelector(`[data-say="${node.dataset.say}"]`), node);
  await swap(doc, { focus: false });
  for (const field of fields()) {
    const old = typed.get(known(field));
    if (old) { if (field.type === "radio" || field.type === "checkbox") field.checked = old.checked; else if (field.tagName !== "SELECT") field.value = old.value; }
    if (focused && known(field) === focused) field.focus({ preventScroll: true });
  }
  document.dispatchEvent(new Event("lingxi:words"));
  markSettings();
}

function copyWords(from, to) {
  if (!from) return;
  for (const name of ["aria-label", "title", "placeholder"]) if (from.hasAttribute(name)) to.setAttribute(name, from.getAttribute(name));
  if (!to.firstElementChild) to.textContent = from.textContent;
}

export function startSettings() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-set]");
    if (button) choose(button.dataset.set, button.dataset.value);
  });
  document.addEventListener("lingxi:page", markSettings);
  markSettings();
}
