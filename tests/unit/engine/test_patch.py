"""Patches: exact, invertible, joinable, and strict when they are read back."""

import contextlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.annotate.annotation import Annotation
from engine.annotate.geometry import Box
from engine.annotate.patch import (
    MAX_PATCH_PIXELS,
    Patch,
    PatchDamagedError,
    PatchMismatchError,
    merge,
)
from engine.errors import AnnotationError
from tests.support.patches import SIZE, chains


def _copy(annotation):
    return annotation.label_map.copy(), annotation.provenance.copy()


def _small(top=2, left=3, label=4):
    mask = np.array([[True, False, True], [False, True, True]])
    full = np.ones(mask.shape, np.uint8)
    return Patch(top, left, mask, full * 255, full * label, full * 0, full)


@given(chains(1))
def test_inverse_gives_back_what_was_there(chain):
    start, (patch,) = chain
    labels, sources = _copy(start)
    patch.apply_to(labels, sources)
    assert (labels[patch.box.slices][patch.mask] == patch.after[patch.mask]).all()
    patch.inverse().apply_to(labels, sources)
    assert np.array_equal(labels, start.label_map)
    assert np.array_equal(sources, start.provenance)
    assert patch.inverse().inverse() == patch


@given(chains(1))
def test_nothing_changes_outside_the_mask(chain):
    start, (patch,) = chain
    labels, sources = _copy(start)
    patch.apply_to(labels, sources)
    touched = np.zeros(SIZE, bool)
    touched[patch.box.slices] = patch.mask
    assert np.array_equal(labels[~touched], start.label_map[~touched])
    assert np.array_equal(sources[~touched], start.provenance[~touched])


@given(chains(3))
@settings(max_examples=40)
def test_then_is_associative_and_the_same_as_one_after_the_other(chain):
    start, (first, second, third) = chain
    assert first.then(second).then(third) == first.then(second.then(third))
    labels, sources = _copy(start)
    for patch in (first, second, third):
        patch.apply_to(labels, sources)
    joined_labels, joined_sources = _copy(start)
    first.then(second).then(third).apply_to(joined_labels, joined_sources)
    assert np.array_equal(labels, joined_labels)
    assert np.array_equal(sources, joined_sources)


@given(chains(4))
@settings(max_examples=50)
def test_merge_is_then_for_many(chain):
    _, patches = chain
    expected = patches[0]
    for patch in patches[1:]:
        expected = expected.then(patch)
    assert merge(patches) == expected
    assert merge(patches[:1]) == patches[0]


def test_merge_of_nothing_is_nothing():
    assert merge([]) is None


@given(chains(2))
@settings(max_examples=50)
def test_the_inverse_of_two_is_the_inverses_backwards(chain):
    _, (first, second) = chain
    assert first.then(second).inverse() == second.inverse().then(first.inverse())


@given(chains(1))
def test_round_trip_through_bytes(chain):
    _, (patch,) = chain
    read = Patch.decode(patch.encode(), SIZE)
    assert read == patch
    assert hash(read) == hash(patch)
    assert all(
        not array.flags.writeable for array in (read.mask, read.before, read.after, read.provenance_after)
    )


def test_round_trip_of_a_full_mask_and_of_an_empty_one():
    for value in (True, False):
        mask = np.full((4, 5), value)
        plane = np.arange(20, dtype=np.uint8).reshape(4, 5)
        patch = Patch(0, 0, mask, plane, plane[::-1], plane % 4, plane % 3)
        assert Patch.decode(patch.encode()) == patch
        assert patch.is_empty is not value


def test_values_outside_the_mask_are_zero_and_arrays_are_its_own():
    mask = np.array([[True, False]])
    before = np.array([[7, 9]], np.uint8)
    patch = Patch(0, 0, mask, before, before, before * 0, before * 0)
    mask[0, 1] = True
    before[0, 0] = 1
    assert patch.mask.tolist() == [[True, False]]
    assert patch.before.tolist() == [[7, 0]]
    with pytest.raises(ValueError, match="read-only"):
        patch.after[0, 0] = 3


def test_what_a_patch_says_about_itself():
    patch = _small()
    assert patch.box == Box(2, 3, 4, 6)
    assert patch.pixel_count == 4
    assert not patch.is_empty
    assert patch != "patch"
    assert patch != _small(top=1)
    assert patch != _small(label=5)


