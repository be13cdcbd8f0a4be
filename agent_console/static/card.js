// The caller's card: who rings or talks, from where, for which queue, for how long they waited. Name and level first; what a
// late look-up brings changes the name only. It chooses nobody (choice.js) and shows no history (story.js).

import { callerName, callerNumber, chosen, dialling, outgoing, placeOf, queueOf } from "/static/desk_state.js";
import { duration } from "/static/format.js";
import { bdi, fill, icon, make, setText } from "/static/nodes.js";
import { stateNode } from "/static/states.js";
import { setTimer } from "/static/ticker.js";
import { t } from "/static/words.js";

const fact = (id, ...content) => make("div.fact", {}, icon(id), make("span", {}, ...content));

function numberFact(call) {
  if (call.number_kind === "withheld" && outgoing(call)) return null;
  if (call.number_kind === "withheld") return chosen(call) ? fact("withheld", t("Number withheld")) : null;
  if (call.number_kind === "internal") return fact("internal", t("Internal {number}", { number: call.number }));
  return fact("answer", make("b", { data: { test: "caller-number" } }, bdi(call.number || "–")), placeOf(call) ? make("span.quiet", {}, ` ${placeOf(call)}`) : null);
}

export function drawCard(card, call, seat) {
  const one = chosen(call);
  const key = JSON.stringify([call.id, call.phase, call.since, call.matches, call.customer_id, call.number, call.place, call.carrier, call.name, call.queue_title, call.waited_s, call.looked_up, document.documentElement.lang]);
  if (card.dataset.shown === key) return;
  card.dataset.shown = key;
  const phase = ["ringing", "talking", "held", "wrap_up"].includes(call.phase) ? call.phase : seat.state;
  const timer = make("span.timer.push.quiet", { role: "timer" });
  const shown = stateNode(phase);
  if (dialling(call)) setText(shown.querySelector(".word"), t("Dialling"));
  if (phase !== "wrap_up") setTimer(timer, { since: call.since });
  fill(card,
    make("p.phase", {}, shown, timer),
    make("h2.caller-name", { title: callerName(call), data: { test: "caller-name" } }, bdi(callerName(call)), one?.level ? make("span.mark", { data: { test: "caller-level" } }, one.level) : null),
    make("div.lines-of", {},
      one?.company || one?.contact_title ? fact("company", [one.company, one.contact_title].filter(Boolean).join(" · ")) : null,
      numberFact(call),
      queueOf(call) ? fact("queues", queueOf(call), call.waited_s >= 1 ? make("span.quiet", {}, ` · ${t("waited {time}", { time: duration(call.waited_s) })}`) : null) : null,
      call.name && call.name !== callerName(call) && !outgoing(call) ? fact("user", make("span.quiet", {}, bdi(call.name))) : null),
    call.looked_up === false ? make("div.skeleton", { "aria-hidden": "true" }, make("i"), make("i"), make("i")) : null);
}
