// Choosing a seat and signing in at it: which phone the seat has, a look at the microphone where that is the browser, and
// taking over a seat that somebody else has, which alone asks twice. The sign-in's click also unlocks sound and asks for
// notifications, as browsers want.

import { pending, send } from "/static/commands.js";
import { checkMicrophone, closeStream, level, microphoneWords } from "/static/microphone.js";
import { setIcon, setText } from "/static/nodes.js";
import { unlock } from "/static/ringtone.js";
import { setMicrophone } from "/static/softphone.js";
import { t } from "/static/words.js";

export function startSignOn(el) {
  const by = (id) => el.querySelector(`#${id}`);
  const form = by("signon-form");
  const seat = by("seat");
  let stream = null;
  let stopMeter = () => {};
  let wish = null;

  const browser = () => seat.selectedOptions[0]?.dataset.phone !== "desk";

  function showPhone() {
    setText(by("phone").querySelector("span"), browser() ? t("this browser") : t("desk phone"));
    setIcon(by("phone"), browser() ? "headset" : "answer");
    by("mic-check").hidden = !browser();
    if (browser() === (by("mic-row").dataset.of === "browser")) return;
    by("mic-row").dataset.of = browser() ? "browser" : "desk";
    release();
    by("meter").hidden = true;
    by("mic-said").classList.remove("over-danger");
    setText(by("mic-said"), browser() ? t("Say something: the bar moves.") : t("The seat's own phone rings. Answer on it."));
  }

  async function check() {
    stopMeter();
    closeStream(stream);
    const found = await checkMicrophone();
    stream = found.stream;
    setMicrophone(found.result);
    setText(by("mic-said"), found.result === "ok" ? stream.getAudioTracks()[0]?.label || microphoneWords("ok") : microphoneWords(found.result));
    by("mic-said").classList.toggle("over-danger", found.result !== "ok");
    by("meter").hidden = found.result !== "ok";
    setText(by("mic-check").querySelector("span"), t("Check again"));
    if (stream) stopMeter = level(stream, (share) => { by("meter").firstElementChild.style.transform = `scaleX(${share.toFixed(2)})`; });
    return found.result;
  }

  async function signIn(button, state, takeOver = false) {
    if (!seat.value || button.getAttribute("aria-busy")) return;
    unlock();
    if (window.Notification?.permission === "default") Notification.requestPermission().catch(() => {});
    const ring = pending(button);
    if (browser()) {
      const result = stream ? "ok" : await check();
      if (result !== "ok" && state === "ready") return ring.refuse(microphoneWords(result));
    }
    wish = { button, state };
    try {
      await send("POST", "/api/v1/seat/sign-in", { seat_id: seat.value, state, reason: state === "paused" ? by("pause-reason").value : "", phone: browser() ? "browser" : "desk", take_over: takeOver });
      ring.done();
      by("taken").hidden = true;
      release();
    } catch (refused) {
      const taken = refused.error === "seat_in_use";
      by("taken").hidden = !taken;
      if (taken) { setText(by("taken-said"), refused.message); ring.done(); by("take-over").focus(); } else ring.refuse(refused.message);
    }
    return undefined;
  }

  function release() {
    stopMeter();
    closeStream(stream);
    stream = null;
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); signIn(by("go-ready"), "ready"); });
  by("go-paused").addEventListener("click", (event) => signIn(event.currentTarget, "paused"));
  by("take-over").addEventListener("click", () => {
    by("taken").hidden = true;
    signIn(wish?.button || by("go-ready"), wish?.state || "ready", true);
  });
  by("mic-check").addEventListener("click", check);
  seat.addEventListener("change", () => { by("taken").hidden = true; showPhone(); });
  by("mic-row").dataset.of = "browser";
  showPhone();
  return release;
}