@pytest.mark.parametrize(
    ("top", "mask", "plane", "message"),
    [
        (-1, np.ones((2, 2), bool), np.zeros((2, 2), np.uint8), "before the image"),
        (0, np.ones((2, 2), np.uint8), np.zeros((2, 2), np.uint8), "bool"),
        (0, np.ones(4, bool), np.zeros(4, np.uint8), "bool"),
        (0, np.ones((0, 2), bool), np.zeros((0, 2), np.uint8), "bool"),
        (0, np.ones((2, 2), bool), np.zeros((2, 3), np.uint8), "before must be"),
        (0, np.ones((2, 2), bool), np.zeros((2, 2), np.int64), "before must be"),
    ],
)
def test_impossible_patches_cannot_be_made(top, mask, plane, message):
    with pytest.raises(ValueError, match=message):
        Patch(top, 0, mask, plane, plane, plane, plane)


def test_a_patch_for_something_else_changes_nothing():
    annotation = Annotation((8, 8))
    patch = _small()
    annotation.apply(patch)
    before = _copy(annotation)
    with pytest.raises(PatchMismatchError, match="4 pixels"):
        annotation.apply(patch)
    with pytest.raises(PatchMismatchError, match="leaves the image"):
        annotation.apply(_small(top=7))
    assert np.array_equal(before[0], annotation.label_map)
    assert np.array_equal(before[1], annotation.provenance)
    assert annotation.revision == 1


def test_only_the_provenance_may_differ():
    labels, sources = np.full((8, 8), 255, np.uint8), np.ones((8, 8), np.uint8)
    with pytest.raises(PatchMismatchError):
        _small().apply_to(labels, sources)


def test_then_refuses_a_patch_that_does_not_follow():
    with pytest.raises(PatchMismatchError):
        _small().then(_small())


def test_a_stroke_is_small_on_disk():
    yy, xx = np.mgrid[:300, :400]
    mask = np.hypot(yy - 150, xx - 200) < 140
    full = np.ones(mask.shape, np.uint8)
    assert len(Patch(0, 0, mask, full * 255, full * 3, full * 0, full).encode()) < 5000


# --- damage --------------------------------------------------------------------------------------


def _bytes(top=0, left=0, height=2, width=3, body=b"", magic=b"MLP1", extra=b""):
    return struct.pack("<4sIIII", magic, top, left, height, width) + zlib.compress(body) + extra


_MASK = np.packbits(np.array([True, False, True, False, False, True])).tobytes()
_GOOD = _MASK + bytes(12)


def test_the_bytes_of_this_file_are_a_patch():
    assert Patch.decode(_bytes(body=_GOOD)).pixel_count == 3


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "too short"),
        (_bytes(body=_GOOD)[:19], "too short"),
        (_bytes(body=_GOOD, magic=b"MLP2"), "begin"),
        (_bytes(height=0, body=_GOOD), "box is not possible"),
        (_bytes(top=2**31, body=_GOOD), "box is not possible"),
        (_bytes(height=2**31, width=2**31, body=_GOOD), "box is not possible"),
        (_bytes(height=MAX_PATCH_PIXELS + 1, width=1, body=_GOOD), "box is not possible"),
        (_bytes(top=9, body=_GOOD), "leaves the image"),
        (_bytes(body=b"\xff" + bytes(24)), "bits outside"),
        (_bytes(body=_MASK + bytes(11)), "length is wrong"),
        (_bytes(body=_MASK), "length is wrong"),
        (_bytes(body=_MASK + bytes(13)), "length is wrong"),
        (_bytes(body=_GOOD, extra=b"x"), "length is wrong"),
        (_bytes(body=_GOOD)[:-1], "length is wrong"),
        (_bytes(body=_MASK + bytes(6) + b"\x04" + bytes(5)), "provenance"),
        (_bytes(body=_GOOD)[:20] + b"not deflate", "unpacked"),
    ],
)
def test_damage_is_refused(data, why):
    with pytest.raises(PatchDamagedError, match=why):
        Patch.decode(data, (10, 10))


def test_a_small_file_cannot_fill_the_memory():
    bomb = _bytes(body=bytes(50_000_000))
    assert len(bomb) < 60_000
    with pytest.raises(AnnotationError, match="length is wrong"):
        Patch.decode(bomb)


@given(st.binary(max_size=80))
def test_any_bytes_give_a_patch_or_say_that_they_are_damaged(data):
    header = struct.pack("<4sIIII", b"MLP1", 0, 0, 2, 3)
    for candidate in (data, header + data, header + zlib.compress(data)):
        with contextlib.suppress(PatchDamagedError):
            patch = Patch.decode(candidate)
            assert Patch.decode(patch.encode()) == patch


@given(chains(1), st.data())
@settings(max_examples=60)
def test_a_patch_cut_short_is_refused(chain, data):
    encoded = chain[1][0].encode()
    length = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(AnnotationError):
        Patch.decode(encoded[:length])
