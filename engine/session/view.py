"""The reading side of a session: what there is, and what a gesture would change. It changes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.annotate.annotation import Annotation
from engine.annotate.classes import ClassTable
from engine.annotate.journal import History
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule, Stroke
from engine.config import TrainingConfig
from engine.messages import Prediction, Problem
from engine.project.manifest import ImageRecord, ImageStatus, Manifest, OrderKind
from engine.project.project import Project
from engine.session import editing, review
from engine.session.editing import Nothing
from engine.session.open_images import OpenImage, OpenImages
from engine.session.predictions import PredictionCache
from engine.session.queue import QueueControl
from engine.session.training import TrainingControl
from engine.session.worth import WorthControl
from models.configs import LossConfig, NetworkConfig


class SessionView(ABC):
    """What a session knows. Owner thread only.

    Attributes:
        project: The open project.
        current: Id of the image on screen, or None.
        save_problem: Why something cannot be written just now, or None.
        why_nothing: After a patch maker returned None: why nothing would change.
        queue: What is known of images nobody has on screen, and their order.
        worth: What another minute of work is worth.
    """

    worker: TrainingControl

    def __init__(self, project: Project) -> None:
        self.project = project
        self.current: str | None = None
        self.queue = QueueControl(self)
        self.worth = WorthControl()
        self.save_problem: Problem | None = None
        self.why_nothing = ""
        self._busy = ""
        self._opened = OpenImages()
        self._predictions = PredictionCache()
        self._sizes: dict[str, tuple[int, int]] = {}

    @abstractmethod
    def remember_order(self, kind: OrderKind) -> None:
        """Keep the order of the queue for the next time the project is opened."""

    @property
    def folder(self) -> Path:
        """The folder of images."""
        return self.project.images_folder

    @property
    def read_only(self) -> bool:
        """Whether nothing may be changed (damaged project, or another instance works on it)."""
        return self.project.read_only

    @property
    def read_only_reason(self) -> str:
        """Why nothing may be changed; empty if it may."""
        return self.project.read_only_reason

    @property
    def manifest(self) -> Manifest:
        """The project's manifest as it stands in memory."""
        return self.project.manifest

    @property
    def classes(self) -> ClassTable:
        """The class table."""
        return self.manifest.classes

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """Every image of the folder, in queue order."""
        return tuple(self.manifest.images.values())

    @property
    def annotation(self) -> Annotation | None:
        """The annotation on screen; None while it loads or if it is damaged."""
        opened = self._shown()
        return opened.annotation if opened else None

    @property
    def annotation_problem(self) -> Problem | None:
        """Why the image on screen cannot be annotated, if so."""
        opened = self._shown()
        return opened.problem if opened else None

    @property
    def annotation_damaged(self) -> bool:
        """Whether the annotation on screen is damaged and may be set aside to start anew."""
        opened = self._shown()
        return opened is not None and opened.damaged and not self.read_only

    @property
    def kept_elsewhere(self) -> Path | None:
        """The project folder, where it is not inside the folder of images; else None."""
        return self.project.folder if self.project.folder.parent != self.folder else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing about the folder, such as files that were left out."""
        return self.project.notes

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of annotated images whose file is not there."""
        return tuple(self.project.missing)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the image on screen, once it is loaded."""
        return self._sizes.get(self.current) if self.current else None

    @property
    def network(self) -> NetworkConfig:
        """The network in use."""
        return self.manifest.network

    @property
    def loss(self) -> LossConfig:
        """The loss in use."""
        return self.manifest.loss

    @property
    def training(self) -> TrainingConfig:
        """How training is done."""
        return self.manifest.training

    def _shown(self) -> OpenImage | None:
        return self._opened.get(self.current) if self.current else None

    def prediction(self, image_id: str) -> Prediction | None:
        """Return the newest whole-image prediction of an image, if it is still in memory."""
        return self._predictions.get(image_id)

    def history_of(self, image_id: str) -> History | None:
        """Return the undo history of an open image as it was read from disk."""
        opened = self._opened.get(image_id)
        return opened.history if opened else None

    def status_of(self, image_id: str) -> ImageStatus:
        """Return how far an image is."""
        return self.manifest.images[image_id].status

    @property
    def order(self) -> tuple[str, ...]:
        """Image ids in queue order."""
        return tuple(self.manifest.images)

    def neighbour(self, offset: int) -> str | None:
        """Return the image `offset` places away in the queue as it is shown, or None at its ends."""
        return review.neighbour(self.queue.ids, self.current, offset)

    def next_unreviewed(self, *, backwards: bool = False) -> str | None:
        """Return the next image that is not reviewed, by the order chosen; None when all are."""
        if self.queue.kind is OrderKind.USEFUL and not backwards:
            return self.queue.next_useful()
        return review.next_unreviewed(self.queue.ids, self.manifest.images, self.current, backwards=backwards)

    def _canvas(self) -> editing.Canvas | None:
        """Return what is to be changed, or None and why it cannot be."""
        opened = self._shown()
        if opened is None or opened.annotation is None:
            self.why_nothing = (
                opened.problem.message if opened and opened.problem else "The image is still loading."
            )
            return None
        if self.read_only:
            self.why_nothing = f"Open read-only: {self.read_only_reason}"
            return None
        if self._busy:
            self.why_nothing = self._busy
            return None
        return self._looked_at(opened.annotation)

    def _looked_at(self, annotation: Annotation) -> editing.Canvas:
        prediction = self._predictions.get(self.current) if self.current else None
        fits = prediction is not None and prediction.size == annotation.size
        return editing.Canvas(annotation, prediction.label_map if prediction and fits else None, self.classes)

    def _made(self, make: Callable[[editing.Canvas], Patch | Nothing]) -> Patch | None:
        canvas = self._canvas()
        if canvas is None:
            return None
        made = make(canvas)
        if isinstance(made, Nothing):
            self.why_nothing = made.reason
            return None
        self.why_nothing = ""
        return made

    def stroke_patch(self, stroke: Stroke, rule: PaintRule) -> Patch | None:
        """Return what a stroke changes, or None (`why_nothing` says why)."""
        return self._made(lambda canvas: editing.stroke_patch(canvas, stroke, rule))

    def polygon_patch(
        self, points: Sequence[tuple[float, float]], class_index: int, rule: PaintRule
    ) -> Patch | None:
        """Return what a filled polygon of (y, x) points changes, or None (`why_nothing` says why)."""
        return self._made(lambda canvas: editing.polygon_patch(canvas, points, class_index, rule))

    def relabel_patch(self, y: float, x: float, class_index: int, rule: PaintRule) -> Patch | None:
        """Return what giving the shown region under the point another class changes, or None."""
        return self._made(lambda canvas: editing.relabel_patch(canvas, y, x, class_index, rule))

    def accept_region_patch(self, y: float, x: float) -> Patch | None:
        """Return what accepting the predicted region under the point changes, or None."""
        return self._made(lambda canvas: editing.accept_region_patch(canvas, y, x))

    def accept_image_patch(self) -> Patch | None:
        """Return what accepting the prediction wherever nobody spoke changes, or None."""
        return self._made(editing.accept_image_patch)

    def reject_region_patch(self, y: float, x: float) -> Patch | None:
        """Return what taking the annotated region under the point back to unlabelled changes, or None."""
        return self._made(lambda canvas: editing.reject_region_patch(canvas, y, x))

    def relabel_labelled_patch(self, y: float, x: float, class_index: int) -> Patch | None:
        """Return what giving the annotated region under the point another class changes, or None."""
        return self._made(lambda canvas: editing.relabel_labelled_patch(canvas, y, x, class_index))

    def void_region_patch(self, y: float, x: float) -> Patch | None:
        """Return what marking the shown region under the point as void changes, or None."""
        return self._made(lambda canvas: editing.void_region_patch(canvas, y, x))

    def clear_patch(self) -> Patch | None:
        """Return what clearing the whole image changes, or None."""
        return self._made(editing.clear_patch)

    def class_at(self, y: float, x: float) -> int | None:
        """Return the class index shown at a point, or None."""
        annotation = self.annotation
        return self._looked_at(annotation).class_at(y, x) if annotation is not None else None
