"""Bugs are loud: everything is caught at the ends of threads, at plugins and at the crash hook only."""

import ast
from collections.abc import Iterator

import pytest

from tests.support import checkout

ENDS = ("engine/worker", "engine/writer", "engine/loader", "engine/catalog", "app/crash")


def names(caught: ast.expr | None) -> set[str]:
    """Names of the exceptions a handler catches; a bare one catches everything."""
    if caught is None:
        return {"BaseException"}
    return {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)}


def swallowing(source: str) -> Iterator[int]:
    """Lines of handlers that catch everything and do not raise it again."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and {"Exception", "BaseException"} & names(node.type):
            last = node.body[-1]
            if not (isinstance(last, ast.Raise) and last.exc is None):
                yield node.lineno


def test_everything_is_caught_in_few_places() -> None:
    found = [
        f"{name}:{line}"
        for path in checkout.python_files()
        if (name := checkout.relative(path)).split("/")[0] in checkout.PACKAGES and not name.startswith(ENDS)
        for line in swallowing(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("handler", "noticed"),
    [
        ("except Exception: pass", True),
        ("except (OSError, Exception) as e: print(e)", True),
        ("except: pass", True),
        ("except BaseException: raise", False),
        ("except ValueError: pass", False),
    ],
)
def test_the_search_sees_what_swallows(handler: str, noticed: bool) -> None:
    assert bool(list(swallowing(f"try: pass\n{handler}\n"))) is noticed
