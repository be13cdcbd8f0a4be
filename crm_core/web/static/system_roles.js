// The matrix of a role's rights: marks what is changed, shows who would gain and lose what, saves then, and can undo. What a change
// means is asked of the server; nothing is worked out here.

import { command, send } from "/static/commands.js";
import { fill, make } from "/static/nodes.js";
import { toast } from "/static/notices.js";
import { reload } from "/static/pages.js";
import { panel } from "/static/system.js";
import { t } from "/static/words.js";

const ROLES = "/api/v1/system/roles";

export function mount(el) {
  const box = el.querySelector("[data-role]");
  const { role } = box.dataset;
  const bar = el.querySelector("[data-changes]");
  const effects = panel(el.querySelector("#effects"));
  const cells = [...box.querySelectorAll("select")];

  const changes = () => cells.filter((one) => one.value !== one.dataset.was)
    .map((one) => ({ role, kind: one.dataset.kind, action: one.dataset.action, was: one.dataset.was, scope: one.value }));

  function draw() {
    for (const one of cells) {
      one.dataset.scope = one.value;
      one.toggleAttribute("data-changed", one.value !== one.dataset.was);
    }
    const n = changes().length;
    bar.hidden = n === 0;
    bar.querySelector("[data-count]").textContent = t("{n} changed", { n });
  }

  function side(title, list) {
    if (!list.length) return null;
    const rows = list.map((one) => make("li", {}, make("b", {}, one.said), ` ${one.before} → ${one.after}`));
    return make("section", {}, make("h3", {}, title), make("ul", {}, ...rows));
  }

  async function show(button) {
    const told = await command(button, "POST", `${ROLES}/effects`, { changes: changes() });
    if (!told) return;
    const { count, people } = told.effects[0] || { count: 0, people: [] };
    const whom = count ? t("{n} people: {names}", { n: count, names: people.join(t(", ")) }) : t("Nobody has this role at present.");
    fill(
      el.querySelector("[data-effects]"),
      make("p", { data: { test: "effect-people" } }, whom),
      side(t("Gain"), told.effects.filter((one) => one.gains)),
      side(t("Lose"), told.effects.filter((one) => !one.gains)),
    );
    effects.open(button);
  }

  async function save(button) {
    const made = changes();
    if ((await command(button, "PUT", ROLES, { changes: made })) === null) return;
    effects.close();
    const back = made.map((one) => ({ ...one, was: one.scope, scope: one.was }));
    toast(t("Saved. It holds from now on."), { undo: () => undo(back) });
    await reload();
  }

  async function undo(back) {
    try {
      await send("PUT", ROLES, { changes: back });
      toast(t("Undone."));
    } catch (refusal) { toast(refusal.message, { level: "danger" }); }
    await reload();
  }

  box.addEventListener("change", draw);
  // Space goes through the scopes of a cell; arrows and letters work as in any choice.
  box.addEventListener("keydown", (event) => {
    const cell = event.target.closest("select");
    if (!cell || event.key !== " ") return;
    event.preventDefault();
    cell.selectedIndex = (cell.selectedIndex + 1) % cell.options.length;
    draw();
  });
  el.querySelector("[data-show]").addEventListener("click", (event) => show(event.currentTarget));
  el.querySelector("[data-save]").addEventListener("click", (event) => save(event.currentTarget));
  el.querySelector("[data-drop]").addEventListener("click", () => {
    for (const one of cells) one.value = one.dataset.was;
    draw();
    cells[0]?.focus();
  });
  draw();
  return () => {};
}
