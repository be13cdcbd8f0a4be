// What works in every timeline and list of calls: older entries come in place, a recording plays in place, a number is
// called by its identifier. It listens on the document, for timelines come and go.

import { command } from "/static/commands.js";
import { make } from "/static/nodes.js";
import { phone } from "/static/softphone.js";
import { t } from "/static/words.js";

async function older(button) {
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(button.dataset.older, { credentials: "same-origin", headers: { "X-Fragment": "main" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const list = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".timeline");
    const place = button.closest("p");
    place.replaceWith(...[...list.children].map((node) => document.importNode(node, true)));
  } catch {
    button.removeAttribute("aria-busy");
    button.textContent = t("Retry");
  }
}

function play(button) {
  const holder = button.closest(".entry, tr, [data-player]");
  const there = holder.querySelector("audio");
  if (there) { if (there.paused) there.play(); else there.pause(); return; }
  for (const other of document.querySelectorAll("audio[data-listen]")) other.pause();
  const audio = make("audio", { controls: true, preload: "auto", src: `/recordings/${button.dataset.play}/sound`, data: { listen: "", test: "listen" } });
  (button.closest("td") || holder).append(audio);
  audio.play().catch(() => {});
}

// The PBX rings the own seat first; the wish to answer is given with the press, unless another call is in hand.
async function dial(button) {
  const free = !phone.state.call;
  if ((await command(button, "POST", "/api/v1/dial", { contact_point_id: button.dataset.dial })) && free) phone.answer();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-older], [data-play], [data-dial]");
  if (!button) return;
  if (button.dataset.older) older(button);
  else if (button.dataset.play) play(button);
  else dial(button);
});
