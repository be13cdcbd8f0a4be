// The list of any record: selecting rows, and acts on many at once, in slices, with progress and a way to stop and to undo.
// It asks the server for each act and reloads the list; it decides nothing about who may do what.

import { command, send } from "/static/commands.js";
import { mountPickers } from "/static/picker.js";
import { toast } from "/static/notices.js";
import { reload } from "/static/pages.js";
import { t } from "/static/words.js";

const SLICE = 100;

export function mount(el) {
  mountPickers(el);
  closeFilters(el);
  keepViews(el);
  const box = el.querySelector("[data-list]");
  el.dataset.ready = "yes";
  const bar = el.querySelector("[data-bulk]");
  if (!box || !bar) return () => {};
  const base = `/api/v1/${box.dataset.list}`;
  const boxes = () => [...box.querySelectorAll("[data-one]")];
  let everything = null;
  let stopped = false;

  const chosen = () => everything || boxes().filter((one) => one.checked).map((one) => one.value);

  function draw() {
    const ids = chosen();
    bar.hidden = ids.length === 0;
    bar.querySelector("[data-selected]").textContent = t("{n} selected", { n: ids.length });
    const all = box.querySelector("[data-all]");
    const here = boxes();
    all.checked = here.every((one) => one.checked);
    all.indeterminate = !all.checked && here.some((one) => one.checked);
    for (const one of here) one.closest("tr").toggleAttribute("data-chosen", one.checked);
  }

  async function inSlices(ids, path, body) {
    const progress = bar.querySelector("[data-progress]");
    let done = 0;
    const refused = {};
    stopped = false;
    progress.hidden = ids.length <= SLICE;
    for (let from = 0; from < ids.length && !stopped; from += SLICE) {
      const answer = await send("POST", `${base}/many/${path}`, { ...body, ids: ids.slice(from, from + SLICE) });
      done += answer.done;
      for (const [code, n] of Object.entries(answer.refused)) refused[code] = (refused[code] || 0) + n;
      progress.value = Math.round((100 * Math.min(from + SLICE, ids.length)) / ids.length);
    }
    progress.hidden = true;
    return { done, left: Object.values(refused).reduce((sum, n) => sum + n, 0) };
  }

  async function act(path, body = {}, undo = null) {
    const ids = chosen();
    bar.setAttribute("aria-busy", "true");
    try {
      const { done, left } = await inSlices(ids, path, body);
      const said = left ? t("Done for {n}; {left} were left as they are.", { n: done, left }) : t("Done for {n}.", { n: done });
      toast(said, { level: left && !done ? "warn" : "ok", undo: undo && done ? () => undoing(ids, undo) : null });
      await reload();
    } catch (refusal) {
      toast(refusal.message, { level: "danger" });
    } finally {
      bar.removeAttribute("aria-busy");
    }
  }

  async function undoing(ids, path) {
    try {
      for (let from = 0; from < ids.length; from += SLICE) await send("POST", `${base}/many/${path}`, { ids: ids.slice(from, from + SLICE) });
      toast(t("Undone."));
      await reload();
    } catch (refusal) { toast(refusal.message, { level: "danger" }); }
  }

  box.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) for (const one of boxes()) one.checked = event.target.checked;
    everything = null;
    draw();
  });
  bar.addEventListener("change", (event) => {
    const { assign } = event.target.dataset;
    if (!event.target.value) return;
    if (assign) act("fields", { fields: { [assign]: event.target.value } });
    else if (event.target.matches("[data-stage]")) act("stage", { stage: event.target.value });
    event.target.value = "";
  });
  bar.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches("[data-none]")) { everything = null; stopped = true; for (const one of boxes()) one.checked = false; draw(); }
    if (button.matches("[data-everything]")) {
      const answer = await send("GET", `${base}/ids${box.dataset.query}`);
      everything = answer.ids;
      for (const one of boxes()) one.checked = true;
      draw();
    }
    const { do: path, ask } = button.dataset;
    if (!path || (ask && !window.confirm(ask))) return;
    act(path, {}, { recycle: "restore", restore: "recycle" }[path]);
  });
  return () => { stopped = true; };
}

// One filter's box at a time; Escape and a click elsewhere close it.
function closeFilters(el) {
  const all = [...el.querySelectorAll("details.filter")];
  for (const one of all) {
    one.addEventListener("toggle", () => { if (one.open) for (const other of all) if (other !== one) other.open = false; });
    one.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && one.open) { one.open = false; one.querySelector("summary").focus(); event.stopPropagation(); }
    });
  }
  el.addEventListener("click", (event) => { for (const one of all) if (one.open && !one.contains(event.target)) one.open = false; });
}

// Views: kept under a name, forgotten with undo by saving again.
function keepViews(el) {
  const form = el.querySelector("[data-keep-view]");
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const name = form.querySelector("[data-test=view-name]");
    if (!name.value.trim()) return name.focus();
    const body = { name: name.value, query: form.dataset.query, shared: form.elements.shared.checked };
    if (!(await command(form.querySelector("button"), "POST", `/api/v1/${form.dataset.keepView}/views`, body))) return undefined;
    toast(t("Saved."));
    return reload();
  });
  el.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-drop-view]");
    if (button && await command(button, "DELETE", `/api/v1/views/${button.dataset.dropView}`)) reload();
  });
}
