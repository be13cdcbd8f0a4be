// The browser phone: registers the seat's extension over the same-origin SIP WebSocket with JsSIP, rings, answers, mutes,
// holds, sends keys, hangs up. It says what the phone knows; what the call's state is, the feed says. Tests read it as
// `window.lingxi.phone`. Which tab holds the phone is phonetabs.js.

import { send } from "/static/commands.js";
import { checkMicrophone, closeStream, microphoneTrouble } from "/static/microphone.js";
import { ask, leavePhone, tabs, takeHere, tell, wantPhone } from "/static/phonetabs.js";
import { earcon, ring, silence } from "/static/ringtone.js";

const listeners = new Set();
const blank = { registered: false, wanted: false, tries: 0, cause: "", call: "", muted: false, held: false, microphone: "" };
const state = { ...blank };
let agent = null;
let session = null;
let retry = 0;
let unanswered = 0;
let starting = 0;
let answerWanted = 0;

export const phone = {
  get state() { return { ...(tabs.elsewhere && tabs.told ? tabs.told : state), wanted: state.wanted, leads: tabs.leads, elsewhere: tabs.elsewhere }; },
  get session() { return session; },
  onChange(listener) { listeners.add(listener); listener(phone.state); return () => listeners.delete(listener); },
  start, stop, takeHere,
  answer: () => act("answer"),
  hangUp: () => act("hangUp"),
  mute: (on) => act("mute", on),
  hold: (on) => act("hold", on),
  keys: (digits) => act("keys", digits),
};

const acts = {
  // The card may be here a moment before the INVITE is: then the wish is kept for three seconds.
  answer() {
    answerWanted = Date.now();
    if (session && state.call === "ringing") {
      answerWanted = 0;
      session.answer({ mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } });
    }
  },
  hangUp() { if (session && !session.isEnded()) session.terminate(state.call === "ringing" ? { status_code: 486 } : {}); },
  mute(on) { if (on) session?.mute({ audio: true }); else session?.unmute({ audio: true }); },
  hold(on) { if (on) session?.hold(); else session?.unhold(); },
  keys(digits) { session?.sendDTMF(digits, { transportType: "RFC2833" }); },
  hello() { tell(state); },
};

// Returns whether there was a phone, here or in another tab, to pass this on to.
function act(what, value) {
  if (tabs.elsewhere) { ask(what, value); return tabs.told?.call ? true : what === "answer"; }
  if (!agent) return false;
  if (!session && what !== "answer") return false;
  acts[what](value);
  return true;
}

function change(values) {
  Object.assign(state, values);
  if (tabs.leads) tell(state);
  for (const listener of listeners) listener(phone.state);
}

function start() {
  if (state.wanted) return;
  change({ wanted: true });
  wantPhone({ take: connect, lose: disconnect, told: () => change({}), asked: (what, value) => acts[what]?.(value) });
}

function stop() {
  if (!state.wanted) return;
  state.wanted = false;
  disconnect();
  leavePhone();
  change({ ...blank });
}

function disconnect() {
  starting += 1;
  clearTimeout(retry);
  clearTimeout(unanswered);
  silence();
  const old = agent;
  agent = null;
  session = null;
  if (old) { try { old.unregister(); } catch { /* not connected */ } old.stop(); }
  change({ registered: false, call: "", held: false, muted: false });
}

async function connect() {
  const mine = (starting += 1);
  const current = () => mine === starting && state.wanted && tabs.leads;
  try {
    const [{ default: JsSIP }, account] = await Promise.all([import("jssip"), send("GET", "/api/v1/phone")]);
    if (!current()) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new JsSIP.WebSocketInterface(`${scheme}://${location.host}${account.path || "/sip"}`);
    agent = new JsSIP.UA({
      sockets: [socket], uri: `sip:${account.extension}@${account.realm}`, authorization_user: account.extension, password: account.secret,
      register_expires: 120, session_timers: false, connection_recovery_min_interval: 1, connection_recovery_max_interval: 10,
      user_agent: "Lingxi", ...(account.contact ? { contact_uri: account.contact } : {}),
    });
    wire(agent, () => mine === starting);
    agent.start();
  } catch (error) {
    if (current()) again(error.message);
  }
}

