"""What the paint-over rules and locks allow, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.annotate.annotation import Annotation
from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.annotate.compose import final_label_map, make_patch, make_values_patch
from engine.annotate.geometry import Box
from engine.annotate.stroke import PaintRule
from tests.support.patches import SIZE, annotations

_NO_LOCKS = np.zeros(256, bool)
_WHOLE = Box.of_size(SIZE)


def allowed(label, source, rule):
    if rule is PaintRule.OVER_PREDICTIONS:
        return source != Provenance.STROKE
    return rule is PaintRule.EVERYTHING or label == UNLABELLED


@given(
    annotations(),
    arrays.arrays(np.bool_, SIZE),
    st.sampled_from([0, 1, VOID, UNLABELLED]),
    st.sampled_from(Provenance),
    st.sampled_from(PaintRule),
    st.booleans(),
)
def test_every_pixel_follows_the_rule(annotation, mask, class_index, provenance, rule, force):
    locked = _NO_LOCKS.copy()
    locked[1] = True
    before = (annotation.label_map.copy(), annotation.provenance.copy())
    patch = make_patch(
        annotation, _WHOLE, mask, class_index, provenance, rule=rule, locked=locked, force=force
    )
    source = Provenance.NOBODY if class_index == UNLABELLED else provenance
    expected = [array.copy() for array in before]
    for y, x in np.argwhere(mask):
        label = before[0][y, x]
        if force or (allowed(label, before[1][y, x], rule) and not locked[label]):
            expected[0][y, x], expected[1][y, x] = class_index, source
    changed = (expected[0] != before[0]) | (expected[1] != before[1])
    assert (patch is None) == (not changed.any())
    assert np.array_equal(annotation.label_map, before[0])
    if patch is not None:
        assert patch.pixel_count == changed.sum()
        assert patch.mask.any(axis=0)[[0, -1]].all()
        assert patch.mask.any(axis=1)[[0, -1]].all()
        annotation.apply(patch)
    assert np.array_equal(annotation.label_map, expected[0])
    assert np.array_equal(annotation.provenance, expected[1])


def test_values_differ_by_pixel():
    annotation = Annotation((4, 4))
    values = np.array([[3, 4], [UNLABELLED, 5]], np.uint8)
    patch = make_values_patch(
        annotation,
        Box(1, 1, 3, 3),
        np.array([[True, True], [True, False]]),
        values,
        Provenance.ACCEPTED,
        rule=PaintRule.ONLY_UNLABELLED,
        locked=_NO_LOCKS,
    )
    annotation.apply(patch)
    assert annotation.label_map[1, 1:3].tolist() == [3, 4]
    assert (annotation.label_map != UNLABELLED).sum() == 2
    assert annotation.provenance[1, 1:3].tolist() == [Provenance.ACCEPTED] * 2


@pytest.mark.parametrize(
    ("box", "mask_shape", "values_shape", "message"),
    [
        (Box(0, 0, 2, 2), (2, 3), (2, 2), "size of the box"),
        (Box(0, 0, 2, 2), (2, 2), (3, 2), "size of the box"),
        (Box(3, 3, 5, 5), (2, 2), (2, 2), "leaves the image"),
        (Box(-1, 0, 1, 2), (2, 2), (2, 2), "leaves the image"),
    ],
)
def test_boxes_that_do_not_fit(box, mask_shape, values_shape, message):
    with pytest.raises(ValueError, match=message):
        make_values_patch(
            Annotation((4, 4)),
            box,
            np.ones(mask_shape, bool),
            np.zeros(values_shape, np.uint8),
            Provenance.STROKE,
            rule=PaintRule.EVERYTHING,
            locked=_NO_LOCKS,
        )


def test_people_stand_above_the_prediction():
    label_map = np.array([[UNLABELLED, 3, VOID]], np.uint8)
    prediction = np.array([[1, 2, 1]], np.uint8)
    assert final_label_map(label_map, prediction).tolist() == [[1, 3, VOID]]
    alone = final_label_map(label_map, None)
    assert np.array_equal(alone, label_map)
    assert alone is not label_map
    assert alone.flags.writeable
    with pytest.raises(ValueError, match="prediction is"):
        final_label_map(label_map, prediction[:, :2])
