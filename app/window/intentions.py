"""What each action of the table does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtWidgets import QMenu

from app.actions import ACTIONS, CLASS_ACTS, Act, shown_key
from app.canvas.tool import ToolKind
from app.dialogs.about import AboutDialog
from app.dialogs.commands import Command, CommandPalette
from app.dialogs.notices import NoticesDialog
from app.dialogs.preferences import PreferencesDialog
from app.dialogs.shortcuts import ShortcutSheet
from app.panels.layers import OPACITY_STEP
from app.window.exchanging import export_masks, import_masks
from app.window.importing import import_checkpoint
from app.window.review import Review
from engine.messages import WorkerState

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

RADIUS_STEP = 1.15
FLUSH_S = 5.0

_TOOLS = {
    Act.TOOL_BRUSH: ToolKind.BRUSH,
    Act.TOOL_ERASER: ToolKind.ERASER,
    Act.TOOL_POLYGON: ToolKind.POLYGON,
    Act.TOOL_FILL: ToolKind.FILL,
    Act.TOOL_PICK: ToolKind.PICK,
    Act.TOOL_MOVE: ToolKind.MOVE,
}


class Intentions(QObject):
    """Connects the action table to the rest of the window.

    Args:
        window: The window it works for.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._bridge = window.bridge
        self._view = window.area.view
        self._editing = window.editing
        table = {**self._file_table(), **self._edit_table(), **self._view_table(), **self._label_table()}
        table |= self._queue_table(window.review) | self._train_and_help_table() | window.inspecting.table()
        window.actions_table.connect_all(table)
        window.actions_table.set_checked(Act.TOOL_BRUSH, True)
        window.training.toggle_wanted.connect(self.toggle_training)
        window.training.details_wanted.connect(self.toggle_details)
        window.details.save_wanted.connect(self.save_checkpoint)
        window.docks["details"].visibilityChanged.connect(self._details_shown)
        window.status.bell_clicked.connect(self.show_notices)
        window.editing.name_wanted.connect(self._ask_first_name)
        self._view.accept_region_requested.connect(window.editing.accept_region)
        self._view.context_menu_requested.connect(self._context_menu)

    # --- tables -----------------------------------------------------------------------------------------

    def _file_table(self) -> dict[Act, Callable[[], object]]:
        window = self._window
        return {
            Act.OPEN_FOLDER: window.opening.ask_folder,
            Act.OPEN_EXAMPLE: window.opening.open_example,
            Act.CLOSE_FOLDER: window.opening.close_folder,
            Act.LOAD_CLASSES: self.load_classes,
            Act.IMPORT_MASKS: partial(import_masks, window),
            Act.EXPORT: partial(export_masks, window),
            Act.SAVE_NOW: self.save_now,
            Act.PREFERENCES: self.change_preferences,
            Act.QUIT: window.close,
        }

    def _edit_table(self) -> dict[Act, Callable[[], object]]:
        edit = self._editing
        return {
            Act.UNDO: edit.undo,
            Act.REDO: edit.redo,
            Act.CLEAR_IMAGE: edit.clear_image,
            Act.CANCEL: self._view.cancel_gesture,
            Act.SWAP_CLASS: edit.swap_class,
            Act.CYCLE_RULE: edit.cycle_rule,
            Act.ADD_CLASS: self.add_class,
            Act.FIND_CLASS: self.find_class,
            Act.LOCK_CLASS: self.lock_class,
            **{act: partial(edit.choose_nth_class, place) for place, act in enumerate(CLASS_ACTS)},
        }

    def _view_table(self) -> dict[Act, Callable[[], object]]:
        window, view = self._window, self._view
        return {
            Act.FIT: view.fit,
            Act.ACTUAL_SIZE: view.actual_size,
            Act.ZOOM_IN: view.zoom_in,
            Act.ZOOM_OUT: view.zoom_out,
            Act.TOGGLE_PREDICTION: partial(self.toggle_layer, "prediction"),
            Act.TOGGLE_CORRECTIONS: partial(self.toggle_layer, "annotation"),
            Act.TOGGLE_IMAGE: partial(self.toggle_layer, "image"),
            Act.OPACITY_LESS: partial(window.layers.change_opacity, -OPACITY_STEP),
            Act.OPACITY_MORE: partial(window.layers.change_opacity, OPACITY_STEP),
            Act.CLASS_STRIP: self.toggle_strip,
            Act.FULL_SCREEN: self.toggle_full_screen,
            Act.RESET_LAYOUT: window.reset_layout,
        }

    def _label_table(self) -> dict[Act, Callable[[], object]]:
        edit = self._editing
        return {
            **{act: partial(self._view.set_tool, kind) for act, kind in _TOOLS.items()},
            Act.BRUSH_SMALLER: partial(self.scale_brush, 1 / RADIUS_STEP),
            Act.BRUSH_LARGER: partial(self.scale_brush, RADIUS_STEP),
            Act.RELABEL: partial(self.under_cursor, partial(edit.relabel, erase=False)),
            Act.ACCEPT_REGION: partial(self.under_cursor, edit.accept_region),
            Act.REJECT_REGION: partial(self.under_cursor, edit.reject_region),
            Act.VOID_REGION: partial(self.under_cursor, edit.void_region),
        }

    def _queue_table(self, review: Review) -> dict[Act, Callable[[], object]]:
        return {
            Act.ACCEPT_IMAGE: review.accept_image,
            Act.NEXT_IMAGE: review.next_image,
            Act.PREVIOUS_IMAGE: review.previous_image,
            Act.NEXT_UNREVIEWED: review.next_unreviewed,
            Act.PREVIOUS_UNREVIEWED: partial(review.next_unreviewed, backwards=True),
            Act.TOGGLE_REVIEWED: review.toggle_reviewed,
        }

    def _train_and_help_table(self) -> dict[Act, Callable[[], object]]:
        return {
            Act.TRAIN: self.toggle_training,
            Act.TRAIN_ON_ALL_CARDS: self._window.all_cards.toggle,
            Act.SAVE_CHECKPOINT: self.save_checkpoint,
            Act.IMPORT_CHECKPOINT: partial(import_checkpoint, self._window),
            Act.TRAINING_DETAILS: self.toggle_details,
            Act.SHORTCUTS: self.show_shortcuts,
            Act.COMMANDS: self.show_commands,
            Act.NOTICES: self.show_notices,
            Act.ABOUT: self.show_about,
        }

    # --- view -------------------------------------------------------------------------------------------

    def toggle_layer(self, name: str) -> None:
        """Show or hide ``image``, ``prediction`` or ``annotation``."""
        layers = self._window.layers
        layers.set_visible_layer(name, not layers.is_visible(name))

    def peek(self, *, peeking: bool) -> None:
        """Look without the prediction while Q is held."""
        layers = self._window.layers.layers
        self._view.layers = replace(layers, prediction_visible=layers.prediction_visible and not peeking)

    def toggle_strip(self) -> None:
        """Show or hide the row of classes over the image."""
        strip = self._window.area.strip
        shown = strip.isHidden()
        strip.setVisible(shown)
        self._window.actions_table.set_checked(Act.CLASS_STRIP, shown)
        self._window.store.change(show_class_strip=shown)

    def toggle_full_screen(self) -> None:
        """Use the whole screen, or not."""
        window, handle = self._window, self._window.windowHandle()
        # The handle is asked: where the screen is smaller than the window's least size, the widget forgets.
        full = not handle.windowStates() & Qt.WindowState.WindowFullScreen
        if full:
            window.showFullScreen()
        else:
            window.showNormal()
            handle.showNormal()
        window.actions_table.set_checked(Act.FULL_SCREEN, full)

    def toggle_details(self) -> None:
        """Show or hide network and checkpoints."""
        dock = self._window.docks["details"]
        dock.setVisible(dock.isHidden())
        if not dock.isHidden():
            self._window.details.refresh()

    def _details_shown(self, _visible: bool) -> None:
        shown = not self._window.docks["details"].isHidden()
        self._window.training.set_expanded(shown)
        self._window.actions_table.set_checked(Act.TRAINING_DETAILS, shown)

    # --- editing ----------------------------------------------------------------------------------------

    def under_cursor(self, do: Callable[[float, float], None]) -> None:
        """Do something with the region under the cursor."""
        point = self._view.pointer_point()
        if point is None:
            self._window.status.say("Put the cursor on a region of the image first.")
        else:
            do(*point)

    def scale_brush(self, factor: float) -> None:
        """Make the brush larger or smaller."""
        self._view.set_brush_radius(self._view.brush_radius * factor)

    def add_class(self) -> None:
        """Ask for the name of a new class at the cursor."""
        area = self._window.area
        area.field.ask("New class:", area.pointer_position(), self._window.classes.add)

    def find_class(self) -> None:
        """Ask for a class by name at the cursor."""
        session = self._bridge.session
        names = session.classes.names if session else ()
        area = self._window.area
        area.field.ask(
            "Class:",
            area.pointer_position(),
            self._choose_named,
            suggestions=names,
            complete_only=True,
            placeholder="type a name",
        )

    def _choose_named(self, name: str) -> None:
        session = self._bridge.session
        spec = session.classes.by_name(name) if session else None
        if spec is not None:
            self._editing.choose_class(spec.index)

    def _ask_first_name(self, index: int) -> None:
        area = self._window.area
        area.field.ask(
            "What is this?",
            area.pointer_position(),
            lambda name: self._window.classes.rename(index, name),
            placeholder="name of the class",
        )

    def lock_class(self) -> None:
        """Protect the chosen class, or not."""
        active = self._editing.active_class
        if active is not None:
            self._window.classes.toggle_locked(active)

    def load_classes(self) -> None:
        """Ask for a class list and read it."""
        session = self._bridge.session
        path = self._window.asking.class_file(str(session.folder) if session else "")
        if path is not None:
            self._window.classes.load_file(path)

    def _context_menu(self, at: QPoint, point: tuple[float, float] | None) -> None:
        menu = QMenu(self._window)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        table = self._window.actions_table
        if point is not None:
            edit = self._editing
            menu.addAction("Accept region", partial(edit.accept_region, *point))
            menu.addAction("Relabel region", partial(edit.relabel, *point, erase=False))
            menu.addAction("Reject region", partial(edit.reject_region, *point))
            menu.addAction("No class fits", partial(edit.void_region, *point))
            menu.addAction("Pick class", partial(edit.pick, *point))
            menu.addSeparator()
        for act in (Act.UNDO, Act.REDO, Act.FIT, Act.ACTUAL_SIZE):
            menu.addAction(table[act])
        menu.popup(at)

    # --- training ---------------------------------------------------------------------------------------

    def toggle_training(self) -> None:
        """Start, stop, or restart what an error stopped; a refusal is told with its reason."""
        session = self._bridge.session
        if session is None:
            return
        if self._bridge.worker_state is WorkerState.TRAINING:
            session.stop_training()
            self._window.status.say("Stopping: what was learnt is being saved.")
            return
        if self._bridge.worker_state is WorkerState.FAULTED:
            self.restart_network()
            return
        refusal = session.can_train()
        if refusal is not None:
            self._window.status.say(refusal)
            return
        self._window.area.side_note.hide()
        self._bridge.attempt("Training could not start", session.start_training)

    def restart_network(self) -> None:
        """Open the network again after an error stopped it."""
        session = self._bridge.session
        if session is not None:
            self._bridge.attempt("The network could not be restarted", session.restart_network)

    def save_checkpoint(self) -> None:
        """Ask for a name and keep what the network knows now."""
        session = self._bridge.session
        name = self._window.asking.checkpoint_name()
        if session is not None and name is not None:
            self._bridge.attempt(
                "The checkpoint could not be saved", lambda: session.save_checkpoint(name or None)
            )

    # --- saving -----------------------------------------------------------------------------------------

    def save_now(self) -> None:
        """Wait until everything is on disk."""
        session = self._bridge.session
        if session is not None:
            done = session.flush(FLUSH_S)
            self._bridge.refresh_saved()
            self._window.status.say("Everything is on disk." if done else "The disk is slow; saving goes on.")

    # --- the program ------------------------------------------------------------------------------------

    def change_preferences(self) -> None:
        """Ask for preferences and take them over at once."""
        window = self._window
        dialog = PreferencesDialog(window.store, window)
        if not dialog.exec():
            return
        changes = dialog.changes()
        before = window.store.value
        window.store.change(**changes)
        value = window.store.value
        self._view.wheel_zooms = not value.wheel_scrolls
        window.area.side_note.setVisible(value.show_side_note)
        if value.theme is not before.theme:
            window.look.apply(value.theme)

    def show_shortcuts(self) -> None:
        """Show all keys."""
        ShortcutSheet(ACTIONS, self._window).exec()

    def show_commands(self) -> None:
        """Open the command palette."""
        CommandPalette(self.commands(), self._window).exec()

    def commands(self) -> list[Command]:
        """Return everything that can be done now, for the command palette."""
        table, look = self._window.actions_table, self._window.look
        digits = set(CLASS_ACTS)
        found = [
            Command(
                table[spec.act].text().split("\t")[0],
                table[spec.act].trigger,
                shown_key(spec),
                spec.help,
                look.icon(spec.icon) if spec.icon else None,
            )
            for spec in table.enabled_specs()
            if spec.act is not Act.COMMANDS and spec.act not in digits
        ]
        session = self._bridge.session
        for spec in session.classes if session else ():
            choose = partial(self._editing.choose_class, spec.index)
            found.append(Command(f"Class: {spec.name}", choose, "", "choose class", look.icon("tag")))
        return found

    def show_notices(self) -> None:
        """Show what the program told so far."""
        NoticesDialog(self._window.notices, self._window.look, self._window).exec()

    def show_about(self) -> None:
        """Show version and licences."""
        AboutDialog(self._window).exec()
