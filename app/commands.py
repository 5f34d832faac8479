"""Corrections as undo steps: one Qt undo stack for each image, rebuilt from the journal when it is opened."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from PySide6.QtCore import QObject
from PySide6.QtGui import QUndoCommand, QUndoGroup, QUndoStack

from app.bridge import Bridge
from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch

UNDO_LIMIT = 200

LARGE_PIXELS = 250_000
"""Patches with larger boxes take longer to compress than a frame, so a thread of their own does it."""


class CorrectionCommand(QUndoCommand):
    """One gesture. It is pushed when it is applied already, so its first redo does nothing.

    The patch is kept compressed: a stroke costs a few kB, however large the image is.

    Args:
        bridge: Where changes go.
        step: The patch, or its encoded form.
        text: What the menu says after "Undo".
    """

    def __init__(self, bridge: Bridge, step: Patch | bytes, text: str) -> None:
        super().__init__(text)
        self._bridge = bridge
        self._step = step
        self._is_applied = True
        self._skips = False

    def redo(self) -> None:
        """Apply the patch again, and journal that."""
        if self._is_applied:
            return
        patch = self._patch()
        self._bridge.apply(patch)
        self._bridge.commit(patch, RecordKind.REDO)
        self._is_applied = True

    def undo(self) -> None:
        """Apply the inverse, and journal that."""
        if self._skips:
            self._skips = self._is_applied = False
            return
        patch = self._patch()
        self._bridge.apply(patch.inverse())
        self._bridge.commit(patch, RecordKind.UNDO)
        self._is_applied = False

    def compress(self) -> None:
        """Keep the patch in its encoded form from now on. Safe on any thread: both forms are immutable."""
        self._step = step.encode() if isinstance(step := self._step, Patch) else step

    def _patch(self) -> Patch:
        step = self._step
        return step if isinstance(step, Patch) else Patch.decode(step)

    def skip_once(self) -> None:
        """Let the next undo only move the stack's pointer: the annotation does not hold this patch."""
        self._skips = True


class Histories(QObject):
    """The undo stacks of the images opened in this session.

    Args:
        bridge: Where undone and redone patches go.
    """

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._stacks: dict[str, QUndoStack] = {}
        self.group = QUndoGroup(self)

    @property
    def active(self) -> QUndoStack | None:
        """The stack of the image on screen."""
        return self.group.activeStack()

    def push(self, patch: Patch, text: str) -> None:
        """Add a gesture that was applied and journalled."""
        stack = self.active
        if stack is None:
            return
        command = CorrectionCommand(self._bridge, patch, text)
        stack.push(command)
        if patch.box.area > LARGE_PIXELS:
            threading.Thread(target=command.compress, name="compress undo step", daemon=True).start()
        else:
            command.compress()

    def activate(self, image_id: str, done: Sequence[bytes], undone: Sequence[bytes]) -> None:
        """Make the stack of an image the one that undo and redo work on.

        Args:
            image_id: The image on screen.
            done: Encoded patches that can be undone, oldest first; read when there is no stack yet.
            undone: Encoded patches that can be redone, in the order they were undone: the next to redo last.
        """
        if image_id not in self._stacks:
            self._stacks[image_id] = self._rebuilt(done, undone)
        self.group.setActiveStack(self._stacks[image_id])

    def deactivate(self) -> None:
        """No image is on screen that could be changed."""
        # The binding knows no null stack, so an empty one that belongs to no image stands for it.
        self.activate("", (), ())

    def forget_all(self) -> None:
        """Drop every stack: the annotations were changed by something larger than a patch."""
        self.deactivate()
        for image_id in [name for name in self._stacks if name]:
            stack = self._stacks.pop(image_id)
            self.group.removeStack(stack)
            stack.deleteLater()

    def _rebuilt(self, done: Sequence[bytes], undone: Sequence[bytes]) -> QUndoStack:
        stack = QUndoStack(self.group)
        stack.setUndoLimit(UNDO_LIMIT)
        newest = (*done, *reversed(undone))[-UNDO_LIMIT:]
        commands = [CorrectionCommand(self._bridge, data, "correction") for data in newest]
        for command in commands:
            stack.push(command)
        first_undone = len(commands) - min(len(undone), len(commands))
        _rewind(stack, commands[first_undone:], first_undone)
        return stack


def _rewind(stack: QUndoStack, undone: Sequence[CorrectionCommand], index: int) -> None:
    """Move a stack's pointer back over steps the annotation does not hold; it is not touched."""
    if not undone:
        return
    for command in undone:
        command.skip_once()
    stack.setIndex(index)
