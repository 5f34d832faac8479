"""The codec: values come back as they were; anything else is refused at its place."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.annotate.classes import ClassTable
from engine.codec import decode, dumps, encode, loads, reading
from engine.config import TrainingConfig
from engine.errors import CodecError, StorageError


class Fruit(Enum):
    APPLE = "apple"
    PEAR = "pear"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    width: int = 3
    ratio: float = 0.5

    def __post_init__(self):
        if self.width == 13:
            raise ValueError("13 is not allowed")
        if self.width == 14:
            raise StorageError("14 is refused")


@dataclass(frozen=True, slots=True)
class Large:
    name: str
    kind_of: Fruit = Fruit.APPLE


Either = Small | Large


@dataclass(frozen=True, slots=True)
class Everything:
    flag: bool
    number: int
    share: float
    text: str
    fruit: Fruit
    level: Level
    pair: tuple[int, str]
    many: tuple[float, ...]
    smalls: tuple[Small, ...]
    mixed: tuple[Either, ...]
    by_name: Mapping[str, Small]
    union: Either
    plain: Small
    maybe: Small | None = None
    old_maybe: Optional[int] = None  # noqa: UP045 - both spellings are read
    maybe_many: tuple[Small, ...] | None = None
    maybe_map: Mapping[str, tuple[int, ...]] | None = None
    loose: int | str | Fruit = 1
    nested: tuple[tuple[int, ...], ...] = ()
    nothing: None = None
    made: int = field(default=7, init=False)


@dataclass(frozen=True, slots=True)
class Chosen:
    kind: Fruit = Fruit.PEAR


_floats = st.floats(allow_nan=False, allow_infinity=False)
_ints = st.integers(-(2**63) + 1, 2**63 - 1)
_texts = st.text(st.characters(exclude_categories=[]), max_size=6)
_smalls = st.builds(Small, width=_ints.filter(lambda value: value not in (13, 14)), ratio=_floats)
_eithers = _smalls | st.builds(Large, _texts, st.sampled_from(Fruit))
_tuples = lambda elements: st.lists(elements, max_size=3).map(tuple)  # noqa: E731
_everything = st.builds(
    Everything,
    flag=st.booleans(),
    number=_ints,
    share=_floats,
    text=_texts,
    fruit=st.sampled_from(Fruit),
    level=st.sampled_from(Level),
    pair=st.tuples(_ints, _texts),
    many=_tuples(_floats),
    smalls=_tuples(_smalls),
    mixed=_tuples(_eithers),
    by_name=st.dictionaries(_texts, _smalls, max_size=3),
    union=_eithers,
    plain=_smalls,
    maybe=st.none() | _smalls,
    old_maybe=st.none() | _ints,
    maybe_many=st.none() | _tuples(_smalls),
    maybe_map=st.none() | st.dictionaries(_texts, _tuples(_ints), max_size=2),
    loose=_ints | st.just("a") | st.just("apple"),
    nested=_tuples(_tuples(_ints)),
)


@given(_everything)
def test_round_trip(value):
    assert loads(Everything, dumps(value)) == value
    assert decode(Everything, encode(value)) == value


@given(_eithers)
def test_round_trip_of_a_union(value):
    text = dumps(value)
    assert json.loads(text)["kind"] == type(value).__name__
    assert loads(Either, text) == value
    assert type(loads(Either, text)) is type(value)


@pytest.mark.parametrize("value", [TrainingConfig(), ClassTable().add("sky").add("Bäume", (1, 2, 3))])
def test_round_trip_of_what_the_program_stores(value):
    assert loads(type(value), dumps(value)) == value


def test_kind_stands_where_a_type_could_become_a_union():
    value = ClassTable().add("sky")
    assert encode(value) == {
        "kind": "ClassTable",
        "classes": [{"index": 0, "name": "sky", "color": [230, 159, 0], "hidden": False, "locked": False}],
        "next_index": 1,
    }
    assert encode((Small(), 1)) == [{"kind": "Small", "width": 3, "ratio": 0.5}, 1]
    assert encode({"a": Small(), "b": None})["a"]["kind"] == "Small"


def test_a_field_named_kind_is_the_classes_own():
    assert encode(Chosen()) == {"kind": "pear"}
    assert loads(Chosen, dumps(Chosen(Fruit.APPLE))) == Chosen(Fruit.APPLE)
    with pytest.raises(TypeError, match="cannot stand in a union"):
        decode(Chosen | Small, {"kind": "Small"})


def test_text_is_readable_and_survives_names_that_are_no_text():
    assert "Bäume" in dumps({"a": "Bäume"})
    strange = "caf\udce9.png"
    text = dumps({strange: strange})
    assert text.encode("utf-8")
    assert loads(Mapping[str, str], text) == {strange: strange}


def test_each_entry_has_a_line_of_its_own():
    text = dumps({"images": {"a": (1, 2), "b": {}}, "list": ((3,), 4), "none": {}, "empty": ()})
    assert text == (
        '{\n "images": {\n  "a": [1, 2],\n  "b": {}\n },\n'
        ' "list": [\n  [3],\n  4\n ],\n "none": {},\n "empty": []\n}\n'
    )


def test_whole_numbers_are_fractions_too():
    value = decode(Small, {"ratio": 2})
    assert value.ratio == 2.0
    assert type(value.ratio) is float


# --- refused when read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "path", "what"),
    [
        (Small, {"wide": 1}, "$.wide", "unknown"),
        (Small, {"wide one": 1}, '$["wide one"]', "unknown"),
        (Small, {1: 1}, "$", "no text"),
        (Large, {}, "$.name", "missing"),
        (Small, [], "$", "an object was expected, not a list"),
        (Small, {"width": True}, "$.width", "whole number was expected, not true"),
        (Small, {"width": 1.0}, "$.width", "whole number"),
        (Small, {"width": "1"}, "$.width", "whole number"),
        (Small, {"width": 2**63}, "$.width", "too large"),
        (Small, {"ratio": True}, "$.ratio", "a number"),
        (Small, {"ratio": "1"}, "$.ratio", "a number"),
        (Small, {"ratio": 10**400}, "$.ratio", "too large"),
        (Small, {"ratio": math.nan}, "$.ratio", "not finite"),
        (Small, {"ratio": -math.inf}, "$.ratio", "not finite"),
        (Small, {"width": 13}, "$", "13 is not allowed"),
        (Small, {"width": 14}, "$", "14 is refused"),
        (Small, {"kind": "Large"}, "$.kind", "Small was expected"),
        (Large, {"name": 3}, "$.name", "text was expected"),
        (Large, {"name": {}}, "$.name", "not an object"),
        (Large, {"name": "x" * 100 * 0, "kind_of": "x" * 100}, "$.kind_of", "…"),
        (Large, {"name": "a", "kind_of": "APPLE"}, "$.kind_of", "not one of 'apple', 'pear'"),
        (Level, True, "$", "not one of 1, 2"),
        (Level, 1.0, "$", "not one of"),
        (bool, 1, "$", "true or false"),
        (type(None), 0, "$", "null"),
        (tuple[int, str], [1], "$", "2 elements were expected, not 1"),
        (tuple[int, str], [1, 2], "$[1]", "text"),
        (tuple[int, ...], {"0": 1}, "$", "a list"),
        (tuple[tuple[int, ...], ...], [[1], [2, "a"]], "$[1][1]", "whole number"),
        (Mapping[str, Small], {"a b.png": {"width": []}}, '$["a b.png"].width', "whole number"),
        (Mapping[str, int], [1], "$", "an object"),
        (Either, {"width": 1}, "$", "“kind” is missing"),
        (Either, {"kind": "Medium"}, "$.kind", "not one of Small, Large"),
        (Either, {"kind": ["Small"]}, "$.kind", "not one of"),
        (Either, {"kind": "Large", "width": 1}, "$.width", "unknown"),
        (Either, 3, "$", "one of: Small, Large was expected"),
        (Small | None, [], "$", "one of: null, Small"),
        (Small | None, {"width": "a"}, "$.width", "whole number"),
        (tuple[int, ...] | None, [1, "a"], "$[1]", "whole number"),
        (int | str | None, 1.5, "$", "one of: int, str, null"),
    ],
)
def test_what_does_not_belong_is_refused_at_its_place(kind, data, path, what):
    with pytest.raises(CodecError) as caught:
        decode(kind, data, "project.json")
    assert f"project.json: at {path}: " in caught.value.message
    assert what in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not JSON"),
        ('{"width": 3', "not JSON"),
        ("{} x", "not JSON"),
        ('{"width": 1, "width": 2}', "at $.width: this key is given twice"),
        ('{"ratio": NaN}', "at $.ratio: the number is not finite"),
        ('{"ratio": 1e999}', "at $.ratio: the number is not finite"),
        ("[" * 200_000, "nested too deeply"),
        ('{"width": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_text_that_is_no_value(text, what):
    with pytest.raises(CodecError) as caught:
        loads(Small, text)
    assert what in caught.value.message


def test_two_keys_alike_far_inside():
    with pytest.raises(CodecError, match=r"\$\.b\.x: this key is given twice"):
        loads(Mapping[str, Mapping[str, int]], '{"a": {"x": 1}, "b": {"x": 1, "y": 2, "x": 3}}')


def test_text_too_long(monkeypatch):
    monkeypatch.setattr(reading, "MAX_TEXT", 10)
    with pytest.raises(CodecError, match="longer than 10"):
        loads(Small, '{"width":  1}')


@dataclass(frozen=True)
class Chain:
    next: Optional["Chain"] = None


def _chain(length):
    value = None
    for _ in range(length):
        value = Chain(value)
    return value


def test_depth_is_bounded_both_ways():
    shallow = _chain(50)
    assert loads(Chain, dumps(shallow)) == shallow
    with pytest.raises(CodecError, match="deeper"):
        encode(_chain(200))
    data = None
    for _ in range(200):
        data = {"next": data}
    with pytest.raises(CodecError, match="deeper"):
        decode(Chain, data)


@given(
    st.recursive(
        st.none() | st.booleans() | _ints | st.floats() | _texts,
        lambda inner: st.lists(inner) | st.dictionaries(_texts, inner),
        max_leaves=8,
    )
)
def test_any_json_is_a_value_or_a_codec_error(data):
    for kind in (Everything, Either, Small, tuple[Small, ...], Mapping[str, Either]):
        with contextlib.suppress(CodecError):
            value = decode(kind, data)
            assert decode(kind, encode(value)) == value


# --- refused when written ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Small(ratio=math.nan), "$.ratio"),
        ((1, math.inf), "$[1]"),
        ({"a": {"b c": 2**63}}, '$.a["b c"]'),
    ],
)
def test_numbers_json_cannot_hold(value, path):
    with pytest.raises(CodecError) as caught:
        encode(value)
    assert f"at {path}: " in caught.value.message


class Strange(Enum):
    PAIR = (1, 2)
    FLAG = True


@pytest.mark.parametrize(
    "value", [Path("a"), [1], {1}, b"a", object(), {1: 2}, Strange.PAIR, Strange.FLAG, Small]
)
def test_types_the_codec_does_not_know(value):
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize("kind", [Path, list[int], dict, bytes, Any, Mapping[int, str], tuple, Strange])
def test_declared_types_the_codec_does_not_know(kind):
    with pytest.raises(TypeError):
        decode(kind, {})


def test_what_is_written_without_default_is_asked_for():
    assert [item.name for item in dataclasses.fields(Everything) if item.name not in encode_example()] == [
        "made"
    ]


def encode_example():
    return encode(
        Everything(True, 1, 1.0, "", Fruit.APPLE, Level.LOW, (1, ""), (), (), (), {}, Small(), Small())
    )
