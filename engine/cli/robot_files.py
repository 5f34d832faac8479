"""Results of the robot on disk: one JSON per tool, with all seeds and how they were made."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.files import atomic_write
from engine.measure.costs import constants
from engine.measure.robot.results import FORMAT, RunResult, result_from


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One tool over all seeds.

    Attributes:
        title: name for people.
        options: how it was run, by name.
        runs: one for each seed.
    """

    title: str
    options: Mapping[str, object]
    runs: tuple[RunResult, ...]

    @property
    def full_masks(self) -> float | None:
        """The mIoU that the same network reaches on whole masks, where that was told, 0 … 1."""
        found = self.options.get("full_masks")
        return float(found) if isinstance(found, float | int) else None

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        return {
            "format": FORMAT,
            "title": self.title,
            "options": dict(self.options),
            "costs": dict(constants()),
            "runs": [run.as_json() for run in self.runs],
        }


def write_results(path: Path, outcome: Outcome) -> None:
    """Write a result file.

    Raises:
        StorageError: the disk refuses.
    """
    text = json.dumps(outcome.as_json(), ensure_ascii=False, indent=1) + "\n"
    atomic_write(path, text.encode("utf-8"))


def read_results(path: Path) -> Outcome:
    """Read a result file.

    Raises:
        EngineError: it is missing, or was not written by this program.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise EngineError(
                f"“{path}” has another form than this version writes.", hint="Measure it again."
            )
        runs = tuple(result_from(run) for run in plain["runs"])
        if not runs or not all(run.curve for run in runs):
            raise EngineError(f"“{path}” holds no measurement.", hint="Measure it again.")
        return Outcome(title=plain["title"], options=plain["options"], runs=runs)
    except OSError as error:
        raise EngineError(f"“{path}” cannot be read: {error.strerror}.", hint="Check the name.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"“{path}” is no result of the robot.", hint="Name files written with --json."
        ) from error
