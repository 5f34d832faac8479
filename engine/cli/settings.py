"""``--set NAME=VALUE``: single settings of a configuration, typed on the command line."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, cast, get_args, get_origin

from engine.catalog import ConfigError, FieldDescription, describe
from engine.errors import EngineError

_WORDS = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


def with_settings(config: Any, settings: Sequence[str]) -> Any:
    """The configuration with some settings changed.

    Args:
        config: a described configuration.
        settings: texts such as ``dilations=1,6,12,18`` or ``backbone.output_stride=16``; choices are named
            as in JSON, upper and lower case alike.

    Raises:
        EngineError: there is no such setting, or its value is not allowed.
    """
    for text in settings:
        name, sign, value = text.partition("=")
        if not sign:
            raise EngineError(
                f"“{text}” sets nothing.", "Write it as NAME=VALUE, such as dilations=1,6,12,18."
            )
        config = _changed(config, name.strip().split("."), value.strip(), name.strip())
    return config


def settings_of(config: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every setting and its value, as `with_settings` reads them."""
    # mypy takes a class for unhashable here (the cache of `describe` wants a hashable argument).
    for item in describe(cast("Any", type(config))):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from settings_of(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _changed(config: Any, path: Sequence[str], text: str, name: str) -> Any:
    fields = {item.name: item for item in describe(cast("Any", type(config)))}
    first, *rest = path
    if first not in fields:
        raise EngineError(f"There is no setting “{name}”.", f"Choose one of: {', '.join(fields)}.")
    inner: Any = getattr(config, first)
    is_nested = dataclasses.is_dataclass(inner)
    if is_nested != bool(rest):
        inside = ", ".join(f"{first}.{key}" for key, _ in settings_of(inner)) if is_nested else first
        raise EngineError(f"“{name}” is no single setting.", f"Choose one of: {inside}.")
    value = _changed(inner, rest, text, name) if rest else _parsed(fields[first], text)
    try:
        return dataclasses.replace(config, **{first: value})
    except ConfigError as error:
        raise EngineError(f"{name} cannot be “{text}”.", f"It must be {error.bounds}.") from error


def _parsed(item: FieldDescription, text: str) -> Any:
    """The value that a text stands for; the text itself where it stands for none, which the field refuses."""
    if item.choices is not None:
        return _choice(item, text)
    if item.optional and text.lower() in {"", "none"}:
        return None
    if item.type is bool:
        return _WORDS.get(text.lower(), text)
    number = get_args(item.type)[0] if get_origin(item.type) is tuple else item.type
    read: Callable[[str], Any] = number
    try:
        if number is item.type:
            return read(text)
        return tuple(read(part) for part in text.split(",") if part.strip())
    except ValueError:
        return text


def _choice(item: FieldDescription, text: str) -> Enum:
    for choice in item.choices or ():
        if text.lower() in {str(choice.value).lower(), choice.name.lower()}:
            return choice
    allowed = ", ".join(str(choice.value) for choice in item.choices or ())
    raise EngineError(f"{item.name} cannot be “{text}”.", f"Choose one of: {allowed}.")
