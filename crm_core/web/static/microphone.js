// Whether this browser gives us a microphone, in words a person can act on, and how loud it is. It records nothing and
// keeps no stream open: the stream of a call is the softphone's.

import { t } from "/static/words.js";

// "ok", "blocked", "missing", "insecure", "busy"
export async function checkMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia) return { result: "insecure", stream: null };
  try {
    return { result: "ok", stream: await navigator.mediaDevices.getUserMedia({ audio: true }) };
  } catch (error) {
    return { result: microphoneTrouble(error), stream: null };
  }
}

export function microphoneTrouble(error) {
  switch (error?.name) {
    case "NotAllowedError": case "SecurityError": return "blocked";
    case "NotFoundError": case "OverconstrainedError": return "missing";
    default: return "busy";
  }
}

export function microphoneWords(result) {
  switch (result) {
    case "ok": return t("Microphone works");
    case "blocked": return t("The browser blocks the microphone. Click the icon left of the address and allow it.");
    case "missing": return t("No microphone. Plug in the headset, then Check again; no calls come until then.");
    case "insecure": return t("Browsers give no microphone over plain HTTP. Open Lingxi by https or as localhost.");
    case "busy": return t("Another program holds the microphone. Close it there, then Check again.");
    default: return t("Microphone not checked yet");
  }
}

export const closeStream = (stream) => stream?.getTracks().forEach((track) => track.stop());

// Calls `show` with a level of 0 to 1 about fifteen times a second until the returned function is called.
export function level(stream, show) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const decibel = 20 * Math.log10(Math.sqrt(sum / samples.length) || 1e-6);
    show(Math.min(1, Math.max(0, (decibel + 60) / 50)));
  }, 66);
  return () => { clearInterval(timer); if (context.state !== "closed") context.close(); };
}
