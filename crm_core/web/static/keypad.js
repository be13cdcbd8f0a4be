// The keypad of a running call: twelve keys, clickable and typed, sent as DTMF by the phone. It dials nobody.

import { make } from "/static/nodes.js";
import { phone } from "/static/softphone.js";
import { t } from "/static/words.js";

const all = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

function send(panel, digit) {
  phone.keys(digit);
  const sent = panel.querySelector("output");
  sent.textContent = (sent.textContent + digit).slice(-18);
}

export function drawKeypad(panel) {
  if (panel.childElementCount) return;
  const sent = make("output", { "aria-label": t("Keys sent") });
  const keys = all.map((digit) => make("button.key", { type: "button", data: { test: `key-${digit}` }, on: { click: () => send(panel, digit) } }, digit));
  panel.append(sent, make("div.keys", {}, keys));
  panel.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !all.includes(event.key)) return;
    send(panel, event.key);
    event.preventDefault();
  });
  panel.addEventListener("toggle", () => { sent.textContent = ""; });
}
