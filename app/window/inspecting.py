"""Connects INSPECT to the canvas, to editing and to files."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, QPointF, Signal
from PySide6.QtGui import QImage, QImageWriter

from app.actions import Act
from app.canvas.tool import ToolKind
from app.panels.inspect import InspectPanel, Laid, Probe
from app.panels.inspect.page import Export
from engine.errors import EngineError
from engine.files import atomic_write
from engine.messages import ImageScored

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

CLOSER = 1.5
"""A jump zooms in until an image pixel takes at least this share of what it takes in the fitted view."""


class Inspecting(QObject):
    """What INSPECT and the rest of the window want of each other.

    Attributes:
        written: (paths, trouble) An export is on disk, or why it is not.

    Args:
        window: The window it works for.
        panel: The dock's content.
    """

    written = Signal(object, str)

    def __init__(self, window: MainWindow, panel: InspectPanel) -> None:
        super().__init__(window)
        self._window = window
        self._view = window.area.view
        self._probe: Probe = panel.probe
        self.panel = panel
        self._place: tuple[str, float, float] | None = None
        self._pending: Callable[[], object] | None = None
        view, probe = self._view, self._probe
        view.cursor_moved.connect(probe.hover)
        view.probed.connect(lambda y, x: self._pin((y, x)))
        probe.laid.connect(self._lay)
        probe.pinned.connect(view.set_mark)
        probe.said.connect(window.status.say)
        probe.jump.connect(self.jump)
        probe.fix.connect(self.fix)
        probe.disputed.connect(window.queue.model.set_dispute)
        window.bridge.image_scored.connect(self._scored)
        panel.strength_changed.connect(lambda _strength: self._lay(probe.lying))
        panel.export_wanted.connect(self._export)
        # A dock behind another tab counts as visible in Qt; only this signal knows better.
        window.docks["inspect"].visibilityChanged.connect(self._seen)
        self.written.connect(self._tell_written)
        window.bridge.image_loaded.connect(lambda _event: self._arrived())

    def _scored(self, event: ImageScored) -> None:
        """Take in how far first guess and answer differ in an image that was looked at small."""
        if event.disputed is not None:
            self._window.queue.model.set_dispute(event.image_id, event.disputed)

    def table(self) -> dict[Act, Callable[[], object]]:
        """Return what the actions of the menu Inspect do."""
        acts = {Act[f"INSPECT_{page.name.upper()}"]: page.name for page in self.panel.pages}
        return {
            Act.INSPECT: self.toggle,
            Act.TOOL_PROBE: partial(self._view.set_tool, ToolKind.PROBE),
            Act.PIN_PIXEL: self.pin_under_cursor,
            Act.TAKE_OVERLAY_AWAY: lambda: self._probe.lay(None),
            Act.EXPORT_INSPECTION: self.export,
            **{act: partial(self.open, name) for act, name in acts.items()},
        }

    def _seen(self, seen: bool) -> None:
        self.panel.set_seen(seen)
        self._window.actions_table.set_checked(Act.INSPECT, seen)

    # --- the dock ---------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Bring INSPECT to the front, or put it away where it is there already."""
        dock = self._window.docks["inspect"]
        if self.panel.is_seen:
            dock.hide()
        else:
            self.open(self.panel.page.name)

    def open(self, page: str) -> None:
        """Bring a tab of INSPECT to the front."""
        self.panel.show_page(page)  # first, so that no other tab asks for anything
        dock = self._window.docks["inspect"]
        dock.show()
        dock.raise_()

    def pin_under_cursor(self) -> None:
        """Pin the pixel under the cursor, or let it go."""
        point = self._view.pointer_point()
        if point is None:
            self._window.status.say("Put the cursor on a pixel of the image first.")
        else:
            self._pin(point)

    def _pin(self, point: tuple[float, float]) -> None:
        if not self.panel.is_seen:
            self.open("pixel")
        self._probe.toggle_pin(point)

    def _lay(self, laid: Laid | None) -> None:
        strength = self.panel.strength.value() / 100
        self._view.set_overlay(None if laid is None else laid.overlay, strength)

    # --- going to a place, and changing it --------------------------------------------------------------

    def jump(self, image_id: str, y: float, x: float) -> None:
        """Show a place of an image in the middle of the canvas, with a mark."""
        bridge = self._window.bridge
        if bridge.session is None:
            return
        self._place = (image_id, y, x)
        self._pending = None  # what was to be done elsewhere is not done here
        if bridge.session.current == image_id and self._view.image_size is not None:
            self._arrived()
        else:
            bridge.show(image_id)

    def fix(self, image_id: str, y: float, x: float, class_index: int | None) -> None:
        """Relabel a labelled region, or make it unlabelled; its image is opened first."""
        do = partial(self._window.editing.relabel_labelled, y, x, class_index)
        session = self._window.bridge.session
        if session is not None and session.current == image_id and session.annotation is not None:
            do()
        else:
            self.jump(image_id, y, x)
            self._pending = do

    def _arrived(self) -> None:
        """Show the place that somebody wanted to see, once its image is on screen."""
        place, self._place = self._place, None
        session = self._window.bridge.session
        if place is None or session is None or session.current != place[0]:
            return
        image_id, y, x = place
        centre = QPointF(self._view.width() / 2, self._view.height() / 2)
        self._view.fit()
        self._view.zoom_at(CLOSER, centre)
        ratio = self._view.pixel_ratio
        way = (centre - self._view.widget_point(y, x)) * ratio
        self._view.pan_by(round(way.y()), round(way.x()))
        if self._probe.is_active:
            self._probe.set_pin((int(y) + 0.5, int(x) + 0.5))
        pending, self._pending = self._pending, None
        if pending is not None and session.current == image_id:
            pending()

    # --- files ------------------------------------------------------------------------------------------

    def export(self) -> None:
        """Write what the tab in front shows."""
        if self.panel.is_seen:
            self.panel.export()
        else:
            self._window.status.say("Open INSPECT first: Ctrl+Shift+I.")

    def _export(self, export: Export) -> None:
        """Ask where to, then write beside the window: a large picture takes longer than a frame."""
        session = self._window.bridge.session
        if session is None:
            return
        image = Path(session.current or "view").stem
        start = session.folder.parent / f"{image}-{export.stem}.png"
        chosen = self._window.asking.inspection_file(str(start))
        if chosen is not None:
            work = partial(self._write, export, chosen.with_suffix(""))
            threading.Thread(target=work, name="export inspection", daemon=True).start()

    def _write(self, export: Export, stem: Path) -> None:
        try:
            paths = write_export(export, stem)
        except (EngineError, OSError) as error:
            self.written.emit((), str(error))
        else:
            self.written.emit(paths, "")

    def _tell_written(self, paths: tuple[Path, ...], trouble: str) -> None:
        if trouble:
            self._window.notices.post("inspection export", "The view could not be exported.", hint=trouble)
        elif paths:
            names = ", ".join(path.name for path in paths)
            self._window.status.say(f"Written to “{paths[0].parent}”: {names}.")


def write_export(export: Export, stem: Path) -> tuple[Path, ...]:
    """Write pictures as PNG, the table as CSV and the facts as JSON; returns the files. Any thread.

    Args:
        export: What a view gives.
        stem: Path without ending.

    Raises:
        EngineError: The folder cannot be written.
    """
    written: list[Path] = []
    for name, picture in export.pictures.items():
        path = stem.with_name(f"{stem.name}{'-' if name else ''}{name}.png")
        atomic_write(path, png(picture))
        written.append(path)
    if export.table:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(export.table)
        written.append(stem.with_name(f"{stem.name}.csv"))
        atomic_write(written[-1], text.getvalue().encode())
    if export.facts:
        written.append(stem.with_name(f"{stem.name}.json"))
        atomic_write(written[-1], (json.dumps(export.facts, indent=1, ensure_ascii=False) + "\n").encode())
    return tuple(written)


def png(picture: QImage) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, QByteArray(b"PNG")).write(picture)
    return bytes(buffer.data().data())
