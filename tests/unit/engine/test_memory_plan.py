from hypothesis import given
from hypothesis import strategies as st

from engine.config import Precision
from engine.learn.memory_plan import SMALLEST_CROP, Plan, sentence, smaller

PLANS = st.builds(
    Plan,
    crop=st.integers(32, 2048),
    batch=st.integers(1, 64),
    precision=st.sampled_from([Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16]),
    on_cpu=st.booleans(),
)


def _cost(plan: Plan) -> tuple[bool, int]:
    """The processor has more memory than any card, so everything there counts as less."""
    width = 4 if plan.precision is Precision.FLOAT32 else 2
    return not plan.on_cpu, plan.batch * plan.crop**2 * width


@given(PLANS)
def test_plans_shrink_until_nothing_is_left(plan: Plan) -> None:
    seen = [plan]
    while (following := smaller(seen[-1])) is not None:
        assert _cost(following) < _cost(seen[-1])
        seen.append(following)
    last = seen[-1]
    assert last.on_cpu
    assert last.batch == 1
    assert last.crop <= max(SMALLEST_CROP, min(plan.crop, SMALLEST_CROP))


def test_the_order_is_crop_batch_precision_processor() -> None:
    plan = Plan(crop=160, batch=2, precision=Precision.FLOAT32, on_cpu=False)
    steps = []
    while (following := smaller(plan)) is not None:
        changed = [
            name
            for name in ("crop", "batch", "precision", "on_cpu")
            if getattr(plan, name) != getattr(following, name)
        ]
        steps.append(changed)
        plan = following
    assert steps == [["crop"], ["batch"], ["precision"], ["precision", "on_cpu"]]


def test_crops_stay_on_the_grid_of_the_networks() -> None:
    plan: Plan | None = Plan(crop=768, batch=1, precision=Precision.BFLOAT16, on_cpu=False)
    while plan is not None:
        assert plan.crop % 32 == 0
        plan = smaller(plan)


def test_the_sentence_names_both_plans() -> None:
    old = Plan(crop=768, batch=8, precision=Precision.FLOAT32, on_cpu=False)
    new = Plan(crop=576, batch=1, precision=Precision.BFLOAT16, on_cpu=True)
    text = sentence(old, new)
    assert "8 crops of 768 px" in text
    assert "1 crop of 576 px in bfloat16 on the processor" in text
    assert sentence(new, new).count("processor") == 0
