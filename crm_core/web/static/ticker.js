// The one timer for everything that counts seconds on the screen: nodes of class `timer` with `data-since` (counts up) or
// `data-until` (counts down, then up with a plus). Times are the server's, in ms. Nothing is decided here: no call, no
// state and no command ever hangs on this timer.

import { duration } from "/static/format.js";

let ahead = 0;
let best = Infinity;
const timers = document.getElementsByClassName("timer");

export const serverNow = () => Date.now() + ahead;

// A reading with a short round trip is worth more than one with a long; it ages, for clocks drift.
export function setServerClock(now, roundTrip = 500) {
  best *= 1.2;
  if (roundTrip > best) return;
  best = Math.max(1, roundTrip);
  ahead = now + roundTrip / 2 - Date.now();
}

function show(node, now) {
  const { since, until } = node.dataset;
  let text = "";
  if (until) {
    const left = Math.ceil((Number(until) - now) / 1000);
    text = left >= 0 ? duration(left) : `+${duration(-left)}`;
    node.classList.toggle("over-warn", left <= 10);
  } else if (since) {
    const limit = Number(node.dataset.warn || 0);
    const passed = Math.floor((now - Number(since)) / 1000);
    text = duration(passed, { timer: true });
    if (limit) node.classList.toggle("over-warn", passed >= limit);
  } else text = node.dataset.unknown || "";
  if (node.textContent !== text) node.textContent = text;
}

export function tick() {
  const now = serverNow();
  for (const node of timers) show(node, now);
}

// Sets a timer's start or end and shows it at once; null empties it.
export function setTimer(node, { since = null, until = null } = {}) {
  if (!node) return;
  if (since) node.dataset.since = since; else delete node.dataset.since;
  if (until) node.dataset.until = until; else delete node.dataset.until;
  show(node, serverNow());
}

function loop() {
  if (!document.hidden) tick();
  setTimeout(loop, 1000 - (serverNow() % 1000) + 5);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
loop();
