import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.learn.image_cache import ImageCache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 400)), max_size=60), st.integers(0, 1000))
def test_the_budget_holds_and_values_are_right(requests: list[tuple[int, int]], budget: int) -> None:
    cache = ImageCache(budget)
    sizes: dict[str, int] = {}
    for key, size in requests:
        length = sizes.setdefault(str(key), size)
        (array,) = cache.get(str(key), lambda length=length, key=key: (np.full(length, key, np.uint8),))
        assert array.size == length
        assert (array == key).all()
        assert cache.used <= max(budget, length)


def test_what_is_held_is_not_read_again() -> None:
    cache, reads = ImageCache(100), []

    def read(key: str) -> np.ndarray:
        reads.append(key)
        return (np.zeros(40, np.uint8),)

    for key in "abab":
        cache.get(key, lambda key=key: read(key))
    assert reads == ["a", "b"]
    cache.get("c", lambda: read("c"))  # pushes out a, the least recently used
    cache.get("b", lambda: read("b"))
    cache.get("a", lambda: read("a"))
    assert reads == ["a", "b", "c", "a"]


def test_dropping_gives_the_bytes_back() -> None:
    cache = ImageCache(100)
    cache.get("a", lambda: (np.zeros(40, np.uint8), np.zeros(2, np.uint8)))
    assert cache.used == 42
    cache.drop("a")
    cache.drop("never there")
    assert cache.used == 0
