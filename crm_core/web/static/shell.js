// The shell: what lives on while pages change. It starts the bar, the phone's watch, keys, settings and the first page, in
// that order, and nothing else; each part is its own module.

import { readBoot } from "/static/boot.js";
import { startCallBar } from "/static/callbar.js";
import { setToken } from "/static/commands.js";
import { seed } from "/static/feed.js";
import { startSearch } from "/static/search.js";
import { startHealth } from "/static/health.js";
import "/static/keys.js";
import { bindKey } from "/static/keys.js";
import "/static/menus.js";
import { open } from "/static/menus.js";
import { go, mounted, page, startPages } from "/static/pages.js";
import { startSettings } from "/static/settings.js";
import { phone } from "/static/softphone.js";
import { setServerClock } from "/static/ticker.js";
import "/static/timeline.js";

const boot = readBoot();
setServerClock(boot.now, 1000);
setToken(document.documentElement.dataset.csrf || "");
seed();

const agent = Boolean(document.getElementById("call-bar"));
if (agent) startCallBar();
startHealth(agent);
startSettings();
startToolbar();
startPages();

startSearch();
for (const [key, button] of [["state-menu", "state-chip"], ["search", "search-open"]]) {
  const opener = document.getElementById(button);
  if (opener) bindKey(key, () => { const menu = document.getElementById(opener.getAttribute("popovertarget")); open(menu, opener); });
}

function showKeys() {
  const help = document.getElementById("keys-menu");
  for (const menu of document.querySelectorAll(".menu:popover-open")) if (menu !== help) menu.hidePopover();
  help.togglePopover();
  if (help.matches(":popover-open")) help.focus();
}
bindKey("help", showKeys);
document.getElementById("keys-open").addEventListener("click", showKeys);

// After Answer the desk comes to the front, unless the person is typing somewhere: then only the bar changes.
document.addEventListener("lingxi:answer", () => {
  const typing = document.activeElement?.closest?.("input, textarea, select");
  if (!typing && page().dataset.page !== "desk") go("/");
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "leave") phone.stop();
});

mounted(document.documentElement);

// One Tab stop for the whole bar; arrows move inside.
function startToolbar() {
  const bar = document.querySelector(".bar");
  const stops = () => [...bar.querySelectorAll("button, a.brand")].filter((one) => !one.closest("[popover]") && one.checkVisibility());
  const mark = (chosen) => { for (const one of stops()) one.tabIndex = one === chosen ? 0 : -1; };
  mark(stops()[0]);
  bar.addEventListener("focusin", (event) => { if (stops().includes(event.target)) mark(event.target); });
  bar.addEventListener("keydown", (event) => {
    const all = stops();
    const at = all.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (at < 0 || !step) return;
    all[(at + step + all.length) % all.length].focus();
    event.preventDefault();
  });
}
