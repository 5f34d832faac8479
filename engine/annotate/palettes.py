"""Colours for classes that a person with a colour vision deficiency can tell apart."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Final

Rgb = tuple[int, int, int]

DEFAULT_PALETTE: Final = "okabe-ito"
_FOLDER: Final = "palettes"


@lru_cache(maxsize=8)
def load_palette(name: str) -> tuple[Rgb, ...]:
    """Return the colours of a palette, in order.

    Args:
        name: File name in `resources/palettes` without `.json`.

    Raises:
        KeyError: no such palette.
    """
    if name not in palette_names():
        raise KeyError(name)
    text = (resources.files("resources") / _FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return tuple((int(red), int(green), int(blue)) for red, green, blue in json.loads(text)["colors"])


@lru_cache(maxsize=1)
def palette_names() -> tuple[str, ...]:
    """Return the names of all palettes, the default one first."""
    folder = resources.files("resources") / _FOLDER
    names = sorted(entry.name[: -len(".json")] for entry in folder.iterdir() if entry.name.endswith(".json"))
    return tuple(sorted(names, key=lambda name: name != DEFAULT_PALETTE))


def default_color(number: int) -> Rgb:
    """Return the colour of the class with this number (0 first); after the last the palette starts again.

    The first eight are the colour-blind-safe colours of Okabe and Ito, a near-white in place of black:
    black stands for "unlabelled" in colour masks. The rest are as far from each other as 254 colours can be.
    """
    colors = load_palette(DEFAULT_PALETTE)
    return colors[number % len(colors)]
