"""Choices of a config changed by words, such as ``crop.size=96``."""

import dataclasses
from enum import Enum
from typing import Any, TypeVar

from engine.config import TrainingConfig
from engine.errors import EngineError
from models.described import ConfigError
from models.loss_configs import LossConfig

_Config = TypeVar("_Config", bound=TrainingConfig | LossConfig)


def changed(config: _Config, words: list[str]) -> _Config:
    """A config with some choices changed.

    Args:
        config: a frozen dataclass to begin with.
        words: ``KEY=VALUE`` each; keys of inner configs with a dot, such as ``crop.size=96``.

    Raises:
        EngineError: there is no such choice, or the value is not allowed.
    """
    for word in words:
        key, mark, value = word.partition("=")
        if not mark:
            raise EngineError(f"“{word}” changes nothing.", hint="Write KEY=VALUE, such as crop.size=96.")
        try:
            config = _with(config, key.split("."), value)
        except (ValueError, ConfigError) as error:
            names = ", ".join(field.name for field in dataclasses.fields(config))
            raise EngineError(f"“{word}”: {error}.", hint=f"Choices are {names}.") from error
    return config


def _with(config: Any, path: list[str], text: str) -> Any:
    """A dataclass with one inner field changed."""
    name, *inner = path
    fields = dataclasses.fields(config) if dataclasses.is_dataclass(config) else ()
    if name not in {field.name for field in fields}:
        raise ValueError(f"there is no choice “{name}”")
    old = getattr(config, name)
    new = _with(old, inner, text) if inner else _value(old, text)
    return dataclasses.replace(config, **{name: new})


def _value(old: object, text: str) -> object:
    """A word as a value of the kind that stood there."""
    if text.lower() in ("none", ""):
        return None
    if isinstance(old, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError("true or false")
        return text.lower() == "true"
    if isinstance(old, Enum):
        return type(old)(text)
    if isinstance(old, int) or (old is None and text.isdigit()):
        return int(text)
    return float(text)
