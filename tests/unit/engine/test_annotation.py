"""Annotations: read-only outside, one revision per patch."""

import numpy as np
import pytest
from hypothesis import given, settings

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED
from engine.errors import AnnotationError
from tests.support.patches import chains


def test_a_new_annotation_says_nothing():
    annotation = Annotation((3, 5))
    assert annotation.size == (3, 5)
    assert annotation.revision == 0
    assert (annotation.label_map == UNLABELLED).all()
    assert not annotation.provenance.any()
    assert annotation.label_map.dtype == annotation.provenance.dtype == np.uint8


def test_nobody_changes_it_from_outside():
    labels, sources = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    annotation = Annotation.from_arrays(labels, sources, 7)
    labels[:] = 9
    sources[:] = 2
    assert not annotation.label_map.any()
    assert (annotation.provenance == 1).all()
    assert annotation.revision == 7
    for view in (annotation.label_map, annotation.provenance):
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 1
    with pytest.raises(AttributeError):
        annotation.label_map = labels


@given(chains(3))
@settings(max_examples=30)
def test_every_patch_is_one_revision_and_the_views_follow(chain):
    start, patches = chain
    annotation = Annotation.from_arrays(start.label_map, start.provenance)
    view = annotation.label_map
    for number, patch in enumerate(patches, 1):
        annotation.apply(patch)
        assert annotation.revision == number
        assert (view[patch.box.slices][patch.mask] == patch.after[patch.mask]).all()
    for patch in reversed(patches):
        annotation.apply(patch.inverse())
    assert annotation.revision == 6
    assert np.array_equal(view, start.label_map)


@pytest.mark.parametrize(
    ("labels", "sources", "revision", "message"),
    [
        (np.zeros((2, 2), np.int64), np.zeros((2, 2), np.uint8), 0, "8-bit"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1), np.uint8), 0, "8-bit"),
        (np.zeros((0, 2), np.uint8), np.zeros((0, 2), np.uint8), 0, "8-bit"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 0, "no fit"),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 4, np.uint8), 0, "unknown"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), -1, "revision"),
    ],
)
def test_arrays_that_are_no_annotation_are_refused(labels, sources, revision, message):
    with pytest.raises(AnnotationError, match=message):
        Annotation.from_arrays(labels, sources, revision)


def test_a_size_without_pixels_is_refused():
    with pytest.raises(ValueError, match="positive"):
        Annotation((0, 4))
