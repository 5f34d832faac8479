import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.codec import dumps, loads
from engine.config import (
    AugmentConfig,
    CropConfig,
    OptimizerConfig,
    OptimizerKind,
    Precision,
    PredictConfig,
    TrainingConfig,
)
from models.described import ConfigError, describe

CONFIGS = (TrainingConfig, CropConfig, AugmentConfig, OptimizerConfig, PredictConfig)


@pytest.mark.parametrize("config", CONFIGS)
def test_defaults_are_valid_and_every_field_is_explained(config: type) -> None:
    config()
    assert all(field.help.endswith((".", "?")) for field in describe(config))


def test_a_value_out_of_bounds_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        CropConfig(size=7)
    assert (caught.value.field, caught.value.value) == ("size", 7)


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(ConfigError):
        OptimizerConfig(kind="adamw")  # type: ignore[arg-type]


@given(
    st.integers(32, 2048),
    st.floats(1e-7, 1e4),
    st.sampled_from(OptimizerKind),
    st.sampled_from(Precision),
    st.none() | st.integers(1, 10**9),
)
def test_training_config_survives_json(
    size: int, rate: float, kind: OptimizerKind, precision: Precision, max_steps: int | None
) -> None:
    config = TrainingConfig(
        crop=CropConfig(size=size),
        optimizer=OptimizerConfig(kind=kind, learning_rate=rate),
        precision=precision,
        max_steps=max_steps,
    )
    assert loads(TrainingConfig, dumps(config), "test") == config
