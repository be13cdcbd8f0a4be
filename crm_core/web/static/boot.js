// What the server tells every page beside its words: the unit's time zone, and what queues and pause reasons are called in
// this person's language. Read at the start and again when the language changes; it asks nobody.

import { setReasons } from "/static/states.js";

let boot = {};

export function readBoot(doc = document) {
  boot = JSON.parse(doc.getElementById("boot")?.textContent || "{}");
  if (boot.pause_reasons) setReasons(boot.pause_reasons);
  return boot;
}

// A feed is shared by people of both languages: what it calls a queue is only the last resort.
export const queueTitle = (name, title = "") => boot.queues?.[name] || title || name || "";

// The zone in which the unit lives: the times of a page are the unit's, wherever the browser stands.
export const zone = () => boot.zone || undefined;

readBoot();
