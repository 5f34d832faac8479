"""What stands beside a candidate on screen: the quick model at the right cells, kept while it fits."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.errors import ImageError
from engine.messages import PoolItem
from engine.project.images import ImageArray
from engine.project.manifest import Split
from engine.quick.features import grid_size
from engine.quick.referee import SHARES
from engine.worker import as_shown
from engine.worker.as_shown import AsShown
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import Chances, QuickDesk

SIZE = (60, 100)
ITEM = PoolItem(image_id="a.png", image_path="a.png", size=SIZE, split=Split.TRAIN, revision=1)
ROWS, COLUMNS = np.array([0, 1, 59, 30]), np.array([0, 1, 99, 51])


class Quick:
    """A quick model whose only feature of a cell is which one it is, and which knows classes 4 and 1."""

    has_learnt = True

    def __init__(self) -> None:
        self.seen_by = object()
        self.looked: list[str] = []
        self.expected = np.array([-1.0, -2.0], np.float32)

    def features_at(
        self, item: PoolItem, read: Callable[[], ImageArray], places: NDArray[np.int64]
    ) -> NDArray[np.float16]:
        read()
        self.looked.append(item.image_id)
        return places[:, None].astype(np.float16)

    def chances(self, values: NDArray[np.float16], unseen: Sequence[str]) -> Chances:
        self.unseen = unseen
        places = values[:, 0].astype(np.float32)
        return Chances(np.array([4, 1], np.uint8), np.stack([places, -places]), self.expected)


class Network:
    """Channels of a table in which class 1 is the first and class 4 was removed."""

    classes = ClassTable().add("zero").add("one").add("two").remove(0)


def read(path: str) -> ImageArray:
    if path == "gone.png":
        raise ImageError("gone.png is gone.", "Put it back.")
    return np.zeros((*SIZE, 3), np.uint8)


def beside(quick: Quick, share: float) -> AsShown:
    return AsShown(cast(QuickDesk, quick), read, lambda _network: share)


NETWORK = cast(LiveNetwork, Network())


def test_pixels_find_their_cells_and_classes_their_channels() -> None:
    quick = Quick()
    said = beside(quick, 0.5).beside(NETWORK, ITEM, ROWS, COLUMNS, ())
    assert said is not None
    assert grid_size(SIZE) == (30, 50)
    assert said.share == 0.5
    assert said.chances.tolist() == [[0, 0, -(29 * 50 + 49), -(15 * 50 + 25)]], "class 4 is no channel"
    assert said.channels.tolist() == [0]
    assert said.expected.tolist() == [-2.0]


@pytest.mark.parametrize(("share", "judged"), [(0.0, SHARES[1]), (0.15, 0.15), (0.75, 0.75)])
def test_without_a_say_yet_a_candidate_is_judged_with_the_least_it_can_earn(
    share: float, judged: float
) -> None:
    said = beside(Quick(), share).beside(NETWORK, ITEM, ROWS, COLUMNS, ())
    assert said is not None
    assert said.share == judged


def test_where_the_network_is_shown_alone_nothing_stands_beside_it() -> None:
    quick = Quick()
    assert beside(quick, 1.0).beside(NETWORK, ITEM, ROWS, COLUMNS, ()) is None
    assert not quick.looked
    quick.has_learnt = False
    assert beside(quick, 0.5).beside(NETWORK, ITEM, ROWS, COLUMNS, ()) is None


def test_an_image_is_looked_at_once_until_places_revision_or_features_are_others() -> None:
    quick = Quick()
    shown = beside(quick, 0.5)
    for _ in range(3):
        shown.beside(NETWORK, ITEM, ROWS, COLUMNS, ())
    assert len(quick.looked) == 1
    shown.beside(NETWORK, ITEM, ROWS[::-1], COLUMNS, ())
    assert len(quick.looked) == 2
    shown.beside(NETWORK, replace(ITEM, revision=2), ROWS[::-1], COLUMNS, ())
    assert len(quick.looked) == 3
    quick.seen_by = object()
    shown.beside(NETWORK, replace(ITEM, revision=2), ROWS[::-1], COLUMNS, ())
    assert len(quick.looked) == 4
    shown.forget()
    shown.beside(NETWORK, replace(ITEM, revision=2), ROWS[::-1], COLUMNS, ())
    assert len(quick.looked) == 5


def test_no_more_images_are_kept_than_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_shown, "_MOST_KEPT", 2)
    quick = Quick()
    shown = beside(quick, 0.5)
    for name in ("a", "b", "c", "c", "b", "a"):
        shown.beside(NETWORK, replace(ITEM, image_id=name), ROWS, COLUMNS, ())
    assert quick.looked == ["a", "b", "c", "a"]


def test_an_image_that_is_gone_leaves_the_network_to_itself() -> None:
    gone = replace(ITEM, image_path=str(Path("gone.png")))
    assert beside(Quick(), 0.5).beside(NETWORK, gone, ROWS, COLUMNS, ()) is None
