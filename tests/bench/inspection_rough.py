"""How near a rough what-if is to the exact one that follows, for networks whose deletions are slow."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from engine.inspect.look import Look

if TYPE_CHECKING:
    from tests.bench.inspection_figures import Study


def rough(study: Study) -> dict[str, float]:
    """Return overlaps of the pixels said to change with those that do, and the ratio of their numbers.

    One class is asked about before anything was deleted, two when every class was deleted alone.
    """
    one, two = np.zeros(4), np.zeros(4)
    for scene in study.held_out[:4]:
        look, fresh = study.look(scene), study.look(scene)
        if look.representations is None or not look.representations.slow:
            return {}
        present = look.present()
        for channel in present:
            one += _compared(look, fresh, frozenset({channel}))
        for pair in pairwise(present):
            two += _compared(look, look, frozenset(pair))
    return {
        f"rough what-if of {name}: {title}": float(part / whole)
        for name, (both, either, said, true) in (("one class", one), ("two", two))
        for title, part, whole in (("overlap", both, either), ("number", said, true))
    }


def _compared(exact: Look, guess: Look, channels: frozenset[int]) -> tuple[int, int, int, int]:
    """Return pixels that change so in both, in either, in the rough answer and in the exact one."""
    roughly = guess.without_roughly(channels)
    if roughly is None:
        raise RuntimeError("this what-if is at hand, so nothing is rough about it")
    before = exact.strongest(exact.logits)
    said, true = exact.strongest(roughly), exact.strongest(exact.without(channels))
    both = (said == true) & (true != before)
    either = (said != before) | (true != before)
    return int(both.sum()), int(either.sum()), int((said != before).sum()), int((true != before).sum())
