"""What the person waits for, and since when, told in one place: the status line.

Nothing that is over within two seconds is mentioned. GUI thread.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge, SavedState
from app.panels.inspect import Probe
from engine.messages import (
    EXPORT_TASK,
    IMPORT_TASK,
    CommandFailed,
    OverlayKind,
    PredictionReady,
    Progress,
    WorkerState,
)

UNMENTIONED_S = 2.0
LONG_S = 30.0
TOO_LONG_S = 60.0
TICK_MS = 1000

_ANSWERS = {
    "inspection_ready": "a look into the network",
    "pixel_explained": "why this pixel got its label",
    "what_if_ready": "the answer without some class representations",
    "memory_mapped": "the map of the class memory",
    "calibration_fitted": "confidence compared with your labels",
    "label_errors_found": "the search for wrong labels",
    "effect_previewed": "what a stroke would change",
    **{kind.value: "a picture of the network's inside" for kind in OverlayKind},
}
"""What is waited for, by what `Probe` waits for."""
_ASKED_BY = {"Predict": "prediction", "LoadCheckpoint": "checkpoint", "CompareCheckpoints": "comparison"}
"""What ends without an answer when a command fails."""
_TASKS = {EXPORT_TASK: "the export", IMPORT_TASK: "the import"}
"""Tasks a person asked for; of others nobody waits for the end."""


@dataclass(frozen=True, slots=True)
class _Wait:
    what: str
    began: float
    clock_time: str
    is_overdue: bool = False


class Waits(QObject):
    """Knows what is being waited for; tells of the longest wait, every second anew.

    Signals:
        changed: (sentence, all waits a line each) What to tell; both empty while nothing takes long.
        too_long: (what) Something has been waited for during a minute; told once for each wait.

    Args:
        bridge: The session's events.
        probe: The questions about the network.
        clock: Seconds that only go forward.
    """

    changed = Signal(str, str)
    too_long = Signal(str)

    def __init__(
        self,
        bridge: Bridge,
        probe: Probe,
        clock: Callable[[], float] = time.monotonic,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._probe = probe
        self._clock = clock
        self._waits: dict[str, _Wait] = {}
        self._told = ("", "")
        self._answers = False
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.tell)
        self._connect()

    def _connect(self) -> None:
        bridge = self._bridge
        bridge.session_changed.connect(self._forget)
        bridge.current_changed.connect(self._image_wanted)
        for arrived in (bridge.image_loaded, bridge.image_failed):
            arrived.connect(lambda event: self._image_arrived(event.image_id))
        for moved in (bridge.state_changed, bridge.network_opened, bridge.command_failed):
            moved.connect(lambda _event: self._look_at_worker())
        bridge.training_changed.connect(self._look_at_worker)
        bridge.prediction_asked.connect(self._prediction_asked)
        bridge.checkpoint_asked.connect(lambda: self._set("checkpoint", "the checkpoint to be loaded"))
        bridge.comparison_asked.connect(self._comparison_asked)
        bridge.prediction_ready.connect(self._predicted)
        bridge.comparison_ready.connect(lambda _event: self._compared())
        bridge.network_opened.connect(lambda _event: self._ask_anew())
        bridge.command_failed.connect(self._failed)
        bridge.progress.connect(self._progressed)
        for ended in (bridge.export_done, bridge.masks_imported, bridge.command_failed):
            ended.connect(lambda _event: self._tasks_over())
        bridge.saved_changed.connect(self._saved)
        self._probe.changed.connect(self._look_at_probe)

    def _set(self, key: str, what: str) -> None:
        """Wait for something from now on, or no more where `what` is empty; a new text keeps the time."""
        if not what:
            self._waits.pop(key, None)
        else:
            known = self._waits.get(key)
            now = f"{dt.datetime.now().astimezone():%H:%M}"
            new = _Wait(what, self._clock(), now)
            self._waits[key] = new if known is None else replace(known, what=what)
        if self._waits and not self._timer.isActive():
            self._timer.start()
        if not self._waits:
            self._timer.stop()
            self.tell()

    def tell(self) -> None:
        """Say what is waited for now, where that is something else than before."""
        now = self._clock()
        known = sorted(self._waits.values(), key=lambda wait: wait.began)
        long = [wait for wait in known if now - wait.began >= UNMENTIONED_S]
        lines = [_sentence(wait, now) for wait in long]
        told = (lines[0], "\n".join(lines)) if lines else ("", "")
        if told != self._told:
            self._told = told
            self.changed.emit(*told)
        for key, wait in list(self._waits.items()):
            if now - wait.began >= TOO_LONG_S and not wait.is_overdue:
                self._waits[key] = replace(wait, is_overdue=True)
                if key not in _TASKS:  # which have counts, and a way out
                    self.too_long.emit(wait.what)

    # --- what the rest of the program says ----------------------------------------------------------------

    def _forget(self) -> None:
        self._waits.clear()
        self._answers = False
        self._timer.stop()
        self.tell()

    def _image_wanted(self, image_id: str) -> None:
        self._waits.pop("image", None)  # another image is another wait
        self._set("prediction", "")
        self._set("image", f"“{image_id}” to be read")

    def _image_arrived(self, image_id: str) -> None:
        session = self._bridge.session
        if session is not None and image_id == session.current:
            self._set("image", "")

    def _prediction_asked(self) -> None:
        if self._is_answered():  # before anybody has learnt, nothing answers
            self._set("prediction", "the prediction")

    def _comparison_asked(self) -> None:
        session = self._bridge.session
        if session is not None and session.candidates.pinned:
            self._set("comparison", "the pinned images to be predicted")

    def _is_answered(self) -> bool:
        """Whether anybody can predict; strokes that taught the quick model may have been undone."""
        session = self._bridge.session
        knows = session is not None and (session.worker.step > 0 or session.can_train() is None)
        return self._answers and knows

    def _failed(self, event: CommandFailed) -> None:
        key = _ASKED_BY.get(event.command)
        if key is not None:
            self._set(key, "")

    def _compared(self) -> None:
        session = self._bridge.session
        if session is not None and session.candidates.pictures.keys() >= set(session.candidates.pinned):
            self._set("comparison", "")

    def _ask_anew(self) -> None:
        """What was asked of the network before gets no answer; another one may have learnt nothing."""
        self._answers = False
        for key in _ASKED_BY.values():
            self._set(key, "")

    def _look_at_worker(self) -> None:
        session, state = self._bridge.session, self._bridge.worker_state
        opens = session is not None and session.worker.awaits_network and state is not WorkerState.FAULTED
        if state is WorkerState.FAULTED:
            self._ask_anew()
        self._set("network", "the network to be loaded" if opens or state is WorkerState.STARTING else "")

    def _predicted(self, event: PredictionReady) -> None:
        self._answers = True
        session = self._bridge.session
        if session is not None and event.prediction.image_id == session.current:
            self._set("prediction", "" if event.complete else "the rest of the prediction")

    def _progressed(self, event: Progress) -> None:
        if event.task in _TASKS:
            is_over = 0 < event.total <= event.done
            self._set(event.task, "" if is_over else f"{_TASKS[event.task]}, {event.done} of {event.total}")

    def _tasks_over(self) -> None:
        for task in _TASKS:
            self._set(task, "")

    def _saved(self, state: SavedState) -> None:
        # Where the disk refuses, the mark beside it says so, and since when.
        self._set("disk", "" if state.saved or state.problem is not None else "what you did to be on disk")

    def _look_at_probe(self) -> None:
        keys = {f"answer {name}": name for name in self._probe.waiting}
        for key in [key for key in self._waits if key.startswith("answer ") and key not in keys]:
            self._set(key, "")
        for key, name in keys.items():
            self._set(key, _ANSWERS[name])


def _sentence(wait: _Wait, now: float) -> str:
    seconds = int(now - wait.began)
    if seconds < LONG_S:
        return f"Waiting for {wait.what}, {seconds} s"
    minutes, rest = divmod(seconds, 60)
    lasted = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"Waiting for {wait.what} since {wait.clock_time}, {lasted}"
