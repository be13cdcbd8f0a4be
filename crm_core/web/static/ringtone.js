// The sounds this page makes by itself: the ring (450 Hz, one second in five) and short earcons. It plays no call audio.
// Browsers keep sound locked until a first key or click; unlock() is called on each until it works.

let context = null;
let ringing = 0;

const sound = () => (context ??= new AudioContext());

export function unlock() {
  const one = sound();
  if (one.state === "suspended") one.resume().catch(() => {});
}

export const unlocked = () => context?.state === "running";

function beep(frequency, seconds, volume, at = 0) {
  const one = sound();
  const start = one.currentTime + at;
  const tone = one.createOscillator();
  const gain = one.createGain();
  tone.frequency.value = frequency;
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(volume, start + 0.02);
  gain.gain.setValueAtTime(volume, start + seconds - 0.04);
  gain.gain.linearRampToValueAtTime(0, start + seconds);
  tone.connect(gain).connect(one.destination);
  tone.start(start);
  tone.stop(start + seconds);
}

export function ring() {
  if (ringing) return;
  const once = () => beep(450, 1, 0.16);
  unlock();
  once();
  ringing = setInterval(once, 5000);
}

export function silence() {
  clearInterval(ringing);
  ringing = 0;
}

export function earcon(kind) {
  if (!unlocked()) return;
  if (kind === "connected") { beep(660, 0.09, 0.1); beep(880, 0.12, 0.1, 0.1); }
  if (kind === "ended") { beep(520, 0.1, 0.08); beep(390, 0.14, 0.08, 0.1); }
}

for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, unlock, { capture: true, passive: true });
