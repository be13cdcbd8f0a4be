// How numbers, durations and times look, the same in both languages and the same as the server's filters. It is not
// where words come from; instants are shown in the unit's time zone, as on the server's pages.

import { zone } from "/static/boot.js";
import { t } from "/static/words.js";

const two = (n) => String(n).padStart(2, "0");

// Seconds as 2:58 or 1:02:10; a timer pads its minutes (02:58) so that its box keeps its width.
export function duration(seconds, { timer = false } = {}) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, s = whole % 60;
  if (whole >= 86400) return t("{n} d", { n: Math.floor(whole / 86400) });
  if (h) return `${h}:${two(m)}:${two(s)}`;
  return `${timer ? two(m) : m}:${two(s)}`;
}

export function clock(ms, { seconds = false } = {}) {
  const parts = { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) };
  return new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: zone(), hourCycle: "h23" }).format(ms);
}

export const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-US"));

export function figureText(figure) {
  if (!figure || figure.value === null || figure.value === undefined) return "–";
  if (figure.kind === "seconds") return duration(Math.round(figure.value));
  if (figure.kind === "percent") return `${((figure.den ? figure.num / figure.den : figure.value) * 100).toFixed(1)} %`;
  return number(figure.value);
}
