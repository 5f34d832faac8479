"""Questions about the inside of the network, in pieces between steps. Worker thread.

Nothing is computed or held until somebody asks; `EndInspection`, another network and other classes give
back what is held. Answers come from a copy of the shown weights (`engine.inspect.snapshot`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from engine.errors import EngineError
from engine.inspect.explain import explain, how
from engine.inspect.look import Look, look_at
from engine.inspect.snapshot import Snapshot
from engine.inspect.what_if import relations, target_of, what_if_in_pieces
from engine.messages import (
    DeleteRepresentations,
    EndInspection,
    Event,
    ExplainPixel,
    FindLabelErrors,
    FitCalibration,
    Inspect,
    InspectedView,
    InspectionCommand,
    InspectionReady,
    MakeOverlay,
    MapMemory,
    PredictionReady,
    PredictionSource,
    PreviewEffect,
    Progress,
)
from engine.project.images import read_image
from engine.worker.calibrating import OnScreen, calibrate
from engine.worker.network import LiveNetwork
from engine.worker.surveying import PredictionNotes, Survey, annotation_of, reader_of

_PATIENCE_S = 0.4
"""Longest piece of a deletion that is made before anybody asks: no training step or stroke waits for more."""

_AHEAD_S = 30.0
"""Longest time for all of them."""


class InspectionDesk:
    """Answers questions from what the last look kept.

    Args:
        emit: Receives the answers.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._snapshot: Snapshot | None = None
        self._look: Look | None = None
        self._flicker = PredictionNotes()
        self._survey = Survey(emit, self._flicker)
        self._pieces: dict[object, Iterator[object]] = {}

    def forget(self) -> None:
        """Forget everything: the network is another one now, or its classes are."""
        self._give_back()
        self._flicker.clear()

    def _give_back(self) -> None:
        self._snapshot = self._look = None
        if self._pieces.keys() & {MapMemory, FitCalibration, FindLabelErrors}:
            # Nobody shall go on showing how far it is.
            self._emit(Progress(task="Inspection", done=1, total=1))
        self._pieces.clear()
        self._survey.forget()

    def pass_on(self, event: Event) -> None:
        """Emit an event of the screen's prediction and note what is predicted: flicker looks back on it.

        A note costs one small copy per prediction, whether anybody inspects or not.
        """
        if isinstance(event, PredictionReady) and event.prediction.source is not PredictionSource.QUICK:
            self._flicker.note(event.prediction, complete=event.complete)
        self._emit(event)

    @property
    def is_busy(self) -> bool:
        """Whether a question is answered piece by piece."""
        return bool(self._pieces)

    @property
    def question(self) -> str:
        """Class name of the command whose turn it is in `advance`, for who is told that it failed."""
        kind = self._turn() if self._pieces else Inspect
        return kind.__name__ if isinstance(kind, type) else MakeOverlay.__name__

    def _turn(self) -> object:
        """Return whose turn it is: who clicked waits for nothing that was not asked for."""
        return DeleteRepresentations if DeleteRepresentations in self._pieces else next(iter(self._pieces))

    def advance(self) -> None:
        """Do one piece of the question asked first; a what-if goes before all others.

        Raises:
            EngineError: It has no answer; it is over then.
        """
        kind = self._turn()
        pieces = self._pieces[kind]
        # Put back only if all is well and not done: a question that failed is over.
        del self._pieces[kind]
        for _ in pieces:
            self._pieces[kind] = pieces
            break

    def serve(self, network: LiveNetwork, command: InspectionCommand, shown: Callable[[], OnScreen]) -> None:
        """Answer one question, or begin to.

        Args:
            network: About which, as it is shown.
            command: The question.
            shown: Says who predicts what is on screen.

        Raises:
            EngineError: The question has no answer; the message says why.
        """
        match command:
            case Inspect():
                self._inspect(network, command)
            case EndInspection():
                self._give_back()
            case ExplainPixel():
                look = self._looked_at(command.image_id)
                self._emit(explain(look, command.request_id, command.y, command.x))
            case DeleteRepresentations():
                self._pieces[DeleteRepresentations] = self._without(command)
                self.advance()
            case MakeOverlay():
                pieces = self._survey.overlay(network, command, lambda: self._look_for(network, command))
                self._pieces[command.kind] = pieces
            case MapMemory():
                self._pieces[MapMemory] = self._survey.map_memory(network, self._current(network), command)
            case FitCalibration():
                self._pieces[FitCalibration] = self._calibrate(network, command, shown())
            case FindLabelErrors():
                self._pieces[FindLabelErrors] = self._survey.find_errors(
                    network, self._current(network), command
                )
            case PreviewEffect():
                self._pieces[PreviewEffect] = self._survey.preview(
                    network, self._current(network), command, self._look
                )
            case _ as never:
                assert_never(never)

    def _calibrate(self, network: LiveNetwork, command: FitCalibration, shown: OnScreen) -> Iterator[object]:
        """Begin to ask whoever is on screen; the quick model alone needs no network that has learnt."""
        snapshot = None if shown.share == 0 else self._current(network)
        read = reader_of(network)
        return calibrate(network, snapshot, shown, command, read=read, emit=self._emit)

    def _inspect(self, network: LiveNetwork, command: Inspect) -> None:
        # The old one gives its memory back before the new one takes some.
        self._look = None
        self._pieces.pop(DeleteRepresentations, None)
        look = self._look_for(network, command)
        self._emit(_ready(command.request_id, look, ()))
        known = look.representations
        if known is None:
            self._pieces.pop(Inspect, None)
        elif known.diagnosed:
            self._pieces[Inspect] = self._relate(network, command, look)
        else:
            self._pieces[Inspect] = self._get_ready(command, look)

    def _get_ready(self, command: Inspect, look: Look) -> Iterator[object]:
        """Compute what questions will need; gates are measured by deletion too where time suffices."""
        look.prepare()
        if look.explanation is None or not look.explanation.gates:
            return
        spent = 0.0
        for channel in look.present():
            pieces = look.without_in_pieces(frozenset({channel}))
            while True:
                yield None
                began = time.monotonic()
                found = next(pieces)
                took = time.monotonic() - began
                spent += took
                if took > _PATIENCE_S or spent > _AHEAD_S:
                    return
                if found is not None:
                    break
        if look.is_measured:
            self._emit(_ready(command.request_id, look, ()))

    def _without(self, command: DeleteRepresentations) -> Iterator[object]:
        """Answer a what-if at once, or roughly at once and exactly some pieces later."""
        look = self._looked_at(command.image_id)
        for answer in what_if_in_pieces(look, command.request_id, command.deleted):
            if answer is not None:
                self._emit(answer)
                if answer.exact:
                    return
            yield None

    def _relate(self, network: LiveNetwork, command: Inspect, look: Look) -> Iterator[object]:
        """Measure the relations of an image; the answer comes again with them."""
        annotation = annotation_of(network, look, command.image_path)
        for views in relations(look, target_of(look, annotation)):
            if views:
                self._emit(_ready(command.request_id, look, views))
            else:
                yield None

    def _look_for(self, network: LiveNetwork, command: Inspect | MakeOverlay) -> Look:
        """Return the look at an image, the one held where it is of this image and these weights."""
        snapshot = self._current(network)
        look = self._look
        if look is None or look.image_id != command.image_id or look.snapshot is not snapshot:
            look = look_at(snapshot, command.image_id, read_image(Path(command.image_path)))
            self._look = look
        return look

    def _current(self, network: LiveNetwork) -> Snapshot:
        """Return a copy of the network as it is shown now: the one held, where that is the same."""
        if not network.has_learnt:
            raise EngineError(
                "The network has learnt nothing yet, so there is nothing to see inside.",
                "Train first, or load a checkpoint.",
            )
        held = self._snapshot
        if held is None or held.step != network.shown_step:
            self._snapshot = held = Snapshot(
                model=network.predictor().frozen_copy(),
                classes=network.classes,
                step=network.shown_step,
                device=next(network.model.parameters()).device,
            )
        return held

    def _looked_at(self, image_id: str) -> Look:
        if self._look is None or self._look.image_id != image_id:
            raise EngineError("The network has not looked at this image yet.", "Wait until it has.")
        return self._look


def _ready(request_id: int, look: Look, more: Sequence[InspectedView]) -> InspectionReady:
    return InspectionReady(
        request_id=request_id,
        image_id=look.image_id,
        size=look.size,
        step=look.snapshot.step,
        classes=tuple(look.classes.indices),
        views=(*look.views, *more),
        label_map=look.predicted(),
        coarse=look.coarse(),
        can_delete=look.representations is not None,
        explains=how(look),
    )
