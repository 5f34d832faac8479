"""Some files must be covered by the tests completely: a wrong line there loses or spoils people's work."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

COMPLETE = (
    "engine/annotate/patch.py",
    "engine/annotate/journal.py",
    "engine/codec.py",
    "engine/files.py",
    "engine/project/manifest.py",
    "engine/messages.py",
)


def gaps(report: Path, files: Iterable[str] = COMPLETE) -> tuple[str, ...]:
    """One sentence per file that is not covered completely; empty where all are.

    Args:
        report: what `coverage json` writes.
        files: paths from the top of the checkout.
    """
    measured: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["files"]
    by_path = {name.replace("\\", "/"): entry for name, entry in measured.items()}
    return tuple(sentence for file in files if (sentence := _gap(file, by_path.get(file))))


def _gap(file: str, entry: dict[str, Any] | None) -> str:
    if entry is None:
        return f"{file}: no test imports it"
    lines = entry["missing_lines"]
    branches = entry.get("missing_branches", [])
    if not lines and not branches:
        return ""
    parts = []
    if lines:
        parts.append("lines " + ", ".join(map(str, lines)))
    if branches:
        parts.append("branches " + ", ".join(f"{start}→{end}" for start, end in branches))
    return f"{file}: no test reaches {' and '.join(parts)}"
