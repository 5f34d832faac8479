"""Hypothesis strategies for annotations and the patches that fit them."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.annotate.annotation import Annotation
from engine.annotate.patch import Patch

SIZE = (6, 7)
_LABELS = st.sampled_from([0, 1, 2, 253, 254, 255])
_SOURCES = st.integers(0, 3)


@st.composite
def annotations(draw, size=SIZE):
    labels = draw(arrays.arrays(np.uint8, size, elements=_LABELS))
    sources = draw(arrays.arrays(np.uint8, size, elements=_SOURCES))
    return Annotation.from_arrays(labels, sources)


@st.composite
def patches_for(draw, annotation):
    """A patch of any box and mask that fits the annotation as it is."""
    height, width = annotation.size
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    bottom, right = draw(st.integers(top + 1, height)), draw(st.integers(left + 1, width))
    box = (slice(top, bottom), slice(left, right))
    shape = (bottom - top, right - left)
    return Patch(
        top,
        left,
        draw(arrays.arrays(np.bool_, shape)),
        annotation.label_map[box],
        draw(arrays.arrays(np.uint8, shape, elements=_LABELS)),
        annotation.provenance[box],
        draw(arrays.arrays(np.uint8, shape, elements=_SOURCES)),
    )


@st.composite
def chains(draw, length):
    """An annotation and patches that fit one after the other: (annotation before all, patches)."""
    start = draw(annotations())
    current = Annotation.from_arrays(start.label_map, start.provenance)
    steps = []
    for _ in range(length):
        patch = draw(patches_for(current))
        current.apply(patch)
        steps.append(patch)
    return start, steps
