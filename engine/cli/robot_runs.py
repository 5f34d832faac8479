"""Every seed of the robot verb: plan, tool, run. Imports torch."""

import argparse
import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.changes import changed
from engine.cli.chosen import LOSSES, preset_named
from engine.cli.console import Bar, complain
from engine.cli.networks import without_download
from engine.cli.robot_data import open_material, work_folder
from engine.cli.robot_files import Outcome
from engine.cli.robot_session import SessionChoice, SessionTool
from engine.config import Device, TrainingConfig
from engine.errors import CheckpointError
from engine.files import storage_errors
from engine.learn.checkpoint import read_plain
from engine.measure.actions import Feedback, Gaze, User, rules_of
from engine.measure.robot.person import run_robot
from engine.measure.robot.plan import MEASURED_AT, Order, RobotPlan, session_length
from engine.measure.robot.results import RunResult
from engine.measure.robot.tool import AnnotatedTool, Material
from engine.project.manifest import OrderKind

if TYPE_CHECKING:
    from engine.measure.baselines.choice import Weights


def run_seeds(
    arguments: argparse.Namespace, bar: Callable[[str, int], Bar], keep: Callable[[Outcome], None]
) -> Outcome:
    """Work through all seeds the options name.

    Args:
        arguments: options of the verb.
        bar: makes a progress bar from a title and a total.
        keep: called after each seed with what there is so far, so that a later failure costs only its seed.

    Raises:
        EngineError: a tool failed; says why.
    """
    material = open_material(arguments)
    runs: list[RunResult] = []
    options = _options(arguments, material)
    title = arguments.title or arguments.baseline or arguments.network or "tiny"
    for seed in arguments.seeds:
        plan = robot_plan(arguments, seed)
        total = 0 if math.isinf(plan.seconds) else round(plan.seconds)
        with bar(f"{title}, seed {seed}", total) as shown:
            runs.append(_run(arguments, plan, material, title, shown))
        keep(Outcome(title=title, options=options, runs=tuple(runs)))
    for note in dict.fromkeys(note for run in runs for note in notes_of(run)):
        complain(note)
    return Outcome(title=title, options=options, runs=tuple(runs))


def notes_of(run: RunResult) -> list[str]:
    """What a reader of the figures must know."""
    told = run.facts.get("notes", [])
    notes = [str(note) for note in told] if isinstance(told, list) else []
    if run.curve and not run.curve[-1].updates:
        notes.append(
            f"Seed {run.seed}: no model was ever shown, so its mIoU is 0. Nothing is learnt before two "
            "classes are painted: make --session longer, or add --rare-first where one class covers "
            "nearly everything."
        )
    return notes


def robot_plan(arguments: argparse.Namespace, seed: int) -> RobotPlan:
    """What the options ask for, with one of their seeds."""
    user = User(arguments.user)
    images, length = session_length(arguments.session)
    rules = dataclasses.replace(
        rules_of(user),
        strokes_per_image=arguments.strokes,
        accepts_regions=arguments.accept_regions,
        gaze=Gaze(arguments.gaze),
        feedback=Feedback(arguments.feedback),
        rarity=1.0 if arguments.rare_first else 0.0,
        gap_factor=arguments.gap,
    )
    return RobotPlan(
        user=user,
        rules=rules,
        images=images,
        seconds=min(length, arguments.until or math.inf),
        order=Order(arguments.policy),
        seed=seed,
        sync=arguments.sync,
        measured_at=arguments.measure_at or MEASURED_AT,
        every_model=arguments.every_model,
        delivered=arguments.test_limit if arguments.folder_limit is None else arguments.folder_limit,
    )


def _run(
    arguments: argparse.Namespace, plan: RobotPlan, material: Material, title: str, shown: Bar
) -> RunResult:
    """One seed, with its journal."""
    with contextlib.ExitStack() as stack:
        write: Callable[[str], None] | None = None
        if arguments.journal is not None:
            path = arguments.journal / f"{title}-{plan.seed}.jsonl"
            with storage_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
            write = _line_writer(file.write)
        tool = stack.enter_context(_tool(arguments, plan, material, title))
        return run_robot(plan, tool, material, progress=shown.update, write=write)


def _line_writer(write: Callable[[str], object]) -> Callable[[str], None]:
    def write_line(line: str) -> None:
        write(line + "\n")

    return write_line


@contextlib.contextmanager
def _tool(
    arguments: argparse.Namespace, plan: RobotPlan, material: Material, title: str
) -> Iterator[AnnotatedTool]:
    """The tool under test."""
    if arguments.baseline is not None:
        from engine.measure.baselines import make_baseline

        weights = None if arguments.weights is None else _tensors(arguments.weights)
        yield make_baseline(
            arguments.baseline,
            material,
            seed=plan.seed,
            sync_steps=arguments.sync_steps if plan.sync else None,
            weights=weights,
        )
        return
    network = loss = None
    if arguments.network is not None:
        chosen = preset_named(arguments.network, "network")
        network, loss = chosen.network, chosen.loss
        network = network if arguments.pretrained else without_download(network)
    if arguments.loss is not None:
        loss = changed(LOSSES[arguments.loss], arguments.loss_set)
    choice = SessionChoice(
        title=title,
        network=network,
        loss=loss,
        training=changed(TrainingConfig(), arguments.training) if arguments.training else None,
        device=Device(arguments.device),
        seed=plan.seed,
        sync_steps=arguments.sync_steps if plan.sync else None,
        order=OrderKind.USEFUL if plan.order is Order.QUEUE else OrderKind.FOLDER,
    )
    keep = None if arguments.keep is None else arguments.keep / f"{title}-{plan.seed}"
    with work_folder(material, keep) as folder:
        yield SessionTool(folder, material, choice)


def _tensors(path: Path) -> "Weights":
    """Tensors of a file, by name.

    Raises:
        CheckpointError: it cannot be read, or holds something else.
    """
    from torch import Tensor

    content = read_plain(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"“{path}” holds no weights by name.", "Name a file with a state dictionary.")
    return content


def _options(arguments: argparse.Namespace, material: Material) -> dict[str, object]:
    """How the runs were made, for the file."""
    left_out = {"verb", "json", "report", "journal", "compare", "keep", "title"}
    plain: dict[str, object] = {"material": material.reference}
    for name, value in vars(arguments).items():
        if name not in left_out:
            plain[name] = value.name if isinstance(value, Path) else value
    return plain
