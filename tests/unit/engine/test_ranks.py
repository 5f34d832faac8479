import pytest

from engine.errors import EngineError
from engine.learn.ranks import ALONE, Rank, current_rank


def test_without_torchrun_there_is_one_process() -> None:
    assert current_rank({}) == ALONE
    assert ALONE.is_first
    assert ALONE.share([1, 2, 3]) == [1, 2, 3]


def test_torchrun_s_variables_are_read() -> None:
    said = {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "TORCHELASTIC_RESTART_COUNT": "2",
    }
    assert current_rank(said) == Rank(number=5, count=8, local=1, local_count=4, restarts=2)
    assert not current_rank(said).is_first


@pytest.mark.parametrize(("rank", "size"), [("x", "2"), ("2", "2"), ("-1", "2")])
def test_nonsense_is_refused(rank: str, size: str) -> None:
    with pytest.raises(EngineError, match=r"torchrun|WORLD_SIZE"):
        current_rank({"RANK": rank, "WORLD_SIZE": size})


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_disjoint_and_cover_everything(count: int) -> None:
    shares = [Rank(number=number, count=count).share(range(5)) for number in range(count)]
    assert sorted(item for share in shares for item in share) == list(range(5))


def test_every_process_draws_at_least_one_crop() -> None:
    assert [Rank(count=count).part_of(8) for count in (1, 2, 3, 16)] == [8, 4, 2, 1]
