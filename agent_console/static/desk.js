// The desk: shows the one of its three faces that the desk feed tells (choose a seat, between calls, in a call) and patches
// it. What is in the call's face is card.js, choice.js, notes.js and story.js; commands of the call are the bar's.

import { queueTitle } from "/static/boot.js";
import { command } from "/static/commands.js";
import { callerName, callsOf, currentCall, seatOf } from "/static/desk_state.js";
import { figureText } from "/static/format.js";
import { patchFigures } from "/static/figures.js";
import { icon, make, setAttribute, setIcon, setText } from "/static/nodes.js";
import { wish } from "/static/seatwish.js";
import { bindKey } from "/static/keys.js";
import { reasonText, stateWord } from "/static/states.js";
import { setTimer } from "/static/ticker.js";
import { t } from "/static/words.js";
import { startSignOn } from "/static/desk/signon.js";
import { drawCard } from "/static/desk/card.js";
import { drawChoice } from "/static/desk/choice.js";
import { startNotes } from "/static/desk/notes.js";
import { startRecent } from "/static/desk/recent.js";
import { showStory } from "/static/desk/story.js";

export function mount(el, feed) {
  const by = (id) => el.querySelector(`#${id}`);
  const notes = startNotes(by("notes"), by("notes-said"));
  const stopSignOn = startSignOn(el);
  const readRecent = startRecent(by("recent"), by("no-recent"));
  let picked = "";
  let busy = false;
  let later = 0;

  by("finish").addEventListener("click", (event) => command(event.currentTarget, "POST", "/api/v1/seat/finish"));
  by("back-ready").addEventListener("click", (event) => wish(event.currentTarget, { state: "ready", reason: "" }));
  const answered = () => { if (!document.activeElement?.closest?.("input, textarea, select")) by("notes").focus({ preventScroll: true }); };
  document.addEventListener("lingxi:answer", answered);

  function face(seat, call) {
    const name = call ? "call" : seat.state === "signed_out" ? "signon" : "idle";
    for (const view of el.querySelectorAll("[data-view]")) view.hidden = view.dataset.view !== name;
  }

  function draw(state, changes) {
    const seat = seatOf(state);
    const calls = callsOf(state);
    const call = calls.find((one) => one.id === picked) || currentCall(state);
    face(seat, call);
    drawQueues(by("queues"), state.queues || {});
    patchFigures(by("day"), state.day?.me || {});
    drawNow(seat);
    if (busy && !call) { clearTimeout(later); later = setTimeout(readRecent, 1500); }
    busy = Boolean(call);
    if (!call) { picked = ""; notes.show(null); return showStory(by("story"), null, changes); }
    drawTabs(calls, call);
    drawCard(by("card"), call, seat);
    drawChoice(by("choose"), call);
    notes.show(call);
    const known = showStory(by("story"), call, changes);
    by("open-customer").hidden = !known;
    if (known) setAttribute(by("open-customer"), "href", `/customers/${known}`);
    drawWrap(seat, call);
    return undefined;
  }

  function drawWrap(seat, call) {
    by("wrap").hidden = call.phase !== "wrap_up";
    if (call.phase !== "wrap_up") return;
    setTimer(by("wrap-left"), { until: seat.wrap_up_ends, since: seat.wrap_up_ends ? null : call.since });
    const talked = call.answered_at && call.ended_at ? (call.ended_at - call.answered_at) / 1000 : null;
    const next = seat.next === "paused" ? [stateWord("paused"), reasonText("paused", seat.next_reason)].filter(Boolean).join(" · ") : stateWord("ready");
    setText(by("wrap-said"), [talked === null ? "" : t("Lasted {time}", { time: figureText({ kind: "seconds", value: talked }) }), t("Next: {state}", { state: next })].filter(Boolean).join(" · "));
  }

  function drawNow(seat) {
    const box = by("now");
    box.dataset.state = seat.state;
    setIcon(box, seat.state);
    setText(by("now-word"), [stateWord(seat.state), reasonText(seat.state, seat.reason)].filter(Boolean).join(" · "));
    setText(by("now-hint"), nowHint(seat));
    by("back-ready").hidden = !["paused", "unreachable"].includes(seat.state);
    setAttribute(by("back-ready"), "aria-disabled", seat.state === "unreachable" ? "true" : null);
    setAttribute(by("back-ready"), "title", seat.state === "unreachable" ? t("Comes back by itself once the cause is gone") : null);
  }

  function drawTabs(calls, current) {
    const tabs = by("call-tabs");
    tabs.hidden = calls.length < 2;
    if (tabs.hidden) return;
    tabs.replaceChildren(...calls.map((one) => make("button", {
      type: "button", role: "tab", "aria-selected": String(one.id === current.id), data: { state: one.phase },
      on: { click: () => { picked = one.id; draw(feed.stateOf("desk"), null); } },
    }, icon(one.phase), ` ${callerName(one)}`)));
  }

  const leave = feed.join("desk", draw);
  const redraw = () => draw(feed.stateOf("desk"), null);
  document.addEventListener("lingxi:words", redraw);
  const unbind = bindKey("notes", () => by("notes").focus());
  return () => {
    leave();
    clearTimeout(later);
    unbind();
    stopSignOn();
    notes.stop();
    document.removeEventListener("lingxi:answer", answered);
    document.removeEventListener("lingxi:words", redraw);
  };
}

function nowHint(seat) {
  switch (seat.state) {
    case "ready": return t("The next caller's card appears here while it rings. F2 answers.");
    case "paused": return t("No calls come until you are ready again.");
    case "unreachable": return t("No calls come: see the mark at the right of the bar for the cure.");
    default: return "";
  }
}

function drawQueues(holder, queues) {
  for (const [name, queue] of Object.entries(queues)) {
    let line = holder.querySelector(`[data-key="${CSS.escape(name)}"]`);
    if (!line) {
      holder.querySelector("p")?.remove();
      line = make("div.line", { data: { key: name, test: "my-queue" } }, make("span.cut", {}), make("b.fig", { data: { part: "waiting" } }), make("span.timer.faint", { data: { unknown: "–" } }));
      holder.append(line);
    }
    const title = queueTitle(name, queue.title);
    setText(line.querySelector(".cut"), title);
    setAttribute(line.querySelector(".cut"), "title", title);
    setText(line.querySelector("[data-part]"), queue.waiting);
    setTimer(line.querySelector(".timer"), { since: queue.longest_since });
  }
  for (const line of holder.querySelectorAll("[data-key]")) if (!(line.dataset.key in queues)) line.remove();
}
