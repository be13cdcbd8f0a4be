// A customer's form: checked when a field is left and again on save, kept as a draft in this browser until the server has it.
// It decides nothing about what is right: the server's refusal is shown as it says it.

import { command, note } from "/static/commands.js";
import { toast } from "/static/notices.js";
import { go } from "/static/pages.js";
import { make } from "/static/nodes.js";
import { t } from "/static/words.js";

export function mount(el) {
  const form = el.querySelector("#record");
  const id = form.dataset.id;
  const key = `lingxi.customer.${id || "new"}`;
  const fields = () => [...form.elements].filter((one) => one.name && one.type !== "radio");
  const first = values();

  function values() {
    return Object.fromEntries(new FormData(form));
  }

  function restore() {
    let draft = null;
    try { draft = JSON.parse(localStorage.getItem(key)); } catch { /* written by an older version */ }
    if (!draft) return;
    for (const field of form.elements) {
      if (!(field.name in draft)) continue;
      if (field.type === "radio") field.checked = field.value === draft[field.name]; else field.value = draft[field.name];
    }
    form.querySelector("#draft").hidden = false;
  }

  function check(field) {
    const wrong = field.required && !field.value.trim();
    const place = field.closest(".field");
    let said = place.querySelector(".wrong");
    field.setAttribute("aria-invalid", String(wrong));
    if (!wrong) { said?.remove(); return true; }
    if (!said) { said = make("span.wrong", { id: `${field.id}-wrong` }); place.append(said); field.setAttribute("aria-describedby", said.id); }
    said.textContent = field.dataset.wrong;
    return false;
  }

  async function save() {
    const wrong = fields().find((field) => !check(field));
    if (wrong) return wrong.focus();
    const now = values();
    const button = form.querySelector("[data-test=save]");
    if (id) {
      const body = Object.fromEntries(Object.entries(now).filter(([name, value]) => value !== first[name]));
      if (form.dataset.seen) body.seen_at = Number(form.dataset.seen);
      if (!(await command(button, "PUT", `/api/v1/customers/${id}`, body))) return undefined;
    } else {
      const numbers = (now.numbers || "").split(/[,，;；\s]+/).filter(Boolean);
      const made = await command(button, "POST", "/api/v1/customers", { name: now.name, kind: now.kind, level: now.level, region: now.region, contact: now.contact || "", numbers });
      if (!made) return undefined;
      form.dataset.id = made.id;
    }
    localStorage.removeItem(key);
    toast(t("Saved."));
    return go(`/customers/${form.dataset.id}`);
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); save(); });
  form.addEventListener("input", () => { localStorage.setItem(key, JSON.stringify(values())); note(form.querySelector("[data-test=save]"), ""); });
  form.addEventListener("focusout", (event) => { if (event.target.required) check(event.target); });
  const drop = () => localStorage.removeItem(key);
  el.querySelector("#cancel").addEventListener("click", drop);
  el.querySelector("#drop-draft").addEventListener("click", () => { drop(); go(location.href, { push: false }); });
  const keys = (event) => { if (event.ctrlKey && event.code === "KeyS") { event.preventDefault(); save(); } };
  el.addEventListener("keydown", keys);
  restore();
  return () => {};
}
