"""From what the hand does on the canvas to exact changes of the annotation, one undo step a gesture."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.canvas.view import CanvasView
from app.commands import Histories
from engine.annotate.classes import UNLABELLED, ClassTable
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch, merge
from engine.annotate.stroke import PaintRule, Stroke
from engine.messages import ImageLoaded
from engine.session import Session

RULES = tuple(PaintRule)
FIRST_CLASS = "class 1"


class EditController(QObject):
    """The canvas' `ToolHost`, and everything keys do to the annotation. GUI thread only.

    Attributes:
        message: A sentence for the status line: why nothing happened.
        active_class_changed: The class index painted with, or None.
        rule_changed: The `PaintRule`.
        name_wanted: (class index) A class was made by the first stroke; ask what it is.

    Args:
        bridge: Where changes go.
        view: The canvas.
        histories: Where undo steps go.
    """

    message = Signal(str)
    active_class_changed = Signal(object)
    rule_changed = Signal(object)
    name_wanted = Signal(int)

    def __init__(
        self, bridge: Bridge, view: CanvasView, histories: Histories, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._view = view
        self._histories = histories
        self._active: int | None = None
        self._previous: int | None = None
        self._rule = PaintRule.OVER_PREDICTIONS
        self._segments: list[Patch] = []
        self._is_drawing = False
        self._erasing = False
        self._refused = ""
        self._fresh_class: int | None = None
        self._shown: str | None = None
        view.set_host(self)
        bridge.session_changing.connect(self._leave)
        bridge.current_changing.connect(self._leave)
        bridge.annotations_replaced.connect(histories.forget_all)
        bridge.session_changed.connect(self._take_session)
        bridge.classes_changed.connect(self._take_classes)
        bridge.annotation_changed.connect(view.annotation_changed)

    # --- classes and rule -------------------------------------------------------------------------------

    @property
    def active_class(self) -> int | None:
        """The class index painted with."""
        return self._active

    @property
    def rule(self) -> PaintRule:
        """Which pixels painting may change."""
        return self._rule

    def choose_class(self, index: int | None) -> None:
        """Paint with another class from now on."""
        if index == self._active:
            return
        self._previous, self._active = self._active, index
        self._view.set_active_class(index)
        self.active_class_changed.emit(index)

    def choose_nth_class(self, position: int) -> None:
        """Choose a class by its place in the list, from 0."""
        classes = self._classes().indices
        if position < len(classes):
            self.choose_class(classes[position])
        else:
            self.message.emit(f"There is no class {position + 1} yet. Ctrl+N adds one.")

    def swap_class(self) -> None:
        """Go back to the class used before."""
        if self._previous is not None and self._classes().by_index(self._previous) is not None:
            self.choose_class(self._previous)
        else:
            self.message.emit("No other class was used yet.")

    def set_rule(self, rule: PaintRule) -> None:
        """Choose which pixels painting may change."""
        self._rule = rule
        self.rule_changed.emit(rule)

    def cycle_rule(self) -> None:
        """Go to the next paint-over rule."""
        self.set_rule(RULES[(RULES.index(self._rule) + 1) % len(RULES)])

    def _classes(self) -> ClassTable:
        session = self._bridge.session
        return session.classes if session else ClassTable()

    def _take_session(self) -> None:
        self._segments.clear()
        self._is_drawing = False
        self._previous = None
        self._histories.forget_all()
        self._view.set_classes(self._classes())
        self._active = -1  # so that the first class, or none, is announced in any case
        self.choose_class(next(iter(self._classes().indices), None))
        self._previous = None

    def _take_classes(self) -> None:
        classes = self._classes()
        self._view.set_classes(classes)
        if self._active is None or classes.by_index(self._active) is None:
            self.choose_class(next(iter(classes.indices), None))
        else:
            self._view.set_active_class(self._active)

    # --- the image on screen ----------------------------------------------------------------------------

    def _leave(self) -> None:
        """Finish what the hand is doing: the image on screen is about to go."""
        self._view.finish_gesture()
        self._shown = None
        self._histories.deactivate()

    def show_annotation(self, event: ImageLoaded) -> None:
        """Put the annotation of the image just loaded on the canvas, with its undo stack."""
        session = self._bridge.session
        if session is None or session.current != event.image_id:
            return
        self._shown = event.image_id
        annotation = session.annotation
        self._view.set_annotation(annotation.label_map if annotation is not None else None)
        history = session.history_of(session.current)
        if annotation is None or history is None:
            self._histories.deactivate()
        else:
            self._histories.activate(event.image_id, history.done, history.undone)

    # --- ToolHost: strokes ------------------------------------------------------------------------------

    def begin(self, *, erase: bool) -> bool:
        """A stroke begins; see `ToolHost`."""
        session = self._ready()
        if session is None:
            return False
        if not erase and not self._have_class(session):
            return False
        self._segments = []
        self._is_drawing = True
        self._erasing = erase
        self._refused = ""
        return True

    def extend(self, segment: Stroke) -> None:
        """Paint one more segment, live."""
        session = self._bridge.session
        if session is None or not self._is_drawing:
            return
        patch = session.stroke_patch(segment, self._rule)
        if patch is None:
            self._refused = session.why_nothing
            return
        self._bridge.apply(patch)
        self._segments.append(patch)

    def finish(self) -> None:
        """Journal the stroke as one step."""
        self._is_drawing = False
        patch = merge(self._segments)
        self._segments = []
        if patch is None or patch.is_empty:
            self.message.emit(self._refused)
        else:
            self._keep(patch, "erase" if self._erasing else "stroke")
            if not self._view.layers.annotation_visible:
                self.message.emit("Painted, but corrections are hidden. T shows them.")
        self._ask_for_name()

    def cancel(self) -> None:
        """Take the stroke in progress back."""
        self._is_drawing = False
        patch = merge(self._segments)
        self._segments = []
        if patch is not None:
            self._bridge.apply(patch.inverse())
        self._fresh_class = None

    # --- ToolHost: whole shapes -------------------------------------------------------------------------

    def polygon(self, points: Sequence[tuple[float, float]], *, erase: bool) -> None:
        """Fill a polygon."""
        session = self._ready()
        if session is None or (not erase and not self._have_class(session)):
            return
        target = UNLABELLED if erase else self._active
        if target is not None:
            self._take(session.polygon_patch(points, target, self._rule), "polygon")
        self._ask_for_name()

    def relabel(self, y: float, x: float, *, erase: bool) -> None:
        """Give the region under a point the active class."""
        session = self._ready()
        if session is None or (not erase and not self._have_class(session)):
            return
        target = UNLABELLED if erase else self._active
        if target is not None:
            self._take(session.relabel_patch(y, x, target, self._rule), "relabel region")
        self._ask_for_name()

    def pick(self, y: float, x: float) -> None:
        """Choose the class under a point."""
        session = self._bridge.session
        found = session.class_at(y, x) if session else None
        if found is None:
            self.message.emit("No class here to pick.")
        else:
            self.choose_class(found)

    # --- keys that act under the cursor, or on the image ------------------------------------------------

    def accept_region(self, y: float, x: float) -> None:
        """Make the predicted region under a point a person's word."""
        session = self._ready()
        if session is not None:
            self._take(session.accept_region_patch(y, x), "accept region")

    def reject_region(self, y: float, x: float) -> None:
        """Take the annotated region under a point back to unlabelled."""
        session = self._ready()
        if session is not None:
            self._take(session.reject_region_patch(y, x), "reject region")

    def void_region(self, y: float, x: float) -> None:
        """Say that no class fits the region under a point."""
        session = self._ready()
        if session is not None:
            self._take(session.void_region_patch(y, x), "no class fits")

    def relabel_labelled(self, y: float, x: float, class_index: int | None) -> None:
        """Give the annotated region under a point another class, or (None) make it unlabelled."""
        session = self._ready()
        if session is not None:
            target = UNLABELLED if class_index is None else class_index
            text = "delete label" if class_index is None else "fix label"
            self._take(session.relabel_labelled_patch(y, x, target), text)

    def accept_image(self) -> bool:
        """Accept the prediction wherever nobody spoke; returns whether the image may be left as reviewed."""
        session = self._ready()
        if session is None:
            return False
        patch = session.accept_image_patch()
        if patch is not None:
            self._take(patch, "accept image")
        return True

    def clear_image(self) -> None:
        """Take the whole image back to unlabelled."""
        session = self._ready()
        if session is not None:
            self._take(session.clear_patch(), "clear image")

    def undo(self) -> None:
        """Take back the last change of this image."""
        self._step(undo=True)

    def redo(self) -> None:
        """Do the change again that was taken back."""
        self._step(undo=False)

    # --- inside -----------------------------------------------------------------------------------------

    def _step(self, *, undo: bool) -> None:
        if self._view.is_busy:
            self._view.cancel_gesture()
            return
        stack = self._histories.active
        can = stack is not None and (stack.canUndo() if undo else stack.canRedo())
        if self._ready() is None:
            return
        if stack is None or not can:
            self.message.emit(f"Nothing to {'undo' if undo else 'redo'} on this image.")
        elif undo:
            stack.undo()
        else:
            stack.redo()

    def _ready(self) -> Session | None:
        """Return the session if the image on screen can be changed, else say why not."""
        session = self._bridge.session
        if session is None or session.current is None:
            return None
        if session.read_only:
            self.message.emit(f"Open read-only: {session.read_only_reason}")
            return None
        if session.annotation is None or self._shown != session.current:
            problem = session.annotation_problem
            self.message.emit(problem.message if problem else "The image is still loading.")
            return None
        return session

    def _have_class(self, session: Session) -> bool:
        """Make sure there is a class to paint with: the first one is made at once and named afterwards."""
        if self._active is not None:
            return True
        index = session.classes.next_index
        if not self._bridge.attempt("The class could not be added", self._add_first_class):
            return False
        self.choose_class(index)
        self._fresh_class = index
        return True

    def _add_first_class(self) -> None:
        table = self._classes()
        name = FIRST_CLASS
        while table.by_name(name) is not None:
            name += "'"
        self._bridge.set_classes(table.add(name))

    def _ask_for_name(self) -> None:
        if self._fresh_class is not None:
            index, self._fresh_class = self._fresh_class, None
            self.name_wanted.emit(index)

    def _take(self, patch: Patch | None, text: str) -> None:
        session = self._bridge.session
        if patch is None or session is None:
            self.message.emit(session.why_nothing if session else "")
            return
        self._bridge.apply(patch)
        self._keep(patch, text)

    def _keep(self, patch: Patch, text: str) -> None:
        self._bridge.commit(patch, RecordKind.PATCH)
        self._histories.push(patch, text)
        self.message.emit("")
