"""Results of the robot as tests want them."""

from engine.cli.robot_files import Outcome
from engine.measure.robot.results import Measured, RunResult, Visited


def point(seconds: float, miou: float, updates: int = 1) -> Measured:
    return Measured(
        seconds=seconds,
        miou=miou,
        pixel_accuracy=miou,
        iou_per_class={"a": miou, "b": None},
        strokes=1,
        images=1,
        updates=updates,
    )


def visit(*, seconds: float, blocked: float) -> Visited:
    return Visited(
        image_id="0.png",
        strokes=1,
        clicks=0,
        relabels=0,
        undone=0,
        accepted=False,
        seconds=seconds,
        blocked=blocked,
        wrong_before=0.5,
        wrong_after=0.2,
    )


def run_of(seed: int, *mious: float) -> RunResult:
    return RunResult(
        tool="t",
        seed=seed,
        curve=tuple(point(100.0 * (place + 1), miou, place) for place, miou in enumerate(mious)),
        visits=(),
        seconds=100.0 * len(mious),
        blocked=0.0,
        latencies=(1.0, 3.0),
        worse=0,
        journal="",
        facts={},
        real_seconds=1.0,
    )


def outcome(title: str, *runs: RunResult) -> Outcome:
    return Outcome(title=title, options={}, runs=runs)
