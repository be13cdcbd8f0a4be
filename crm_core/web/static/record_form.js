// The form of any record: checked when a field is left and by the server on save, kept as a draft in this browser until the
// server has it, and, where somebody else changed the same fields meanwhile, shown both values to choose from.

import { isPending, note, pending, send } from "/static/commands.js";
import { fill, icon, make } from "/static/nodes.js";
import { toast } from "/static/notices.js";
import { mountPickers } from "/static/picker.js";
import { go } from "/static/pages.js";
import { t } from "/static/words.js";

export function mount(el) {
  const form = el.querySelector("#record");
  const { path } = form.dataset;
  const key = `lingxi.${path}.${form.dataset.id || "new"}`;
  const names = [...form.querySelectorAll("[data-field]")].map((one) => one.dataset.field);
  const field = (name) => form.querySelector(`[data-field="${name}"]`);
  const saveButton = form.querySelector("[data-test=save]");

  const value = (name) => {
    const control = form.elements[name];
    return control.type === "checkbox" ? control.checked : control.value;
  };
  const values = () => Object.fromEntries(names.map((name) => [name, value(name)]));
  function put(name, text) {
    const control = form.elements[name];
    if (control.type === "checkbox") control.checked = Boolean(text); else control.value = text ?? "";
  }
  const shownText = (name) => field(name).querySelector("[role=combobox]");

  const first = values();
  mountPickers(el);
  if (typed()) keep(); else restore();  // who types before this module is here is not interrupted

  function restore() {
    let draft = null;
    try { draft = JSON.parse(localStorage.getItem(key)); } catch { /* written by an older version */ }
    if (!draft || draft.version !== form.dataset.version) return;
    for (const name of names) if (name in draft.values) { put(name, draft.values[name]); if (shownText(name)) shownText(name).value = draft.titles[name] || ""; }
    form.querySelector("#draft").hidden = false;
  }

  function typed() {
    return [...form.elements].some((one) => one.matches("input:not([type=hidden], [type=checkbox]), textarea") && one.value !== one.defaultValue);
  }

  function keep() {
    const titles = Object.fromEntries(names.filter(shownText).map((name) => [name, shownText(name).value]));
    localStorage.setItem(key, JSON.stringify({ version: form.dataset.version, values: values(), titles }));
  }

  function complain(name, why) {
    const place = field(name);
    const control = place.querySelector("[role=combobox], input:not([type=hidden]), select, textarea");
    let said = place.querySelector(".wrong");
    control.setAttribute("aria-invalid", String(Boolean(why)));
    if (!why) { said?.remove(); return true; }
    if (!said) { said = make("span.wrong", { id: `${control.id}-wrong` }); place.append(said); control.setAttribute("aria-describedby", said.id); }
    said.textContent = why;
    return false;
  }

  function check(name) {
    const wanted = field(name).querySelector("label.required");
    return complain(name, wanted && !value(name) ? t("Fill this in.") : "");
  }

  async function save() {
    const wrong = names.filter((name) => !check(name));
    if (wrong.length) return field(wrong[0]).querySelector("[role=combobox], input:not([type=hidden]), select, textarea").focus();
    if (isPending(saveButton)) return undefined;
    const ring = pending(saveButton);
    const now = values();
    const changed = Object.fromEntries(Object.entries(now).filter(([name, text]) => !form.dataset.id || text !== first[name]));
    try {
      if (form.dataset.id) await send("PUT", `/api/v1/${path}/${form.dataset.id}`, { ...changed, version: Number(form.dataset.version) });
      else form.dataset.made = (await send("POST", `/api/v1/${path}`, changed)).id;
    } catch (refusal) {
      ring.refuse(refusal.message);
      if (refusal.error === "wrong_fields") for (const [name, why] of Object.entries(refusal.detail.fields || {})) if (field(name)) complain(name, why);
      if (refusal.error === "changed_meanwhile") settle(refusal.detail);
      return undefined;
    }
    ring.done();
    localStorage.removeItem(key);
    toast(t("Saved."));
    return go(`/${path}/${form.dataset.id || form.dataset.made}`);
  }

  // Somebody was quicker: for each field that both changed, whose value shall stand. Saving again goes on from their version.
  function settle(detail) {
    const box = form.querySelector("#conflict");
    const readable = (name, text) => {
      const control = form.elements[name];
      const option = control.options && [...control.options].find((one) => one.value === text);
      if (shownText(name)) return text === value(name) ? shownText(name).value : t("another one");
      return option ? option.textContent : text === null || text === "" ? "–" : String(text);
    };
    const rows = Object.entries(detail.fields).map(([name, both]) => {
      const choice = (whose, word) => make("label.pick", {}, make("input", { type: "radio", name: `whose-${name}`, value: whose, checked: whose === "mine" }), `${word}: `, make("b", {}, readable(name, both[whose])));
      const row = make("div.both", { data: { test: `both-${name}` } }, make("span.label", {}, field(name).dataset.label), choice("theirs", t("theirs")), choice("mine", t("mine")));
      row.addEventListener("change", (event) => put(name, both[event.target.value]));
      return row;
    });
    fill(box, make("p.hint", {}, icon("warn"), t("{who} saved this meanwhile. Choose what shall stand, then save again.", { who: detail.who })), ...rows);
    box.hidden = false;
    form.dataset.version = detail.version;
    for (const name of Object.keys(detail.fields)) first[name] = detail.fields[name].theirs;
    box.scrollIntoView({ block: "nearest" });
    note(saveButton, "");
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); save(); });
  form.addEventListener("input", () => { keep(); note(saveButton, ""); });
  form.addEventListener("change", keep);
  form.addEventListener("focusout", (event) => { const place = event.target.closest("[data-field]"); if (place && !place.querySelector("[data-picker]")) check(place.dataset.field); });
  const drop = () => localStorage.removeItem(key);
  el.querySelector("#cancel").addEventListener("click", drop);
  el.querySelector("#drop-draft").addEventListener("click", () => { drop(); go(location.href, { push: false }); });
  el.addEventListener("keydown", (event) => { if (event.ctrlKey && event.code === "KeyS") { event.preventDefault(); save(); } });
  form.dataset.ready = "yes";
  return () => {};
}
