// Reads the desk feed: which call the person is in, who is on it, what the seat is. Pure questions of the feed's state;
// it asks no server and draws nothing.

import { queueTitle } from "/static/boot.js";
import { language, t } from "/static/words.js";

export const seatOf = (state) => state.seat?.me || { state: "signed_out", since: null, reason: "", next: "", phone: "browser", pbx_up: true };

const order = { talking: 0, held: 1, ringing: 2, wrap_up: 3 };

export function callsOf(state) {
  return Object.entries(state.calls || {}).map(([id, call]) => ({ id, ...call }))
    .sort((a, b) => (order[a.phase] ?? 9) - (order[b.phase] ?? 9) || (b.since || 0) - (a.since || 0));
}

export const currentCall = (state) => callsOf(state)[0] || null;

export function chosen(call) {
  if (!call) return null;
  const matches = call.matches || [];
  if (call.customer_id) return matches.find((one) => one.customer_id === call.customer_id) || { customer_id: call.customer_id, name: call.name };
  return matches.length === 1 ? matches[0] : null;
}

export const several = (call) => !call.customer_id && (call.matches || []).length > 1;

export const outgoing = (call) => call.direction === "outbound";

// The other side of a call that this person dialled rings: the bar says that it dials.
export const dialling = (call) => Boolean(call) && outgoing(call) && !call.answered_at && !call.ended_at;

export function callerName(call) {
  const one = chosen(call);
  if (one?.name) return one.name;
  if (outgoing(call) && !call.number) return t("Call out");
  if (call.number_kind === "withheld") return t("Number withheld");
  if (several(call)) return t("{n} match: choose one", { n: call.matches.length }, "{n} matches: choose one");
  if (call.number_kind === "internal") return call.name || t("Internal {number}", { number: call.number });
  if (outgoing(call)) return call.number;
  return call.looked_up === false ? call.name || call.number || "…" : call.name || t("New caller");
}

export function callerNumber(call) {
  if (call.number_kind === "withheld") return "";
  if (call.number_kind === "internal") return t("Internal {number}", { number: call.number });
  return call.number;
}

export function placeOf(call) {
  const english = language() === "en";
  return [english ? call.place_en : call.place, english ? call.carrier_en : call.carrier].filter(Boolean).join(english ? " · " : " ");
}

export const queueOf = (call) => queueTitle(call.queue, call.queue_title);
