"""The class memory's map by neighbourhoods, and what is said where its package is missing."""

import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.inspect.memory_map import map_memory
from engine.inspect.neighbourhoods import FEWEST, neighbourhood_plane
from engine.messages import Projection

Floats = NDArray[np.float32]


def vectors(count: int = 24) -> Floats:
    """Two bundles of directions, far from each other."""
    middles = np.eye(2, 6, dtype=np.float32)[np.arange(count) % 2]
    noise = np.random.default_rng(0).normal(0, 0.05, (count, 6)).astype(np.float32)
    return np.asarray(middles + noise, np.float32)


@pytest.fixture
def no_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)


@pytest.mark.usefixtures("no_umap")
def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(EngineError) as caught:
        neighbourhood_plane(vectors(), np.zeros((24, 2), np.float32))
    assert "UMAP is not installed" in caught.value.message
    assert "maskloop[umap]" in caught.value.hint


@pytest.mark.usefixtures("no_umap")
def test_the_map_by_principal_components_needs_no_package() -> None:
    memory = vectors(6)[:, None]
    mapped = map_memory(1, 2, tuple(range(6)), memory, ())
    assert mapped.projection is Projection.PRINCIPAL
    assert sum(mapped.explained) > 0
    with pytest.raises(EngineError):
        map_memory(1, 2, tuple(range(6)), memory, (), Projection.NEIGHBOURHOODS)


def test_too_few_vectors_have_no_neighbourhoods() -> None:
    few = vectors(FEWEST - 1)
    with pytest.raises(EngineError, match="neighbourhoods need"):
        neighbourhood_plane(few, few[:, :2])


@pytest.fixture
def umap_there() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that are not ours
        pytest.importorskip("umap", reason="it lays the map out: maskloop[umap]")
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("umap_there")
def test_neighbours_stay_together_and_the_map_is_the_same_again() -> None:
    given = vectors()
    first, second = (neighbourhood_plane(given, given[:, :2]) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (24, 2)
    distances = np.linalg.norm(first[:, None] - first[None], axis=2)
    alike = np.arange(24)[:, None] % 2 == np.arange(24)[None] % 2
    assert distances[alike].mean() < distances[~alike].mean()
