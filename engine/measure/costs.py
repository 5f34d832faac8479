"""The cost model of the simulated annotator: how many seconds a person needs for each action.

All constants stand here and nowhere else. They follow published interaction studies (time per stroke and
painting speed of corrective annotation, keystroke-level model for keys and buttons). Pixels are screen pixels
at the zoom that shows the whole image.
"""

import dataclasses
from collections.abc import Mapping

T_LOOK = 2.0
T_KEY = 0.28
T_UNDO = 0.6
T_GAP = 1.5
T_CLICK = 0.2
T_BRUSH_CHANGE = 0.5
STROKE_AT_LEAST = 0.75
TRAVEL_SPEED = 800.0
PAINT_SPEED = 400.0
SCREEN_WIDTH = 1600.0
SCREEN_HEIGHT = 1000.0
LARGEST_ZOOM = 4.0
BRUSH_CHANGE_RATIO = 2.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """Seconds of user time for each action on an image of one size.

    Attributes:
        zoom: screen pixels per image pixel.
        gap: seconds for finding the next place; the sensitivity runs scale it.
    """

    zoom: float
    gap: float = T_GAP

    @classmethod
    def for_size(cls, size: tuple[int, int], *, gap: float = T_GAP) -> "CostModel":
        """The model for an image of (height, width) shown as large as the canvas allows."""
        height, width = size
        return cls(zoom=min(SCREEN_WIDTH / width, SCREEN_HEIGHT / height, LARGEST_ZOOM), gap=gap)

    def look(self) -> float:
        """Taking in a newly opened image."""
        return T_LOOK

    def key(self) -> float:
        """One key press."""
        return T_KEY

    def undo(self) -> float:
        """Noticing a slip and taking it back."""
        return T_UNDO

    def travel(self, distance: float) -> float:
        """Moving the pointer over ``distance`` image pixels."""
        return distance * self.zoom / TRAVEL_SPEED

    def stroke(self, *, travel: float, length: float, class_changed: bool, brush_ratio: float) -> float:
        """Finding a place, moving there and painting a stroke.

        Args:
            travel: image pixels from the last position of the pointer.
            length: image pixels of the stroke's path.
            class_changed: another class than the last stroke's had to be chosen.
            brush_ratio: this brush's radius divided by the last one's.
        """
        seconds = self.gap + self.travel(travel) + max(STROKE_AT_LEAST, length * self.zoom / PAINT_SPEED)
        if class_changed:
            seconds += T_KEY
        if max(brush_ratio, 1.0 / brush_ratio) > BRUSH_CHANGE_RATIO:
            seconds += T_BRUSH_CHANGE
        return seconds

    def click(self, *, travel: float, class_changed: bool) -> float:
        """Finding a place, moving there and setting one dab.

        Args:
            travel: image pixels from the last position of the pointer.
            class_changed: another class than the last stroke's had to be chosen.
        """
        return self.gap + self.travel(travel) + T_CLICK + (T_KEY if class_changed else 0.0)

    def relabel(self, *, travel: float) -> float:
        """Giving a whole predicted region another class with digit and click."""
        return self.gap + self.travel(travel) + T_CLICK + T_KEY

    def accept_region(self, *, travel: float) -> float:
        """Accepting the predicted region under the pointer."""
        return T_KEY + self.travel(travel)


def constants() -> Mapping[str, float]:
    """All constants by name, to be printed beside results."""
    return {
        "t_look": T_LOOK,
        "t_key": T_KEY,
        "t_undo": T_UNDO,
        "t_gap": T_GAP,
        "t_click": T_CLICK,
        "t_brush_change": T_BRUSH_CHANGE,
        "stroke_at_least": STROKE_AT_LEAST,
        "travel_speed": TRAVEL_SPEED,
        "paint_speed": PAINT_SPEED,
        "screen_width": SCREEN_WIDTH,
        "screen_height": SCREEN_HEIGHT,
        "largest_zoom": LARGEST_ZOOM,
        "brush_change_ratio": BRUSH_CHANGE_RATIO,
    }
