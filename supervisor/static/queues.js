// The queue board: a row a queue, its callers below it in order of arrival, today's figures as links. A queue's callers are
// shown while it has any, unless folded; rows of queues never change places.

import { patchFigure, patchFigures, shownFigures } from "/static/figures.js";
import { bdi, fill, icon, make, setAttribute, setText } from "/static/nodes.js";
import { setTimer } from "/static/ticker.js";
import { t } from "/static/words.js";
import { startStale } from "/static/floor/stale.js";

const columns = ["service_level", "offered", "answered", "abandoned", "asa", "aht"];
const folded = new Set();

export function mount(el, feed) {
  const table = el.querySelector("table");

  function bodyOf(name) {
    let body = table.querySelector(`tbody[data-key="${CSS.escape(name)}"]`);
    if (!body) { body = make("tbody", { data: { key: name } }); table.append(body); }
    if (!body.rows.length) body.append(row(name));
    return body;
  }

  function row(name) {
    const fold = make("button.queue-name", { type: "button", on: { click: () => { if (folded.has(name)) folded.delete(name); else folded.add(name); draw(feed.stateOf("floor")); } } }, icon("right"), make("span.cut", {}));
    return make("tr", { data: { test: "queue-row", queue: name } },
      make("th", { scope: "row" }, fold),
      make("td.num", {}, make("span.limit", { data: { part: "waiting" } }, make("b"))),
      make("td.num", {}, make("span.timer", { data: { unknown: "–", warn: "60", test: "queue-longest" } }, "–")),
      columns.map((column) => make("td.num", { data: { column } })),
      make("td.num", {}, make("span", { data: { part: "people", test: "queue-people" } })));
  }

  function drawQueue(name, queue) {
    const body = bodyOf(name);
    const line = body.rows[0];
    const entries = queue.entries || [];
    const open = entries.length > 0 && !folded.has(name);
    const fold = line.querySelector(".queue-name");
    setText(fold.querySelector("span"), queue.title);
    setAttribute(fold, "title", queue.title);
    setAttribute(fold, "aria-expanded", String(open));
    setAttribute(fold, "aria-disabled", entries.length ? null : "true");
    setText(line.querySelector('[data-part="waiting"] b'), queue.waiting);
    setTimer(line.querySelector(".timer"), { since: queue.longest_since });
    for (const column of columns) patchFigure(line.querySelector(`[data-column="${column}"]`), column, queue.figures?.[column]);
    const people = line.querySelector('[data-part="people"]');
    setText(people, `${queue.ready} / ${queue.busy} / ${queue.paused}`);
    const none = queue.ready + queue.busy + queue.paused === 0;
    people.classList.toggle("over-warn", none);
    if (none) setText(people, `▲ ${t("no seat")}`);
    drawEntries(body, open ? entries : []);
  }

  function drawEntries(body, entries) {
    const rows = new Map([...body.rows].slice(1).map((one) => [one.dataset.call, one]));
    for (const entry of entries) {
      let line = rows.get(entry.call_id);
      rows.delete(entry.call_id);
      if (!line) {
        line = make("tr.entry-row", { data: { call: entry.call_id, test: "queue-entry" } },
          make("td", {}, make("span.who")), make("td.num", { data: { part: "position" } }), make("td.num", {}, make("span.timer", { data: { warn: "60" } })), make("td", { colspan: String(columns.length + 1) }));
        body.append(line);
      }
      fill(line.querySelector(".who"), make("b", {}, bdi(entry.name || entry.number || t("Number withheld"))), entry.name && entry.number ? make("span", {}, " ", bdi(entry.number)) : null);
      setText(line.querySelector('[data-part="position"]'), entry.position);
      setTimer(line.querySelector(".timer"), { since: entry.since });
    }
    for (const gone of rows.values()) gone.remove();
  }

  function draw(state) {
    const queues = state.queues || {};
    for (const [name, queue] of Object.entries(queues)) drawQueue(name, queue);
    for (const body of table.tBodies) if (!(body.dataset.key in queues)) body.remove();
    el.querySelector("#nobody").hidden = Object.keys(queues).length > 0;
    patchFigures(el.querySelector("#figures"), shownFigures(state), ".figure");
  }

  const leave = feed.join("floor", draw);
  const stale = startStale(el, feed);
  return () => { leave(); stale(); };
}
