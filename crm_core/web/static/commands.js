// Sends one person's commands: POST, PUT or DELETE with the CSRF token, a ring on the pressed button at once, a word after
// three seconds, and a refusal in words beside it. It never changes what a screen shows as true: the feed does.

import { make } from "/static/nodes.js";
import { t } from "/static/words.js";

export class Refused extends Error {
  constructor(status, body) {
    super(body.say || t("This did not go through ({code}). Nothing was changed; try again.", { code: status }));
    Object.assign(this, { status, error: body.error || String(status), detail: body.detail || {} });
  }
}

const token = () => document.documentElement.dataset.csrf || "";
export const setToken = (value) => { document.documentElement.dataset.csrf = value; };

export async function send(method, url, body) {
  let answer;
  try {
    answer = await fetch(url, {
      method, credentials: "same-origin", keepalive: method !== "GET" && JSON.stringify(body ?? "").length < 50_000,
      headers: { Accept: "application/json", "X-CSRF-Token": token(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, { error: "offline", say: t("Server lost. Your text is kept here, the call goes on; reconnecting.") });
  }
  const text = answer.status === 204 ? "" : await answer.text();
  let data = {};
  try { data = text ? JSON.parse(text) : {}; } catch { /* not ours: a proxy's page */ }
  if (!answer.ok) throw new Refused(answer.status, data);
  return data;
}

// The sentence under a button; it stays until the next act there.
export function note(button, text, test = "note") {
  const holder = button.closest(".slot") || button.closest("[data-notes]") || button.parentElement;
  let node = holder.querySelector(":scope > .slot-note, :scope > .refusal");
  if (!text) return node?.remove();
  if (!node) {
    node = make(button.closest(".slot") ? "span.slot-note" : "span.refusal", { role: "status" });
    holder.append(node);
  }
  node.dataset.test = test;
  node.textContent = text;
  return node;
}

// Marks a button as waiting; returns how to end that. After three seconds it says what it waits for.
export function pending(button) {
  note(button, "");
  button.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => note(button, t("waiting for the phone system"), "waiting"), 3000);
  const end = () => { clearTimeout(slow); button.removeAttribute("aria-busy"); };
  return {
    done() { end(); note(button, ""); },
    refuse(text) { end(); note(button, text, "refusal"); },
  };
}

export const isPending = (button) => button.getAttribute("aria-busy") === "true";

// A whole command behind one button; returns the answer, or null when it was refused (and said so).
export async function command(button, method, url, body) {
  if (isPending(button)) return null;
  const ring = pending(button);
  try {
    const answer = await send(method, url, body);
    ring.done();
    return answer;
  } catch (refused) {
    ring.refuse(refused.message);
    return null;
  }
}
