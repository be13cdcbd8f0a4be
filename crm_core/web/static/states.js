// The eight seat states as words and shapes: what a state is called, what stands beside it. It decides no state.

import { t } from "/static/words.js";
import { icon, make, setIcon, setText } from "/static/nodes.js";

export function stateWord(state) {
  switch (state) {
    case "ready": return t("Ready");
    case "ringing": return t("Ringing");
    case "talking": return t("Talking");
    case "held": return t("Held");
    case "wrap_up": return t("Wrap-up");
    case "paused": return t("Paused");
    case "unreachable": return t("Unreachable");
    default: return t("Signed out");
  }
}

let reasons = new Map();
export function setReasons(list) { reasons = new Map((list || []).map((one) => [one.code, one.label || one.title])); }
export const pauseReasons = () => [...reasons].map(([code, label]) => ({ code, label }));

export function causeWord(code) {
  switch (code) {
    case "phone": case "phone_lost": case "unregistered": return t("phone not registered");
    case "microphone": case "mic_lost": return t("microphone lost");
    case "page": case "page_gone": return t("page closed");
    case "pbx": case "pbx_down": return t("PBX link lost");
    case "missed": case "no_answer": case "ring_no_answer": return t("missed calls");
    default: return reasons.get(code) || code || "";
  }
}

export function reasonText(state, reason) {
  return state === "paused" || state === "unreachable" ? causeWord(reason) : "";
}

// Fills a state cell: <span class="state" data-state><svg/><span class="word"></span></span>.
export function showState(node, state, reason = "") {
  const more = reasonText(state, reason);
  if (node.dataset.state !== state) { node.dataset.state = state; setIcon(node, state); }
  setText(node.querySelector(".word"), more ? `${stateWord(state)} · ${more}` : stateWord(state));
}

export function stateNode(state, reason = "") {
  const node = make("span.state", { data: { test: "seat-state" } }, icon(state), make("span.word"));
  showState(node, state, reason);
  return node;
}
