"""The training strip at the bottom of the window: start, stop, what the network does, how good it is."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.bridge import Bridge
from app.theme import Look
from app.widgets.chart import LineChart
from app.widgets.marks import Dot, label, rule
from engine.messages import (
    EXPORT_TASK,
    IMPORT_TASK,
    CandidateJudged,
    CheckpointSaved,
    EvaluationDone,
    NetworkOpened,
    Prediction,
    PredictionReady,
    PredictionSource,
    Progress,
    StateChanged,
    StepsDone,
    TrainingStopped,
    WorkerState,
)

STATE_TEXT = {
    WorkerState.STARTING: "Starting…",
    WorkerState.IDLE: "Idle",
    WorkerState.TRAINING: "Training",
    WorkerState.FAULTED: "Stopped by an error",
    WorkerState.STOPPED: "Not started",
}
_STATE_TOKEN = {
    WorkerState.STARTING: "warn",
    WorkerState.IDLE: "muted",
    WorkerState.TRAINING: "good",
    WorkerState.FAULTED: "bad",
    WorkerState.STOPPED: "disabled",
}
_BUTTON_TEXT = {WorkerState.TRAINING: "Stop training", WorkerState.FAULTED: "Restart"}
_WORTH_WHY = (
    "Read off the curve of what is shown, on what you painted in held-out images, against the time you "
    "worked; long pauses do not count."
)
_SHOWN_WHY = {
    PredictionSource.QUICK: "A quick model learns from every stroke at once. The network gets its say when "
    "that suits what you painted better.",
    PredictionSource.JOINT: "The quick model, which learns from every stroke at once, and the network "
    "predict together. The network's share grows as that suits what you painted better.",
    PredictionSource.NETWORK: "The network predicts what you see.",
    PredictionSource.MEMORY: "The network predicts what you see; its class memory knows your newest strokes.",
}


class TrainingStrip(QFrame):
    """One line along the bottom.

    Attributes:
        toggle_wanted: Start or stop.
        details_wanted: Show or hide networks and checkpoints.

    Args:
        bridge: Where the worker is heard.
        look: Gives the colours.
        chart: The large chart of the details; it is fed here too, so that both show the same.
    """

    toggle_wanted = Signal()
    details_wanted = Signal()

    def __init__(self, bridge: Bridge, look: Look, chart: LineChart, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trainingStrip")
        self._bridge = bridge
        self._look = look
        self.chart = chart
        self.spark = LineChart(look, compact=True)
        self.spark.setFixedWidth(170)
        self.button = QPushButton("Start training")
        self.button.setProperty("primary", True)
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.setIconSize(QSize(16, 16))
        self._dot = Dot()
        self.state = label("", kind="value")
        self.reason = label("", kind="muted")
        self.reason.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.worth = label("", kind="muted")
        self.worth.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.worth.setAccessibleName("What another minute is worth")
        self.worth.hide()
        self.shown = label("–", kind="value")
        self.step = label("–", kind="value")
        self.loss = label("–", kind="value")
        self.speed = label("–", kind="value")
        self.score = label("–", kind="value")
        self.device = label("–", kind="value")
        self.checkpoint = label("–", kind="value")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(120)
        self.progress.hide()
        self.expand = QToolButton()
        self.expand.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.expand.setToolTip("Network, settings and checkpoints")
        self.expand.setCheckable(True)
        self._last_score: float | None = None
        self._policy = ""
        self._lay_out()
        self.button.clicked.connect(self.toggle_wanted)
        self.expand.clicked.connect(self.details_wanted)
        look.changed.connect(self._refresh)
        self._connect()
        self._refresh()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(18)
        row.addWidget(self.button)
        state = QHBoxLayout()
        state.setSpacing(7)
        state.addWidget(self._dot)
        state.addWidget(self.state)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addLayout(state)
        words.addWidget(self.reason)
        words.addWidget(self.worth)
        row.addLayout(words, 3)
        row.addWidget(self.progress)
        for title, value in (
            ("Shown", self.shown),
            ("Step", self.step),
            ("Loss", self.loss),
            ("Speed", self.speed),
            ("Device", self.device),
            ("Checkpoint", self.checkpoint),
            ("Held-out mIoU", self.score),
        ):
            row.addLayout(_pair(title, value))
        row.addWidget(self.spark)
        row.addWidget(self.expand)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(rule())
        outer.addLayout(row)

    def _connect(self) -> None:
        bridge = self._bridge
        bridge.session_changed.connect(self._take_session)
        bridge.training_changed.connect(self._refresh)
        bridge.state_changed.connect(self._state_changed)
        bridge.steps_done.connect(self._steps_done)
        bridge.evaluation_done.connect(self._evaluated)
        bridge.shown_scored.connect(lambda _event: self._show_worth())
        bridge.network_opened.connect(self._network_opened)
        bridge.checkpoint_saved.connect(self._checkpoint_saved)
        bridge.training_stopped.connect(self._training_stopped)
        bridge.progress.connect(self._progressed)
        bridge.prediction_ready.connect(self._predicted)
        bridge.candidate_judged.connect(self._judged)

    # --- events -----------------------------------------------------------------------------------------

    def _take_session(self) -> None:
        for value in (self.shown, self.step, self.loss, self.speed, self.score, self.device, self.checkpoint):
            value.setText("–")
        self._last_score = None
        self.progress.hide()
        self._show_worth()
        self.spark.clear()
        self.chart.clear()
        session = self._bridge.session
        if session is not None and session.manifest.checkpoint:
            self.checkpoint.setText(short_name(session.manifest.checkpoint))
        self._refresh()

    def _predicted(self, event: PredictionReady) -> None:
        self.shown.setText(shown_name(event.prediction))
        self.shown.setToolTip(_SHOWN_WHY[event.prediction.source])

    def _judged(self, event: CandidateJudged) -> None:
        if self._bridge.worker_state is WorkerState.TRAINING:
            self._refresh("" if event.promoted else f"Step {event.step:,} is not shown. {event.reason}")

    def _state_changed(self, event: StateChanged) -> None:
        if event.state is not WorkerState.TRAINING:
            self.speed.setText("–")
            self._policy = ""
        self._refresh(event.problem.message if event.problem else "")

    def _steps_done(self, event: StepsDone) -> None:
        total = sum(event.losses.values())
        self.step.setText(f"{event.step:,}")
        self.loss.setText(f"{total:.3f}")
        terms = "\n".join(f"{name}: {value:.4f}" for name, value in event.losses.items())
        self.loss.setToolTip(f"{terms}\nlearning rate: {event.learning_rate:.2g}")
        if event.steps_per_second > 0:
            self.speed.setText(f"{1 / event.steps_per_second:.2g} s/step")
        for chart in (self.spark, self.chart):
            chart.add_loss(event.step, total)
        self._say_policy(event)

    def _say_policy(self, event: StepsDone) -> None:
        """Say where the run began and what it learns from, whenever one of them is another."""
        if not event.images:
            return
        images = "1 painted image" if event.images == 1 else f"all {event.images} painted images"
        policy = f"A new network learns from {images}."
        if event.first_step:
            policy = f"Goes on from step {event.first_step:,} with {images}."
        if policy != self._policy:
            self._policy = policy
            self._refresh()

    def _newest(self) -> str:
        """Say how new corrections and old ones share the time."""
        session = self._bridge.session
        share = 0.0 if session is None else session.training.crop.recent_share
        percent = f"{share:.0%}".replace("%", "\N{NO-BREAK SPACE}%")
        return f"{percent} of the time with the images corrected last, the rest with all of them."

    def _show_worth(self) -> None:
        """Say what another minute brings, or why nobody can know."""
        session = self._bridge.session
        worth = None if session is None else session.worth.now()
        self.worth.setText("" if worth is None else worth.sentence)
        self.worth.setToolTip(f"{self.worth.text()} {_WORTH_WHY}")
        self.worth.setVisible(worth is not None)

    def _evaluated(self, event: EvaluationDone) -> None:
        self._show_worth()
        if event.miou is None:
            self.score.setText("–")
            self.score.setToolTip("Every fifth image you paint is held out to measure. None is painted yet.")
            return
        older, self._last_score = self._last_score, event.miou
        change = "" if older is None else f" ({event.miou - older:+.2f})"
        self.score.setText(f"{event.miou:.2f}{change}")
        rows = [
            f"{name}: {'–' if iou is None else f'{iou:.2f}'}" for name, iou in event.iou_per_class.items()
        ]
        images = "1 image" if event.images == 1 else f"{event.images} images"
        told = f"The network in training by itself, on {images} that training never sees."
        self.score.setToolTip("\n".join([told, *rows]))
        for chart in (self.spark, self.chart):
            chart.add_score(event.step, event.miou)

    def _network_opened(self, event: NetworkOpened) -> None:
        self.device.setText(event.device)
        self.step.setText(f"{event.step:,}")
        self.device.setToolTip(f"{event.title}, {event.parameters:,} parameters")
        self.checkpoint.setText(short_name(event.checkpoint) if event.checkpoint else "new")

    def _checkpoint_saved(self, event: CheckpointSaved) -> None:
        self.checkpoint.setText(short_name(event.path))
        self.checkpoint.setToolTip(event.path)

    def _training_stopped(self, event: TrainingStopped) -> None:
        self._refresh(event.reason)

    def _progressed(self, event: Progress) -> None:
        if event.task in (EXPORT_TASK, IMPORT_TASK):
            return  # shown over the image, where it can be cancelled
        busy = event.done < event.total
        self.progress.setVisible(busy)
        self.progress.setRange(0, max(1, event.total))
        self.progress.setValue(event.done)
        self.progress.setToolTip(f"{event.task}: {event.done} of {event.total}")
        if busy:
            self.reason.setText(f"{event.task} · {event.done} of {event.total}")
        else:
            self._refresh()

    # --- what can be done -------------------------------------------------------------------------------

    def _refresh(self, message: str = "") -> None:
        session = self._bridge.session
        state = self._bridge.worker_state
        resting = state in (WorkerState.IDLE, WorkerState.STOPPED)
        refusal = session.can_train() if session is not None and resting else None
        ready = resting and refusal is None and session is not None
        fell = session is not None and state is WorkerState.FAULTED
        self.button.setText(_BUTTON_TEXT.get(state, "Start training"))
        self.button.setIcon(self._look.icon_on_fill("stop" if state is WorkerState.TRAINING else "play"))
        self.button.setEnabled(ready or fell or state is WorkerState.TRAINING)
        tip = "Learn from everything painted so far; painting goes on. (Ctrl+T)"
        if fell:
            tip = "Open the network again, from the newest checkpoint. (Ctrl+T)"
        self.button.setToolTip(refusal or tip)
        self.state.setText("Ready to train" if ready else STATE_TEXT[state])
        if refusal is not None:
            self.state.setText("Not yet")
        self._dot.set_color(self._look.color("accent" if ready else _STATE_TOKEN[state]))
        self.reason.setText(message or refusal or self._advice(state))
        says_policy = bool(self._policy) and self.reason.text() == self._policy
        self.reason.setToolTip(f"{self._policy} {self._newest()}" if says_policy else self.reason.text())
        self.expand.setIcon(self._look.icon("collapse" if self.expand.isChecked() else "expand"))

    def _advice(self, state: WorkerState) -> str:
        if self._bridge.session is None:
            return ""
        return {
            WorkerState.TRAINING: self._policy or "Go on painting; every stroke is learned from.",
            WorkerState.STARTING: "The network is being loaded.",
            WorkerState.FAULTED: "Your labels are safe. Restart goes on from the newest checkpoint.",
        }.get(state, "Enough is painted to start. Press Ctrl+T.")

    def set_expanded(self, expanded: bool) -> None:
        """Show whether the details are open."""
        self.expand.setChecked(expanded)
        self.expand.setIcon(self._look.icon("collapse" if expanded else "expand"))


def shown_name(prediction: Prediction) -> str:
    """Return who predicted, in words for people."""
    match prediction.source:
        case PredictionSource.QUICK:
            return "quick model"
        case PredictionSource.JOINT:
            return "quick model + network"
        case PredictionSource.NETWORK:
            return f"network, step {prediction.step:,}"
        case PredictionSource.MEMORY:
            return f"network, step {prediction.step:,}, and memory"


def short_name(path: str) -> str:
    """Return what a person calls a checkpoint: its own name, or the step."""
    stem = Path(path).stem
    head, found, tail = stem.partition("step-")
    if not found:
        return stem
    if head.strip("_"):
        return head.strip("_")
    return f"step {int(tail.split('_')[0]):,}" if tail.split("_")[0].isdigit() else stem


def _pair(title: str, value: QLabel) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(0)
    column.addWidget(label(title, kind="muted"))
    column.addWidget(value)
    value.setMinimumWidth(value.fontMetrics().horizontalAdvance("0.00 s/step"))
    return column
