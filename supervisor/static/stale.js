// Says when a board's data stopped: a veil over the rows and the time of the last of it, while the link to the server or
// the PBX is down. It repairs nothing.

import { clock } from "/static/format.js";
import { setText } from "/static/nodes.js";
import { t } from "/static/words.js";

export function startStale(el, feed) {
  const said = el.querySelector("#stale");
  const board = el.querySelector("#board");
  let link = { up: true };
  const draw = () => {
    const health = feed.stateOf("floor").health?.pbx;
    const off = (!link.up && link.lostAt) || (health && health.up === false && (health.since || Date.now()));
    board.classList.toggle("veiled", Boolean(off));
    said.hidden = !off;
    document.dispatchEvent(new Event("lingxi:health"));
    if (off) setText(said, t("Data from {time}", { time: clock(off, { seconds: true }) }));
  };
  const unlink = feed.onLink((now) => { link = now; draw(); });
  const leave = feed.join("floor", draw);
  return () => { unlink(); leave(); };
}
