// Figures on a screen: each a link to exactly its rows, with its formula beside it; – is no data and 0 is zero. It counts
// nothing. Names are told by the server's page; a figure that the page did not have yet is named here.

import { figureText } from "/static/format.js";
import { icon, make, setAttribute, setText } from "/static/nodes.js";
import { t } from "/static/words.js";

export function figureWord(name) {
  switch (name) {
    case "answered": return t("Answered");
    case "offered": return t("Offered");
    case "abandoned": return t("Abandoned");
    case "missed": return t("Missed");
    case "other": return t("Other ends");
    case "service_level": return t("Service level");
    case "asa": return t("Speed of answer");
    case "aht": return t("Handling time");
    case "talk_time": return t("Talk time");
    case "abandon_rate": return t("Abandonment");
    case "handled": return t("Handled");
    default: return name;
  }
}

// Figures in the order people read them, as on the server's page; a feed has them in any order.
const reading = ["service_level", "offered", "answered", "missed", "abandoned", "abandon_rate", "other", "handled", "talk_time", "asa", "aht"];
const ordered = (figures) => Object.entries(figures).sort(([a], [b]) => reading.indexOf(a) - reading.indexOf(b));

function patchOne(holder, name, figure) {
  let node = holder.querySelector(".fig");
  const linked = figure?.href && figure.value !== null && figure.value !== undefined;
  if (!node || (node.tagName === "A") !== Boolean(linked)) {
    const made = make(linked ? "a.fig" : "span.fig", { data: { test: "figure", figure: name } });
    if (node) node.replaceWith(made); else holder.append(made);
    node = made;
  }
  if (linked) setAttribute(node, "href", figure.href);
  setAttribute(node, "data-none", !linked);
  setText(node, figureText(figure));
  const info = holder.querySelector(".info");
  if (info && figure) { info.dataset.num = figure.num ?? ""; info.dataset.den = figure.den ?? ""; }
}

// Patches every [data-key] in the holder from a table of figures; `line` makes the place of one not there yet.
export function patchFigures(holder, figures, line = ".line") {
  for (const [name, figure] of ordered(figures)) {
    let place = holder.querySelector(`[data-key="${CSS.escape(name)}"]`);
    if (!place) {
      holder.querySelector(":scope > p")?.remove();
      const info = figure.formula ? make("button.info", { type: "button", "aria-label": t("Formula of {figure}", { figure: figureWord(name) }), data: { formula: t(figure.formula), name: figureWord(name) } }, icon("info")) : null;
      place = make(`div${line}`, { data: { key: name } }, make("span.name", {}, figureWord(name)), info);
      holder.append(place);
    }
    patchOne(place, name, figure);
  }
}

export function patchFigure(place, name, figure) { patchOne(place, name, figure); }

// What stands on top of a board: all but what only serves the identity of a report.
export function shownFigures(state) {
  const { other, ...shown } = state.figures?.all || {};
  return shown;
}
