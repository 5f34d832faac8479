"""What the simulated annotator is like and can do: rules, hand, actions."""

import dataclasses
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engine.annotate.stroke import Stroke


class User(Enum):
    """Three simulated persons."""

    PERFECT = "perfect"
    """Sees every error and never marks a wrong pixel."""
    CAREFUL = "careful"
    """Overlooks small errors, trembles a little, takes back what went wrong."""
    HASTY = "hasty"
    """Paints as wide as the place, takes nothing back, and accepts early."""


class Gaze(Enum):
    """What the person looks for in an image."""

    ERRORS = "errors"
    """Places where what is shown is wrong."""
    BLIND = "blind"
    """The largest things in the image; predictions are not looked at."""
    UNSURE = "unsure"
    """Places where the tool is least confident, right or wrong."""


class Feedback(Enum):
    """What of a prediction becomes the person's own word when an image is left."""

    CORRECTIONS = "corrections"
    """Nothing: strokes only."""
    ACCEPT = "accept"
    """All of it, where little enough is wrong."""
    REPLAY = "replay"
    """Wherever the tool is confident, right or wrong."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorRules:
    """How the simulated person works; lengths in pixels of a 480 x 360 image, scaled with the image.

    Attributes:
        border: errors closer than this to a true border are ignored.
        smallest_area: smaller errors are ignored.
        smallest_radius: errors into which no disc of this radius fits are ignored.
        click_area: smaller errors get one dab instead of a stroke.
        largest_brush: radius of the largest brush.
        brush_share: brush radius as a share of the depth of the place.
        longest_stroke: strokes are lifted after this length.
        jitter: standard deviation of the hand, sideways.
        exact: only pixels of the class that is meant are marked, whatever the brush covers.
        wrong_class: probability of marking with another class by mistake.
        overlook_area: an error of this area is seen with probability 1 - 1/e; 0 sees every error.
        undo_spill: a stroke is taken back when a larger share of it lies on another class.
        accept_share: the rest is accepted when at most this share of what is shown is wrong.
        accepts_early: accepts as soon as that is so, without looking for further errors.
        accepts_regions: where the image is not good enough, right regions are accepted one by one.
        accept_purity: a predicted region is accepted alone when at least this share of it is right.
        strokes_per_image: actions on one image before going on; ``None``: no limit.
        seconds_per_image: time on one image before going on.
        rarity: an error's area is divided by its class's share of the image to this power: 0 takes the
            largest error first, 1 treats all classes alike.
        gaze: what the person looks for.
        feedback: what becomes of the prediction when an image is left.
        confident: confidence from which a prediction is fed back, with ``Feedback.REPLAY``.
        gap_factor: seconds between actions are multiplied by this, for the sensitivity of results.
    """

    border: float = 2.0
    smallest_area: float = 60.0
    smallest_radius: float = 3.0
    click_area: float = 400.0
    largest_brush: float = 20.0
    brush_share: float = 0.7
    longest_stroke: float = 250.0
    jitter: float = 1.0
    exact: bool = False
    wrong_class: float = 0.01
    overlook_area: float = 300.0
    undo_spill: float = 0.25
    accept_share: float = 0.10
    accepts_early: bool = False
    accepts_regions: bool = False
    accept_purity: float = 0.97
    strokes_per_image: int | None = 12
    seconds_per_image: float = 30.0
    rarity: float = 0.0
    gaze: Gaze = Gaze.ERRORS
    feedback: Feedback = Feedback.ACCEPT
    confident: float = 0.6
    gap_factor: float = 1.0


def rules_of(user: User) -> AnnotatorRules:
    """The rules of one of the three persons."""
    match user:
        case User.PERFECT:
            return AnnotatorRules(jitter=0.0, exact=True, wrong_class=0.0, overlook_area=0.0)
        case User.CAREFUL:
            return AnnotatorRules()
        case User.HASTY:
            return AnnotatorRules(
                jitter=2.0,
                wrong_class=0.03,
                brush_share=1.0,
                undo_spill=1.0,
                accept_share=0.05,
                accepts_early=True,
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Where the pointer is and what the brush is set to, which stays so from image to image.

    ``position`` is (y, x).
    """

    position: tuple[float, float]
    class_index: int | None = None
    radius: float = 8.0

    def changes_to(self, class_index: int) -> bool:
        """Whether a stroke of a class needs another one chosen first; the first stroke needs none."""
        return self.class_index is not None and self.class_index != class_index


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """How long the person has been on this image, and with how many actions.

    ``settled`` lists points (y, x) of the regions they accepted. What they overlooked stands nowhere: whether
    an error is seen is drawn anew at every look, so that a small one may catch the eye later.
    """

    strokes: int = 0
    seconds: float = 0.0
    settled: tuple[tuple[int, int], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """A stroke, or a single dab; taken back again when ``undo`` (the seconds include that).

    ``within``, here and in other actions, is a (H, W) bool mask of the pixels that may change; None: all.
    """

    stroke: Stroke
    seconds: float
    undo: bool = False
    within: NDArray[np.bool_] | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def is_click(self) -> bool:
        """Whether it is a single dab."""
        return len(self.stroke.points) == 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Relabel:
    """The shown region at ``point`` (y, x) gets another class."""

    point: tuple[float, float]
    class_index: int
    seconds: float
    within: NDArray[np.bool_] | None = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRegion:
    """The predicted region at ``point`` (y, x) is right."""

    point: tuple[float, float]
    seconds: float
    within: NDArray[np.bool_] | None = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AcceptImage:
    """The rest of the image is right enough, within a mask; on to the next one."""

    seconds: float
    within: NDArray[np.bool_] | None = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """On to the next image without accepting this one; ``reviewed`` when it is good enough."""

    seconds: float
    reviewed: bool = False


Action = Paint | Relabel | AcceptRegion | AcceptImage | Leave


def moved(hand: Hand, action: Action) -> Hand:
    """Pointer and brush after an action."""
    match action:
        case Paint(stroke=stroke):
            return Hand(position=stroke.points[-1], class_index=stroke.class_index, radius=stroke.radius)
        case Relabel(point=point, class_index=class_index):
            return dataclasses.replace(hand, position=point, class_index=class_index)
        case AcceptRegion(point=point):
            return dataclasses.replace(hand, position=point)
        case AcceptImage() | Leave():
            return hand


def keys_of(hand: Hand, action: Action) -> int:
    """Key presses the cost model charges for an action; the brush is set without one.

    Args:
        hand: Pointer and brush before it.
        action: What is done.
    """
    if isinstance(action, Paint):
        return int(hand.changes_to(action.stroke.class_index)) + int(action.undo)
    return 1


def after(visit: Visit, action: Action) -> Visit:
    """The visit with an action more."""
    settled = visit.settled
    if isinstance(action, AcceptRegion):
        settled = (*settled, (int(action.point[0]), int(action.point[1])))
    return Visit(strokes=visit.strokes + 1, seconds=visit.seconds + action.seconds, settled=settled)
