// The notes of a call: one plain field, kept on the server within a second of the last key and in this browser until the
// server has them. What comes from the feed never overwrites what is being typed.

import { send } from "/static/commands.js";
import { onLink } from "/static/feed.js";
import { clock } from "/static/format.js";
import { setText } from "/static/nodes.js";
import { t } from "/static/words.js";
import { serverNow } from "/static/ticker.js";

const WAIT = 700;
const draftKey = (id) => `lingxi.notes.${id}`;

export function startNotes(field, said) {
  let call = "";
  let saved = "";
  let timer = 0;
  let sending = false;

  function show(row) {
    const id = row?.id || "";
    if (id !== call) {
      if (call && field.value !== saved) save();
      call = id;
      saved = row?.notes || "";
      const draft = id ? localStorage.getItem(draftKey(id)) : null;
      field.value = draft ?? saved;
      setText(said, "");
      if (draft !== null && draft !== saved) save();
      return;
    }
    if (!row || row.notes === undefined || row.notes === saved) return;
    const untouched = field.value === saved;
    saved = row.notes;
    if (untouched) field.value = saved;
  }

  function typed() {
    if (!call) return;
    localStorage.setItem(draftKey(call), field.value);
    setText(said, "");
    clearTimeout(timer);
    timer = setTimeout(save, WAIT);
  }

  async function save() {
    clearTimeout(timer);
    if (!call || sending) return;
    const id = call, text = field.value;
    sending = true;
    try {
      await send("PUT", `/api/v1/calls/${id}/notes`, { text });
      if (id === call) { saved = text; setText(said, t("Saved {time}", { time: clock(serverNow(), { seconds: true }) })); said.classList.remove("over-warn"); }
      if (localStorage.getItem(draftKey(id)) === text) localStorage.removeItem(draftKey(id));
    } catch (refused) {
      if (id === call) { setText(said, refused.error === "offline" ? t("Kept on this computer") : refused.message); said.classList.add("over-warn"); }
      if (refused.error === "offline") timer = setTimeout(save, 3000);
    } finally {
      sending = false;
    }
    if (call === id && field.value !== text) timer = setTimeout(save, WAIT);
  }

  field.addEventListener("input", typed);
  field.addEventListener("blur", () => { if (call && field.value !== saved) save(); });
  const unlink = onLink((link) => { if (link.up && call && localStorage.getItem(draftKey(call)) !== null) save(); });
  return { show, stop() { if (call && field.value !== saved) save(); clearTimeout(timer); unlink(); } };
}
