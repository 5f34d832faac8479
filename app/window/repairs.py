"""What happened to the folder outside the program: said once, with what can be done about it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.widgets.notices import Level, NoticeAction
from engine.messages import AnnotationSetAside, ImagesRelinked, RenamedFound
from engine.session import Session

if TYPE_CHECKING:
    from app.window.main_window import MainWindow

NAMED = 3
"""How many names a sentence lists; the rest is in the details."""

_MISSING = "missing images"
_NOTES = "folder notes"
_ELSEWHERE = "kept elsewhere"


class Repairs(QObject):
    """Tells of missing and renamed images, of files left out, and offers to start damaged annotations anew.

    Args:
        window: The window it works for.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._bridge = window.bridge
        bridge = window.bridge
        bridge.session_changed.connect(self._opened)
        bridge.renamed_found.connect(self._renamed_found)
        bridge.images_relinked.connect(self._relinked)
        bridge.annotation_set_aside.connect(self._set_aside)

    def banner_actions(self, session: Session) -> tuple[NoticeAction, ...]:
        """Return what can be done about the annotation on screen, which cannot be used."""
        problem = session.annotation_problem
        if problem is None:
            return ()
        details = partial(self._window.asking.details, problem.message, problem.hint, problem.report)
        actions = [NoticeAction("Details", details)]
        if session.annotation_damaged:
            actions.insert(0, NoticeAction("Start a new copy", self._start_anew))
        return tuple(actions)

    def _start_anew(self) -> None:
        session = self._bridge.session
        if session is not None:
            self._bridge.attempt("The damaged annotation could not be moved", session.start_anew)
            self._bridge.refresh_saved()

    def _set_aside(self, event: AnnotationSetAside) -> None:
        self._window.notices.post(
            f"set aside {event.image_id}",
            f"“{event.image_id}” can be annotated anew.",
            hint=f"Its damaged files are kept in “{event.folder}”.",
        )

    # --- files of the folder ----------------------------------------------------------------------------

    def _opened(self) -> None:
        session = self._bridge.session
        for cause in (_MISSING, _NOTES, _ELSEWHERE):
            self._window.notices.withdraw(cause)
        if session is None:
            return
        elsewhere = session.kept_elsewhere
        if elsewhere is not None and not session.read_only:
            self._window.notices.post(
                _ELSEWHERE,
                f"Nothing can be written in “{session.folder}”.",
                hint=f"Your work is kept in “{elsewhere}” and found again when you open this folder.",
                level=Level.WARN,
            )
        if session.notes:
            first, more = session.notes[0], len(session.notes) - 1
            text = f"{first} And {more} more." if more else first
            report = "\n".join(session.notes) if more else ""
            self._window.notices.post(_NOTES, text, level=Level.WARN, report=report)
        if session.missing:
            self._tell_missing(session.missing, "Maskloop looks whether they have other names now.")
            session.find_renamed()

    def _tell_missing(self, missing: tuple[str, ...], hint: str) -> None:
        count = len(missing)
        what = "1 annotated image is missing" if count == 1 else f"{count} annotated images are missing"
        report = "\n".join(missing) if count > NAMED else ""
        text = f"{what}: {named(missing)}. Their annotations are kept."
        self._window.notices.post(_MISSING, text, hint=hint, level=Level.WARN, report=report)

    def _renamed_found(self, event: RenamedFound) -> None:
        session = self._bridge.session
        if session is None:
            return
        if not event.found:
            self._window.notices.withdraw(_MISSING)
            self._tell_missing(session.missing, "Put the files back and open the folder again.")
            return
        pairs = tuple(f"{gone} → {present}" for gone, present in event.found.items())
        count = len(pairs)
        what = (
            "1 missing image has another name now" if count == 1 else f"{count} missing images were renamed"
        )
        action = None
        hint = session.read_only_reason
        if not session.read_only:
            hint = "Their content is the same, so the annotations can move to the new names."
            action = NoticeAction("Use the new names", partial(self._relink, dict(event.found)))
        report = "\n".join(pairs) if count > NAMED else ""
        self._window.notices.withdraw(_MISSING)
        self._window.notices.post(
            _MISSING, f"{what}: {named(pairs)}.", hint=hint, level=Level.WARN, report=report, action=action
        )

    def _relink(self, pairs: dict[str, str]) -> None:
        session = self._bridge.session
        if session is not None:
            self._bridge.attempt("The annotations could not be moved", lambda: session.relink(pairs))

    def _relinked(self, event: ImagesRelinked) -> None:
        session = self._bridge.session
        self._window.notices.withdraw(_MISSING)
        count = len(event.pairs)
        s = "" if count == 1 else "s"
        text = f"{count} annotation{s} moved to the present name{s} of the image{s}."
        level = Level.WARN if event.notes else Level.INFO
        self._window.notices.post("relinked", text, hint=" ".join(event.notes), level=level)
        if session is not None and session.missing:
            self._tell_missing(session.missing, "Put the files back and open the folder again.")


def named(names: tuple[str, ...]) -> str:
    """Return the first few of some names, and how many more there are."""
    more = len(names) - NAMED
    listed = ", ".join(names[:NAMED])
    return f"{listed} and {more} more" if more > 0 else listed
