"""The class table: permanent indices, unique names, lookups that agree with the list."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.annotate.classes import (
    MAX_CLASSES,
    MAX_NAME_LENGTH,
    UNLABELLED,
    VOID,
    VOID_COLOR,
    ClassSpec,
    ClassTable,
    Provenance,
)
from engine.annotate.palettes import default_color
from engine.annotate.stroke import Stroke
from engine.errors import AnnotationError

_NAMES = [f"class {number}" for number in range(8)]


def table(*names):
    result = ClassTable()
    for name in names:
        result = result.add(name)
    return result


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "remove", "move", "rename"]), st.integers(0, 9), st.integers(-2, 9)
        ),
        max_size=25,
    )
)
def test_an_index_is_never_used_again(actions):
    classes, given_out, number = ClassTable(), [], 0
    for action, index, position in actions:
        before = classes
        if action == "add":
            classes = classes.add(f"new {number}")
            given_out.append(classes.classes[-1].index)
            number += 1
        elif classes.by_index(index) is None:
            arguments = {"remove": (), "move": (position,), "rename": ("x",)}[action]
            with pytest.raises(AnnotationError, match="no class with the index"):
                getattr(classes, action)(index, *arguments)
        elif action == "remove":
            classes = classes.remove(index)
            assert index not in classes.indices
        elif action == "move":
            classes = classes.move(index, position)
            assert sorted(classes.indices) == sorted(before.indices)
            assert classes.indices.index(index) == min(max(position, 0), len(classes) - 1)
            assert [i for i in classes.indices if i != index] == [i for i in before.indices if i != index]
        else:
            classes = classes.rename(index, f"renamed {number}")
            number += 1
            assert classes.indices == before.indices
        assert len(before.classes) == len(before)
    assert given_out == sorted(set(given_out))
    assert len({spec.color for spec in classes}) == len(classes)


@given(st.permutations(range(5)), st.sets(st.integers(0, 4)))
def test_lookups_agree_with_the_list(order, locked):
    classes = table(*_NAMES[:5])
    for position, index in enumerate(order):
        classes = classes.move(index, position)
    for index in locked:
        classes = classes.with_flags(index, locked=True)
    assert list(classes.indices) == list(order)
    assert classes.index_of().tolist() == list(order)
    assert classes.index_of().dtype == np.uint8
    channels = classes.channel_of()
    assert channels.dtype == np.uint8
    assert channels[classes.index_of()].tolist() == [0, 1, 2, 3, 4]
    assert (np.delete(channels, classes.indices) == UNLABELLED).all()
    assert set(np.flatnonzero(classes.locked_lookup())) == locked
    colors = classes.colors()
    assert colors.shape == (256, 3)
    for spec in classes:
        assert tuple(colors[spec.index]) == spec.color
    assert tuple(colors[VOID]) == VOID_COLOR
    assert not colors[UNLABELLED].any()


def test_an_empty_table():
    classes = ClassTable()
    assert len(classes) == 0
    assert (classes.channel_of() == UNLABELLED).all()
    assert classes.index_of().shape == (0,)
    assert not classes.locked_lookup().any()
    assert list(classes) == []


def test_names():
    classes = table("Sky", "Straße")
    assert classes.names == ("Sky", "Straße")
    assert classes.by_name(" sky ").index == 0
    assert classes.by_name("STRASSE").index == 1
    assert classes.by_name("road") is None
    assert classes.add("  road ").names[-1] == "road"
    assert classes.rename(0, "SKY").names == ("SKY", "Straße")
    for name in ("sky", " SKY ", "STRASSE", "\uff33\uff4b\uff59"):
        with pytest.raises(AnnotationError, match="already a class"):
            classes.add(name)
    with pytest.raises(AnnotationError, match="already a class “Sky”"):
        classes.rename(1, "sky")


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\tb", "a\0b", "x" * (MAX_NAME_LENGTH + 1)])
def test_names_that_are_none(name):
    with pytest.raises(AnnotationError) as caught:
        ClassTable().add(name)
    assert caught.value.hint


def test_flags_and_colours():
    classes = table("a", "b").with_flags(1, hidden=True)
    assert classes.with_flags(1, locked=True).by_index(1) == dataclasses.replace(
        classes.by_index(1), locked=True, hidden=True
    )
    assert classes.with_flags(1, hidden=False) == table("a", "b")
    assert classes.recolor(0, (1, 2, 3)).by_index(0).color == (1, 2, 3)
    with pytest.raises(AnnotationError, match="colour"):
        classes.recolor(0, (1, 2, 256))


def test_default_colours_are_free_ones():
    assert table("a", "b").by_index(1).color == default_color(1)
    assert ClassTable().add("a", default_color(1)).add("b").by_index(1).color == default_color(2)
    assert len({spec.color for spec in table("a", "b", "c").remove(1).add("d")}) == 3


def test_a_full_table():
    classes = table(*(f"c{number}" for number in range(MAX_CLASSES)))
    assert classes.indices[-1] == 253
    assert len({spec.color for spec in classes}) == MAX_CLASSES
    for full in (classes, classes.remove(3)):
        with pytest.raises(AnnotationError, match="room for 254"):
            full.add("one more")


def _spec(index=0, name="a"):
    return ClassSpec(index=index, name=name, color=(1, 2, 3))


@pytest.mark.parametrize(
    ("classes", "next_index", "message"),
    [
        ((_spec(), _spec(1)), 2, "already a class"),
        ((_spec(), _spec(0, "b")), 2, "index 0"),
        ((_spec(4),), 4, "not given out"),
        ((), -1, "next class index"),
        ((), 255, "next class index"),
    ],
)
def test_tables_that_cannot_be(classes, next_index, message):
    with pytest.raises(AnnotationError, match=message):
        ClassTable(classes=classes, next_index=next_index)


@pytest.mark.parametrize("index", [-1, 254, 255])
def test_indices_that_are_no_class(index):
    with pytest.raises(AnnotationError, match="not within 0 to 253"):
        _spec(index)


def test_the_numbers_on_disk_stay():
    assert [int(member) for member in Provenance] == [0, 1, 2, 3]
    assert (UNLABELLED, VOID) == (255, 254)


@pytest.mark.parametrize(
    ("points", "radius", "class_index"),
    [
        ((), 1.0, 0),
        (((0.0, float("nan")),), 1.0, 0),
        (((0.0, 1.0),), 0.0, 0),
        (((0.0, 1.0),), float("inf"), 0),
        (((0.0, 1.0),), 1.0, 256),
        (((0.0, 1.0),), 1.0, -1),
    ],
)
def test_strokes_that_are_none(points, radius, class_index):
    with pytest.raises(ValueError, match=r"stroke|radius|index"):
        Stroke(points, radius, class_index)


def test_a_stroke():
    assert Stroke(((-3.0, 4.5),), 0.5, UNLABELLED).radius == 0.5
