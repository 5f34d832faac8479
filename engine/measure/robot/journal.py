"""The robot's journal: a line of JSON for everything that the person's time went into.

The seconds of all lines add up to those of the session: what was given up, waited for or cut off by the end
has a line as well.
"""

import hashlib
import json
from collections.abc import Callable

from engine.measure.actions import AcceptImage, AcceptRegion, Action, Leave, Paint, Relabel


class Journal:
    """Keeps the sum over its lines and hands them on.

    Args:
        write: called with each line, without line end; ``None``: nobody reads them.
    """

    def __init__(self, write: Callable[[str], None] | None) -> None:
        self._write = write
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 of all lines so far, in hexadecimal digits."""
        return self._digest.hexdigest()

    def opened(self, at: float, seconds: float, image_id: str) -> None:
        """An image is on screen; the person begins at ``at`` to take it in."""
        self._note(at, "open", seconds, image=image_id)

    def done(self, at: float, action: Action) -> None:
        """An action is over at ``at``."""
        self._note(at, _name(action), action.seconds, **_told(action))

    def given_up(self, at: float, action: Action) -> None:
        """The picture changed while the hand moved: the time is spent and nothing was done."""
        self._note(at, "giveup", action.seconds, of=_name(action), **_told(action))

    def cut_off(self, at: float, action: Action, seconds: float) -> None:
        """The session ended ``seconds`` after an action had begun."""
        self._note(at, "cutoff", seconds, of=_name(action))

    def waited(self, at: float, seconds: float) -> None:
        """The tool let the person go on at ``at``."""
        self._note(at, "wait", seconds)

    def _note(self, at: float, word: str, seconds: float, **facts: object) -> None:
        line = json.dumps({"at": round(at, 3), "do": word, "seconds": round(seconds, 4), **facts})
        self._digest.update(line.encode("utf-8") + b"\n")
        if self._write is not None:
            self._write(line)


def _name(action: Action) -> str:
    return type(action).__name__.lower()


def _told(action: Action) -> dict[str, object]:
    """What the journal holds of an action beside its name and seconds."""
    match action:
        case Paint(stroke=stroke, undo=undo):
            points = [[round(y, 2), round(x, 2)] for y, x in stroke.points]
            return {"class": stroke.class_index, "radius": stroke.radius, "points": points, "undo": undo}
        case Relabel(point=point, class_index=index):
            return {"class": index, "point": list(point)}
        case AcceptRegion(point=point):
            return {"point": list(point)}
        case AcceptImage():
            return {}
        case Leave(reviewed=reviewed):
            return {"reviewed": reviewed}
