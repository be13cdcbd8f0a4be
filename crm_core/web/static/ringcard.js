// The card of a ringing caller under the bar, on every page but the desk, which has its own. It takes no focus, and no
// click in its first 300 ms; it holds no command: Answer is in the bar.

import { callerName, callerNumber, chosen, placeOf, queueOf, several } from "/static/desk_state.js";
import { bdi, fill, make } from "/static/nodes.js";
import { duration } from "/static/format.js";
import { t } from "/static/words.js";

let shown = "";

export function showRing(call) {
  const card = document.getElementById("ring-card");
  if (!card) return;
  if (!call || document.getElementById("page")?.dataset.page === "desk") {
    if (shown) card.hidden = true;
    shown = "";
    return;
  }
  const key = JSON.stringify([call, document.documentElement.lang]);
  if (key === shown) return;
  if (!shown) {
    card.dataset.fresh = "";
    setTimeout(() => delete card.dataset.fresh, 300);
  }
  shown = key;
  card.hidden = false;
  const one = chosen(call);
  fill(card,
    make("p.caller", { data: { test: "ring-card-name" } }, bdi(callerName(call)), one?.level ? make("span.mark", {}, one.level) : null),
    one?.company ? make("p.quiet", {}, [one.company, one.contact_title].filter(Boolean).join(" · ")) : null,
    several(call) ? make("p.quiet", {}, call.matches.map((match) => match.name).join(" · ")) : null,
    make("p", {}, callerNumber(call) ? bdi(callerNumber(call)) : "", make("span.faint", {}, ` ${placeOf(call)}`)),
    make("p.faint", {}, [queueOf(call), call.waited_s >= 1 ? t("waited {time}", { time: duration(call.waited_s) }) : ""].filter(Boolean).join(" · ")),
    make("p", {}, make("a", { href: "/" }, t("Open the desk"))));
}