function again(cause) {
  change({ registered: false, tries: state.tries + 1, cause: String(cause || "") });
  clearTimeout(retry);
  retry = setTimeout(() => { if (!session) { disconnect(); connect(); } else again(cause); },
    Math.min(10_000, 500 * 2 ** Math.min(state.tries, 5)) * (0.75 + Math.random() / 2));
}

function wire(ua, current) {
  ua.on("registered", () => { if (current()) { clearTimeout(retry); change({ registered: true, tries: 0, cause: "" }); } });
  // A phone system that is just starting may take the connection and lose the first REGISTER; its answer would be waited for half a minute.
  ua.on("connected", () => { clearTimeout(unanswered); unanswered = setTimeout(() => { if (current() && !state.registered) again("no answer"); }, 4000); });
  ua.on("unregistered", () => { if (current()) change({ registered: false }); });
  ua.on("registrationFailed", ({ cause }) => { if (current()) again(cause); });
  ua.on("disconnected", () => { if (current() && (state.registered || !state.tries)) change({ registered: false, tries: state.tries + 1 }); });
  ua.on("newRTCSession", ({ originator, session: incoming }) => { if (current() && originator === "remote") take(incoming); });
}

function take(incoming) {
  if (session && !session.isEnded()) { incoming.terminate({ status_code: 486 }); return; }
  session = incoming;
  const mine = (what) => (event) => { if (session === incoming) what(event); };
  const over = mine(() => {
    silence();
    if (state.call === "talking") earcon("ended");
    session = null;
    change({ call: "", held: false, muted: false });
    if (!["", "ok"].includes(state.microphone)) recheckMicrophone();
  });
  incoming.on("peerconnection", ({ peerconnection }) => peerconnection.addEventListener("track", ({ streams, track }) => hear(streams[0] || new MediaStream([track]))));
  let gathered = 0;
  incoming.on("icecandidate", ({ ready }) => { gathered ||= setTimeout(ready, 300); });
  incoming.on("accepted", mine(() => { silence(); change({ call: "talking", microphone: "ok" }); }));
  incoming.on("confirmed", mine(() => { earcon("connected"); watchMicrophone(incoming); }));
  incoming.on("getusermediafailed", mine((error) => change({ microphone: microphoneTrouble(error) })));
  incoming.on("ended", over);
  incoming.on("failed", over);
  incoming.on("hold", mine(({ originator }) => { if (originator === "local") change({ held: true }); }));
  incoming.on("unhold", mine(({ originator }) => { if (originator === "local") change({ held: false }); }));
  incoming.on("muted", mine(() => change({ muted: true })));
  incoming.on("unmuted", mine(() => change({ muted: false })));
  change({ call: "ringing" });
  if (Date.now() - answerWanted < 3000) acts.answer();
  else ring();
}

function hear(stream) {
  const audio = document.getElementById("phone-audio");
  if (audio && audio.srcObject !== stream) audio.srcObject = stream;
  audio?.play().catch(() => {});
}

// A headset pulled out during the call ends its track: say so at once.
function watchMicrophone(of) {
  const track = of.connection?.getSenders().find((sender) => sender.track?.kind === "audio")?.track;
  track?.addEventListener("ended", () => { if (session === of) change({ microphone: "missing" }); });
}

// Without a microphone no call is worth ringing: between calls the phone leaves the PBX, so that the seat is unreachable, and
// comes back with the microphone.
export async function recheckMicrophone() {
  const { result, stream } = await checkMicrophone();
  closeStream(stream);
  change({ microphone: result });
  if (!state.wanted || !tabs.leads || session) return result;
  if (result !== "ok") disconnect();
  else if (!agent) connect();
  return result;
}

async function devicesChanged() {
  const list = await navigator.mediaDevices.enumerateDevices();
  const none = !list.some((one) => one.kind === "audioinput");
  if (state.wanted && tabs.leads && !session && (none || !["", "ok"].includes(state.microphone))) recheckMicrophone();
}
navigator.mediaDevices?.addEventListener("devicechange", devicesChanged);

export function clearAnswerWish() { answerWanted = 0; }
export const setMicrophone = (result) => change({ microphone: result });

window.addEventListener("beforeunload", (event) => { if (session && state.call) event.preventDefault(); });
window.addEventListener("pagehide", () => { if (agent) agent.stop(); });
window.lingxi = Object.assign(window.lingxi || {}, { phone });
