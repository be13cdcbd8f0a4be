// Moves between pages without unloading the shell: a same-origin link fetches the same server-rendered page and swaps
// `#page`; title, history, scroll and focus follow. A page's module mounts on its node and is unmounted before the next.
// It knows no page by name. Anything unexpected becomes an ordinary page load.

import * as feed from "/static/feed.js";
import { seed } from "/static/feed.js";
import { reportPage } from "/static/notices.js";

let unmount = null;
let loading = null;
let here = location.href;

export const page = () => document.getElementById("page");

export async function mountPage() {
  const node = page();
  seed(node);
  markNavigation(node);
  document.dispatchEvent(new CustomEvent("lingxi:page", { detail: { page: node.dataset.page } }));
  if (node.dataset.module) {
    let module;
    try { module = await import(node.dataset.module); } catch (error) { console.error("A page's script did not come", error); reportPage(new URL(location.href)); return; }
    if (node !== page()) return;
    unmount = module.mount(node, feed) || null;
  }
  mounted(node);
}

// What was pressed before this (early.js) is done now.
export function mounted(node) {
  node.dataset.mounted = "";
  document.dispatchEvent(new CustomEvent("lingxi:mounted"));
}

function leavePage() {
  try { unmount?.(); } catch (error) { console.error("A page did not unmount cleanly", error); }
  unmount = null;
}

function markNavigation(node) {
  for (const link of document.querySelectorAll(".nav a")) {
    if (link.dataset.nav === (node.dataset.nav || node.dataset.page)) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
}

async function styles(node) {
  const wanted = (node.dataset.styles || "").split(" ").filter(Boolean);
  const missing = wanted.filter((href) => ![...document.styleSheets].some((sheet) => sheet.href && new URL(sheet.href).pathname === new URL(href, location.href).pathname));
  await Promise.all(missing.map((href) => new Promise((done) => {
    const link = document.createElement("link");
    Object.assign(link, { rel: "stylesheet", href, onload: done, onerror: done });
    document.head.append(link);
    setTimeout(done, 1500);
  })));
}

// Puts a fetched document's page in place of this one.
export async function swap(doc, { focus = true } = {}) {
  const next = doc.getElementById("page");
  await styles(next);
  leavePage();
  const node = document.importNode(next, true);
  page().replaceWith(node);
  document.title = doc.title;
  if (focus) (node.querySelector("h1") || node.querySelector("main"))?.focus({ preventScroll: true });
  await mountPage();
}

export async function go(href, { push = true, scroll = 0, focus = true } = {}) {
  const url = new URL(href, location.href);
  loading?.abort();
  loading = new AbortController();
  const mine = loading;
  page().setAttribute("aria-busy", "true");
  let doc, answer;
  try {
    answer = await fetch(url, { headers: { "X-Fragment": "main", Accept: "text/html" }, credentials: "same-origin", signal: mine.signal });
    doc = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch (error) {
    if (error.name === "AbortError") return;
    page().removeAttribute("aria-busy");
    reportPage(url);
    return;
  }
  if (!doc.getElementById("page")) { location.assign(answer.url || url); return; }
  if (mine.signal.aborted) return;
  const left = document.querySelector("#page > main")?.scrollTop || 0;
  const final = new URL(answer.url || url);
  final.hash = url.hash;
  if (push) {
    history.replaceState({ ...history.state, scroll: left }, "");
    history.pushState({ scroll: 0 }, "", final);
  } else if (final.href !== location.href) history.replaceState(history.state, "", final);
  here = location.href;
  await swap(doc, { focus });
  const main = document.querySelector("#page > main");
  if (main) main.scrollTop = scroll;
}

export const reload = (options = {}) => go(location.href, { push: false, scroll: document.querySelector("#page > main")?.scrollTop || 0, focus: false, ...options });

function followable(link, event) {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return false;
  if (link.target || link.hasAttribute("download") || link.dataset.whole !== undefined) return false;
  const url = new URL(link.href);
  if (url.origin !== location.origin || url.pathname.startsWith("/api/") || url.pathname.startsWith("/static/")) return false;
  return !(url.hash && url.pathname === location.pathname && url.search === location.search);
}

export function startPages() {
  history.scrollRestoration = "manual";
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || !followable(link, event)) return;
    event.preventDefault();
    link.closest("[popover]")?.hidePopover();
    go(link.href);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "get" || event.defaultPrevented) return;
    event.preventDefault();
    form.closest("[popover]")?.hidePopover();
    const url = new URL(form.action || location.href);
    url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
    go(url.href);
  });
  window.addEventListener("popstate", (event) => {
    const was = new URL(here), now = new URL(location.href);
    here = location.href;
    if (was.pathname === now.pathname && was.search === now.search) return;
    go(location.href, { push: false, scroll: event.state?.scroll || 0 });
  });
  return mountPage();
}

