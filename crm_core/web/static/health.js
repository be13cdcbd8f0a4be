// The health mark in the bar: the worst of server, PBX, phone and microphone, each with its cure; lasting trouble also
// stands in the strip over the bottom edge. It checks nothing itself; it gathers what feed and phone know.

import { seatOf } from "/static/desk_state.js";
import { join, onLink, reconnect, stateOf } from "/static/feed.js";
import { microphoneWords } from "/static/microphone.js";
import { fill, icon, make, setAttribute } from "/static/nodes.js";
import { alert, trouble } from "/static/notices.js";
import { phone, recheckMicrophone } from "/static/softphone.js";
import { t } from "/static/words.js";

let link = { up: true, lostAt: 0, closed: "" };
let spoken = "";

export function startHealth(agent) {
  const draw = () => show(agent);
  onLink((now) => { link = now; draw(); if (!link.up && link.lostAt) setTimeout(draw, 2100); });
  if (agent) { join("desk", draw); phone.onChange(draw); }
  for (const event of ["lingxi:words", "lingxi:health", "lingxi:page"]) document.addEventListener(event, draw);
}

// A link that comes back within two seconds is not worth a word.
const lost = () => !link.up && link.lostAt && (link.closed || Date.now() - link.lostAt > 2000);

function checks(agent) {
  const list = [[t("Server"), lost() ? "danger" : "ok", lost() ? t("no connection; trying again") : t("connected")]];
  const floor = stateOf("floor").health?.pbx;
  if (!agent) return floor ? [...list, phoneSystem(floor.up)] : list;
  const seat = seatOf(stateOf("desk"));
  const own = phone.state;
  list.push(phoneSystem(seat.pbx_up !== false && floor?.up !== false));
  if (seat.state === "signed_out") list.push([t("Phone"), "none", t("comes with the seat")]);
  else if (seat.phone === "desk") list.push([t("Phone"), "ok", t("desk phone")]);
  else if (own.elsewhere) list.push([t("Phone"), "ok", t("in another tab")]);
  else list.push([t("Phone"), own.registered ? "ok" : own.tries > 1 ? "danger" : "warn", own.registered ? t("registered") : t("Phone not registered; reconnecting, try {n}.", { n: Math.max(1, own.tries) })]);
  const mic = own.microphone;
  if (seat.phone !== "desk") list.push([t("Microphone"), !mic || mic === "ok" ? (mic ? "ok" : "none") : "danger", microphoneWords(mic)]);
  return list;
}

const phoneSystem = (up) => [t("Phone system"), up ? "ok" : "danger", up ? t("connected") : t("PBX link lost. Calls go on; transfer is not available.")];

function show(agent) {
  const list = checks(agent);
  const level = list.some((one) => one[1] === "danger") ? "danger" : list.some((one) => one[1] === "warn") ? "warn" : "ok";
  setAttribute(document.getElementById("health"), "data-health", level);
  const menu = document.getElementById("health-menu");
  fill(menu, make("h3", {}, t("Health")), list.map(([name, state, words]) => make("p.check", { data: { level: state } },
    icon(state === "ok" ? "check" : state === "none" ? "info" : state === "warn" ? "warn" : "danger"), make("b", {}, name), make("span.quiet", {}, words))),
  agent && phone.state.microphone && phone.state.microphone !== "ok" ? make("button.item", { type: "button", on: { click: recheckMicrophone } }, icon("mic"), t("Check again")) : null,
  agent && phone.state.elsewhere ? make("button.item", { type: "button", on: { click: phone.takeHere } }, icon("headset"), t("Use the phone in this tab")) : null);
  strips(agent, list);
}

function strips(agent, list) {
  if (link.closed === "signed_out") trouble("server", t("You are signed out of Lingxi."), { level: "danger", act: { word: t("Sign in"), run: () => location.reload() } });
  else if (link.closed) trouble("server", t("Lingxi is open in another tab, which took over."), { act: { word: t("Use it here"), run: reconnect } });
  else trouble("server", lost() ? t("Server lost. Your text is kept here, the call goes on; reconnecting.") : "", { level: "danger" });
  const down = (agent && seatOf(stateOf("desk")).pbx_up === false) || stateOf("floor").health?.pbx?.up === false;
  trouble("pbx", down ? t("PBX link lost. Calls go on; transfer is not available.") : "", { level: "danger" });
  const own = phone.state;
  const off = agent && own.wanted && !own.registered && !own.elsewhere && own.tries > 1;
  trouble("phone", off ? t("Phone not registered; reconnecting, try {n}.", { n: own.tries }) : "");
  const bad = agent && own.microphone && own.microphone !== "ok";
  trouble("microphone", bad ? microphoneWords(own.microphone) : "", { level: "danger", act: { word: t("Check again"), run: recheckMicrophone } });
  trouble("tab", agent && own.elsewhere && own.wanted ? t("Your phone is in another tab.") : "", { act: { word: t("Use it here"), run: phone.takeHere } });
  const now = list.find((one) => one[1] === "danger")?.[2] || "";
  if (now !== spoken) { if (now) alert(now); else if (spoken) alert(t("Restored.")); spoken = now; }
}
