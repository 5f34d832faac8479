"""The robot at work: opens images, corrects what the tool shows, goes on; measures at fixed user times.

The user clock runs by the cost model's seconds, and the tool is told how much of it passes. What the tool
shows, and when, is the tool's affair.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from engine.config import Voice
from engine.errors import EngineError
from engine.measure.actions import (
    AcceptImage,
    AcceptRegion,
    Action,
    Hand,
    Leave,
    Paint,
    Relabel,
    Visit,
    after,
    keys_of,
    moved,
)
from engine.measure.annotator import Sight, next_action, still_meant
from engine.measure.costs import T_LOOK
from engine.measure.regions import Truth, wrong_share
from engine.measure.robot.agreement import Agreement
from engine.measure.robot.delivered import DeliveredMasks
from engine.measure.robot.held_out import HeldOutScores
from engine.measure.robot.journal import Journal
from engine.measure.robot.memory import peak_memory_mib
from engine.measure.robot.plan import Order, RobotPlan
from engine.measure.robot.recall import FirstImages
from engine.measure.robot.results import (
    RIGHT_SHARES,
    Measured,
    Recalled,
    RunResult,
    Visited,
    count_worse,
)
from engine.measure.robot.tool import AnnotatedTool, LabelMap, Material

_WATCHED = 10
_ROUNDS = (3, 10)
"""Of the images of the first rounds, how much is known after so many images."""


class Progress(Protocol):
    """Shows how many seconds of user time have passed, with a note."""

    def __call__(self, done: int, note: str = "") -> None:
        """Show it."""
        ...


def run_robot(
    plan: RobotPlan,
    tool: AnnotatedTool,
    material: Material,
    *,
    progress: Progress | None = None,
    write: Callable[[str], None] | None = None,
) -> RunResult:
    """Work through a session with a tool; the tool is closed at the end, whatever happens.

    Args:
        plan: the session.
        tool: the tool under test, nothing opened yet.
        material: images and truth.
        progress: called with whole seconds of user time.
        write: called with each line of the journal, without line end.

    Raises:
        EngineError: the tool failed; says why.
    """
    robot = _Robot(plan, tool, material, progress, write)
    try:
        robot.work()
    except BaseException:
        with contextlib.suppress(EngineError):  # what ended the work is what the person must hear of
            tool.close()
        raise
    return robot.result(dict(tool.close()))


class _Robot:
    """One session."""

    def __init__(
        self,
        plan: RobotPlan,
        tool: AnnotatedTool,
        material: Material,
        progress: Progress | None,
        write: Callable[[str], None] | None,
    ) -> None:
        self._plan = plan
        self._tool = tool
        self._material = material
        self._progress = progress
        self._journal = Journal(write)
        self._rng = np.random.default_rng([plan.seed, 1])
        self._began = time.monotonic()
        self._hand = Hand(position=(0.0, 0.0))
        self._now = self._blocked = 0.0
        self._strokes = 0
        self._strokes_at: list[tuple[float, int]] = []
        self._left_at: list[float] = []
        self._classes: set[int] = set()
        self._visits: list[Visited] = []
        self._curve: list[Measured] = []
        self._due = [at for at in sorted(plan.measured_at) if at <= plan.seconds]
        self._said: dict[str, LabelMap] = {}
        self._first = FirstImages()
        self._recalled: list[Recalled] = []
        self._agreed: dict[str, LabelMap] = {}
        self._agreed_shown: dict[str, LabelMap] = {}
        self._delivered = DeliveredMasks(material, plan.delivered)

    # --- the whole ----------------------------------------------------------------------------------------

    def work(self) -> None:
        """The session, with a last measurement at its end."""
        for image_id in self._order():
            self._visit(image_id)
            if self._is_over():
                break
        if not self._curve or self._curve[-1].seconds < self._now - 0.5:
            self._measure(self._now)

    def result(self, facts: dict[str, object]) -> RunResult:
        """What it came to."""
        return RunResult(
            tool=self._tool.title,
            seed=self._plan.seed,
            curve=tuple(self._curve),
            recalled=tuple(self._recalled),
            visits=tuple(self._visits),
            seconds=round(self._now, 3),
            blocked=round(self._blocked, 3),
            latencies=tuple(round(value, 3) for value in self._latencies()),
            worse=count_worse(self._curve),
            journal=self._journal.digest,
            facts=facts,
            real_seconds=round(time.monotonic() - self._began, 1),
            peak_memory_mib=peak_memory_mib(),
        )

    def _order(self) -> Iterator[str]:
        """Images in the plan's order; round again when all were seen and there is time left."""
        names = list(self._material.folder)
        places = np.random.default_rng(self._plan.seed).permutation(len(names))
        if self._plan.order is Order.NAMES:
            places = (places[0] + np.arange(len(names))) % len(names)
        ordered = [names[place] for place in places]
        left: list[str] = []
        count = 0
        while self._plan.images is None or count < self._plan.images:
            left = left or list(ordered)
            chosen = self._tool.suggest(left) if self._plan.order is Order.QUEUE else None
            image_id = left[0] if chosen is None or chosen not in left else chosen
            left.remove(image_id)
            count += 1
            yield image_id

    def _is_over(self) -> bool:
        return self._now >= self._plan.seconds

    def _latencies(self) -> Iterator[float]:
        """Seconds from strokes that stayed, from the second class on, to the next picture of their image.

        A stroke whose image was left before it was answered is not waited for.
        """
        renewed = np.asarray(sorted(self._tool.refreshes))
        for at, visit in self._strokes_at:
            place = int(np.searchsorted(renewed, at, side="right"))
            if place < len(renewed) and renewed[place] < self._left_at[visit]:
                yield float(renewed[place] - at)

    # --- one image ----------------------------------------------------------------------------------------

    def _visit(self, image_id: str) -> None:
        """Open an image, correct it, go on."""
        began, blocked = self._now, self._blocked
        self._wait(self._tool.open(image_id))
        truth = self._material.truth(image_id)
        look = min(T_LOOK, max(0.0, self._plan.seconds - self._now))
        self._journal.opened(self._now, look, image_id)
        self._spend(look)
        before = wrong_share(truth, self._tool.sight().shown)
        actions, keys, right_by = self._correct(truth, began)
        sight = self._tool.sight()
        self._remember(image_id, sight)
        self._visits.append(
            _visited(
                image_id,
                actions,
                keys=keys,
                right_by=right_by,
                seconds=self._now - began,
                blocked=self._blocked - blocked,
                before=before,
                after_=wrong_share(truth, sight.shown),
            )
        )
        if self._plan.sync:
            self._tool.settle()
        self._left_at.append(self._now)
        if len(self._visits) in _ROUNDS and not self._is_over():
            self._recalled.append(self._first.ask(self._tool, len(self._visits)))

    def _correct(self, truth: Truth, began: float) -> tuple[list[Action], int, tuple[float | None, ...]]:
        """Act until the image is left or the session is over; what was done, and the keys that took.

        Args:
            truth: What the person knows.
            began: User time at which the image was asked for.

        Returns:
            Actions, keys, and the seconds from `began` until `RIGHT_SHARES` of what is shown are right.
        """
        height, width = truth.label_map.shape
        hand, visit = replace(self._hand, position=(height / 2, width / 2)), Visit(seconds=T_LOOK)
        actions: list[Action] = []
        keys = 0
        right_by: list[float | None] = [None] * len(RIGHT_SHARES)
        while not self._is_over():
            self._note_right(truth, began, right_by)
            action = self._decide(truth, hand, visit)
            if self._now + action.seconds > self._plan.seconds:
                left = self._plan.seconds - self._now
                self._spend(left)
                self._journal.cut_off(self._now, action, left)
                break
            self._spend(action.seconds)
            if self._is_still_meant(truth, action):
                self._do(action)
                actions.append(action)
            else:
                self._journal.given_up(self._now, action)
            keys += keys_of(hand, action)
            hand, visit = moved(hand, action), after(visit, action)
            if isinstance(action, AcceptImage | Leave):
                break
        self._note_right(truth, began, right_by)
        self._hand = hand
        return actions, keys, tuple(right_by)

    def _note_right(self, truth: Truth, began: float, right_by: list[float | None]) -> None:
        """Note which shares of the image are right from now on; being right once counts."""
        right = 1.0 - wrong_share(truth, self._tool.sight().shown)
        for place, share in enumerate(RIGHT_SHARES):
            if right_by[place] is None and right >= share:
                right_by[place] = round(self._now - began, 3)

    def _decide(self, truth: Truth, hand: Hand, visit: Visit) -> Action:
        sight = self._tool.sight()
        if not self._tool.accepts:
            sight = Sight(annotation=sight.annotation, confidence=sight.confidence)
        return next_action(truth, sight, hand=hand, visit=visit, rules=self._plan.rules, rng=self._rng)

    def _is_still_meant(self, truth: Truth, action: Action) -> bool:
        """Whether the hand finds what the person decided on; only shown regions can change on the way."""
        if not isinstance(action, Relabel | AcceptRegion):
            return True
        return still_meant(truth, self._tool.sight().shown, action, self._plan.rules)

    def _do(self, action: Action) -> None:
        """Act, and write it down."""
        self._wait(self._tool.perform(action))
        if isinstance(action, Paint | Relabel):
            self._strokes += 1
            self._note_answer_due(action)
        self._journal.done(self._now, action)
        measured = self._curve[-1].updates if self._curve else 0
        if self._plan.every_model and self._tool.updates != measured:
            self._measure(self._now)

    def _note_answer_due(self, action: Paint | Relabel) -> None:
        """Note from when on the person awaits another picture; one class has nothing to be told from."""
        is_undone = isinstance(action, Paint) and action.undo
        if not is_undone:
            self._classes.add(action.stroke.class_index if isinstance(action, Paint) else action.class_index)
        if len(self._classes) > 1 and not is_undone:
            self._strokes_at.append((self._now, len(self._visits)))

    def _remember(self, image_id: str, sight: Sight) -> None:
        """Keep what was said: what is delivered, and on the first images whether later models forget it."""
        self._delivered.leave(image_id, sight.annotation)
        if len(self._said) < _WATCHED or image_id in self._said:
            self._said[image_id] = sight.annotation.copy()
        if len(self._visits) < _ROUNDS[0]:
            self._first.leave(image_id, sight)

    # --- time ---------------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        """The tool made the person wait."""
        self._now += seconds
        self._blocked += seconds
        if seconds > 0.0:
            self._journal.waited(self._now, seconds)

    def _spend(self, seconds: float) -> None:
        """Let user time pass; measure where that is due on the way. Waiting comes on top of it."""
        end = self._now + seconds
        while self._due and self._due[0] <= end:
            at = self._due.pop(0)
            end += self._pass(max(0.0, at - self._now))
            self._measure(at)
        self._pass(max(0.0, end - self._now))
        if self._progress is None:
            return
        last = f", mIoU {100 * self._curve[-1].miou:.1f} %" if self._curve else ""
        self._progress(int(self._now), f"{self._strokes} strokes on {len(self._visits) + 1} images{last}")

    def _pass(self, seconds: float) -> float:
        """Let user time pass; return the seconds the person waited in addition."""
        if seconds <= 0.0:
            return 0.0
        blocked = self._tool.advance(seconds)
        self._now += seconds
        self._wait(blocked)
        return blocked

    # --- measuring ----------------------------------------------------------------------------------------

    def _measure(self, at: float) -> None:
        """Predict the held-out images, the first annotated ones and the folder's with the model of now."""
        held_out = HeldOutScores(self._material)
        alone = Agreement(self._said, self._agreed)
        for name, found in self._tool.predict(list(self._said), voice=Voice.MODEL):
            alone.add(name, None if found is None else found.label_map)
        shown_too = Agreement(self._said, self._agreed_shown)
        names = dict.fromkeys([*self._material.held_out, *self._said, *self._delivered.begin()])
        for name, found in self._tool.predict(list(names)):
            label_map = None if found is None else found.label_map
            self._delivered.add(name, label_map)
            if name in self._said:
                shown_too.add(name, label_map)
            held_out.add(name, found)
        self._curve.append(
            Measured(
                seconds=round(at, 2),
                miou=held_out.miou,
                pixel_accuracy=held_out.pixel_accuracy,
                iou_per_class=held_out.iou_per_class,
                strokes=self._strokes,
                images=len(self._visits),
                updates=self._tool.updates,
                agreement=alone.share,
                flipped=alone.flipped,
                shown_flipped=shown_too.flipped,
                delivered_miou=self._delivered.miou,
                delivered_accuracy=self._delivered.pixel_accuracy,
                calibration_error=held_out.calibration_error,
                sure_as=held_out.sure_as,
            )
        )


def _visited(
    image_id: str,
    actions: list[Action],
    *,
    keys: int,
    right_by: tuple[float | None, ...],
    seconds: float,
    blocked: float,
    before: float,
    after_: float,
) -> Visited:
    paints = [action for action in actions if isinstance(action, Paint)]
    return Visited(
        image_id=image_id,
        strokes=sum(not action.is_click for action in paints),
        clicks=sum(action.is_click for action in paints),
        relabels=sum(isinstance(action, Relabel) for action in actions),
        undone=sum(action.undo for action in paints),
        accepted=any(isinstance(action, AcceptImage) for action in actions),
        seconds=round(seconds, 3),
        blocked=round(blocked, 3),
        wrong_before=round(before, 4),
        wrong_after=round(after_, 4),
        regions=sum(isinstance(action, AcceptRegion) for action in actions),
        keys=keys,
        right_by=right_by,
    )
