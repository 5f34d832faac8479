"""What the simulated annotator is like and can do: rules, hand, actions."""

import dataclasses

from engine.annotate.stroke import Stroke


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorRules:
    """How the simulated person works; lengths in pixels of a 480 x 360 image, scaled with the image.

    Attributes:
        border: errors this close to a true border are ignored.
        smallest_area: smaller errors are ignored.
        smallest_radius: thinner places are ignored.
        largest_brush: radius of the largest brush.
        brush_share: brush radius as a share of the depth of the place.
        longest_stroke: strokes are lifted after this length.
        jitter: standard deviation of the hand, sideways.
        wrong_class: probability of painting with another class by mistake.
        overlook_area: an error of this area is seen with probability 1 - 1/e.
        undo_spill: a stroke is taken back when a larger share of it lies on another class.
        accept_share: the rest is accepted when at most this share of what is shown is wrong.
        accept_purity: a predicted region is accepted alone when at least this share of it is right.
        strokes_per_image: actions on one image before going on.
        seconds_per_image: time on one image before going on.
        rarity: an error's area is divided by its class's share of the image to this power: 0 takes the
            largest error first, 1 treats all classes alike.
    """

    border: float = 2.0
    smallest_area: float = 60.0
    smallest_radius: float = 3.0
    largest_brush: float = 20.0
    brush_share: float = 0.7
    longest_stroke: float = 250.0
    jitter: float = 1.0
    wrong_class: float = 0.01
    overlook_area: float = 300.0
    undo_spill: float = 0.25
    accept_share: float = 0.10
    accept_purity: float = 0.97
    strokes_per_image: int = 12
    seconds_per_image: float = 30.0
    rarity: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Where the pointer is and what the brush is set to. ``position`` is (y, x)."""

    position: tuple[float, float]
    class_index: int | None = None
    radius: float = 8.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """How long the person has been on this image; regions accepted or overlooked are listed as (y, x)."""

    strokes: int = 0
    seconds: float = 0.0
    settled: tuple[tuple[int, int], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """A stroke; taken back again when ``undo`` (the seconds include that)."""

    stroke: Stroke
    seconds: float
    undo: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Relabel:
    """The shown region at ``point`` (y, x) gets another class."""

    point: tuple[float, float]
    class_index: int
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRegion:
    """The predicted region at ``point`` (y, x) is right."""

    point: tuple[float, float]
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AcceptImage:
    """The rest of the image is right enough; on to the next one."""

    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """On to the next image without accepting this one."""

    seconds: float


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
