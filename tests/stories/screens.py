"""What is asked of every page, whoever it is for: asked in the page itself, from outside its content security policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"

RUN_AXE = """async ([within, only]) => {
  const options = {resultTypes: ['violations'], runOnly: only.length ? {type: 'rule', values: only} : {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}};
  const found = await axe.run(within ? {include: [[within]]} : document, options);
  return found.violations.filter(v => ['serious', 'critical'].includes(v.impact))
    .flatMap(v => v.nodes.slice(0, 3).map(n => `${v.id}: ${n.target.join(' ')} ${n.any.concat(n.all, n.none).map(c => c.message).join('; ').slice(0, 160)}`));
}"""

FAULTS = """async (lang) => {
  const faults = [];
  if (document.documentElement.lang !== lang) faults.push(`lang is ${document.documentElement.lang}`);
  for (const box of [document.documentElement, document.body, document.querySelector('#page > main'), ...document.querySelectorAll('[data-view]')]) {
    if (box && box.checkVisibility() && box.scrollWidth > box.clientWidth + 1) faults.push(`${box.id || box.tagName} scrolls sideways: ${box.scrollWidth} > ${box.clientWidth}`);
  }
  const sprite = await fetch(document.documentElement.dataset.icons).then(r => r.text());
  for (const use of document.querySelectorAll('svg use')) {
    const id = use.getAttribute('href').split('#')[1];
    if (!sprite.includes(`id="${id}"`)) faults.push(`no icon ${id}`);
    const box = use.closest('svg').getBoundingClientRect();
    if (use.closest('svg').checkVisibility() && (box.width < 8 || box.height < 8)) faults.push(`icon ${id} is ${box.width} × ${box.height}`);
  }
  for (const image of document.images) if (!image.complete || !image.naturalWidth) faults.push(`image ${image.src}`);
  const ids = [...document.querySelectorAll('[id]')].map(n => n.id);
  for (const id of new Set(ids.filter((id, n) => ids.indexOf(id) !== n))) faults.push(`id ${id} twice`);
  const cut = [...document.querySelectorAll('.nav a, .button, .pill, .slot button, h1:not(.unseen), th, .figure .name, .segments > *')]
    .filter(n => n.checkVisibility() && n.scrollWidth > n.clientWidth + 1 && getComputedStyle(n).overflowX !== 'visible' && !n.title);
  for (const node of cut) faults.push(`cut without a tooltip: ${node.textContent.trim().slice(0, 40)}`);
  for (const node of document.querySelectorAll('td.num, th.num')) if (getComputedStyle(node).textAlign !== 'right') faults.push(`not right-aligned: ${node.textContent}`);
  const chinese = /[\\u4e00-\\u9fff]/;
  if (lang === 'en') for (const node of document.querySelectorAll('button, th, label, legend, h2, h3, dt, dd[data-say], .nav a, [aria-label], [placeholder], .hint, .figure .name')) {
    if (node.closest('[lang=zh], bdi, .timeline, #seats, .choices, .moment') || node.matches('[data-set=lang], [data-value=zh]') || node.querySelector('bdi, small, .cut, .avatar')) continue;
    const own = [node.getAttribute('aria-label'), node.getAttribute('placeholder'), node.matches('.hint, select, [role=group], nav, main, section, aside, form, table, header, div') ? '' : node.textContent].join(' ');
    if (chinese.test(own.replace(/中文/g, '')) && !/^(Call|Formula of|Select|Delete view) /.test(own.trim())) faults.push(`Chinese in English: ${own.trim().slice(0, 60)}`);
  }
  if (lang === 'zh') for (const node of document.querySelectorAll('button, th:not([scope=row]), label, legend, h2, h3, dt, .nav a, [aria-label], [placeholder], .figure .name')) {
    for (const text of [node.getAttribute('aria-label'), node.getAttribute('placeholder'), node.querySelector('bdi') ? '' : node.textContent]) {
      if (text && !chinese.test(text) && /[A-Za-z]{4,}/.test(text.replace(/English|Ctrl|SHA-256/g, ''))) faults.push(`English in Chinese: ${text.trim().slice(0, 60)}`);
    }
  }
  return faults;
}"""

WATCH_SHIFTS = """() => { window.__shifts = []; new PerformanceObserver(list => { for (const e of list.getEntries()) window.__shifts.push(
    [e.value, ...e.sources.map(s => `${s.node?.nodeName} ${s.node?.id || s.node?.className || s.node?.textContent?.slice(0, 20)} ${Math.round(s.previousRect.y)}→${Math.round(s.currentRect.y)}`)]);
  }).observe({type: 'layout-shift', buffered: false}); }"""


async def axe(page: Page, within: str = "", only: tuple[str, ...] = ()) -> list[str]:
    """The serious and critical faults that axe finds in a page, or in a part of it."""
    if not await page.evaluate("typeof window.axe === 'object'"):
        await page.evaluate(AXE.read_text())
    found: list[str] = await page.evaluate(RUN_AXE, [within, list(only)])
    return found


async def faults(page: Page, lang: str) -> list[str]:
    """What is wrong with a page that a program can see."""
    found: list[str] = await page.evaluate(FAULTS, lang)
    return found


async def contrast_in(page: Page, theme: str, within: str = "") -> list[str]:
    """The faults of contrast in a theme; the page then wears the theme it had."""
    had = await page.evaluate("document.documentElement.dataset.theme")
    await page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    found = await axe(page, within, ("color-contrast",))
    await page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", had)
    return found


async def look(page: Page, lang: str, themes: tuple[str, str]) -> dict[str, Any]:
    """Everything asked of one page: whole in the first theme, contrast alone in the other."""
    found = {"faults": await faults(page, lang), "axe": await axe(page), f"axe {themes[1]}": await contrast_in(page, themes[1])}
    return {what: list_of for what, list_of in found.items() if list_of}
