"""What happened in a run, one JSON object a line in ``runs/<start>.jsonl`` (torch-free). Worker thread.

The log answers later: on how many images, from which checkpoint, with which settings, how did it go? A log
that cannot be written never stops training; the first failure is reported once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import StorageError
from engine.files import append_durable
from engine.project.disk_steps import make_parent

RUNS_FOLDER = "runs"

Value = str | int | float | bool | None | Mapping[str, "Value"] | list["Value"]


class RunLog:
    """Appends records to the log of one run; the file appears with the first record.

    Args:
        project_folder: Project folder; the log goes to `runs/` in it.
        notice: Called once with a sentence if the log cannot be written.
        now: Clock, UTC.
    """

    def __init__(
        self,
        project_folder: Path,
        *,
        notice: Callable[[str], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now
        self._notice = notice
        self._is_broken = False
        self._project_folder = project_folder
        self.path = project_folder / RUNS_FOLDER / f"{now():%Y%m%d-%H%M%S-%f}.jsonl"

    def write(self, kind: str, **values: Value) -> None:
        """Append one record.

        Args:
            kind: What happened: "start", "steps", "evaluation", "checkpoint", "stop".
            **values: Anything JSON can say; no NaN.
        """
        if self._is_broken:
            return
        record = {"kind": kind, "at": self._now().isoformat(timespec="milliseconds"), **values}
        line = json.dumps(record, ensure_ascii=False) + "\n"
        try:
            make_parent(self.path, self._project_folder)
            append_durable(self.path, line.encode())
        except StorageError as error:
            self._is_broken = True
            self._notice(f"The log of this run cannot be written ({error}). Training goes on without it.")


def read_runlog(path: Path) -> tuple[Mapping[str, Value], ...]:
    """Return the records of a log; a last line cut off by a crash is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return tuple(records)
