"""Prints the learning table from the files of its runs.

    python -m tests.bench.learning_summary DIR

Differences are paired: same seed, so same crops and same first weights of what both have. Intervals are 95 %
of Student's t over the pairs. A claim holds where the interval lies above 0, fails where it lies below, and
is open where it holds 0.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.learning_rows import ROWS

_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Quantiles 0.975 of Student's t for 1, 2, ... degrees of freedom."""
_T95_MANY = (30, 2.042)
"""The same from here on: a little too wide, never too narrow."""

Key = tuple[str, str, int]
"""Row, loss, seed."""
Runs = Mapping[Key, Mapping[str, Any]]

LOSSES = ("ce", "rmi")
CLAIMS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "IDRNet over its base": (("idrnet", "fcn"), ("pspnet-idrnet", "pspnet")),
    "IDRNet refined by class over its base": (("idrnet-classes", "fcn"),),
    "IDRNet refined by class over by pixel": (("idrnet-classes", "idrnet"),),
    "MCIBI over its base": (("mcibi", "fcn"), ("deeplabv3-mcibi", "deeplabv3")),
    "SPGNet over one stage": (("spgnet", "spgnet-1"),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its 95 % interval; `half` is infinite for one value."""

    mean: float
    half: float
    count: int

    @property
    def verdict(self) -> str:
        """Says what the interval allows to say."""
        if self.count < 2:
            return "one pair, no interval"
        if self.mean - self.half > 0:
            return "holds"
        return "fails" if self.mean + self.half < 0 else "open"

    def __str__(self) -> str:
        """Points of mIoU."""
        if self.count < 2:
            return f"{100 * self.mean:+.1f} (n = 1)"
        return f"{100 * self.mean:+.1f} ± {100 * self.half:.1f} (n = {self.count})"


def t95(freedom: int) -> float:
    """Return the quantile 0.975 of Student's t."""
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    return _T95[-1] if freedom < _T95_MANY[0] else _T95_MANY[1]


def interval(values: Sequence[float]) -> Interval:
    """Return mean and 95 % interval of at least one value."""
    count = len(values)
    half = math.inf if count < 2 else t95(count - 1) * statistics.stdev(values) / math.sqrt(count)
    return Interval(mean=statistics.fmean(values), half=half, count=count)


def load(folder: Path) -> dict[Key, dict[str, Any]]:
    """Read all runs of a folder."""
    runs = {}
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        runs[content["row"], content["loss"], content["seed"]] = content
    return runs


def differences(runs: Runs, pairs: Iterable[tuple[str, str]], losses: Sequence[str] = LOSSES) -> list[float]:
    """Return mIoU of the first minus that of the second of each pair, for every seed and loss both have."""
    wanted = set(pairs)
    return [
        result["miou"] - runs[base, loss, seed]["miou"]
        for (row, loss, seed), result in sorted(runs.items())
        for first, base in wanted
        if row == first and loss in losses and (base, loss, seed) in runs
    ]


def gains_of_rmi(runs: Runs, row: str | None = None) -> list[float]:
    """Return mIoU with RMI minus that with cross-entropy, of one row or of all."""
    return [
        result["miou"] - runs[name, "ce", seed]["miou"]
        for (name, loss, seed), result in sorted(runs.items())
        if loss == "rmi" and row in (None, name) and (name, "ce", seed) in runs
    ]


def table(runs: Runs) -> list[str]:
    """Return the main table in Markdown: mean mIoU by row and loss, and paired differences."""
    lines = [
        "| network | CE | RMI | over its base, CE | over its base, RMI | RMI over CE |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        found = {
            loss: [run["miou"] for (n, kind, _), run in runs.items() if (n, kind) == (name, loss)]
            for loss in LOSSES
        }
        if not any(found.values()):
            continue
        cells = [_mean(found[loss]) for loss in LOSSES]
        for loss in LOSSES:
            gains = differences(runs, [(name, row.base)], (loss,)) if row.base else []
            cells.append(str(interval(gains)) if gains else "")
        gains = gains_of_rmi(runs, name)
        cells.append(str(interval(gains)) if gains else "")
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return lines


def _mean(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{spread} (n = {len(values)})"


def claims(runs: Runs) -> list[str]:
    """Return one line per claim, over all bases, losses and seeds that were run."""
    lines = ["| claim | difference, points of mIoU | |", "|---|---|---|"]
    found = {name: differences(runs, pairs) for name, pairs in CLAIMS.items()}
    found["RMI over CE, all networks"] = gains_of_rmi(runs)
    for name, gains in found.items():
        if gains:
            lines.append(f"| {name} | {interval(gains)} | {interval(gains).verdict} |")
    return lines


def over_first_stage(runs: Runs) -> list[str]:
    """Return by how much networks of two stages beat their own first one, inside the same run."""
    lines = ["| network | over its own first stage, points of mIoU at the cells | |", "|---|---|---|"]
    for name, row in ROWS.items():
        stages = [run.get("first_stage") for (n, _, _), run in sorted(runs.items()) if n == name]
        gains = [stage["last"] - stage["first"] for stage in stages if stage]
        if gains:
            lines.append(f"| {row.title} | {interval(gains)} | {interval(gains).verdict} |")
    return lines if len(lines) > 2 else []


def by_class(runs: Runs) -> list[str]:
    """Return mean IoU of every class by row and loss."""
    names = list(next(iter(runs.values()))["iou"])
    lines = [f"| network, loss | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name, row in ROWS.items():
        for loss in LOSSES:
            chosen = [run["iou"] for (n, kind, _), run in runs.items() if (n, kind) == (name, loss)]
            if chosen:
                cells = (
                    f"{100 * statistics.fmean(run[label] or 0.0 for run in chosen):.0f}" for label in names
                )
                lines.append(f"| {row.title}, {loss.upper()} | {' | '.join(cells)} |")
    return lines


def machinery(runs: Runs) -> list[str]:
    """Return the networks' own statistics, means over seeds and losses."""
    lines = []
    for name, row in ROWS.items():
        found = [run["statistics"] for (n, _, _), run in runs.items() if n == name and run["statistics"]]
        if found:
            lines.append(f"{row.title}:")
            lines += [f"  {key}: {statistics.fmean(run[key] for run in found):.4g}" for key in found[0]]
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description="Prints the learning table.")
    parser.add_argument("folder", type=Path, help="what learning_table wrote")
    runs = load(parser.parse_args(arguments).folder)
    if not runs:
        parser.error("no runs there")
    steps = sorted({run["steps"] for run in runs.values()})
    print(f"{len(runs)} runs of {steps} steps")
    for part in (table, claims, over_first_stage, by_class, machinery):
        print("\n" + "\n".join(part(runs)))


if __name__ == "__main__":
    main()
