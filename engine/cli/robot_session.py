"""The robot's hand on the real session: the same commands a person's window sends. Imports torch.

The session's threads run in real time, so user time passes in real time too: an action that takes a person
three seconds is done three seconds later, and the network has just these three seconds to learn.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.annotate.stroke import PaintRule
from engine.cli.pump import Pump
from engine.cli.robot_gate import ANSWER_S, Gate
from engine.config import Device, Precision, TrainingConfig, Voice
from engine.errors import EngineError
from engine.measure.actions import AcceptImage, AcceptRegion, Action, Leave, Paint, Relabel
from engine.measure.annotator import Sight
from engine.measure.robot.tool import Guess, Material
from engine.messages import (
    AllScored,
    CandidateJudged,
    CommandFailed,
    Evaluate,
    EvaluationDone,
    Event,
    ImageFailed,
    ImageLoaded,
    NetworkOpened,
    Prediction,
    PredictionReady,
    PredictionSource,
    StateChanged,
    StepsDone,
    TrainingStopped,
    WorkerState,
)
from engine.project.manifest import OrderKind
from engine.session import Session
from models.configs import LossConfig, NetworkConfig

_BEAT_S = 0.25
_NEVER_S = 86400.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionChoice:
    """What the session learns with, and how it orders images; ``None`` leaves a new project's own choice."""

    title: str = "maskloop"
    network: NetworkConfig | None = None
    loss: LossConfig | None = None
    training: TrainingConfig | None = None
    device: Device = Device.AUTO
    seed: int = 0
    sync_steps: int | None = None
    order: OrderKind = OrderKind.FOLDER


