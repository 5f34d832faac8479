"""Questions about the inside of the network, one at a time between steps. Worker thread.

Nothing is computed or held until somebody asks; `EndInspection`, another network and other classes give
back what is held.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from engine.errors import EngineError
from engine.inspect.explain import explain
from engine.inspect.look import Look, look_at
from engine.inspect.snapshot import Snapshot
from engine.messages import (
    DeleteRepresentations,
    EndInspection,
    Event,
    ExplainPixel,
    FindLabelErrors,
    FitCalibration,
    Inspect,
    InspectionCommand,
    InspectionReady,
    MakeOverlay,
    MapMemory,
    PreviewEffect,
)
from engine.project.images import read_image
from engine.worker.network import LiveNetwork


class InspectionDesk:
    """Answers questions from what the last look kept.

    Args:
        emit: Receives the answers.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._snapshot: Snapshot | None = None
        self._look: Look | None = None

    def forget(self) -> None:
        """Give back everything held: the network is another one now, or its classes are."""
        self._snapshot = self._look = None

    def serve(self, network: LiveNetwork, command: InspectionCommand) -> None:
        """Answer one question.

        Raises:
            EngineError: The question has no answer; the message says why.
        """
        match command:
            case Inspect():
                self._inspect(network, command)
            case EndInspection():
                self.forget()
            case ExplainPixel():
                look = self._looked_at(command.image_id)
                self._emit(explain(look, command.request_id, command.y, command.x))
            case DeleteRepresentations() | MakeOverlay() | MapMemory():
                raise EngineError("This network cannot show that.", "Choose another view.")
            case FitCalibration() | FindLabelErrors() | PreviewEffect():
                raise EngineError("This network cannot show that.", "Choose another view.")
            case _ as never:
                assert_never(never)

    def _inspect(self, network: LiveNetwork, command: Inspect) -> None:
        self._look = None  # the old one gives its memory back before the new one takes some
        image = read_image(Path(command.image_path))
        look = self._look = look_at(self._current(network), command.image_id, image)
        self._emit(
            InspectionReady(
                request_id=command.request_id,
                image_id=look.image_id,
                size=look.size,
                step=look.snapshot.step,
                classes=tuple(look.classes.indices),
                views=look.views,
                label_map=look.label_map(look.logits.argmax(dim=0)),
                coarse=look.coarse(),
                can_delete=False,
                explains="",
            )
        )

    def _current(self, network: LiveNetwork) -> Snapshot:
        """Return a copy of the network as it is now: the one held, where nothing was learnt since."""
        if not network.has_learnt:
            raise EngineError(
                "The network has learnt nothing yet, so there is nothing to see inside.",
                "Train first, or load a checkpoint.",
            )
        held = self._snapshot
        if held is None or held.step != network.step:
            self._snapshot = held = Snapshot(
                model=network.predictor().frozen_copy(),
                classes=network.classes,
                step=network.step,
                device=next(network.model.parameters()).device,
            )
        return held

    def _looked_at(self, image_id: str) -> Look:
        if self._look is None or self._look.image_id != image_id:
            raise EngineError("The network has not looked at this image yet.", "Wait until it has.")
        return self._look
