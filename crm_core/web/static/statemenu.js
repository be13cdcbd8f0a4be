// The menu under the state chip: Ready, the pause reasons, sign out. While busy a choice becomes the next state; the
// server decides that, and the chip shows it when the feed says so.

import { command } from "/static/commands.js";
import { fill, icon, make } from "/static/nodes.js";
import { wish } from "/static/seatwish.js";
import { causeWord, pauseReasons } from "/static/states.js";
import { t } from "/static/words.js";

const busy = ["ringing", "talking", "held", "wrap_up"];

export function drawStateMenu(menu, seat) {
  const key = JSON.stringify([seat.state, seat.reason, seat.next, seat.next_reason, document.documentElement.lang, pauseReasons()]);
  if (menu.dataset.shown === key) return;
  menu.dataset.shown = key;
  if (seat.state === "signed_out") {
    return fill(menu,
      make("p.pad.quiet", {}, t("No seat yet. Calls come once you sign in at one.")),
      make("a.item", { href: "/", role: "menuitem", data: { test: "go-desk" } }, icon("headset"), t("Choose a seat")));
  }
  const inCall = busy.includes(seat.state);
  const item = (state, reason, label, on) => make("button.item", {
    type: "button", role: "menuitemradio", "aria-checked": String(on), data: { state, test: `state-${reason || state}` },
    on: { click: (event) => choose(menu, event.currentTarget, { state, reason }) },
  }, icon(state), label);
  const now = (state, reason) => (inCall ? seat.next === state && seat.next_reason === reason : seat.state === state && seat.reason === reason);
  fill(menu,
    seat.state === "unreachable" ? make("p.pad", {}, t("Unreachable: {cause}. No calls will come.", { cause: causeWord(seat.reason) })) : null,
    inCall ? make("h3", {}, t("After this call")) : null,
    item("ready", "", t("Ready"), now("ready", "")),
    make("h3", {}, t("Pause")),
    pauseReasons().map(({ code, label }) => item("paused", code, label, now("paused", code))),
    make("hr"),
    make("button.item", {
      type: "button", role: "menuitem", data: { test: "seat-sign-out" }, "aria-disabled": inCall && seat.state !== "wrap_up" ? "true" : null,
      on: { click: (event) => signOut(menu, event.currentTarget) },
    }, icon("signed_out"), t("Sign out of seat {seat}", { seat: seat.extension || "" })));
}

async function choose(menu, button, body) {
  if (await wish(button, body)) menu.hidePopover();
}

async function signOut(menu, button) {
  if (await command(button, "POST", "/api/v1/seat/sign-out")) menu.hidePopover();
}
