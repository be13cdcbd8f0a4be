// How numbers, durations and times look, the same in both languages and the same as the server's filters. It is not
// where words come from, and it decides nothing about time zones: instants are shown in the browser's.

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
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;
}

export const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-US"));

export function figureText(figure) {
  if (!figure || figure.value === null || figure.value === undefined) return "–";
  if (figure.kind === "seconds") return duration(Math.round(figure.value));
  if (figure.kind === "percent") return `${((figure.den ? figure.num / figure.den : figure.value) * 100).toFixed(1)} %`;
  return number(figure.value);
}
