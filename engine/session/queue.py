"""The session's side of the queue: what is known of images nobody has on screen, and which comes next.

Owner thread only. Nothing changes its place while a person looks at the list: the order is taken anew only
when the next image is asked for, another order is chosen, or `arrange` is called.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.messages import (
    ClassDeleted,
    Command,
    Event,
    ImageScored,
    ImagesRelinked,
    NetworkOpened,
    ScoreImages,
)
from engine.project.manifest import ImageRecord, ImageStatus, Manifest, OrderKind
from engine.project.project import Project
from engine.session import order
from engine.session.order import Looks
from engine.session.review import next_unreviewed

SCORED = 64
"""Images predicted in small: the most promising ones, and those looked at last."""

_SCORED_SEEN = 24
_AHEAD = 3


class Asked(Protocol):
    """What the queue needs of the session's side of the worker."""

    @property
    def is_started(self) -> bool:
        """Whether the worker thread was started."""

    def ask(self, command: Command) -> None:
        """Pass a command on to the worker."""


class Shown(Protocol):
    """What the queue needs of the session."""

    project: Project
    current: str | None

    @property
    def manifest(self) -> Manifest:
        """The project's manifest."""

    @property
    def worker(self) -> Asked:
        """The session's side of the worker."""

    def remember_order(self, kind: OrderKind) -> None:
        """Keep the order for the next time the project is opened."""


