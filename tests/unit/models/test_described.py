"""Fields that explain and check themselves."""

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.described import ConfigError, check_bounds, describe, described


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    share: float = described(0.5, help="A share.", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    def __post_init__(self) -> None:
        check_bounds(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    needed: str = described(help="Has no default.")
    count: int = described(3, help="How many.", unit="px", low=1)
    limit: float = described(2.0, help="How much at most.", high=9.5)
    flag: bool = described(False, help="Whether.")
    colour: Colour = described(Colour.RED, help="Which colour.")
    maybe: int | None = described(None, help="Perhaps.", low=0, high=5)
    part: Inner | Other = described(Inner(), help="One of two.")
    pair: tuple[int, float] = described((1, 2.0), help="Two numbers.", low=0)
    many: tuple[int, ...] = described((), help="Numbers.", high=7)
    table: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_bounds(self)


def test_a_description_says_everything_a_form_needs() -> None:
    by_name = {item.name: item for item in describe(Outer)}
    assert list(by_name) == [item.name for item in dataclasses.fields(Outer)]
    count = by_name["count"]
    assert (count.type, count.default, count.help, count.unit, count.low) == (int, 3, "How many.", "px", 1)
    assert by_name["needed"].default is dataclasses.MISSING
    assert by_name["colour"].choices == (Colour.RED, Colour.BLUE)
    assert count.choices is None
    assert by_name["part"].variants == (Inner, Other)
    assert by_name["maybe"].optional
    assert by_name["maybe"].type is int
    assert not count.optional
    assert by_name["table"].help == ""


def test_only_dataclasses_are_described() -> None:
    with pytest.raises(TypeError, match="no dataclass"):
        describe(int)


@pytest.mark.parametrize(
    ("field", "value", "bounds"),
    [
        ("count", 0, "at least 1 px"),
        ("count", 2.5, "of type int"),
        ("count", True, "of type int"),
        ("count", None, "a value of type int"),
        ("limit", 10, "at most 9.5"),
        ("limit", math.nan, "at most 9.5"),
        ("limit", math.inf, "at most 9.5"),
        ("flag", 1, "of type bool"),
        ("colour", "red", "of type Colour"),
        ("maybe", 6, "between 0 and 5"),
        ("maybe", "1", "of type int"),
        ("part", 3, "of type Inner or Other"),
        ("pair", (1,), r"tuple\[int, float\]"),
        ("pair", (1, -1.0), "at least 0"),
        ("pair", [1, 2.0], r"tuple\[int, float\]"),
        ("many", (1, 8), "at most 7"),
        ("many", (1, "2"), "numbers with commas"),
        ("table", 4, "Mapping"),
        ("needed", 4, "of type str"),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object, bounds: str) -> None:
    with pytest.raises(ConfigError, match=bounds) as caught:
        Outer(**{"needed": "x", field: value})  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.field == field
    assert caught.value.value is value or caught.value.value == value
    assert str(caught.value).startswith(f"{field} is ")


@given(st.floats(allow_nan=False))
def test_bounds_are_inclusive(share: float) -> None:
    if 0.0 <= share <= 1.0:
        assert Inner(share=share).share == share
    else:
        with pytest.raises(ConfigError, match="between 0 and 1"):
            Inner(share=share)


def test_an_int_is_a_float_and_nothing_unbounded_is_checked_for_size() -> None:
    assert Inner(share=1).share == 1
    assert Outer(needed="x", limit=-(10**300), maybe=None, many=(1, 2)).maybe is None
