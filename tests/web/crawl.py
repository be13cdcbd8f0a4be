"""A reader of everything: follows every link of the pages from where somebody starts, and takes pages apart as a browser would."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from tests.web.program import Browser

VARIANTS = 12
"""Of how many queries of one address a reader looks at."""


async def crawl(browser: Browser, starts: Iterable[str]) -> dict[str, str]:
    """Every page that can be reached by links, with its source. Pages that are refused are in it too."""
    found: dict[str, str] = {}
    line, seen = list(starts), set(starts)
    variants: Counter[str] = Counter()
    while line:
        path = line.pop(0)
        answer = await browser.get(path)
        text = answer.body.decode(errors="replace")
        assert answer.status < 500, f"{path}: {text[:300]}"
        found[path] = text
        for link in links(path, text):
            bare = link.partition("?")[0]
            variants[bare] += 1
            if link not in seen and variants[bare] <= VARIANTS:
                seen.add(link)
                line.append(link)
    return found


def links(path: str, text: str) -> list[str]:
    """What a page leads to, on our own site."""
    if not text.lstrip().startswith("<"):
        return []
    raw = re.findall(r'(?:href|src|data-older|action)="([^"]*)"', text)
    whole = [urljoin(f"http://here{path}", html.unescape(one)) for one in raw]
    parts = [urlsplit(one) for one in whole if one.startswith("http://here/")]
    own = [part.path + (f"?{part.query}" if part.query else "") for part in parts]
    return [one for one in own if not one.startswith(("/static/", "/signout", "/signin", "/recordings/"))]


class Taken(HTMLParser):
    """A page as a browser understands it: tags with attributes, and the contents of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._within = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
            self._within = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._within = False

    def handle_data(self, data: str) -> None:
        if self._within:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        else:
            self.words.append(data)


def harmless(text: str) -> list[str]:
    """What is wrong with a page: scripts that are not ours, data that is not JSON, tags and attributes that act."""
    page, wrong = Taken(text), []
    for attributes, inner in page.scripts:
        if attributes.get("type") in ("application/json", "importmap"):
            try:
                json.loads(inner)
            except ValueError as error:
                wrong.append(f"data that is no JSON: {error}: {inner[:80]}")
        elif inner.strip() or not (attributes.get("src") or "").startswith("/static/"):
            wrong.append(f"a script that is not ours: {attributes} {inner[:80]}")
    for tag, attributes in page.tags:
        if tag.startswith("x-") or tag in ("iframe", "object", "embed", "base", "style"):
            wrong.append(f"a tag that is not ours: {tag}")
        wrong += [f"an attribute that acts: {tag} {name}" for name in attributes if name.startswith("on")]
        target = (attributes.get("href") or "") + (attributes.get("src") or "")
        if target.strip().lower().startswith(("javascript:", "data:")):
            wrong.append(f"a link that acts: {target[:60]}")
    return wrong
