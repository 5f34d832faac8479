import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Floor, OptimizerConfig
from engine.learn.schedule import Schedule


def _factors(schedule: Schedule, steps: int) -> list[float]:
    factors = []
    for _ in range(steps):
        factors.append(schedule.factor())
        schedule.advance()
    return factors


def test_a_cycle_falls_as_a_power_and_starts_again() -> None:
    config = OptimizerConfig(cycle_steps=10, warmup_steps=0, poly_power=2.0, floor=0.0)
    factors = _factors(Schedule(config), 31)
    assert factors[:10] == pytest.approx([(1 - step / 10) ** 2 for step in range(10)])
    assert factors[10:30] == pytest.approx([(1 - step / 20) ** 2 for step in range(20)])
    assert factors[30] == 1.0


def test_warm_up_grows_once_per_run() -> None:
    config = OptimizerConfig(cycle_steps=8, warmup_steps=4, poly_power=0.0)
    factors = _factors(Schedule(config), 20)
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert set(factors[5:]) == {1.0}


def test_corrections_bring_back_the_short_cycle() -> None:
    schedule = Schedule(OptimizerConfig(cycle_steps=10, warmup_steps=0))
    _factors(schedule, 20)  # half of the second cycle, which has 20 steps
    schedule.restart()
    assert schedule.position == 2.5
    _factors(schedule, 8)
    assert schedule.position == 0.0


def test_a_restart_raises_the_rate_again() -> None:
    schedule = Schedule(OptimizerConfig(cycle_steps=100, warmup_steps=0))
    _factors(schedule, 80)
    low = schedule.factor()
    schedule.restart()
    assert schedule.factor() > low
    assert schedule.position == 40


@given(st.lists(st.sampled_from(["step", "restart"]), max_size=200), st.floats(0, 1), st.integers(1, 50))
def test_the_factor_stays_between_floor_and_one(moves: list[str], floor: float, cycle: int) -> None:
    schedule = Schedule(OptimizerConfig(cycle_steps=cycle, warmup_steps=0, floor=floor))
    for move in moves:
        schedule.restart() if move == "restart" else schedule.advance()
        assert floor <= schedule.factor() <= 1.0
        assert schedule.position >= 0


def test_a_new_config_keeps_the_share_of_the_cycle() -> None:
    schedule = Schedule(OptimizerConfig(cycle_steps=100))
    schedule.restore(50)
    schedule.reconfigure(OptimizerConfig(cycle_steps=10))
    assert schedule.position == 5
    schedule.restore(1e9)
    assert schedule.position == 10


def test_a_schedule_that_does_not_repeat_runs_down_once() -> None:
    config = OptimizerConfig(
        cycle_steps=10, warmup_steps=0, poly_power=1.0, floor=0.1, floor_way=Floor.BLEND, repeats=False
    )
    schedule = Schedule(config)
    factors = _factors(schedule, 5)
    schedule.restart()
    factors += _factors(schedule, 10)
    assert factors == pytest.approx([0.9 * max(0.0, 1 - step / 10) + 0.1 for step in range(15)])


def test_the_decay_may_wait_for_the_warm_up() -> None:
    config = OptimizerConfig(
        cycle_steps=12, warmup_steps=4, warmup_start=0.2, poly_power=1.0, floor=0.0, decay_after_warmup=True
    )
    factors = _factors(Schedule(config), 12)
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[4:] == pytest.approx([1 - step / 8 for step in range(8)])
