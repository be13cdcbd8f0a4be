// One record of any kind: moving it through its stages, recycling it, saying something about it. The server decides; after
// each act the page is read anew.

import { command } from "/static/commands.js";
import { toast } from "/static/notices.js";
import { go, reload } from "/static/pages.js";
import { t } from "/static/words.js";

export function mount(el) {
  const head = el.querySelector("[data-record]");
  const { record: path, id } = head.dataset;
  const base = `/api/v1/${path}`;

  async function many(button, act) {
    const answer = await command(button, "POST", `${base}/many/${act}`, { ids: [id] });
    if (!answer) return;
    if (!answer.done) return toast(t("This could not be done: it changed meanwhile, or is not yours to change."), { level: "warn" });
    if (act === "recycle") {
      toast(t("It is in the recycle bin."), { undo: async () => { await command(button, "POST", `${base}/many/restore`, { ids: [id] }); go(`/${path}/${id}`); } });
      return go(`/${path}`);
    }
    toast(t("Restored."));
    return reload();
  }

  head.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.do) many(button, button.dataset.do);
    if (button.dataset.stage && await command(button, "POST", `${base}/${id}/stage`, { stage: button.dataset.stage })) reload();
  });

  const form = el.querySelector("#say");
  const text = form.querySelector("textarea");
  const key = `lingxi.${path}.${id}.say`;
  text.value = localStorage.getItem(key) || "";
  text.addEventListener("input", () => localStorage.setItem(key, text.value));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!text.value.trim()) return text.focus();
    if (!(await command(form.querySelector("button"), "POST", `${base}/${id}/comments`, { text: text.value }))) return undefined;
    localStorage.removeItem(key);
    return reload();
  });
  return () => {};
}
