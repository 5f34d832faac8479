"""Which image teaches most: pure functions of records and scores."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import ImageScored, PredictionSource
from engine.project.manifest import ImageRecord, ImageStatus, Split
from engine.quick.likeness import LENGTH, descriptor
from engine.session import order
from engine.session.order import Looks

NAMES = tuple(f"{number:02}.png" for number in range(10))
RECORDS = {name: ImageRecord(image_id=name) for name in NAMES}


def annotated(*names: str, classes: tuple[int, ...] = (0,)) -> dict[str, ImageRecord]:
    return {
        name: replace(record, labelled=classes, split=Split.TRAIN, status=ImageStatus.STARTED)
        if name in names
        else record
        for name, record in RECORDS.items()
    }


def line(**at: float) -> dict[str, np.ndarray]:
    """Descriptors on a line: image 3 at 3.0, unless said otherwise."""
    found = {name: np.array([float(number)], np.float32) for number, name in enumerate(NAMES)}
    return {**found, **{f"{key[1:]}.png": np.array([value], np.float32) for key, value in at.items()}}


def scored(
    name: str, uncertainty: float, source: PredictionSource = PredictionSource.NETWORK, **more: Any
) -> ImageScored:
    return ImageScored(
        image_id=name,
        uncertainty=uncertainty,
        source=source,
        **more,
    )


def test_without_any_look_folder_order_stands_and_reviewed_images_come_last() -> None:
    records = {**RECORDS, NAMES[0]: replace(RECORDS[NAMES[0]], status=ImageStatus.REVIEWED)}
    assert order.useful_order(records, Looks()) == (*NAMES[1:], NAMES[0])
    assert order.next_useful(records, Looks(), NAMES[1]) == NAMES[2]


def test_before_any_model_the_image_least_like_the_annotated_comes_first() -> None:
    """Greedy k-centre: 0 is annotated, so 9; then the middle."""
    looks = Looks(descriptors=line())
    assert order.next_useful(annotated(NAMES[0]), looks, NAMES[0]) == NAMES[9]
    assert order.next_useful(annotated(NAMES[0], NAMES[9]), looks, NAMES[9]) in (NAMES[4], NAMES[5])


def test_the_first_image_of_all_is_a_typical_one() -> None:
    assert order.next_useful(RECORDS, Looks(descriptors=line()), None) in (NAMES[4], NAMES[5])


def test_doubt_counts_and_flicker_counts_with_it() -> None:
    flat = {name: np.zeros(2, np.float32) for name in NAMES}
    scores = {name: scored(name, 0.2) for name in NAMES}
    scores[NAMES[6]] = scored(NAMES[6], 0.2, flicker=0.3)
    scores[NAMES[3]] = scored(NAMES[3], 0.6)
    ranked = order.useful_order(RECORDS, Looks(scores, flat))
    assert ranked[:3] == (NAMES[3], NAMES[6], NAMES[0])


def test_a_quick_model_of_one_image_doubts_at_random_so_what_looks_new_comes_first() -> None:
    quick = PredictionSource.QUICK
    scores = {name: scored(name, 0.3, quick) for name in NAMES} | {NAMES[1]: scored(NAMES[1], 0.9, quick)}
    looks = Looks(scores, line())
    assert order.next_useful(annotated(NAMES[0]), looks, NAMES[0]) != NAMES[1]
    trusted = Looks({name: replace(score, source=PredictionSource.NETWORK) for name, score in scores.items()})
    gain = order.gains(annotated(NAMES[0]), replace(trusted, descriptors=line(_01=8.0)))
    assert max(gain, key=lambda name: gain[name]) == NAMES[1]


def test_a_frame_beside_an_annotated_one_gains_less_if_it_looks_alike() -> None:
    alike = line(_05=0.4, _09=0.4)
    scores = {name: scored(name, 0.5) for name in NAMES}
    gain = order.gains(annotated(NAMES[4]), Looks(scores, {**alike, NAMES[4]: alike[NAMES[5]] - 0.1}))
    assert gain[NAMES[5]] < gain[NAMES[9]]


def test_classes_rarely_annotated_are_needed() -> None:
    flat = {name: np.array([0.0], np.float32) for name in NAMES} | {NAMES[0]: np.array([1.0], np.float32)}
    scores = {name: scored(name, 0.3, shares={0: 1.0}) for name in NAMES}
    scores[NAMES[7]] = scored(NAMES[7], 0.3, shares={0: 0.98, 5: 0.02})
    assert order.next_useful(annotated(NAMES[0]), Looks(scores, flat), NAMES[0]) == NAMES[7]


def test_images_looked_at_come_after_the_others_and_the_one_on_screen_never() -> None:
    looks = Looks({name: scored(name, 0.5) for name in NAMES}, line(), looked=(NAMES[9], NAMES[5]))
    ranked = order.useful_order(RECORDS, looks)
    assert ranked[-2:] == (NAMES[9], NAMES[5]), "the one seen longest ago first"
    done = {name: replace(r, status=ImageStatus.REVIEWED) for name, r in RECORDS.items() if name != NAMES[5]}
    assert order.next_useful({**RECORDS, **done}, looks, NAMES[5]) is None
    assert order.next_useful(RECORDS, looks, None, among={NAMES[5]}) == NAMES[5]


def test_unsure_stands_out_from_the_folder_and_levels_agree() -> None:
    scores = {name: scored(name, 0.2) for name in NAMES} | {NAMES[2]: scored(NAMES[2], 0.5)}
    scores[NAMES[8]] = scored(NAMES[8], 0.05)
    looks = Looks(scores)
    assert order.unsure(looks) == {NAMES[2]}
    levels = order.levels(looks)
    assert (levels[NAMES[2]], levels[NAMES[0]], levels[NAMES[8]]) == (3, 2, 1)
    assert order.unsure(Looks({NAMES[2]: scores[NAMES[2]]})) == frozenset(), "one alone stands out of nothing"


def test_changed_needs_a_look_before() -> None:
    scores = {
        NAMES[0]: scored(NAMES[0], 0.2, changed=0.2),
        NAMES[1]: scored(NAMES[1], 0.2, changed=0.001),
        NAMES[2]: scored(NAMES[2], 0.2),
    }
    assert order.changed(Looks(scores)) == {NAMES[0]}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=10, max_size=10),
    st.lists(st.sampled_from(NAMES), max_size=4, unique=True),
    st.lists(st.sampled_from(NAMES), max_size=4, unique=True),
)
def test_an_order_holds_every_image_once_and_depends_on_nothing_else(
    doubts: list[float], known: list[str], looked: list[str]
) -> None:
    scores = {name: scored(name, value) for name, value in zip(NAMES, doubts, strict=True)}
    turned = dict(reversed(scores.items()))
    records = annotated(*known)
    first = order.useful_order(records, Looks(scores, line(), looked))
    assert sorted(first) == sorted(NAMES)
    assert first == order.useful_order(records, Looks(turned, line(), looked))
    gain = order.gains(records, Looks(scores, line(), looked))
    assert all(np.isfinite(value) and value >= 0 for value in gain.values())
    assert set(gain) == set(NAMES) - set(known)


@pytest.mark.parametrize("count", [0, 1, 7, 600, 10_000])
def test_a_sample_is_spread_from_its_very_beginning(count: int) -> None:
    names = [str(number) for number in range(count)]
    found = order.sample(names)
    assert len(found) == len(set(found)) == min(count, order.SAMPLE)
    if count >= 600:
        places = sorted(int(name) for name in found[:16])
        assert max(b - a for a, b in itertools.pairwise(places)) < count / 5


def test_a_descriptor_tells_pictures_apart_and_not_copies() -> None:
    rng = np.random.default_rng(0)
    street = np.zeros((120, 160, 3), np.uint8)
    street[:60] = (120, 160, 230)
    street[60:] = (90, 90, 90)
    noisy = np.clip(street.astype(int) + rng.integers(-8, 9, street.shape), 0, 255).astype(np.uint8)
    large = street.repeat(3, axis=0).repeat(3, axis=1)
    night = street // 4
    base = descriptor(street)
    assert base.shape == (LENGTH,)
    assert base.dtype == np.float32

    def away(image: np.ndarray) -> float:
        return float(np.linalg.norm(descriptor(image) - base))

    assert away(large) < away(noisy) < away(night)
    assert away(street[::-1]) > 3 * away(noisy)
    assert np.isfinite(descriptor(np.zeros((1, 1, 3), np.uint8))).all()


def test_the_next_frame_looks_known_and_another_place_does_not() -> None:
    looks = Looks(descriptors=line())
    records = annotated(NAMES[2], NAMES[9])
    alike = [name for name in NAMES if order.looks_known(records, looks, name)]
    assert alike == [NAMES[1], NAMES[3], NAMES[8]], "themselves are no news, and the others are further away"
    assert not order.looks_known(annotated(NAMES[2]), looks, NAMES[3]), "one image shows no way yet"
    every_other = annotated(*NAMES[::2])
    assert not any(order.looks_known(every_other, looks, name) for name in NAMES), "all others look so, too"
    fewer = {name: found for name, found in line().items() if name != NAMES[3]}
    assert not order.looks_known(records, Looks(descriptors=fewer), NAMES[3]), "nobody has looked at it"
