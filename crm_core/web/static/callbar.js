// The call bar: shows seat and call as the desk feed tells them, and is the one home of the call's commands. A command
// goes to the phone when the phone can do it, else to the server; the bar changes only when the feed says so.

import { command, isPending, note, pending } from "/static/commands.js";
import { callerName, callerNumber, chosen, currentCall, dialling, outgoing, queueOf, seatOf } from "/static/desk_state.js";
import { join, onLink, stateOf } from "/static/feed.js";
import { bindKey } from "/static/keys.js";
import { drawKeypad } from "/static/keypad.js";
import { bdi, fill, make, setAttribute, setIcon, setText } from "/static/nodes.js";
import { duration } from "/static/format.js";
import { alert, status } from "/static/notices.js";
import { showRing } from "/static/ringcard.js";
import { wish } from "/static/seatwish.js";
import { clearAnswerWish, phone } from "/static/softphone.js";
import { causeWord, reasonText, stateWord } from "/static/states.js";
import { drawStateMenu } from "/static/statemenu.js";
import { setTimer, serverNow } from "/static/ticker.js";
import { t } from "/static/words.js";

const slot = (name) => document.querySelector(`#call-bar [data-slot="${name}"]`);
const waits = new Map();
const was = { phase: "", call: "", seat: "", name: "" };
let link = { up: true };

export function startCallBar() {
  if (!document.getElementById("call-bar")) return;
  slot("answer").addEventListener("click", () => press("answer"));
  slot("hangup").addEventListener("click", () => press("hangup"));
  slot("hold").addEventListener("click", () => press("hold"));
  slot("mute").addEventListener("click", () => press("mute"));
  bindKey("say", sayAll);
  bindKey("ready", wantReady);
  join("desk", (state) => { followSeat(seatOf(state)); draw(state); });
  phone.onChange(() => draw(stateOf("desk")));
  onLink((now) => { link = now; draw(stateOf("desk")); });
  document.addEventListener("lingxi:words", () => draw(stateOf("desk")));
  document.addEventListener("lingxi:page", () => draw(stateOf("desk")));
  document.getElementById("drop-next").addEventListener("click", (event) => wish(event.currentTarget, { state: "ready", reason: "" }));
}

// The phone is there exactly while the person sits at a browser seat.
function followSeat(seat) {
  if (seat.state !== "signed_out" && seat.phone !== "desk") phone.start(); else phone.stop();
}

function draw(state) {
  const seat = seatOf(state);
  const call = currentCall(state);
  const phase = call?.phase || "";
  drawChip(seat, call);
  drawCaller(call);
  drawSlots(seat, call);
  showRing(call?.phase === "ringing" && !outgoing(call) ? call : null);
  const id = call?.id || "";
  if (phase !== was.phase || id !== was.call || seat.state !== was.seat) moved(state, seat, call, phase, id);
  else if (phase === "ringing" && callerName(call) !== was.name) rings(call);
  was.name = call ? callerName(call) : "";
}

// What a change of phase means for commands under way, for speech and for the eyes elsewhere.
function moved(state, seat, call, phase, id) {
  for (const ring of waits.values()) ring.done();
  waits.clear();
  if (was.phase === "ringing" && phase !== "ringing") clearAnswerWish(); // else it is for a call that has not come yet
  if (phase === "ringing" && !outgoing(call) && (was.phase !== "ringing" || id !== was.call)) rings(call);
  if (phase === "wrap_up" && was.phase !== "wrap_up") status(t("Call ended. Wrap-up {time}.", { time: wrapLeft(seat) }));
  if (!phase && was.phase === "ringing") status(seat.state === "paused" ? t("Missed; the call went to someone else.") : t("Caller hung up."));
  if (seat.state === "unreachable" && was.seat !== "unreachable" && was.seat) alert(t("Unreachable: {cause}. No calls will come.", { cause: causeWord(seat.reason) }));
  Object.assign(was, { phase, call: id, seat: seat.state });
}

const wrapLeft = (seat) => (seat.wrap_up_ends ? duration((seat.wrap_up_ends - serverNow()) / 1000) : "–");

// What is read out: who calls, and of a call through a queue how long they waited; of one without, the number beside the name.
function ringSentence(call) {
  const name = callerName(call);
  const number = callerNumber(call);
  if (queueOf(call)) return t("Call from {name}, {queue}, waited {time}. F2 answers.", { name, queue: queueOf(call), time: duration(call.waited_s || 0) });
  return number && number !== name ? t("Call from {name}, {number}. F2 answers.", { name, number }) : t("Call from {name}. F2 answers.", { name });
}

function rings(call) {
  alert(ringSentence(call));
  if (document.hidden && window.Notification?.permission === "granted") {
    const told = new Notification(callerName(call), { body: [queueOf(call), callerNumber(call)].filter(Boolean).join(" · "), tag: `call-${call.id}` });
    told.onclick = () => { window.focus(); told.close(); };
  }
}

function drawChip(seat, call) {
  const chip = document.getElementById("state-chip");
  const more = reasonText(seat.state, seat.reason);
  if (chip.dataset.state !== seat.state) { chip.dataset.state = seat.state; setIcon(chip, seat.state); note(chip, ""); }
  setText(chip.querySelector(".word"), dialling(call) && ["ringing", "talking"].includes(seat.state) ? t("Dialling") : more ? `${stateWord(seat.state)} · ${more}` : stateWord(seat.state));
  setAttribute(chip, "data-stale", !link.up || seat.pbx_up === false);
  setAttribute(chip, "title", more ? `${stateWord(seat.state)} · ${more}` : null);
  const timer = chip.querySelector(".timer");
  if (seat.state === "wrap_up" && seat.wrap_up_ends) setTimer(timer, { until: seat.wrap_up_ends });
  else { timer.classList.remove("over-warn"); setTimer(timer, { since: seat.state === "signed_out" ? null : seat.since }); }
  const next = document.getElementById("next-state");
  next.hidden = !seat.next || seat.next === "ready";
  if (!next.hidden) {
    next.dataset.state = seat.next;
    setText(next.querySelector("span"), `→ ${[stateWord(seat.next), reasonText(seat.next, seat.next_reason)].filter(Boolean).join(" · ")}`);
  }
  drawStateMenu(document.getElementById("state-menu"), seat);
}

