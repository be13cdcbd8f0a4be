// The simulator's page: sends a caller into the phone system and lists those who are in it now, asked for every three seconds.
// It plays no caller itself.

import { command } from "/static/commands.js";
import { fill } from "/static/nodes.js";
import { tick } from "/static/ticker.js";

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
      const answer = await fetch("/demo", { credentials: "same-origin", headers: { "X-Fragment": "main" } });
      const now = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#running");
      if (now && !stopped && now.textContent !== running.textContent) fill(running, [...document.importNode(now, true).childNodes]);
      tick();
    } catch { /* the strip says it */ }
    if (!stopped) timer = setTimeout(look, document.hidden ? 20_000 : 3000);
  }

  timer = setTimeout(look, 3000);
  return () => { stopped = true; clearTimeout(timer); };
}
