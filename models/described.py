"""Configuration fields that explain and check themselves (torch-free).

A configuration is a frozen dataclass whose fields come from `described`; its `__post_init__` calls
`check_bounds`. The window draws a form from `describe`, the codec reads and writes the same fields, and no
invalid value can exist.
"""

import dataclasses
import math
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, dataclass, field
from enum import Enum
from functools import lru_cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_KEY = "described"


class ConfigError(ValueError):
    """A configuration field has a value that it must not have.

    Attributes:
        field: name of the field.
        value: the value that was refused.
        bounds: what is allowed, in words.
    """

    def __init__(self, field: str, value: object, bounds: str) -> None:
        super().__init__(f"{field} is {value!r}, but must be {bounds}")
        self.field = field
        self.value = value
        self.bounds = bounds


@dataclass(frozen=True, slots=True)
class _Description:
    help: str
    unit: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """What a form needs to know about one field.

    Attributes:
        name: name of the field in the dataclass.
        type: declared type with `None` removed (see `optional`), e.g. `int`, an `Enum`, a dataclass or a
            union of them.
        default: default value, `dataclasses.MISSING` if the field has none.
        help: one sentence for the user.
        unit: unit of the value, "" if it has none.
        low: smallest allowed value (inclusive), None without a limit.
        high: largest allowed value (inclusive), None without a limit.
        choices: the members where the type is an `Enum`, else None.
        variants: the dataclasses that may stand here (one for a plain nested configuration), else ().
        optional: whether None is allowed.
    """

    name: str
    type: Any
    default: Any
    help: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[Enum, ...] | None
    variants: tuple[Any, ...] = ()
    optional: bool = False


def described(
    default: Any = MISSING,
    *,
    help: str,  # noqa: A002 - the word users of forms and argparse know
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Returns a dataclass field with a help text, a unit and inclusive bounds.

    Args:
        default: default value; left out, the field is required. Must be immutable.
        help: one sentence for the user.
        unit: unit shown beside the value, e.g. "px" or "s".
        low: smallest allowed value; for a tuple it holds for every element.
        high: largest allowed value; for a tuple it holds for every element.
    """
    metadata = MappingProxyType({_KEY: _Description(help, unit, low, high)})
    return field(default=default, metadata=metadata)


@lru_cache(maxsize=256)
def describe(config_type: type) -> tuple[FieldDescription, ...]:
    """Returns the description of every field of a configuration type, in order of declaration.

    Raises:
        TypeError: `config_type` is no dataclass.
    """
    if not dataclasses.is_dataclass(config_type):
        raise TypeError(f"{config_type!r} is no dataclass")
    types = get_type_hints(config_type)
    return tuple(
        _describe_field(item, types[item.name]) for item in dataclasses.fields(config_type) if item.init
    )


def _describe_field(item: dataclasses.Field[Any], declared: Any) -> FieldDescription:
    text: _Description = item.metadata.get(_KEY, _Description("", "", None, None))
    members = _members(declared)
    optional = NoneType in members
    solid = tuple(member for member in members if member is not NoneType)
    only: Any = solid[0] if len(solid) == 1 else Union[solid]  # noqa: UP007 - built at run time
    is_enum = isinstance(only, type) and issubclass(only, Enum)
    variants = tuple(
        member for member in solid if isinstance(member, type) and dataclasses.is_dataclass(member)
    )
    return FieldDescription(
        name=item.name,
        type=only,
        default=item.default,
        help=text.help,
        unit=text.unit,
        low=text.low,
        high=text.high,
        choices=tuple(only) if is_enum else None,
        variants=variants,
        optional=optional,
    )


def _members(declared: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or the type alone."""
    return get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)


def check_bounds(config: Hashable) -> None:
    """Checks type and bounds of every field; every configuration calls it in `__post_init__`.

    Raises:
        ConfigError: a value has the wrong type, is not finite, or lies outside the bounds of its field.
    """
    for item in describe(type(config)):
        _check_value(item, getattr(config, item.name))


def _check_value(item: FieldDescription, value: object) -> None:
    if value is None:
        if not item.optional:
            raise ConfigError(item.name, value, f"a value of type {_words(item.type)}")
        return
    if not any(_fits(value, member) for member in _members(item.type)):
        raise ConfigError(item.name, value, f"of type {_words(item.type)}")
    for number in value if isinstance(value, tuple) else (value,):
        _check_number(item, value, number)


def _check_number(item: FieldDescription, value: object, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return
    too_low = item.low is not None and number < item.low
    too_high = item.high is not None and number > item.high
    if not math.isfinite(number) or too_low or too_high:
        raise ConfigError(item.name, value, _bounds_in_words(item))


def _bounds_in_words(item: FieldDescription) -> str:
    unit = f" {item.unit}" if item.unit else ""
    if item.low is not None and item.high is not None:
        return f"between {item.low:g} and {item.high:g}{unit}"
    if item.low is not None:
        return f"at least {item.low:g}{unit}"
    if item.high is not None:
        return f"at most {item.high:g}{unit}"
    return "a finite number"


def _fits(value: object, declared: Any) -> bool:
    """Returns whether a value is of the declared type; an int is a float too, a bool is no number."""
    origin = get_origin(declared)
    if origin is tuple:
        return _fits_tuple(value, get_args(declared))
    if origin is not None:
        return isinstance(value, Mapping if issubclass(origin, Mapping) else origin)
    if declared is Any:
        return True
    if declared in (int, float):
        allowed = (int, float) if declared is float else int
        return isinstance(value, allowed) and not isinstance(value, bool)
    return isinstance(value, declared)


def _fits_tuple(value: object, members: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if len(members) == 2 and members[1] is Ellipsis:
        return all(_fits(element, members[0]) for element in value)
    return len(value) == len(members) and all(map(_fits, value, members))


def _words(declared: Any) -> str:
    return " or ".join(map(_word, _members(declared)))


def _word(declared: Any) -> str:
    if get_origin(declared) is tuple and get_args(declared)[-1] is Ellipsis:
        return "numbers with commas between them"
    return str(declared) if get_origin(declared) else getattr(declared, "__name__", str(declared))