function drawCaller(call) {
  const zone = document.getElementById("on-line");
  const key = call ? JSON.stringify([call.id, call.customer_id, call.matches, call.number, call.name, call.queue_title, call.looked_up, document.documentElement.lang]) : `none-${document.documentElement.lang}`;
  if (zone.dataset.shown === key) return;
  zone.dataset.shown = key;
  if (!call) return fill(zone, make("span.nobody", {}, t("Nobody on the line")));
  const one = chosen(call);
  const level = one?.level ? make("span.mark", {}, one.level) : null;
  const number = callerNumber(call);
  fill(zone,
    make("b", { title: callerName(call) }, bdi(callerName(call)), level),
    make("small", { title: number }, number ? bdi(number) : "", number && queueOf(call) ? " · " : "", queueOf(call)));
}

function can(button, able, why) {
  setAttribute(button, "aria-disabled", able ? null : "true");
  setAttribute(button, "title", able ? null : why);
}

function drawSlots(seat, call) {
  const phase = call?.phase || "";
  const live = phase === "talking" || phase === "held";
  const own = phone.state;
  const browser = seat.phone !== "desk";
  const none = t("Nobody on the line");
  const answer = slot("answer");
  const finishing = phase === "wrap_up" && document.getElementById("page")?.dataset.page !== "desk";
  const answering = (phase === "ringing" && call.direction !== "outbound") || own.call === "ringing";
  can(answer, finishing || (answering && browser), answering ? t("Answer on the desk phone") : t("Nothing rings"));
  answer.classList.toggle("go", finishing || (answering && browser));
  answer.dataset.does = finishing ? "finish" : "answer";
  setText(answer.querySelector("span"), finishing ? t("Finish") : t("Answer"));
  setIcon(answer, finishing ? "check" : "answer");
  const hold = slot("hold");
  const isHeld = phase === "held" || own.held;
  can(hold, live && browser && Boolean(own.call), live ? t("Use the keys of the desk phone") : none);
  setText(hold.querySelector("span"), isHeld ? t("Resume") : t("Hold"));
  setIcon(hold, isHeld ? "resume" : "hold");
  setAttribute(hold, "aria-pressed", live && isHeld ? "true" : null);
  const mute = slot("mute");
  can(mute, live && browser && Boolean(own.call), live ? t("Use the keys of the desk phone") : none);
  setText(mute.querySelector("span"), own.muted ? t("Unmute") : t("Mute"));
  setIcon(mute, own.muted ? "mic-off" : "mic");
  setAttribute(mute, "aria-pressed", live && own.muted ? "true" : null);
  const keypad = slot("keypad");
  can(keypad, live && browser && Boolean(own.call), none);
  if (keypad.getAttribute("aria-disabled")) keypad.removeAttribute("popovertarget");
  else { setAttribute(keypad, "popovertarget", "keypad"); drawKeypad(document.getElementById("keypad")); }
  const hangup = slot("hangup");
  const ringing = phase === "ringing";
  const any = live || ringing || Boolean(own.call);
  can(hangup, any, none);
  hangup.classList.toggle("stop", any);
  setText(hangup.querySelector("span"), ringing ? (call.direction === "outbound" ? t("Cancel") : t("Reject")) : t("Hang up"));
}

function press(name) {
  const button = slot(name);
  if (button.getAttribute("aria-disabled") === "true") return note(button, button.title);
  if (isPending(button)) return undefined;
  const call = currentCall(stateOf("desk"));
  if (name === "mute") { note(button, ""); phone.mute(!phone.state.muted); return undefined; }
  if (name === "answer" && button.dataset.does === "finish") return command(button, "POST", "/api/v1/seat/finish");
  const ring = pending(button);
  waits.set(name, ring);
  if (name === "answer") {
    if (!phone.answer()) ring.refuse(t("Phone not registered; reconnecting, try {n}.", { n: Math.max(1, phone.state.tries) }));
    else if (phone.state.microphone === "blocked") ring.refuse(t("The browser blocks the microphone. Click the icon left of the address and allow it."));
    document.dispatchEvent(new Event("lingxi:answer"));
  }
  if (name === "hold") phone.hold(!(call?.phase === "held" || phone.state.held));
  if (name === "hangup" && !phone.hangUp() && call) {
    waits.delete(name);
    ring.done();
    command(button, "POST", `/api/v1/calls/${call.id}/hang-up`);
  }
  return undefined;
}

function wantReady() {
  if (seatOf(stateOf("desk")).state !== "signed_out") wish(document.getElementById("state-chip"), { state: "ready", reason: "" });
}

function sayAll() {
  const state = stateOf("desk");
  const seat = seatOf(state);
  const call = currentCall(state);
  const time = seat.since ? duration((serverNow() - seat.since) / 1000) : "";
  status([stateWord(seat.state), reasonText(seat.state, seat.reason), call ? callerName(call) : t("Nobody on the line"), time].filter(Boolean).join(", "));
}

