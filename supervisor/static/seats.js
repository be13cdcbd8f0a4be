// The seat board: patches one row a person as the floor feed tells, filters and sorts in this browser. Nothing is sorted,
// put in or taken out while the pointer or the focus is on the board: those changes wait behind "n changes, apply".

import { queueTitle } from "/static/boot.js";
import { duration } from "/static/format.js";
import { patchFigures, shownFigures } from "/static/figures.js";
import { bdi, fill, icon, setAttribute, setText } from "/static/nodes.js";
import { reasonText, showState, stateWord } from "/static/states.js";
import { setTimer } from "/static/ticker.js";
import { t } from "/static/words.js";
import { startStale } from "/static/floor/stale.js";

const ranks = ["unreachable", "ringing", "held", "talking", "wrap_up", "ready", "paused", "signed_out"];
const directions = { inbound: "incoming", outbound: "outgoing", internal: "internal" };

export function mount(el, feed) {
  const by = (id) => el.querySelector(`#${id}`);
  const body = by("seats");
  const rows = new Map([...body.rows].map((row) => [row.dataset.user, row]));
  const address = new URL(location.href);
  const view = { state: address.searchParams.get("state") || "", team: address.searchParams.get("team") || "", find: address.searchParams.get("find") || "", sort: address.searchParams.get("sort") || "state", down: address.searchParams.has("down") };
  let seats = {};
  let inside = false;
  let waiting = new Set();

  function patch(id, seat) {
    const row = rows.get(id);
    const part = (name) => row.querySelector(`[data-part="${name}"]`);
    setAttribute(row, "data-state", seat.state);
    setAttribute(row, "data-team", seat.team || "");
    setAttribute(row, "data-off", seat.state === "signed_out");
    setText(part("name"), seat.name);
    setAttribute(part("name"), "title", seat.name);
    if (seat.href) setAttribute(part("name"), "href", seat.href);
    setText(part("next"), seat.next && seat.next !== "ready" ? `→ ${stateWord(seat.next)}` : "");
    setText(part("team"), seat.team || "–");
    setText(part("extension"), seat.extension || "–");
    showState(row.querySelector(".state"), seat.state, seat.reason);
    setAttribute(row.querySelector(".state"), "title", reasonText(seat.state, seat.reason) || null);
    setTimer(row.querySelector(".timer"), { since: seat.since });
    drawWith(part("with"), seat.with);
    const queue = seat.with || seat.state === "wrap_up" ? queueTitle(seat.queue, seat.queue_title) : "";
    setText(part("queue"), queue);
    setAttribute(part("queue"), "title", queue || null);
    setText(part("calls"), seat.calls ?? "–");
    if (seat.calls_href || seat.href) setAttribute(part("calls"), "href", seat.calls_href || seat.href);
    setText(part("aht"), duration(seat.aht_s));
  }

  function drawWith(cell, other) {
    const key = JSON.stringify(other || null);
    if (cell.dataset.shown === key) return;
    cell.dataset.shown = key;
    const label = other && (other.name || other.number || t("Number withheld"));
    setAttribute(cell, "title", label || null);
    fill(cell, other ? [icon(directions[other.direction] || "internal"), bdi(label)] : []);
  }

  const plain = (x, y) => (x < y ? -1 : x > y ? 1 : 0);
  const shown = (seat) => (!view.state || seat.state === view.state) && (!view.team || seat.team === view.team)
    && (!view.find || `${seat.name} ${seat.extension}`.toLowerCase().includes(view.find.toLowerCase()));

  function compare([, a], [, b]) {
    const value = (seat) => (view.sort === "state" ? ranks.indexOf(seat.state) : seat[view.sort] ?? "");
    const x = value(a), y = value(b);
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), document.documentElement.lang, { numeric: true });
    return (view.down ? -order : order) || plain(a.extension, b.extension) || plain(a.name, b.name);
  }

  function arrange() {
    waiting = new Set();
    const order = Object.entries(seats).sort(compare);
    for (const [id, row] of rows) if (!(id in seats)) { row.remove(); rows.delete(id); }
    let at = body.firstElementChild;
    for (const [id, seat] of order) {
      let row = rows.get(id);
      if (!row) {
        row = el.querySelector("#seat-row").content.querySelector("tr").cloneNode(true);
        row.dataset.user = id;
        rows.set(id, row);
        patch(id, seat);
      }
      row.hidden = !shown(seat);
      if (row === at) at = at.nextElementSibling; else body.insertBefore(row, at);
    }
    setAttribute(el.querySelector("table"), "aria-rowcount", rows.size + 1);
    by("nobody").hidden = Object.values(seats).some(shown);
    drawHeld();
  }

  function counts() {
    const of = {};
    for (const seat of Object.values(seats)) of[seat.state] = (of[seat.state] || 0) + 1;
    for (const pill of el.querySelectorAll("[data-filter-state]")) {
      const name = pill.dataset.filterState;
      const n = name ? of[name] || 0 : Object.keys(seats).length;
      setText(pill.querySelector("b"), n);
      setAttribute(pill, "data-zero", !n);
      setAttribute(pill, "aria-pressed", String(view.state === name));
    }
    const teams = [...new Set(Object.values(seats).map((seat) => seat.team).filter(Boolean))].sort();
    const select = by("team");
    if (select.options.length !== teams.length + 1) {
      const all = select.options[0];
      fill(select, all, teams.map((team) => new Option(team, team)));
    }
    select.value = view.team;
  }

  function drawHeld() {
    by("held").hidden = !waiting.size;
    if (waiting.size) setText(by("held-said"), t("Order held while you are on the board · {n} change", { n: waiting.size }, "Order held while you are on the board · {n} changes"));
  }

  function draw(state, changes) {
    seats = state.seats || {};
    const touched = changes.whole ? Object.keys(seats) : [...(changes.tables.get("seats") || [])];
    let moves = changes.whole;
    for (const id of touched) {
      const known = rows.has(id);
      if (known && seats[id]) {
        const row = rows.get(id);
        if (row.hidden === shown(seats[id]) || view.sort === "state" ? row.dataset.state !== seats[id].state : false) { moves = true; if (inside) waiting.add(id); }
        patch(id, seats[id]);
      } else { moves = true; if (inside) waiting.add(id); }
    }
    patchFigures(by("figures"), shownFigures(state), ".figure");
    counts();
    if (moves && !inside) arrange(); else drawHeld();
  }

  function choose(values) {
    Object.assign(view, values);
    const url = new URL(location.href);
    for (const name of ["state", "team", "find"]) if (view[name]) url.searchParams.set(name, view[name]); else url.searchParams.delete(name);
    if (view.sort !== "state") url.searchParams.set("sort", view.sort); else url.searchParams.delete("sort");
    if (view.down) url.searchParams.set("down", "1"); else url.searchParams.delete("down");
    history.replaceState(history.state, "", url);
    counts();
    arrange();
    for (const head of el.querySelectorAll("th[data-sort]")) setAttribute(head, "aria-sort", head.dataset.sort === view.sort ? (view.down ? "descending" : "ascending") : null);
  }

  el.addEventListener("click", (event) => {
    const pill = event.target.closest("[data-filter-state]");
    const sort = event.target.closest(".sort");
    if (pill) choose({ state: pill.dataset.filterState });
    if (sort) { const key = sort.closest("th").dataset.sort; choose({ sort: key, down: view.sort === key ? !view.down : false }); }
    if (event.target.closest("#apply")) arrange();
  });
  by("team").addEventListener("change", (event) => choose({ team: event.target.value }));
  by("find").addEventListener("input", (event) => choose({ find: event.target.value.trim() }));
  by("find").value = view.find;

  const board = by("board");
  const settle = () => setTimeout(() => {
    inside = body.matches(":hover") || body.contains(document.activeElement);
    if (!inside && waiting.size) arrange();
  });
  for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) board.addEventListener(name, settle);

  const leave = feed.join("floor", draw);
  const stale = startStale(el, feed);
  choose({});
  return () => { leave(); stale(); };
}
