// Which customer the caller is: choose one of several with 1 to 5, or write down a new one with the number filled in. It
// vanishes once a customer is known; a form being typed in is never redrawn.

import { command } from "/static/commands.js";
import { several } from "/static/desk_state.js";
import { bdi, fill, icon, make } from "/static/nodes.js";
import { t } from "/static/words.js";

let wantsNew = "";

export function drawChoice(holder, call) {
  const kind = wanted(call);
  const key = `${call.id} ${kind} ${kind === "several" ? JSON.stringify(call.matches) : ""} ${document.documentElement.lang}`;
  if (holder.dataset.shown === key) return;
  if (kind === "new" && holder.dataset.shown?.startsWith(`${call.id} new`) && holder.contains(document.activeElement)) return;
  holder.dataset.shown = key;
  if (kind === "several") fill(holder, choices(holder, call));
  else if (kind === "new") fill(holder, newCustomer(holder, call));
  else fill(holder);
}

function wanted(call) {
  if (call.customer_id || call.number_kind === "internal" || call.looked_up === false) return "";
  if (wantsNew === call.id) return "new";
  if (several(call)) return "several";
  if ((call.matches || []).length) return "";
  return call.number_kind === "withheld" && (call.phase === "ringing" || call.direction === "outbound") ? "" : "new";
}

function choices(holder, call) {
  const list = call.matches.slice(0, 5).map((match, n) => make("button.choice", {
    type: "button", data: { test: "customer-choice", key: String(n + 1), customer: match.customer_id },
    on: { click: (event) => command(event.currentTarget, "PUT", `/api/v1/calls/${call.id}/customer`, { customer_id: match.customer_id }) },
  }, make("kbd", {}, String(n + 1)), make("span", {}, make("b", {}, bdi(match.name)), make("small", {}, [match.company, match.contact_title].filter(Boolean).join(" · "))),
  match.level ? make("span.mark", {}, match.level) : null));
  const more = call.matches.length - list.length;
  const other = make("button.button.plain", { type: "button", data: { test: "choose-new" }, on: { click: () => { wantsNew = call.id; drawChoice(holder, call); } } }, icon("plus"), t("New customer"));
  return make("section.panel", { data: { notes: "" } },
    make("header", {}, make("h2", {}, t("{n} match: choose one", { n: call.matches.length }, "{n} matches: choose one")), make("span.push", {}, other)),
    make("div.choices", {}, list, more > 0 ? make("p.hint", {}, t("{n} more: search by name in the bar", { n: more })) : null));
}

function field(name, label, attributes) {
  const id = `new-${name}`;
  return make("div.field", {}, make("label", { for: id }, label), make("input", { id, name, type: "text", autocomplete: "off", maxlength: 120, data: { test: id }, ...attributes }));
}

function levels() {
  const select = make("select", { id: "new-level", name: "level" }, ["", "C", "B", "A", "VIP"].map((one) => make("option", { value: one }, one || "–")));
  return make("div.field", {}, make("label", { for: "new-level" }, t("Level")), select);
}

function newCustomer(holder, call) {
  const form = make("form.new-customer", { data: { notes: "", test: "new-customer" } },
    field("name", t("Name"), { required: true }),
    field("company", t("Company"), {}),
    field("number", t("Number"), { value: call.number || "", readonly: call.number ? true : null }),
    levels(),
    make("div.acts", {},
      call.matches?.length ? make("button.button", { type: "button", on: { click: () => { wantsNew = ""; drawChoice(holder, call); } } }, t("Back")) : null,
      make("button.button", { type: "submit", data: { test: "new-customer-save" } }, t("Save customer"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const value = (name) => form.elements[name].value.trim();
    const masked = value("number").includes("*");
    const saved = await command(form.querySelector("[type=submit]"), "POST", "/api/v1/customers", {
      name: value("name"), company: value("company"), level: value("level"), numbers: value("number") && !masked ? [value("number")] : [], call_id: call.id,
    });
    if (saved) wantsNew = "";
  });
  const title = call.number_kind === "withheld" ? t("Who is it? Write down a new customer, or search in the bar.") : t("New customer");
  return make("section.panel", {}, make("header", {}, make("h2", {}, title)), form);
}
