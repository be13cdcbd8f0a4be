// The simulator's page: sends a caller into the phone system and lists those who are in it now, asked for every two seconds.
// It plays no caller itself.

import { command, send } from "/static/commands.js";
import { bdi, fill, icon, make } from "/static/nodes.js";
import { setTimer } from "/static/ticker.js";
import { t } from "/static/words.js";

export function mount(el) {
  const form = el.querySelector("#demo");
  const running = el.querySelector("#running");
  let timer = 0;
  let stopped = false;

  const who = () => { el.querySelector("#number-field").hidden = form.elements.customer_id.value !== ""; };
  form.elements.customer_id.addEventListener("change", who);
  who();

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const of = (name) => form.elements[name].value.trim();
    await command(form.querySelector("[data-test=demo-call]"), "POST", "/api/v1/demo/call", {
      customer_id: of("customer_id"), number: of("customer_id") ? "" : of("number"), dial: of("dial"), wait_s: Number(of("wait_s")), say: of("say"),
    });
    look();
  });

  el.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-scene]");
    if (!button) return;
    await command(button, "POST", "/api/v1/demo/call", JSON.parse(button.dataset.scene));
    look();
  });

  async function look() {
    clearTimeout(timer);
    try {
      const { calls } = await send("GET", "/api/v1/demo/calls");
      if (!stopped) draw(calls || []);
    } catch { /* said by the strip */ }
    if (!stopped) timer = setTimeout(look, document.hidden ? 10_000 : 2000);
  }

  function draw(calls) {
    el.querySelector("#nobody-calls").hidden = calls.length > 0;
    fill(running, calls.map((call) => {
      const passed = make("span.timer", {});
      setTimer(passed, { since: call.since });
      return make("div.line", { data: { test: "demo-caller" } }, icon("incoming"), make("b.cut", {}, bdi(call.name || call.number || t("Number withheld"))), make("span.faint.cut", {}, call.title || call.dial || ""), make("span.faint.push", {}, call.phase || ""), passed);
    }));
  }

  look();
  return () => { stopped = true; clearTimeout(timer); };
}
