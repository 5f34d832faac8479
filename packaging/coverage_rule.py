"""Some files must be covered by the tests completely: a wrong line there loses or spoils people's work."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# A file without its `.py`, or a folder of files.
COMPLETE = (
    "engine/annotate/patch",
    "engine/annotate/journal",
    "engine/codec",
    "engine/files",
    "engine/project/manifest",
    "engine/messages",
)


def gaps(report: Path, rooms: Iterable[str] = COMPLETE) -> tuple[str, ...]:
    """One sentence per file that is not covered completely; empty where all are.

    Args:
        report: what `coverage json` writes.
        rooms: paths from the top of the checkout, in the form of `COMPLETE`.
    """
    measured: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["files"]
    by_path = {name.replace("\\", "/"): entry for name, entry in measured.items()}
    sentences = []
    for room in rooms:
        files = [path for path in by_path if path == f"{room}.py" or path.startswith(f"{room}/")]
        if not files:
            sentences.append(f"{room}: no test imports it")
        sentences.extend(filter(None, (_gap(path, by_path[path]) for path in sorted(files))))
    return tuple(sentences)


def _gap(file: str, entry: dict[str, Any]) -> str:
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
