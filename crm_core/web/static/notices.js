// What the page says to its person beside the thing itself: the two live regions for speech, toasts for the results of
// one's own acts, the strip for trouble that lasts. It never speaks for a board and never shows a call.

import { icon, make } from "/static/nodes.js";
import { t } from "/static/words.js";

const region = (id) => document.getElementById(id);
const waiting = [];
let lastAlert = 0;
let alertDue = 0;

export function status(sentence) {
  if (region("say-status")) region("say-status").textContent = sentence;
}

// At most one alert in three seconds; later ones are said together.
export function alert(sentence) {
  waiting.push(sentence);
  if (alertDue) return;
  alertDue = setTimeout(() => {
    alertDue = 0;
    lastAlert = Date.now();
    if (region("say-alert")) region("say-alert").textContent = waiting.splice(0).join(" ");
  }, Math.max(0, lastAlert + 3000 - Date.now()));
}

export function toast(text, { level = "ok", undo = null } = {}) {
  const holder = document.getElementById("toasts");
  if (!holder) return;
  const note = make("div.toast", { data: { level, test: "toast" } }, icon(level === "ok" ? "check" : "danger"), make("p", {}, text));
  const gone = () => note.remove();
  if (undo) note.append(make("button.button.plain.small", { type: "button", on: { click: () => { undo(); gone(); } } }, t("Undo")));
  note.append(make("button.round", { type: "button", "aria-label": t("Close"), on: { click: gone } }, icon("close")));
  holder.append(note);
  while (holder.children.length > 3) holder.firstChild.remove();
  status(text);
  if (level !== "ok") return;
  let timer = setTimeout(gone, 6000);
  const stay = () => clearTimeout(timer);
  const leave = () => { timer = setTimeout(gone, 3000); };
  note.addEventListener("pointerenter", stay);
  note.addEventListener("focusin", stay);
  note.addEventListener("pointerleave", leave);
  note.addEventListener("focusout", leave);
}

// Trouble by name; the worst is shown. `act` is an optional {word, run}.
const troubles = new Map();

export function trouble(name, text, { level = "warn", act = null } = {}) {
  if (text) troubles.set(name, { text, level, act }); else troubles.delete(name);
  drawStrip();
}

function drawStrip() {
  const strip = document.getElementById("strip");
  if (!strip) return;
  const all = [...troubles.values()];
  const worst = all.find((one) => one.level === "danger") || all[0];
  strip.hidden = !worst;
  if (!worst) return strip.replaceChildren();
  strip.dataset.level = worst.level;
  strip.replaceChildren(icon(worst.level === "danger" ? "danger" : "warn"), make("span", {}, worst.text));
  if (worst.act) strip.append(make("button.button.small", { type: "button", on: { click: worst.act.run } }, worst.act.word));
}

export function reportPage(url) {
  toast(t("{page} did not load: the server does not answer. This page stays as it is; try again.", { page: url.pathname }), { level: "danger" });
}
