"""Older layouts of the manifest, brought forward step by step on a copy in memory."""

import copy
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from engine.errors import CodecError, ProjectError

SCHEMA: Final = 1
"""Layout that this version of the program reads and writes."""

Step = Callable[[dict[str, Any]], dict[str, Any]]

STEPS: Final[Mapping[int, Step]] = MappingProxyType({})
"""By old schema number: returns the data in the next layout. Must not change what it gets."""


class NewerSchemaError(ProjectError):
    """The manifest was written by a newer version of the program."""


def schema_of(data: bytes, where: str) -> tuple[int, dict[str, Any]]:
    """Parse a manifest as far as its schema number.

    Raises:
        CodecError: no JSON object with a schema number.
    """
    try:
        raw = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CodecError(f"“{where}” is no valid JSON: {error}.") from error
    if not isinstance(raw, dict):
        raise CodecError(f"“{where}” does not hold an object.")
    schema = raw.get("schema")
    if type(schema) is not int or schema < 1:
        raise CodecError(f"“{where}” has no schema number.")
    return schema, raw


def brought_forward(
    raw: dict[str, Any], schema: int, where: str, *, steps: Mapping[int, Step] = STEPS, current: int = SCHEMA
) -> dict[str, Any]:
    """Bring a manifest of an older layout to the present one.

    Args:
        raw: its parsed content; stays as it is.
        schema: its layout.
        where: name of the file, for messages.
        steps: migrations by old schema number.
        current: layout to reach.

    Returns:
        Plain JSON data in the layout `current`.

    Raises:
        CodecError: no way leads from its layout to the present one.
        NewerSchemaError: written by a newer version of the program.
    """
    if schema > current:
        raise NewerSchemaError(
            f"“{where}” was written by a newer Maskloop (layout {schema}; this one knows {current}).",
            "Nothing will overwrite it. Install the newer version to work on this project.",
        )
    while schema < current:
        if schema not in steps:
            raise CodecError(f"“{where}” has layout {schema}, which this version cannot bring forward.")
        raw = {**steps[schema](copy.deepcopy(raw)), "schema": schema + 1}
        schema += 1
    return raw
