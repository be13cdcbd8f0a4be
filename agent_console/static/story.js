// The customer's timeline beside the call: the server's own list, fetched when the customer is known and again after the
// call. While it loads its place is held; when it cannot be had, that part alone says so.

import { chosen } from "/static/desk_state.js";
import { fill, icon, make } from "/static/nodes.js";
import { t } from "/static/words.js";

export function showStory(holder, call) {
  const customer = chosen(call)?.customer_id || "";
  const key = call ? `${customer} ${call.phase === "wrap_up" ? "after" : "during"} ${call.id} ${document.documentElement.lang}` : "";
  if (holder.dataset.shown === key) return customer;
  const same = holder.dataset.customer === customer && customer;
  Object.assign(holder.dataset, { shown: key, customer });
  if (!customer) { fill(holder, nobody(call)); return customer; }
  if (!same) fill(holder, make("div.skeleton", {}, ...Array.from({ length: 9 }, () => make("i"))));
  load(holder, customer, key);
  return customer;
}

function nobody(call) {
  if (!call) return make("span");
  return make("div.empty", {}, icon("clock"), make("span", {}, call.looked_up === false ? t("Looking the number up") : t("The story starts with this call.")));
}

async function load(holder, customer, key) {
  try {
    const answer = await fetch(`/customers/${customer}/timeline?fragment`, { credentials: "same-origin", headers: { "X-Fragment": "main" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const list = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".timeline");
    if (holder.dataset.shown === key && list) fill(holder, document.importNode(list, true));
  } catch {
    if (holder.dataset.shown !== key) return;
    fill(holder, make("div.empty", {}, icon("warn"), make("span", {}, t("Timeline not loaded")),
      make("button.button.small", { type: "button", on: { click: () => load(holder, customer, key) } }, t("Retry"))));
  }
}
