"""The design tokens keep their promises: contrast on every ground, states that differ for every eye, dark written twice alike.

Recomputed from `tokens.css` itself. Contrast is WCAG 2's; distance is OKLab × 100; colour blindness is Machado 2009 at full severity.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

SHEET = (Path(__file__).parents[3] / "crm_core/web/static/tokens.css").read_text()
STATES = ("ready", "ringing", "talking", "held", "wrap-up", "paused", "unreachable", "signed-out")
GROUNDS = ("canvas", "surface", "raised")
THEMES = ("light", "dark")
TINT = {"light": 0.10, "dark": 0.16}
EYES = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
Rgb = tuple[float, float, float]


def block(start: str) -> dict[str, str]:
    """The custom properties of the first rule that begins with `start`."""
    body = SHEET[SHEET.index(start) + len(start) :]
    return dict(re.findall(r"--([\w-]+):\s*([^;]+);", body[: body.index("}")]))


def colours(theme: str) -> dict[str, Rgb]:
    """Every plain colour of a theme, 0 to 1."""
    rows = block(":root {") if theme == "light" else block(':root[data-theme="dark"] {')
    return {n: tuple(int(v[i : i + 2], 16) / 255 for i in (1, 3, 5)) for n, v in rows.items() if re.fullmatch(r"#[0-9A-F]{6}", v)}  # type: ignore[misc]


def linear(c: Rgb) -> Rgb:
    return tuple(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in c)  # type: ignore[return-value]


def contrast(a: Rgb, b: Rgb) -> float:
    one, two = (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(a), linear(b)))
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    return tuple(x * share + y * (1 - share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def oklab(c: Rgb) -> Rgb:
    r, g, b = c
    long, middle, short = (
        max(0.0, v) ** (1 / 3)
        for v in (
            0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
            0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
            0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
        )
    )
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def seen(c: Rgb, eye: str) -> Rgb:
    """A colour in linear light as an eye sees it."""
    light = linear(c)
    if eye == "plain":
        return light
    return tuple(min(1.0, max(0.0, sum(m * v for m, v in zip(row, light, strict=True)))) for row in EYES[eye])  # type: ignore[return-value]


def distance(a: Rgb, b: Rgb, eye: str) -> float:
    return 100 * sum((x - y) ** 2 for x, y in zip(oklab(seen(a, eye)), oklab(seen(b, eye)), strict=True)) ** 0.5


@pytest.mark.parametrize("theme", THEMES)
def test_every_state_can_be_read_on_every_ground_and_its_own_tint(theme: str) -> None:
    have = colours(theme)
    for state in STATES:
        colour = have[f"state-{state}"]
        grounds = [have[g] for g in GROUNDS] + [mix(colour, have["surface"], TINT[theme])]
        assert min(contrast(colour, g) for g in grounds) >= 4.5, state
        assert contrast(have["on-solid"], colour) >= 4.5, state


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", ["plain", *EYES])
def test_no_two_states_look_alike(theme: str, eye: str) -> None:
    have = colours(theme)
    nearest = min((distance(have[f"state-{a}"], have[f"state-{b}"], eye), a, b) for a, b in itertools.combinations(STATES, 2))
    assert nearest[0] >= 5.0, nearest


@pytest.mark.parametrize("theme", THEMES)
def test_words_outlines_and_marks_stand_out(theme: str) -> None:
    have = colours(theme)
    for name in ("text", "text-2", "text-3"):
        assert min(contrast(have[name], have[g]) for g in (*GROUNDS, "sunken")) >= 4.5, name
    assert min(contrast(have["control"], have[g]) for g in GROUNDS) >= 3.1
    for name in ("accent", "ok", "warn", "danger"):
        assert min(contrast(have[name], have[g]) for g in GROUNDS) >= 4.5, name
        assert contrast(have["on-solid"], have[name]) >= 4.5, name
    assert all(contrast(have[f"chart-{n}"], have["surface"]) >= 3.0 for n in range(1, 7))


def test_the_dark_values_are_the_same_whether_chosen_or_the_systems() -> None:
    assert block(':root[data-theme="dark"] {') == block(':root[data-theme="system"] {')


def test_the_tint_is_what_the_contrast_was_computed_with() -> None:
    assert block(":root {")["tint"] == "10%"
    assert block(':root[data-theme="dark"] {')["tint"] == "16%"
