// Which of one browser's tabs holds the phone: the holder of a Web Lock. The others follow: they show what the holder
// tells and pass their commands to it. It knows nothing of SIP.

const NAME = "lingxi.phone";
const channel = new BroadcastChannel(NAME);
let release = null;
let wanted = false;

export const tabs = { leads: false, elsewhere: false, told: null };

// take: this tab now holds the phone; lose: it must let go; told: the holder's state; asked: a follower's command.
let handlers = { take() {}, lose() {}, told() {}, asked() {} };

async function queue(options = {}) {
  const held = await navigator.locks.query();
  if (!options.steal && held.held.some((lock) => lock.name === NAME)) {
    tabs.elsewhere = true;
    handlers.told(tabs.told);
    channel.postMessage({ kind: "hello" });
  }
  try {
    await navigator.locks.request(NAME, options, () => {
      if (!wanted) return null;
      Object.assign(tabs, { leads: true, elsewhere: false, told: null });
      handlers.take();
      return new Promise((resolve) => { release = resolve; });
    });
  } catch {
    // stolen by another tab
    if (!tabs.leads) return;
    Object.assign(tabs, { leads: false, elsewhere: true });
    handlers.lose();
    if (wanted) queue();
  }
}

export function wantPhone(given) {
  handlers = { ...handlers, ...given };
  if (wanted) return;
  wanted = true;
  queue();
}

export function leavePhone() {
  wanted = false;
  release?.();
  release = null;
  Object.assign(tabs, { leads: false, elsewhere: false, told: null });
}

export function takeHere() {
  if (wanted && !tabs.leads) queue({ steal: true });
}

export const tell = (state) => channel.postMessage({ kind: "state", state });
export const ask = (what, value) => channel.postMessage({ kind: "do", what, value });

channel.onmessage = ({ data }) => {
  if (data.kind === "hello" && tabs.leads) handlers.asked("hello");
  if (data.kind === "do" && tabs.leads) handlers.asked(data.what, data.value);
  if (data.kind === "state" && !tabs.leads && wanted) {
    Object.assign(tabs, { elsewhere: true, told: data.state });
    handlers.told(data.state);
  }
};
