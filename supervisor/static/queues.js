// The queue board: a row a queue, its callers below it in order of arrival, today's figures as links. A queue's callers are
// shown while it has any, unless folded; rows of queues never change places.

import { queueTitle } from "/static/boot.js";
import { patchFigure, patchFigures, shownFigures } from "/static/figures.js";
import { bdi, fill, make, setAttribute, setText } from "/static/nodes.js";
import { setTimer } from "/static/ticker.js";
import { t } from "/static/words.js";
import { startStale } from "/static/floor/stale.js";

const columns = ["service_level", "offered", "answered", "abandoned", "asa", "aht"];
const folded = new Set();

export function mount(el, feed) {
  const table = el.querySelector("table");

  const copy = (id) => el.querySelector(id).content.querySelector("tr").cloneNode(true);

  function bodyOf(name) {
    let body = table.querySelector(`tbody[data-key="${CSS.escape(name)}"]`);
    if (!body) {
      body = make("tbody", { data: { key: name } }, copy("#queue-row"));
      body.rows[0].dataset.queue = name;
      table.append(body);
    }
    return body;
  }

  function drawQueue(name, queue) {
    const body = bodyOf(name);
    const line = body.rows[0];
    const entries = queue.entries || [];
    const open = entries.length > 0 && !folded.has(name);
    const fold = line.querySelector(".queue-name");
    const title = queueTitle(name, queue.title);
    setText(fold.querySelector("span"), title);
    setAttribute(fold, "title", title);
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
    for (const [n, entry] of entries.entries()) {
      let line = rows.get(entry.call_id);
      rows.delete(entry.call_id);
      if (!line) {
        line = copy("#entry-row");
        line.dataset.call = entry.call_id;
        body.append(line);
      }
      fill(line.querySelector(".who"), make("b", {}, bdi(entry.name || entry.number || t("Number withheld"))));
      fill(line.querySelector('[data-part="number"]'), entry.name && entry.number ? bdi(entry.number) : null);
      setText(line.querySelector('[data-part="position"]'), n + 1);
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

  table.addEventListener("click", (event) => {
    const name = event.target.closest(".queue-name")?.closest("tr").dataset.queue;
    if (!name) return;
    if (folded.has(name)) folded.delete(name); else folded.add(name);
    draw(feed.stateOf("floor"));
  });
  const leave = feed.join("floor", draw);
  const stale = startStale(el, feed);
  return () => { leave(); stale(); };
}
