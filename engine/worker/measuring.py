"""Measuring on the held-out images, tile by tile between commands. Worker thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from engine.errors import EngineError
from engine.learn.evaluator import EvaluationResult, EvaluationSample, evaluation
from engine.learn.pool import Layers, store_reader
from engine.messages import EvaluationDone, Event, Notice, PoolItem, Progress
from engine.project.images import read_image
from engine.project.manifest import Split
from engine.worker.network import LiveNetwork

TASK = "Measuring"


class Measurement:
    """One evaluation under way.

    Args:
        network: What to measure; its weights must not change until the end.
        items: Images; only those held out (VAL) count.
        read_layers: Reads an annotation.
        emit: Receives progress and remarks.
        of_trained: Whether to measure the weights being trained instead of those shown.
    """

    def __init__(
        self,
        network: LiveNetwork,
        items: Sequence[PoolItem],
        read_layers: Callable[[PoolItem], Layers],
        emit: Callable[[Event], None],
        *,
        of_trained: bool = False,
    ) -> None:
        self._items = [item for item in items if item.split is Split.VAL]
        self._read_layers = read_layers
        self._emit = emit
        self.step = network.step if of_trained else network.shown_step
        self._told = 0
        self._steps: Generator[int, None, EvaluationResult] = evaluation(
            network.candidate_predictor() if of_trained else network.predictor(),
            self._samples(),
            network.classes,
        )

    def advance(self) -> EvaluationResult | None:
        """Measure one more tile; return the result with the last one."""
        try:
            done = next(self._steps)
        except StopIteration as stop:
            result: EvaluationResult = stop.value
            return result
        if done > self._told:
            self._told = done
            self._emit(Progress(task=TASK, done=done, total=len(self._items)))
        return None

    def event(self, result: EvaluationResult) -> EvaluationDone:
        """Return the message for a result."""
        return EvaluationDone(
            step=self.step,
            miou=result.miou,
            iou_per_class=result.iou_per_class,
            pixel_accuracy=result.pixel_accuracy,
            images=result.images,
            pixels=result.pixels,
        )

    def _samples(self) -> Iterator[EvaluationSample]:
        """Read one image at a time; one that cannot be read is named and left out."""
        for item in self._items:
            try:
                label_map = self._read_layers(item)[0]
                image = read_image(Path(item.image_path))
            except EngineError as error:
                self._leave_out(error.message)
                continue
            if image.shape[:2] == label_map.shape:
                yield EvaluationSample(image=image, label_map=label_map)
            else:
                self._leave_out(f"“{item.image_id}” no longer has the size of its annotation.")

    def _leave_out(self, why: str) -> None:
        self._emit(Notice(text=f"Left out of the measurement: {why}"))


def measurement_of(
    network: LiveNetwork,
    items: Sequence[PoolItem],
    read_layers: Callable[[PoolItem], Layers] | None,
    emit: Callable[[Event], None],
) -> Measurement:
    """Begin to measure the shown weights.

    Args:
        network: What to measure.
        items: As in `Measurement`.
        read_layers: As there; None reads from the project.
        emit: As there.

    Raises:
        EngineError: There is no project.
    """
    if read_layers is None:
        if not network.request.store_folder:
            raise EngineError("There is no project to measure on.", "Open a folder of images first.")
        read_layers = store_reader(network.request.store_folder)
    return Measurement(network, items, read_layers, emit)
