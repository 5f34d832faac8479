"""A few kills; `python -m tests.durability.kill --points 100` does many."""

from pathlib import Path

import pytest

from tests.durability.kill import Told, run


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_lost_by_a_kill(tmp_path: Path, training: bool) -> None:
    points = run(tmp_path, 3 if training else 6, seed=1, training=training)
    assert [point.wrong for point in points] == [()] * len(points)
    assert points[-1].strokes > 20
    assert not training or points[-1].trained > 0


def test_log_says_what_must_be_there(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "did a 1 10.0\ndid a 2 11.5\nack a 1 11.6\ndid b 1 10.1\nfailed x 1\ntrained 3 9.0\n", "utf-8"
    )
    told = Told.read(log)
    assert told.must_be_there(11.7) == {"a": 1, "b": 1}
    assert told.must_be_there(12.6) == {"a": 2, "b": 1}
    assert told.failures == ["failed x 1"]
    assert told.trained == 1


def test_a_child_that_got_no_time_may_be_late_by_as_much(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("tick 10.0\ndid a 1 10.01\ntick 10.05\ndid a 2 10.06\ntick 10.6\n", "utf-8")
    told = Told.read(log)
    assert told.kept_waiting(10.65) == pytest.approx(0.5)
    assert told.must_be_there(11.55) == {"a": 0}, (
        "from its last tick to its end it may have got no time either"
    )
    told.ticks += [11.0, 11.4, 11.5]
    assert told.must_be_there(11.55) == {"a": 1}
