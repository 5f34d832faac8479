"""What a run of the robot shall be: how long, in which order, by which person."""

import dataclasses
import math
from enum import Enum

from engine.errors import EngineError
from engine.measure.actions import AnnotatorRules, User

MEASURED_AT = (30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1200.0, 1800.0)
"""User times, in seconds, at which the held-out images are measured; the end comes in addition."""

_SESSIONS: dict[str, tuple[int | None, float]] = {
    "S": (10, math.inf),
    "M": (40, math.inf),
    "L": (None, 600.0),
    "L600": (None, 600.0),
    "L1800": (None, 1800.0),
}


class Order(Enum):
    """Which image comes next."""

    FOLDER = "folder"
    """A fixed permutation by seed."""
    NAMES = "names"
    """As the files lie, like the frames of a video, beginning where the permutation begins."""
    QUEUE = "queue"
    """What the tool calls most useful."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RobotPlan:
    """One run.

    Attributes:
        user: the person.
        rules: how they work.
        images: stop after so many images; ``None``: no limit.
        seconds: stop after so many seconds of user time.
        order: which image comes next.
        seed: permutation, hand, and the tool's chance.
        sync: learn between two images, a fixed number of steps in no time, instead of alongside.
        measured_at: user times of measurements.
        every_model: measure in addition whenever a newer model is seen, so that none that is worse is missed.
        delivered: measure the masks of so many images of the folder, evenly spread; ``None``: of all.
    """

    user: User
    rules: AnnotatorRules
    images: int | None = None
    seconds: float = 600.0
    order: Order = Order.FOLDER
    seed: int = 0
    sync: bool = False
    measured_at: tuple[float, ...] = MEASURED_AT
    every_model: bool = False
    delivered: int | None = None


def session_length(word: str) -> tuple[int | None, float]:
    """Images and seconds of a session: S, M, L, L600, L1800, or plain seconds.

    Raises:
        EngineError: it is none of these.
    """
    if word.upper() in _SESSIONS:
        return _SESSIONS[word.upper()]
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < math.inf:
        raise EngineError(f"“{word}” is no session length.", "Use S, M, L, L1800 or a number of seconds.")
    return None, seconds