class SessionTool:
    """The product as a tool under test.

    Attributes:
        title: what was asked for.
        accepts: always.
        refreshes: user times of renewed pictures of the image on screen.
        updates: how many models were seen.
    """

    def __init__(
        self,
        folder: Path,
        material: Material,
        choice: SessionChoice,
        *,
        pace: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a project on a folder that holds the material's images under their ids.

        Args:
            folder: the images; the project is made in it.
            material: images and classes.
            choice: network, loss, training.
            pace: user seconds per real second; above 1 the network has less time than in a real session.
            clock: real seconds.
        """
        self.title = choice.title
        self.accepts = True
        self.refreshes: list[float] = []
        self._models: set[tuple[str, str, int]] = set()
        self._shares: list[tuple[float, float]] = []
        self._choice = choice
        self._clock = clock
        self._pace = pace
        self._pump = Pump()
        self._gate = Gate(self._pump)
        self._user = 0.0
        self._origin = clock()
        self._is_training = False
        self._step = 0
        self._judged: list[CandidateJudged] = []
        self._voice = Voice.SHOWN
        self._network_has_learnt = False
        self._facts: dict[str, object] = {"device": "", "network": "", "notes": []}
        self.session = Session.open(folder, emit=self._gate.emit, device=choice.device)
        self.session.queue.kind = choice.order
        self.session.set_classes(material.classes)
        if choice.network is not None or choice.loss is not None:
            self.session.choose_network(
                choice.network or self.session.network, choice.loss or self.session.loss
            )
        training = dataclasses.replace(choice.training or self.session.training, seed=choice.seed)
        if choice.sync_steps is not None:
            training = _untimed(training, choice.sync_steps)
        self.session.set_training(training)

    @property
    def updates(self) -> int:
        """How many models were seen."""
        return len(self._models)

    # --- one image ----------------------------------------------------------------------------------------

    def open(self, image_id: str) -> float:
        """Bring an image on screen; return the seconds until it was there."""
        began = self._clock()
        self.session.show(image_id)
        event = self._wait_for(
            lambda event: isinstance(event, ImageLoaded | ImageFailed) and event.image_id == image_id
        )
        if isinstance(event, ImageFailed):
            raise EngineError(event.problem.message, f"{event.problem.hint} Or take it out of the folder.")
        if self.session.annotation is None:
            raise EngineError(f"“{image_id}” could not be opened.", hint="Leave it out and run again.")
        self.session.request_prediction()
        self._settle_screen()
        return 0.0 if self._is_sync else self._waited(began)

    def sight(self) -> Sight:
        """What is shown now."""
        session = self.session
        if session.annotation is None or session.current is None:
            raise EngineError("No image is open.", hint="This is a fault of the program.")
        found = session.prediction(session.current)
        return Sight(
            annotation=session.annotation.label_map,
            prediction=None if found is None else found.label_map,
            confidence=None if found is None else found.confidence,
            provenance=session.annotation.provenance,
        )

    def perform(self, action: Action) -> float:
        """Do on the session what a hand would do in the window."""
        session = self.session
        patch = self._patch(action)
        if patch is not None:
            session.apply(patch)
            session.commit(patch)
            if isinstance(action, Paint) and action.undo:
                session.apply(patch.inverse())
                session.commit(patch, RecordKind.UNDO)
        good = isinstance(action, AcceptImage) or (isinstance(action, Leave) and action.reviewed)
        if good and session.current is not None:
            session.set_reviewed(session.current, True)
        if self._is_sync:
            self._settle_screen()
        else:
            self._train_if_possible()
        return 0.0

    def _patch(self, action: Action) -> Patch | None:
        """The change of the annotation, if any, within what the action may change."""
        session = self.session
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
            case Leave():
                return None
        if patch is None or action.within is None:
            return patch
        height, width = patch.mask.shape
        mask = patch.mask & action.within[patch.top : patch.top + height, patch.left : patch.left + width]
        return dataclasses.replace(patch, mask=mask) if mask.any() else None

    def suggest(self, candidates: Sequence[str]) -> str | None:
        """The session's next most useful image among these; None before it has looked at any."""
        if self._is_sync:
            self._wait_for_looks()
        return self.session.queue.next_useful(frozenset(candidates))

    def _wait_for_looks(self) -> None:
        """With ``sync``, wait until the worker has looked at all it was asked to, with the model of now."""
        self.session.queue.wish(again=True)
        self._wait_for(lambda event: isinstance(event, AllScored))

    # --- time ---------------------------------------------------------------------------------------------

    @property
    def _is_sync(self) -> bool:
        return self._choice.sync_steps is not None

    def _elapsed(self) -> float:
        """User seconds by the real clock, standstills left out."""
        return (self._clock() - self._origin) * self._pace

    def advance(self, seconds: float) -> float:
        """Wait until these seconds are over, by the real clock, while the worker learns."""
        self._user += seconds
        if self._is_sync:
            return 0.0
        while (left := self._user - self._elapsed()) > 0.0:
            self._listen(max(0.001, min(_BEAT_S, left / self._pace)))
        return 0.0

    def _waited(self, began: float) -> float:
        """Seconds since ``began`` that the person waited; they belong to the user's time."""
        seconds = (self._clock() - began) * self._pace
        self._user += seconds
        return seconds

    def _listen(self, timeout: float) -> list[Event]:
        events = list(self._pump.waiting(self.session, timeout=timeout))
        for event in events:
            self._notice(event)
        return events

    def _notice(self, event: Event) -> None:
        """Remember what matters; failures end the run with their reason."""
        match event:
            case StepsDone():
                self._step = event.step
            case TrainingStopped():
                self._is_training = False
            case NetworkOpened():
                self._facts["device"], self._facts["network"] = event.device, event.title
                self._facts["notes"] = list(event.notices)
            case PredictionReady(complete=True, prediction=prediction):
                self._take_in(prediction)
                if prediction.image_id == self.session.current and not self._gate.is_measuring:
                    self.refreshes.append(self._elapsed())
            case CandidateJudged():
                self._judged.append(event)
                self._network_has_learnt |= event.promoted  # also where it has no say yet
            case CommandFailed():
                raise EngineError(event.problem.message, event.problem.hint)
            case StateChanged(state=WorkerState.FAULTED, problem=problem) if problem is not None:
                raise EngineError(problem.message, f"{problem.hint} {problem.report}".strip())
            case _:
                pass

    def _take_in(self, prediction: Prediction) -> None:
        """Count whose answer was seen; what only measuring asked for was not."""
        if self._voice is Voice.NETWORK:
            return
        self._models.add((prediction.source.value, prediction.checkpoint or "", prediction.step))
        self._network_has_learnt |= prediction.source is not PredictionSource.QUICK
        if not self._shares or self._shares[-1][1] != prediction.share:
            self._shares.append((round(self._user, 1), prediction.share))

    def _wait_for(self, wanted: Callable[[Event], bool]) -> Event:
        """Take in events until one is wanted.

        Raises:
            EngineError: it did not come.
        """
        deadline = self._clock() + ANSWER_S
        while self._clock() < deadline:
            found = next((event for event in self._listen(_BEAT_S) if wanted(event)), None)
            if found is not None:
                return found
        raise EngineError(
            f"The worker did not answer for {ANSWER_S:.0f} s.", hint="Run again on a machine less busy."
        )

    # --- learning and measuring ---------------------------------------------------------------------------

    def _train_if_possible(self) -> None:
        session = self.session
        if not self._is_training and session.can_train() is None:
            session.flush()
            session.start_training()
            self._is_training = True

    def settle(self) -> None:
        """Train a fixed number of steps in no user time."""
        self.session.flush()
        self._listen(0.0)
        self._train_if_possible()
        if self._is_training:
            self._wait_for(lambda event: isinstance(event, TrainingStopped))
            self._settle_screen()

    def _settle_screen(self) -> None:
        """With ``sync``, wait until what is shown is what all strokes so far lead to."""
        if not self._is_sync:
            return
        self.session.flush()
        self._listen(0.0)
        self.session.request_prediction()
        # The worker measures nothing after it has predicted what is on screen: its answer is the end of that.
        self.session.worker.ask(Evaluate(items=()))
        self._wait_for(lambda event: isinstance(event, EvaluationDone))

    def predict(
        self, image_ids: Sequence[str], *, voice: Voice = Voice.SHOWN
    ) -> Iterator[tuple[str, Guess | None]]:
        """Predict images while the clock and the worker's learning stand still."""
        # The worker stays silent about what has learnt nothing yet.
        is_silent = not self._models and self._step == 0
        if is_silent or (voice is Voice.NETWORK and not self._network_has_learnt):
            yield from ((name, None) for name in image_ids)
            return
        began = self._clock()
        yield from self._answers(image_ids, voice=voice)
        self.session.request_prediction()
        self._origin += self._clock() - began

    def _answers(self, image_ids: Sequence[str], *, voice: Voice) -> Iterator[tuple[str, Guess | None]]:
        """Ask the worker for images one after the other."""
        self._gate.is_measuring = True
        self._voice = voice
        held = False
        for name in image_ids:
            request = self.session.worker.predict(name, None, voice=voice)
            if held:
                self._gate.release()
            self._answer(request)
            held = True
            found = self.session.prediction(name)
            yield (
                name,
                None
                if found is None
                else Guess(label_map=found.label_map.copy(), confidence=found.confidence.copy()),
            )
        self._gate.is_measuring = False
        self._voice = Voice.SHOWN
        if held:
            self._gate.release()

    def _answer(self, request: int) -> None:
        """Wait for the last part of a request; let the worker go on behind older ones."""
        deadline = self._clock() + ANSWER_S
        while self._clock() < deadline:
            for event in self._listen(_BEAT_S):
                if isinstance(event, PredictionReady) and event.complete:
                    if event.request_id == request:
                        return
                    self._gate.release()
        raise EngineError("The worker sent no prediction.", hint="Run again on a machine less busy.")

    # --- the end ------------------------------------------------------------------------------------------

    def close(self) -> Mapping[str, object]:
        """Stop learning, save, close the project."""
        self._gate.is_measuring = False
        self._gate.release()
        steps = self._step
        saved = self.session.close()
        if not saved:
            raise EngineError("Not everything could be saved.", hint="Free some space and run again.")
        if self._user > ANSWER_S and not self._facts["network"]:
            raise EngineError("The network never opened.", hint="The lines above may tell why.")
        sources = [source for source, _, _ in self._models]
        return {
            **self._facts,
            "steps": steps,
            "seed": self._choice.seed,
            "models": {source: sources.count(source) for source in sorted(set(sources))},
            "shares": self._shares,
            "candidates": len(self._judged),
            "promoted": sum(event.promoted for event in self._judged),
            "candidates_flipped": [event.flipped for event in self._judged if event.promoted],
        }


def _untimed(training: TrainingConfig, steps: int) -> TrainingConfig:
    """The training of a fixed number of steps in which nothing depends on how fast the machine is."""
    return dataclasses.replace(
        training,
        max_steps=steps,
        refresh_s=_NEVER_S / 24,
        evaluate_every_s=_NEVER_S,
        checkpoint_every_s=_NEVER_S,
        precision=Precision.FLOAT32,
    )
