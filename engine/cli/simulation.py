"""A whole session without a window: the simulated annotator works while the worker trains. Imports torch.

The annotator's seconds are simulated but pass in real time: an action that takes a person three seconds is
done three seconds later, and the network has just these three seconds to learn. The last quarter of the
images is held out: never shown, never annotated, never trained on; only their figures are measured, and the
time that takes counts as well.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule
from engine.cli.held_out import Truths, predict_untrained
from engine.cli.outcome import CurvePoint, LabelMap, Outcome
from engine.cli.pump import Pump
from engine.config import Device
from engine.errors import EngineError
from engine.learn.device import resolve_device
from engine.measure.actions import (
    AcceptImage,
    AcceptRegion,
    Action,
    AnnotatorRules,
    Hand,
    Leave,
    Paint,
    Relabel,
    Visit,
    moved,
)
from engine.measure.annotator import Sight, next_action
from engine.measure.costs import T_LOOK
from engine.measure.metrics import ConfusionMatrix
from engine.messages import (
    CheckpointSaved,
    CommandFailed,
    Event,
    ExportDone,
    ImageFailed,
    ImageLoaded,
    NetworkOpened,
    PredictionReady,
    StateChanged,
    StepsDone,
    TrainingStopped,
    WorkerState,
)
from engine.project.manifest import Split
from engine.sample.scenes import SAMPLE_CLASSES
from engine.session import Session

_HELD_OUT_SHARE = 0.25
_MEASUREMENTS = 8
_STROKES_PER_IMAGE = 6
_RARITY = 0.5
_ANSWER_S = 120.0


class Progress(Protocol):
    """Shows how many seconds have passed, with a note."""

    def __call__(self, done: int, note: str = "") -> None:
        """Show it."""
        ...


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
        """Open the project; nothing runs yet.

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
        self._seed = seed
        self._clock = clock
        self._pace = pace
        self._progress = progress
        self._pump = Pump()
        self._session = Session.open(images, emit=self._pump.emit, device=device)
        names = list(self._session.order)
        count = max(1, round(len(names) * _HELD_OUT_SHARE))
        self._held_out = tuple(names[-count:])
        self._queue = names[:-count]
        self._rng = np.random.default_rng([seed, 1])
        self._rules = AnnotatorRules(
            rarity=_RARITY, strokes_per_image=_STROKES_PER_IMAGE, accepts_regions=True
        )
        self._device = resolve_device(device)
        self._device_title = self._device.title
        self._truths = Truths(images)
        self._curve: list[CurvePoint] = []
        self._latest: dict[str, LabelMap] = {}
        self._matrix = ConfusionMatrix(len(SAMPLE_CLASSES))
        self._start = self._training_since = 0.0
        self._is_training = False
        self._user_seconds = 0.0
        self._strokes = self._step = 0
        self._corrected: list[str] = []
        self._accepted: list[str] = []
        self._notes: list[str] = []

    # --- the whole ----------------------------------------------------------------------------------------

    def run(self, masks: Path) -> Outcome:
        """Annotate and train for the given time, then stop, save and export.

        Args:
            masks: folder for the exported masks.

        Raises:
            EngineError: the worker or the disk failed; says why.
        """
        session = self._session
        try:
            session.set_classes(SAMPLE_CLASSES)
            session.set_training(dataclasses.replace(session.training, seed=self._seed))
            before = predict_untrained(
                session.network, self._images, self._held_out, self._device, self._notes.append
            )
            self._add_point(before)
            self._start = self._clock()
            self._training_since = self._start
            for image_id in itertools.cycle(self._queue):
                if self._is_over():
                    break
                self._visit(image_id)
            compute = self._clock() - self._training_since
            self._finish()
            files = self._export(masks)
            self._check_held_out()
        finally:
            saved = session.close()
        if not saved:
            raise EngineError(
                "Not everything could be saved.", hint="Free some space and run the demo again."
            )
        return self._outcome(before, compute, files)

    def _outcome(self, before: Mapping[str, LabelMap], compute: float, files: int) -> Outcome:
        return Outcome(
            classes=SAMPLE_CLASSES,
            seed=self._seed,
            device=self._device_title,
            seconds=self._seconds,
            curve=tuple(self._curve),
            iou_per_class=self._matrix.named_iou(SAMPLE_CLASSES.names),
            strokes=self._strokes,
            images_corrected=len(set(self._corrected)),
            images_accepted=len(set(self._accepted)),
            user_seconds=self._user_seconds,
            compute_seconds=compute,
            steps=self._step,
            held_out=self._truths.pictures(before, self._latest),
            exported_files=files,
            notes=tuple(self._notes),
        )

    # --- one image ----------------------------------------------------------------------------------------

    def _visit(self, image_id: str) -> None:
        """Open an image, correct it, go on."""
        session = self._session
        session.show(image_id)
        self._wait_for(
            lambda event: isinstance(event, ImageLoaded | ImageFailed) and event.image_id == image_id
        )
        session.request_prediction()
        truth = self._truths[image_id]
        hand = Hand(position=(truth.label_map.shape[0] / 2, truth.label_map.shape[1] / 2))
        visit = Visit()
        self._spend(T_LOOK)
        while not self._is_over():
            annotation = session.annotation
            if annotation is None:
                raise EngineError(f"“{image_id}” could not be opened.", hint="Run the demo again.")
            action = next_action(
                truth,
                Sight(annotation=annotation.label_map, prediction=self._shown_prediction(image_id)),
                hand=hand,
                visit=visit,
                rules=self._rules,
                rng=self._rng,
            )
            self._spend(action.seconds)
            self._perform(image_id, action)
            hand = moved(hand, action)
            visit = self._after(visit, action)
            if isinstance(action, AcceptImage | Leave):
                return

    @staticmethod
    def _after(visit: Visit, action: Action) -> Visit:
        settled = visit.settled
        if isinstance(action, AcceptRegion):
            settled = (*settled, (int(action.point[0]), int(action.point[1])))
        return Visit(strokes=visit.strokes + 1, seconds=visit.seconds + action.seconds, settled=settled)

    def _shown_prediction(self, image_id: str) -> LabelMap | None:
        prediction = self._session.prediction(image_id)
        return None if prediction is None else prediction.label_map

    def _perform(self, image_id: str, action: Action) -> None:
        """Do on the session what a hand would do in the window."""
        session = self._session
        patch: Patch | None
        match action:
            case Paint(stroke=stroke):
                patch = session.stroke_patch(stroke, PaintRule.OVER_PREDICTIONS)
            case Relabel(point=(y, x), class_index=index):
                patch = session.relabel_patch(y, x, index, PaintRule.OVER_PREDICTIONS)
            case AcceptRegion(point=(y, x)):
                patch = session.accept_region_patch(y, x)
            case AcceptImage():
                patch = session.accept_image_patch()
                self._accepted.append(image_id)
            case Leave():
                patch = None
        if patch is not None:
            session.apply(patch)
            session.commit(patch)
            self._corrected.append(image_id)
            if isinstance(action, Paint | Relabel):
                self._strokes += 1
            if isinstance(action, Paint) and action.undo:
                session.apply(patch.inverse())
                session.commit(patch, RecordKind.UNDO)
        if isinstance(action, AcceptImage):
            session.set_reviewed(image_id, True)
        self._start_training_when_possible()

    def _start_training_when_possible(self) -> None:
        session = self._session
        if not self._is_training and session.can_train() is None:
            session.flush()
            session.start_training()
            self._is_training = True
            if self._step == 0:
                self._training_since = self._clock()

    # --- time ---------------------------------------------------------------------------------------------

    def _elapsed(self) -> float:
        return self._clock() - self._start

    def _is_over(self) -> bool:
        return self._elapsed() >= self._seconds

    def _spend(self, seconds: float) -> None:
        """Let seconds of the annotator pass in real time while the worker learns; measure when it is due."""
        end = self._clock() + seconds / self._pace
        self._user_seconds += seconds
        while self._clock() < end and not self._is_over():
            for event in self._pump.waiting(
                self._session, timeout=max(0.001, min(0.25, end - self._clock()))
            ):
                self._notice(event)
        due = self._seconds * len(self._curve) / _MEASUREMENTS
        if self._step > 0 and self._elapsed() >= due and not self._is_over():
            self._measure()
        self._progress(min(round(self._seconds), round(self._elapsed())), self._note())

    def _note(self) -> str:
        return f"step {self._step}, {self._strokes} strokes, held-out mIoU {100 * self._curve[-1].miou:.1f} %"

    def _notice(self, event: Event) -> None:
        """Remember what matters; failures end the demo with their reason."""
        match event:
            case StepsDone():
                self._step = event.step
            case TrainingStopped():
                self._is_training = False
            case NetworkOpened():
                self._device_title = event.device
                self._notes.extend(event.notices)
            case CommandFailed():
                raise EngineError(event.problem.message, event.problem.hint)
            case StateChanged(state=WorkerState.FAULTED, problem=problem) if problem is not None:
                raise EngineError(problem.message, f"{problem.hint} {problem.report}".strip())
            case _:
                pass

    def _wait_for(self, wanted: Callable[[Event], bool]) -> Event:
        """Pump events until one is wanted.

        Raises:
            EngineError: it did not come.
        """
        deadline = self._clock() + _ANSWER_S
        while self._clock() < deadline:
            found: Event | None = None
            for event in self._pump.waiting(self._session, timeout=0.25):
                self._notice(event)
                if found is None and wanted(event):
                    found = event
            if found is not None:
                return found
        raise EngineError(f"The worker did not answer for {_ANSWER_S:.0f} s.", hint="Run the demo again.")

    # --- measuring ----------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Ask the worker for the held-out images, one after the other, and add a point to the curve."""
        session = self._session
        found: dict[str, LabelMap] = {}
        for name in self._held_out:
            request = session.worker.predict(name, None)
            self._wait_for(_completed(request))
            prediction = session.prediction(name)
            if prediction is None:
                raise EngineError(f"“{name}” could not be predicted.", hint="Run the demo again.")
            found[name] = prediction.label_map
        self._add_point(found)
        session.request_prediction()

    def _add_point(self, found: dict[str, LabelMap]) -> None:
        matrix = self._truths.score(found)
        self._matrix, self._latest = matrix, found
        self._curve.append(
            CurvePoint(
                seconds=round(self._elapsed() if self._curve else 0.0, 2),
                user_seconds=round(self._user_seconds, 2),
                step=self._step,
                strokes=self._strokes,
                miou=matrix.miou() or 0.0,
                pixel_accuracy=matrix.pixel_accuracy() or 0.0,
            )
        )

    def _check_held_out(self) -> None:
        """Make sure that nobody touched the held-out images: otherwise the figures mean nothing."""
        for name in self._held_out:
            record = self._session.manifest.images[name]
            if record.revision or record.split is not Split.NONE:
                raise EngineError(
                    f"The held-out image “{name}” was annotated.", hint="This is a fault of the demo."
                )

    # --- the end ------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Stop training, measure a last time, save the checkpoint."""
        session = self._session
        if self._is_training:
            session.stop_training()
            self._wait_for(lambda event: isinstance(event, TrainingStopped))
        if self._step > 0:
            self._measure()
            session.save_checkpoint("demo")
            self._wait_for(lambda event: isinstance(event, CheckpointSaved))
        else:
            self._notes.append("There was no time to learn anything: use more --seconds.")

    def _export(self, masks: Path) -> int:
        """Write the masks of all images, predictions where nobody painted."""
        self._session.export("png", masks, fill_with_prediction=self._step > 0)
        event = self._wait_for(lambda event: isinstance(event, ExportDone))
        if not isinstance(event, ExportDone):
            return 0
        self._notes.extend(event.notes)
        return event.files


def _completed(request_id: int) -> Callable[[Event], bool]:
    """Whether an event is the last part of a prediction."""

    def is_it(event: Event) -> bool:
        return isinstance(event, PredictionReady) and event.request_id == request_id and event.complete

    return is_it
