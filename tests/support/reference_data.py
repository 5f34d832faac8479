"""Stored numbers of the papers' own code; they lie beside some checkouts, elsewhere tests skip."""

from pathlib import Path
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


def stored(name: str) -> dict[str, Any]:
    """Returns the content of a file of stored numbers, or skips the test where it is absent."""
    path = FOLDER / f"{name}.pt"
    if not path.is_file():
        pytest.skip(f"{path.name} is not on this machine")
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content
