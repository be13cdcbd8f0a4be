// The person's own last calls on the idle desk: the first rows of the server's list of calls, read again after each call. It
// knows no call by itself, so what stands here is what that list says.

import { bdi, fill, icon, make } from "/static/nodes.js";
import { t } from "/static/words.js";

const ROWS = 8;

function line(row) {
  const text = (part) => row.querySelector(`[data-part="${part}"]`)?.textContent.trim() || "";
  const named = text("customer");
  const way = row.querySelector(".way use")?.getAttribute("href")?.split("#")[1] || "calls";
  const talked = text("talk");
  return make("a.line.call-line", { href: row.querySelector("a").getAttribute("href"), data: { test: "recent-call" } },
    icon(way), make("b.cut", {}, bdi(named && named !== "–" ? named : text("number"))), make("span.faint.cut", {}, text("queue")),
    make("span.push", {}, talked === "–" ? text("outcome") : talked), make("span.faint.at", {}, text("at")));
}

// Returns how to read the list again.
export function startRecent(holder, empty) {
  async function read() {
    try {
      const answer = await fetch(`/calls?agent=${holder.dataset.agent}`, { credentials: "same-origin", headers: { "X-Fragment": "main" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const rows = [...new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("[data-test=call-row]")].slice(0, ROWS);
      fill(holder, rows.map(line));
      empty.hidden = rows.length > 0;
      holder.hidden = rows.length === 0;
    } catch {
      fill(holder, make("p.line.faint", {}, t("The list did not load."), make("button.button.small.push", { type: "button", on: { click: read } }, t("Retry"))));
    }
  }
  read();
  return read;
}
