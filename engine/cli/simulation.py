"""The demo's session without a window: the robot annotator works while the worker trains. Imports torch.

The annotator's seconds are simulated but pass in real time: an action that takes a person three seconds is
done three seconds later, and the network has just these three seconds to learn. The last quarter of the
images is held out: never shown, never annotated, never trained on; only their figures are measured, while
clock and learning stand still.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from engine.cli.held_out import Truths, predict_untrained
from engine.cli.outcome import CurvePoint, LabelMap, Outcome
from engine.cli.robot_session import SessionChoice, SessionTool
from engine.config import Device, Voice
from engine.errors import EngineError
from engine.learn.device import resolve_device
from engine.measure.actions import Action, User, rules_of
from engine.measure.metrics import ConfusionMatrix
from engine.measure.robot.person import Progress, run_robot
from engine.measure.robot.plan import RobotPlan
from engine.measure.robot.results import Measured, RunResult
from engine.measure.robot.tool import Guess, Material
from engine.messages import CheckpointSaved, ExportDone, TrainingStopped
from engine.project.images import list_images
from engine.project.manifest import Split
from engine.sample.scenes import SAMPLE_CLASSES

_HELD_OUT_SHARE = 0.25
_MEASUREMENTS = 8
_STROKES_PER_IMAGE = 6
_RARITY = 0.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """The held-out images at a measurement: label maps by image id, and the training step."""

    found: Mapping[str, LabelMap]
    step: int


class _DemoTool(SessionTool):
    """The session, which keeps what it measured, and exports everything at its end."""

    def __init__(
        self,
        folder: Path,
        material: Material,
        choice: SessionChoice,
        *,
        masks: Path,
        pace: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(folder, material, choice, pace=pace, clock=clock)
        self._held_out = tuple(material.held_out)
        self._masks = masks
        self.seen: list[_Seen] = []
        self.corrected: set[str] = set()
        self.compute_seconds = 0.0
        self.exported_files = 0
        self.notes: list[str] = []
        self._training_since: float | None = None

    @property
    def step(self) -> int:
        """Training step."""
        return self._step

    def perform(self, action: Action) -> float:
        """As in the parent; notes which images changed, and when training began."""
        waited = super().perform(action)
        session = self.session
        if session.current is not None and session.manifest.images[session.current].revision:
            self.corrected.add(session.current)
        if self._training_since is None and self._is_training:
            self._training_since = self._elapsed()
        return waited

    def predict(
        self, image_ids: Sequence[str], *, voice: Voice = Voice.SHOWN
    ) -> Iterator[tuple[str, Guess | None]]:
        """As in the parent; keeps what the held-out images get, whenever they are asked for."""
        found = {}
        for name, guess in super().predict(image_ids, voice=voice):
            if guess is not None and name in self._held_out:
                found[name] = guess.label_map
            yield name, guess
        if voice is Voice.SHOWN and any(name in self._held_out for name in image_ids):
            self.seen.append(_Seen(found=found, step=self._step))

    def close(self) -> Mapping[str, object]:
        """Stop training, measure a last time, save, export, close."""
        try:
            if self._training_since is not None:
                self.compute_seconds = (self._elapsed() - self._training_since) / self._pace
            if self._is_training:
                self.session.stop_training()
                self._wait_for(lambda event: isinstance(event, TrainingStopped))
            if self._step > 0:
                for _ in self.predict(self._held_out):
                    pass
                self.session.save_checkpoint("demo")
                self._wait_for(lambda event: isinstance(event, CheckpointSaved))
            else:
                self.notes.append("There was no time to learn anything: use more --seconds.")
            self._export()
            self._check_held_out()
        finally:
            facts = super().close()
        return facts

    def _export(self) -> None:
        """Write the masks of all images, predictions where nobody painted."""
        self.session.export("png", self._masks, fill_with_prediction=self._step > 0)
        event = self._wait_for(lambda event: isinstance(event, ExportDone))
        if isinstance(event, ExportDone):
            self.notes.extend(event.notes)
            self.exported_files = event.files

    def _check_held_out(self) -> None:
        """Make sure that nobody touched the held-out images: otherwise the figures mean nothing."""
        for name in self._held_out:
            record = self.session.manifest.images[name]
            if record.revision or record.split is not Split.NONE:
                raise EngineError(
                    f"The held-out image “{name}” was annotated.", hint="This is a fault of the demo."
                )


class Simulation:
    """One simulated session on a folder written by :func:`engine.sample.scenes.write_sample`."""

    def __init__(
        self,
        images: Path,
        *,
        seconds: float,
        device: Device,
        seed: int,
        progress: Progress,
        pace: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing runs yet.

        Args:
            images: folder of the sample's images.
            seconds: how long the annotator works.
            device: where the network runs.
            seed: the annotator's hand, and the network's crops.
            progress: called with whole seconds.
            pace: simulated seconds per real second; above 1 the network has less time than in a real session.
            clock: real seconds.
        """
        self._images = images
        self._seconds = seconds
        self._device = device
        self._seed = seed
        self._progress = progress
        self._pace = pace
        self._clock = clock
        self._truths = Truths(images)

    def run(self, masks: Path) -> Outcome:
        """Annotate and train for the given time, then stop, save and export.

        Args:
            masks: folder for the exported masks.

        Raises:
            EngineError: the worker or the disk failed; says why.
        """
        material = self._material()
        tool = _DemoTool(
            self._images,
            material,
            SessionChoice(device=self._device, seed=self._seed),
            masks=masks,
            pace=self._pace,
            clock=self._clock,
        )
        resolved = resolve_device(self._device)
        network = tool.session.network
        held_out = tuple(material.held_out)
        before = predict_untrained(network, self._images, held_out, resolved, tool.notes.append)
        result = run_robot(self._plan(), tool, material, progress=self._progress)
        return self._outcome(tool, before, result)

    def _material(self) -> Material:
        names = list_images(self._images)
        count = max(1, round(len(names) * _HELD_OUT_SHARE))
        return Material(
            classes=SAMPLE_CLASSES,
            folder={name: self._images / name for name in names[:-count]},
            held_out={name: self._images / name for name in names[-count:]},
            read_truth=lambda name: self._truths[name].label_map,
        )

    def _plan(self) -> RobotPlan:
        user_seconds = self._seconds * self._pace
        rules = dataclasses.replace(
            rules_of(User.CAREFUL),
            rarity=_RARITY,
            strokes_per_image=_STROKES_PER_IMAGE,
            accepts_regions=True,
        )
        return RobotPlan(
            user=User.CAREFUL,
            rules=rules,
            seconds=user_seconds,
            seed=self._seed,
            measured_at=tuple(user_seconds * part / _MEASUREMENTS for part in range(1, _MEASUREMENTS)),
        )

    # --- what it came to ----------------------------------------------------------------------------------

    def _outcome(self, tool: _DemoTool, before: Mapping[str, LabelMap], result: RunResult) -> Outcome:
        curve, matrix, latest = self._curve(tool, before, result)
        return Outcome(
            classes=SAMPLE_CLASSES,
            seed=self._seed,
            device=str(result.facts.get("device")) or resolve_device(self._device).title,
            seconds=self._seconds,
            curve=curve,
            iou_per_class=matrix.named_iou(SAMPLE_CLASSES.names),
            strokes=curve[-1].strokes,
            images_corrected=len(tool.corrected),
            images_accepted=len({visit.image_id for visit in result.visits if visit.accepted}),
            user_seconds=result.seconds,
            compute_seconds=tool.compute_seconds,
            steps=tool.step,
            held_out=self._truths.pictures(before, latest),
            exported_files=tool.exported_files,
            notes=tuple(tool.notes),
        )

    def _curve(
        self, tool: _DemoTool, before: Mapping[str, LabelMap], result: RunResult
    ) -> tuple[tuple[CurvePoint, ...], ConfusionMatrix, Mapping[str, LabelMap]]:
        """The untrained network, every measurement that had something to show, and the end."""
        points = [self._point(0.0, 0.0, 0, 0, before)]
        latest, matrix = before, self._truths.score(before)
        measured: list[Measured] = [*result.curve, result.curve[-1]][: len(tool.seen)]
        for at, seen in zip(measured, tool.seen, strict=True):
            if not seen.found:
                continue
            if at is result.curve[-1] and points[-1].user_seconds == at.seconds:
                points.pop()  # measured again after training had stopped
            latest, matrix = seen.found, self._truths.score(seen.found)
            seconds = at.seconds / self._pace
            points.append(self._point(seconds, at.seconds, seen.step, at.strokes, seen.found))
        return tuple(points), matrix, latest

    def _point(
        self, seconds: float, user_seconds: float, step: int, strokes: int, found: Mapping[str, LabelMap]
    ) -> CurvePoint:
        matrix = self._truths.score(found)
        return CurvePoint(
            seconds=round(seconds, 2),
            user_seconds=round(user_seconds, 2),
            step=step,
            strokes=strokes,
            miou=matrix.miou() or 0.0,
            pixel_accuracy=matrix.pixel_accuracy() or 0.0,
        )
