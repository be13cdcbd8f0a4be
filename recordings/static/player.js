// The two-lane player of one call: lanes drawn from the server's peaks as two SVG paths, sound by range from an <audio>,
// seeking by click, drag and keys. It mixes nothing and keeps no sound.

import { send } from "/static/commands.js";
import { duration } from "/static/format.js";
import { setIcon, setText } from "/static/nodes.js";
import { t } from "/static/words.js";

const WIDTH = 1000, MIDDLE = 20, COLUMNS = 700;
const speeds = [0.75, 1, 1.25, 1.5, 2];

// A lane as one closed path: a bar a column, loudness both ways from the middle, from column `from` to `to`.
function shape(peaks, share = 1) {
  const columns = Math.min(COLUMNS, peaks.length || 1);
  const step = WIDTH / columns;
  let path = "";
  for (let n = 0; n < columns * share; n += 1) {
    let loud = 0;
    for (let i = Math.floor((n * peaks.length) / columns); i < Math.floor(((n + 1) * peaks.length) / columns); i += 1) loud = Math.max(loud, peaks[i]);
    const half = Math.max(0.6, Math.sqrt(loud) * MIDDLE * 0.95);
    const x = (n * step).toFixed(1), w = (step * 0.7).toFixed(2);
    path += `M${x} ${(MIDDLE - half).toFixed(1)}h${w}v${(half * 2).toFixed(1)}h-${w}z`;
  }
  return path;
}

export function mount(el) {
  const player = el.querySelector("#player");
  if (!player) return () => {};
  const by = (id) => player.querySelector(`#${id}`);
  const sound = by("sound"), lanes = by("lanes");
  const waves = [...player.querySelectorAll(".wave")];
  const total = () => (Number.isFinite(sound.duration) && sound.duration) || Number(player.dataset.seconds) || 1;
  let sides = [[], []];
  let frame = 0;
  let drawn = -1;
  let gone = false;

  send("GET", `/api/v1/recordings/${player.dataset.call}/peaks`).then((peaks) => {
    if (gone) return;
    sides = [peaks.left, peaks.right];
    waves.forEach((wave, n) => wave.querySelector(".all").setAttribute("d", shape(sides[n])));
    show();
  }).catch((refused) => say(refused.message));

  function say(text) {
    by("player-said").hidden = !text;
    setText(by("player-said"), text);
  }

  function show() {
    const share = Math.min(1, sound.currentTime / total());
    const first = waves[0].getBoundingClientRect(), box = lanes.getBoundingClientRect();
    by("cursor").style.left = `${first.left - box.left + first.width * share}px`;
    setText(by("position"), duration(sound.currentTime));
    lanes.setAttribute("aria-valuenow", String(Math.round(sound.currentTime)));
    lanes.setAttribute("aria-valuetext", duration(sound.currentTime));
    const column = Math.round(share * COLUMNS);
    if (column === drawn) return;
    drawn = column;
    waves.forEach((wave, n) => wave.querySelector(".done").setAttribute("d", shape(sides[n], share)));
  }

  function run() {
    show();
    frame = sound.paused ? 0 : requestAnimationFrame(run);
  }

  const seek = (seconds) => { sound.currentTime = Math.min(total(), Math.max(0, seconds)); show(); };
  const toggle = () => (sound.paused ? sound.play().catch(() => say(t("The sound does not play. Load the page again."))) : sound.pause());

  function speed(value) {
    sound.playbackRate = value;
    for (const button of player.querySelectorAll("[data-speed]")) button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === value));
  }

  const at = (event) => {
    const box = waves[0].getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * total();
  };
  lanes.addEventListener("pointerdown", (event) => { lanes.setPointerCapture(event.pointerId); seek(at(event)); });
  lanes.addEventListener("pointermove", (event) => { if (lanes.hasPointerCapture(event.pointerId)) seek(at(event)); });
  by("play").addEventListener("click", toggle);
  by("back").addEventListener("click", () => seek(sound.currentTime - 5));
  by("forward").addEventListener("click", () => seek(sound.currentTime + 5));
  player.addEventListener("click", (event) => { const button = event.target.closest("[data-speed]"); if (button) speed(Number(button.dataset.speed)); });
  el.addEventListener("click", (event) => { const moment = event.target.closest(".moment"); if (moment) seek(Number(moment.dataset.at)); });

  function keys(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, textarea, select") || (event.target.closest("button") && event.code === "Space")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.code];
    const faster = { ArrowUp: 1, ArrowDown: -1 }[event.code];
    if (event.code === "Space") toggle();
    else if (step) seek(sound.currentTime + step * (event.shiftKey ? 1 : 5));
    else if (faster && player.contains(event.target)) speed(speeds[Math.min(4, Math.max(0, speeds.indexOf(sound.playbackRate) + faster))]);
    else return;
    event.preventDefault();
  }
  el.addEventListener("keydown", keys);

  sound.addEventListener("play", () => { say(""); setIcon(by("play"), "pause"); by("play").setAttribute("aria-label", by("play").dataset.pauseWord); if (!frame) run(); });
  sound.addEventListener("pause", () => { setIcon(by("play"), "play"); by("play").setAttribute("aria-label", by("play").dataset.playWord); show(); });
  sound.addEventListener("timeupdate", show);
  sound.addEventListener("error", () => say(t("The sound does not play. Load the page again.")));
  const resize = new ResizeObserver(show);
  resize.observe(lanes);
  return () => { gone = true; sound.pause(); cancelAnimationFrame(frame); resize.disconnect(); };
}
