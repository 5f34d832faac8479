"""The space bar means two things: tapped it accepts a region, held it pans."""

TAP_SECONDS = 0.15
"""Released sooner than this, with the hand at rest, it was a tap."""


class SpaceKey:
    """Tells taps from holds.

    Attributes:
        held: Whether the key is down.
    """

    def __init__(self) -> None:
        """Starts released."""
        self.held = False
        self._since = 0.0
        self._used = False

    def press(self, now: float) -> None:
        """The key went down at `now` (seconds)."""
        self.held = True
        self._since = now
        self._used = False

    def use(self) -> None:
        """The pointer moved or a button was pressed meanwhile: no tap any more."""
        self._used = True

    def release(self, now: float) -> bool:
        """The key came up; returns whether that was a tap."""
        tapped = self.held and not self._used and now - self._since < TAP_SECONDS
        self.held = False
        return tapped

    def forget(self) -> None:
        """The keyboard went elsewhere; the release will not be seen."""
        self.held = False
