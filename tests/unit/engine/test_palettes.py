"""Colours that stay apart, also for people who see fewer of them."""

import itertools

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED_COLOR
from engine.annotate.palettes import DEFAULT_PALETTE, default_color, load_palette, palette_names

# Machado and others (2009), severity 1, linear RGB: what a person without green or red cones sees.
_DEUTERAN = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
_PROTAN = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])


def seen(color, eyes):
    linear = (np.array(color) / 255) ** 2.2
    return np.clip(eyes @ linear, 0, 1) ** (1 / 2.2) * 255


def test_every_class_has_a_colour_of_its_own():
    colors = load_palette(DEFAULT_PALETTE)
    assert len(colors) == len(set(colors)) == 254
    assert all(len(color) == 3 and all(0 <= part <= 255 for part in color) for color in colors)
    assert UNLABELLED_COLOR not in colors


@pytest.mark.parametrize("eyes", [np.eye(3), _DEUTERAN, _PROTAN])
def test_the_first_eight_are_apart_for_everybody(eyes):
    looks = [seen(default_color(number), eyes) for number in range(8)]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(looks, 2)) > 45


def test_numbers_go_round():
    assert default_color(0) == (230, 159, 0)
    assert default_color(254) == default_color(0)


def test_names():
    assert palette_names()[0] == DEFAULT_PALETTE
    for name in ("no-such", "../okabe-ito", ""):
        with pytest.raises(KeyError):
            load_palette(name)
