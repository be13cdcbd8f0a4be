// The page of an import: sends the file, the mapping and the acts, and asks how far it is while it works. The server decides.

import { command, Refused, send } from "/static/commands.js";
import { toast } from "/static/notices.js";
import { go, reload } from "/static/pages.js";
import { t } from "/static/words.js";

const EVERY_MS = 1000;

export function mount(el) {
  const box = el.querySelector("[data-import]");
  const base = `/api/v1/${box.dataset.import}/imports`;
  const one = `${base}/${box.dataset.id}`;
  let timer = 0;

  async function take(form) {
    const file = form.querySelector("input[type=file]").files[0];
    const button = form.querySelector("button");
    if (!file) return;
    if (file.size > Number(box.dataset.most) * 1024 * 1024) { toast(t("The file is too large. Split it."), { level: "danger" }); return; }
    button.disabled = true;
    try {
      const answer = await fetch(`${base}?name=${encodeURIComponent(file.name)}`, {
        method: "POST", credentials: "same-origin", body: file,
        headers: { Accept: "application/json", "X-CSRF-Token": document.documentElement.dataset.csrf, "Content-Type": "application/octet-stream" },
      });
      const told = await answer.json();
      if (!answer.ok) throw new Refused(answer.status, told);
      go(`/${box.dataset.import}/import/${told.id}`);
    } catch (refusal) {
      button.disabled = false;
      toast(refusal.message, { level: "danger" });
    }
  }

  const columns = () => [...el.querySelectorAll("[data-column]")].map((select) => select.value);

  async function check(form) {
    const body = { columns: columns(), same: form.elements.same.value };
    const button = form.querySelector("button");
    if (await command(button, "PUT", one, body) && await command(button, "POST", `${one}/check`)) reload();
  }

  el.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (event.target.matches("[data-take]")) take(event.target);
    if (event.target.matches("[data-map]")) check(event.target);
  });
  el.addEventListener("change", async (event) => {
    const name = event.target.dataset.read;
    if (!name) return;
    try { await send("PUT", one, { [name]: name === "sheet" ? Number(event.target.value) : event.target.value }); } catch (refusal) { toast(refusal.message, { level: "danger" }); }
    reload();
  });
  el.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    const word = button.dataset.do;
    if (word === "map" ? await command(button, "PUT", one, {}) : await command(button, "POST", `${one}/${word}`)) reload();
  });

  async function look() {
    try {
      const told = await send("GET", one);
      const progress = el.querySelector("[data-progress]");
      if (progress) { progress.value = told.done; el.querySelector("[data-done]").textContent = String(told.done); }
      if (told.state !== box.dataset.state) { reload(); return; }
    } catch { /* asked again */ }
    timer = setTimeout(look, EVERY_MS);
  }
  if (box.dataset.busy) timer = setTimeout(look, EVERY_MS / 2);
  return () => clearTimeout(timer);
}
