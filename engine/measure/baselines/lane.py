"""A baseline as a tool under test: one lane of computing beside the person's clock.

Every piece of work is really done and timed; its result becomes visible when the person's clock has come so
far. Predictions of a newly opened image go first, as in a program with a thread for the screen; their time is
taken from the lane all the same.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.compose import final_label_map
from engine.annotate.raster import rasterise_stroke
from engine.annotate.regions import region_at
from engine.config import Voice
from engine.measure.actions import AcceptImage, AcceptRegion, Action, Leave, Paint, Relabel
from engine.measure.annotator import Sight
from engine.measure.baselines.learner import Image, Learner, Marked, Model
from engine.measure.robot.tool import Guess, LabelMap, Material
from engine.project.images import read_image


@dataclasses.dataclass(slots=True)
class _Pending:
    """Something that is computed and not visible yet."""

    at: float
    model: Model | None
    image_id: str
    guess: Guess | None


class LaneTool:
    """A learner with annotations, a screen and a lane.

    Attributes:
        title: the learner's name.
        accepts: always.
        refreshes: user times at which the picture on screen was renewed.
        updates: models that became visible.
    """

    def __init__(
        self,
        learner: Learner,
        material: Material,
        *,
        sync: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Nothing is open yet.

        Args:
            learner: the method.
            material: images by id.
            sync: learn in :meth:`settle` only.
            clock: real seconds.
        """
        self.title = learner.title
        self.accepts = True
        self.refreshes: list[float] = []
        self.updates = 0
        self._learner = learner
        self._paths = {**material.folder, **material.held_out}
        self._sync = sync
        self._clock = clock
        self._user = self._lane = 0.0
        self._model: Model | None = None
        self._pending: list[_Pending] = []
        self._annotations: dict[str, LabelMap] = {}
        self._current = ""
        self._image: Image = np.zeros((1, 1, 3), np.uint8)
        self._guess: Guess | None = None

    # --- one image ----------------------------------------------------------------------------------------

    def open(self, image_id: str) -> float:
        """Bring an image on screen and begin to predict it."""
        self._current, self._guess = image_id, None
        self._image = self._read(image_id)
        self._annotations.setdefault(image_id, np.full(self._image.shape[:2], UNLABELLED, np.uint8))
        model = self._model
        if model is not None:
            began = self._clock()
            guess = model(image_id, self._image)
            seconds = self._clock() - began
            at = self._user if self._sync else self._user + seconds
            self._lane += seconds
            self._pending.append(_Pending(at, None, image_id, guess))
            self._reveal()
        return 0.0

    def _read(self, image_id: str) -> Image:
        return np.asarray(read_image(self._paths[image_id]), np.uint8)

    def sight(self) -> Sight:
        """What is shown now."""
        guess = self._guess
        return Sight(
            annotation=self._annotations[self._current],
            prediction=None if guess is None else guess.label_map,
            confidence=None if guess is None else guess.confidence,
        )

    def perform(self, action: Action) -> float:
        """Mark the annotation on screen."""
        annotation = self._annotations[self._current]
        values, mask = self._wish(action, annotation)
        mask &= annotation == UNLABELLED
        mask &= values != UNLABELLED
        within = None if isinstance(action, Leave) else action.within
        if within is not None:
            mask &= within
        if mask.any() and not (isinstance(action, Paint) and action.undo):
            changed = np.where(mask, values, annotation)
            self._annotations[self._current] = changed
            self._learner.mark(
                Marked(image_id=self._current, image=self._image, annotation=changed, mask=mask)
            )
        return 0.0

    def _wish(self, action: Action, annotation: LabelMap) -> tuple[LabelMap, NDArray[np.bool_]]:
        """Values and mask (H, W) an action asks for."""
        mask = np.zeros(annotation.shape, np.bool_)
        shown = final_label_map(annotation, None if self._guess is None else self._guess.label_map)
        match action:
            case Paint(stroke=stroke):
                box, inside = rasterise_stroke(stroke.points, stroke.radius, annotation.shape)
                mask[box.slices] = inside
                return np.full(annotation.shape, stroke.class_index, np.uint8), mask
            case Relabel(point=(y, x), class_index=index):
                box, inside = region_at(shown, int(y), int(x))
                mask[box.slices] = inside
                return np.full(annotation.shape, index, np.uint8), mask
            case AcceptRegion(point=(y, x)):
                box, inside = region_at(shown, int(y), int(x))
                mask[box.slices] = inside
                return shown, mask
            case AcceptImage():
                return shown, np.ones(annotation.shape, np.bool_)
            case Leave():
                return shown, mask

    def suggest(self, candidates: Sequence[str]) -> str | None:
        """A baseline has no opinion."""
        del candidates
        return None

    # --- time ---------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> float:
        """Do as much work as fits into these seconds; what goes beyond becomes visible later."""
        self._user += seconds
        if self._sync:
            return 0.0
        while self._lane < self._user and self._learner.is_busy:
            self._piece()
        self._lane = max(self._lane, self._user)
        self._reveal()
        return 0.0

    def _piece(self) -> None:
        """One piece of work, and a new picture where it brought a model."""
        began = self._clock()
        model = self._learner.work()
        guess = None if model is None else model(self._current, self._image)
        self._lane += self._clock() - began
        if model is not None:
            self._pending.append(_Pending(self._lane, model, self._current, guess))

    def _reveal(self) -> None:
        """Show what is ready by the person's clock."""
        for pending in [entry for entry in self._pending if entry.at <= self._user]:
            self._pending.remove(pending)
            if pending.model is not None:
                self._model = pending.model
                self.updates += 1
            if pending.image_id == self._current and pending.guess is not None:
                self._guess = pending.guess
                self.refreshes.append(pending.at)

    def settle(self) -> None:
        """Learn to the end, in no user time."""
        model = self._learner.settle()
        if model is not None:
            self._model = model
            self.updates += 1

    def predict(
        self, image_ids: Sequence[str], *, voice: Voice = Voice.SHOWN
    ) -> Iterator[tuple[str, Guess | None]]:
        """Predict with the visible model, which is all a baseline shows; no time passes."""
        del voice
        model = self._model
        for name in image_ids:
            yield name, None if model is None else model(name, self._read(name))

    def close(self) -> Mapping[str, object]:
        """Facts about the run."""
        return self._learner.facts()
