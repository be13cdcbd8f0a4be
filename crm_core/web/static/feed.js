// Keeps this tab's feeds true over one WebSocket: joins, resumes by cursor, applies puts and drops, and tells listeners
// what changed, at most four times a second (a call at once). It draws nothing and knows no feed's meaning.
// The contract is docs/reference/feeds.md.

import { setServerClock } from "/static/ticker.js";

const feeds = new Map();
const linkListeners = new Set();
const link = { up: false, lostAt: 0, nextTry: 0, tries: 0, closed: "" };
let socket = null;
let heard = 0;
let asked = new Map();
let pings = 0;
let retry = 0;

class Feed {
  constructor(name) {
    Object.assign(this, { name, cursor: null, state: {}, listeners: new Set(), changes: null, flushed: 0, due: 0, refused: null, loaded: false });
  }

  load({ cursor, state }) {
    Object.assign(this, { cursor, state, loaded: true });
    this.note(null, "snapshot", true);
  }

  apply({ cursor, name, put = [], drop = [] }) {
    const touched = [];
    for (const [table, key, row] of put) { (this.state[table] ??= {})[key] = row; touched.push([table, key]); }
    for (const [table, key] of drop) { if (this.state[table]) delete this.state[table][key]; touched.push([table, key]); }
    this.cursor = cursor;
    this.note(touched, name, name.startsWith("call.") && this.name === "desk");
  }

  note(touched, name, urgent) {
    this.changes ??= { whole: false, tables: new Map(), names: [] };
    if (!touched) this.changes.whole = true;
    for (const [table, key] of touched || []) {
      if (!this.changes.tables.has(table)) this.changes.tables.set(table, new Set());
      this.changes.tables.get(table).add(key);
    }
    this.changes.names.push(name);
    this.schedule(urgent);
  }

  // A hidden tab gets no animation frames, yet must ring: there a plain task does.
  schedule(urgent) {
    const wait = urgent ? 0 : Math.max(0, this.flushed + 250 - performance.now());
    if (this.due && !urgent) return;
    clearTimeout(this.due);
    this.due = setTimeout(() => (document.hidden ? this.flush() : requestAnimationFrame(() => this.flush())), wait);
  }

  flush() {
    this.due = 0;
    if (!this.changes) return;
    const changes = this.changes;
    this.changes = null;
    this.flushed = performance.now();
    for (const listener of [...this.listeners]) {
      try { listener(this.state, changes); } catch (error) { console.error(`A listener of feed ${this.name} failed`, error); }
    }
  }
}

// Takes the first states the server wrote into a page. A feed that is already live is ahead of them and keeps its own.
export function seed(root = document) {
  for (const node of root.querySelectorAll('script[type="application/json"][id^="feed-"]')) {
    const name = node.id.slice(5);
    const feed = feeds.get(name) || new Feed(name);
    feeds.set(name, feed);
    if (feed.listeners.size && feed.loaded && link.up) continue;
    Object.assign(feed, JSON.parse(node.textContent), { loaded: true });
  }
}

// Joins a feed; the listener gets (state, changes) now if there is a state, and after every change. Returns leave().
export function join(name, listener) {
  const feed = feeds.get(name) || new Feed(name);
  feeds.set(name, feed);
  const first = feed.listeners.size === 0;
  feed.listeners.add(listener);
  if (feed.loaded) listener(feed.state, { whole: true, tables: new Map(), names: ["snapshot"] });
  if (first) send(joining(feed));
  connect();
  return () => {
    feed.listeners.delete(listener);
    if (feed.listeners.size) return;
    send({ v: 1, t: "leave", feed: name });
    feeds.delete(name);
  };
}

export const stateOf = (name) => feeds.get(name)?.state || {};
export const cursorOf = (name) => feeds.get(name)?.cursor ?? null;
export const linkState = () => link;

export function onLink(listener) {
  linkListeners.add(listener);
  listener(link);
  return () => linkListeners.delete(listener);
}

const joining = (feed) => ({ v: 1, t: "join", feed: feed.name, ...(feed.cursor ? { since: feed.cursor } : {}) });
const tellLink = () => { for (const listener of linkListeners) listener(link); };

function send(message) {
  if (socket?.readyState === WebSocket.OPEN && link.up) socket.send(JSON.stringify(message));
}

function connect() {
  if (socket || retry || link.closed || !feeds.size) return;
  const opened = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket = opened;
  heard = Date.now();
  opened.onmessage = (event) => { if (opened === socket) { heard = Date.now(); take(JSON.parse(event.data)); } };
  opened.onclose = (event) => { if (opened === socket) lost(event.code); };
}

function take(message) {
  const feed = feeds.get(message.feed);
  switch (message.t) {
    case "welcome":
      setServerClock(message.now, 300);
      Object.assign(link, { up: true, lostAt: 0, nextTry: 0, tries: 0 });
      for (const one of feeds.values()) if (one.listeners.size) send(joining(one));
      ping();
      return tellLink();
    case "snapshot": return feed?.load(message);
    case "event": return feed?.apply(message);
    case "pong": {
      const at = asked.get(message.n);
      asked.delete(message.n);
      if (at && message.now) setServerClock(message.now, performance.now() - at);
      return;
    }
    case "refused": if (feed) { feed.refused = message; feed.note([], "refused", true); } return;
    default:
  }
}

// 4401: signed out. 4409: another tab took over. 4408: too slow, come back at once. Else: back off with jitter.
function lost(code) {
  socket = null;
  asked = new Map();
  const was = link.up;
  link.up = false;
  if (was || !link.lostAt) link.lostAt ||= Date.now();
  if (code === 4401 || code === 4409) link.closed = code === 4401 ? "signed_out" : "taken_over";
  else {
    const step = code === 4408 ? 50 : Math.min(10_000, 300 * 2 ** Math.min(link.tries, 6)) * (0.5 + Math.random() / 2);
    link.tries += 1;
    link.nextTry = Date.now() + step;
    retry = setTimeout(() => { retry = 0; connect(); }, step);
  }
  tellLink();
}

export function reconnect() {
  link.closed = "";
  clearTimeout(retry);
  retry = 0;
  const old = socket;
  socket = null;
  link.up = false;
  old?.close();
  connect();
}

function ping() {
  pings += 1;
  asked.set(pings, performance.now());
  send({ v: 1, t: "ping", n: pings });
}

setInterval(() => {
  if (!socket || !link.up) return;
  if (Date.now() - heard > 25_000) { lost(1006); return; }
  ping();
}, 10_000);

// A tab that slept holds a socket that may be dead without knowing it: opening a new one costs less than waiting.
function awake() {
  if (document.hidden || link.closed || !feeds.size) return;
  if (!socket || Date.now() - heard > 15_000) reconnect();
}
for (const event of ["visibilitychange", "resume"]) document.addEventListener(event, awake);
window.addEventListener("online", () => { link.tries = 0; awake(); });  // how often it failed without a network says nothing now
for (const event of ["pageshow", "focus"]) window.addEventListener(event, awake);
