"""Opening folders: by button, by drop, from the list of recent ones, or the example."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path
from PySide6.QtCore import QMimeData, QObject, QUrl, Signal
from PySide6.QtWidgets import QMenu

from app.widgets.progress_card import ProgressCard
from app.window.canvas_area import CARD_WIDTH
from app.window.closing import may_close
from app.window.menus import fill_recent
from engine.errors import EngineError, ProjectLockedError
from engine.messages import Problem
from engine.project.images import IMAGE_SUFFIXES
from engine.sample.scenes import SAMPLE_CLASSES, SAMPLE_COUNT, write_sample

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

CLASS_SUFFIXES = {".json", ".txt"}
CLASS_LISTS = ("classes.json", "classes.txt")
_LOG = logging.getLogger(__name__)


class _GivenUpError(EngineError):
    """The person does not want the example any more."""


def example_folder() -> Path:
    """Return where the example images are kept."""
    return user_data_path("maskloop", appauthor=False) / "example" / "images"


class Opening(QObject):
    """Opens and closes sessions for one window.

    Args:
        window: The window it works for.
    """

    _sample_progress = Signal(int, int)
    _sample_done = Signal(object, object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._recent_menu: QMenu | None = None
        self._is_painting = False
        self._given_up = threading.Event()
        self._card = ProgressCard(window.pages)
        self._card.appeared.connect(self._place_card)
        window.start.open_wanted.connect(self.ask_folder)
        window.start.example_wanted.connect(self.open_example)
        window.start.recent_chosen.connect(lambda name: self.open(Path(name)))
        window.bridge.session_changed.connect(self._fill_recent)
        self._sample_progress.connect(self._card.advance)
        self._sample_done.connect(self._sample_written)

    def add_recent_menu(self, menu: QMenu) -> None:
        """Put the list of recent folders into a menu, after its second entry."""
        self._recent_menu = QMenu("Open recent", menu)
        self._recent_menu.setToolTipsVisible(True)
        menu.insertMenu(menu.actions()[2], self._recent_menu)
        self._fill_recent()

    def _fill_recent(self) -> None:
        if self._recent_menu is not None:
            recent = self._window.store.value.recent
            fill_recent(self._recent_menu, recent, lambda name: self.open(Path(name)))

    # --- opening ----------------------------------------------------------------------------------------

    def ask_folder(self) -> None:
        """Ask for a folder and open it."""
        recent = self._window.store.value.recent
        folder = self._window.asking.folder(
            "Open a folder of images", recent[0] if recent else str(Path.home())
        )
        if folder is not None:
            self.open(folder)

    def open(self, folder: Path) -> bool:
        """Open a folder in place of the open one; returns whether it is open now."""
        if not may_close(self._window):
            return False
        try:
            if not self._open(folder):
                return False
        except EngineError as error:
            _LOG.warning("open %s: %s", folder, error)
            if not folder.is_dir():
                self._window.store.forget_folder(str(folder))
                self._window.start.set_recent(self._window.store.value.recent)
            self._window.tell_problem(f"“{folder.name}” could not be opened", Problem.from_error(error))
            self._window.asking.details(error.message, error.hint, "")
            return False
        self._window.store.remember_folder(folder)
        self._fill_recent()
        self._look_around(folder)
        return True

    def _look_around(self, folder: Path) -> None:
        """Take the class list that lies in a new folder, and point at masks that exist already."""
        session = self._window.bridge.session
        if session is None or session.read_only or any(record.revision for record in session.images):
            return
        lists = (folder / name for name in CLASS_LISTS)
        found = next((path for path in lists if path.is_file()), None)
        if found is not None and not len(session.classes):
            self._window.classes.load_file(found)
            count = len(session.classes)
            self._window.notices.post("class list", f"{count} classes were read from “{found.name}”.")
        masks = masks_near(folder)
        if masks is not None:
            self._window.notices.post(
                "masks found",
                f"There is a folder “{masks.name}” here already.",
                hint="Import its masks with Ctrl+I.",
            )

    def _open(self, folder: Path) -> bool:
        """Open a folder; returns False if it is open elsewhere and the person does not want to look only."""
        window = self._window
        device = window.store.value.device
        try:
            window.bridge.open(folder, device=device)
        except ProjectLockedError as error:
            if not window.asking.open_read_only(error.message, error.hint):
                return False
            window.bridge.open(folder, read_only=True, device=device)
        return True

    def close_folder(self) -> None:
        """Save everything and go back to the start page."""
        may_close(self._window)

    # --- the example ------------------------------------------------------------------------------------

    def open_example(self) -> None:
        """Open the example, after making its images if they are not there yet."""
        folder = example_folder()
        if len(list(folder.glob("*.png"))) >= SAMPLE_COUNT:
            self._open_example(folder)
            return
        if self._is_painting:
            return
        self._is_painting = True
        self._given_up.clear()
        self._card.begin("Painting the example images", self._given_up.set)
        threading.Thread(target=self._write_sample, args=(folder,), name="example", daemon=True).start()

    def _write_sample(self, folder: Path) -> None:
        """Make the images; runs on a thread of its own."""

        def progress(done: int, total: int) -> None:
            if self._given_up.is_set():
                raise _GivenUpError("The example was given up.")
            self._sample_progress.emit(done, total)

        try:
            write_sample(folder, progress=progress)
        except _GivenUpError:
            self._sample_done.emit(None, None)
        except EngineError as error:
            self._sample_done.emit(folder, Problem.from_error(error))
        else:
            self._sample_done.emit(folder, None)

    def _place_card(self) -> None:
        pages = self._window.pages
        self._card.setFixedWidth(min(CARD_WIDTH, pages.width() - 40))
        self._card.adjustSize()
        self._card.move((pages.width() - self._card.width()) // 2, pages.height() - self._card.height() - 40)

    def _sample_written(self, folder: Path | None, problem: Problem | None) -> None:
        self._is_painting = False
        self._card.end()
        if folder is None:
            self._window.status.say("The example was given up.")
        elif problem is None:
            self._open_example(folder)
        else:
            self._window.tell_problem("The example could not be made", problem)

    def _open_example(self, folder: Path) -> None:
        bridge = self._window.bridge
        if self.open(folder) and bridge.session is not None and not len(bridge.session.classes):
            bridge.set_classes(SAMPLE_CLASSES)

    # --- drops ------------------------------------------------------------------------------------------

    def can_take(self, data: QMimeData) -> bool:
        """Say whether something of what is dragged can be opened."""
        return any(self._kind(Path(url.toLocalFile())) for url in local(data.urls()))

    def take_dropped(self, paths: list[Path]) -> None:
        """Open the first folder (or the folder of the first image), and read every class list."""
        folders = [path for path in paths if path.is_dir()]
        images = [path for path in paths if self._kind(path) == "image"]
        lists = [path for path in paths if self._kind(path) == "classes"]
        if folders:
            self.open(folders[0])
        elif images:
            self._open_image(images[0])
        if lists and self._window.bridge.session is None:
            self.open(lists[0].parent)
        if self._window.bridge.session is not None:
            for path in lists:
                self._window.classes.load_file(path)

    def _open_image(self, path: Path) -> None:
        session = self._window.bridge.session
        opened = session is not None and session.folder == path.parent
        if opened or self.open(path.parent):
            session = self._window.bridge.session
            if session is not None and path.name in session.order:
                self._window.bridge.show(path.name)

    def _kind(self, path: Path) -> str:
        if path.is_dir():
            return "folder"
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return "image"
        return "classes" if path.suffix.lower() in CLASS_SUFFIXES else ""


def masks_near(folder: Path) -> Path | None:
    """Return a folder of masks in or beside a folder of images, or None."""
    return next((path for path in (folder / "masks", folder.parent / "masks") if path.is_dir()), None)


def local(urls: list[QUrl]) -> list[QUrl]:
    """Return the addresses that are files of this machine."""
    return [url for url in urls if url.isLocalFile()]