class QueueControl:
    """Keeps what small looks found, and answers which image comes next.

    Args:
        session: Names the images and passes wishes on.
    """

    def __init__(self, session: Shown) -> None:
        self._session = session
        self._kind = session.manifest.order
        self._scores: dict[str, ImageScored] = {}
        self._descriptors: dict[str, NDArray[np.float32]] = {}
        self._looked: dict[str, int] = {}
        self._looks = 0
        self._arranged: tuple[str, ...] = ()
        self._asked: ScoreImages | None = None
        self._spread: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._paths: dict[str, str] = {}
        self.arrange()

    # --- what is known ------------------------------------------------------------------------------------

    @property
    def kind(self) -> OrderKind:
        """The order chosen; the project remembers it."""
        return self._kind

    @kind.setter
    def kind(self, kind: OrderKind) -> None:
        if kind is not self._kind:
            self._kind = kind
            self._session.remember_order(kind)
            self.arrange()
            self.wish()

    @property
    def looks(self) -> Looks:
        """What small looks found so far."""
        return Looks(self._scores, self._descriptors, tuple(self._looked))

    def score(self, image_id: str) -> ImageScored | None:
        """Return the newest small prediction of an image, or None."""
        return self._scores.get(image_id)

    def unsure(self) -> frozenset[str]:
        """Return the images whose prediction is doubtful and that are not reviewed."""
        images = self._images
        return frozenset(
            name
            for name in order.unsure(self.looks)
            if name in images and images[name].status is not ImageStatus.REVIEWED
        )

    def levels(self) -> dict[str, int]:
        """Return how doubtful each predicted image is beside the others, 1 to 3."""
        return order.levels(self.looks)

    def changed(self) -> frozenset[str]:
        """Return the images whose prediction has changed since the person last looked."""
        on_screen = self._session.current
        return frozenset(
            name for name in order.changed(self.looks) if name in self._images and name != on_screen
        )

    @property
    def ids(self) -> tuple[str, ...]:
        """Image ids in the order that is shown: it changes only when `arrange` is called."""
        names = tuple(self._images)
        if self._kind is OrderKind.FOLDER:
            return names
        kept = tuple(name for name in self._arranged if name in self._images)
        placed = frozenset(kept)
        return (*kept, *(name for name in names if name not in placed))

    def arrange(self) -> None:
        """Put the list in the order of now."""
        useful = self._kind is OrderKind.USEFUL
        self._arranged = order.useful_order(self._images, self.looks) if useful else ()

    @property
    def repeats(self) -> bool:
        """Whether folder order goes on with an image that looks like one that was annotated.

        Frames of a video do. Such an image teaches little; the most useful one is another.
        """
        if self._kind is not OrderKind.FOLDER:
            return False
        images = self._images
        following = self._following()
        return following is not None and order.looks_known(images, self.looks, following)

    def _following(self) -> str | None:
        """Return where Enter goes in folder order."""
        return next_unreviewed(tuple(self._images), self._images, self._session.current)

    def next_useful(self, among: Collection[str] | None = None) -> str | None:
        """Return the image that would teach most, and put the list in the order of now.

        Args:
            among: Images to choose from; None for all that are not reviewed.

        Returns:
            An image id other than that on screen. With `among`, None where nothing is known of any of them.
        """
        self.arrange()
        if among is not None and not any(name in self._descriptors for name in among):
            return None
        return order.next_useful(self._images, self.looks, self._session.current, among)

    # --- wishes and answers -------------------------------------------------------------------------------

    def looked(self, image_id: str) -> None:
        """Note that an image comes on screen, and wish for what may come after it."""
        self._looked.pop(image_id, None)
        self._looks += 1
        self._looked[image_id] = self._looks
        self.wish()

    def wish(self, *, again: bool = False) -> None:
        """Tell the worker which images to look at, if it runs and the list is another one now.

        Args:
            again: Tell it in any case; `AllScored` follows once it has looked at them.
        """
        if not self._session.worker.is_started:
            return
        wanted = self._wanted()
        if again or wanted != self._asked:
            self._asked = wanted
            self._session.worker.ask(wanted)

    def handle(self, event: Event) -> None:
        """Take in one event; those that are not about the queue are passed over."""
        match event:
            case ImageScored():
                self._scored(event)
            case NetworkOpened() | ClassDeleted():
                # Another model, or other classes: what was found about the old ones says nothing now.
                self._scores.clear()
                self._asked = None
                self.wish()
            case ImagesRelinked():
                self._asked = None
                self._spread = ((), ())
                self.wish()
            case _:
                pass

    def _scored(self, event: ImageScored) -> None:
        if event.descriptor is not None:
            self._descriptors[event.image_id] = event.descriptor
        if event.uncertainty is not None:
            self._scores[event.image_id] = event

    def _wanted(self) -> ScoreImages:
        images = self._images
        if self._spread[0] != (names := tuple(images)):
            self._spread = names, order.sample(names, len(names))
            # Made once for a folder: of ten thousand images this takes longer than all the rest.
            self._paths = {name: str(self._session.project.image_path(name)) for name in names}
        everything = self._spread[1]
        spread = everything[: order.SAMPLE]
        known = [name for name, record in images.items() if order.is_known(record)][-order.SAMPLE :]
        gain = order.gains(images, self.looks)
        ranked = sorted(gain, key=lambda name: -gain[name]) or [name for name in spread if name not in known]
        seen = list(self._looked)[::-1][:_SCORED_SEEN]
        chosen = [name for name in ranked if name not in self._looked]
        score = tuple(dict.fromkeys((*chosen[: SCORED - len(seen)], *seen)))
        ahead = self._ahead(chosen)
        following = [name for name in (self._following(),) if name is not None]
        describe = tuple(dict.fromkeys((*known, *following, *spread)))
        return ScoreImages(
            paths=self._paths,
            describe=tuple(name for name in describe if name not in self._descriptors),
            score=score,
            ahead=ahead,
            looks={name: self._looked[name] for name in seen},
            survey=tuple(dict.fromkeys((*describe, *everything))),
        )

    def _ahead(self, ranked: list[str]) -> tuple[str, ...]:
        """Return the images a person is likely to open next."""
        images, current = self._images, self._session.current
        ids = self.ids
        place = ids.index(current) if current in ids else -1
        beside = list(ids[place + 1 : place + 3])
        first = ranked[:2] if self._kind is OrderKind.USEFUL else []
        wanted = [name for name in dict.fromkeys((*first, *beside)) if name in images and name != current]
        return tuple(wanted[:_AHEAD])

    @property
    def _images(self) -> Mapping[str, ImageRecord]:
        return self._session.manifest.images
