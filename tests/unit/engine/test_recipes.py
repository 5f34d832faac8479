"""The papers' trainings: complete, within bounds, and with the published lengths and rates."""

import pytest

from engine.codec import dumps, loads
from engine.config import TrainingConfig
from engine.learn.recipe_choice import choice_of
from engine.learn.recipes import QUICK, QUICK_CPU, RECIPES, Recipe, recipes_for
from engine.learn.schedule import Schedule
from models.backbone_configs import SwinConfig
from models.build import build_loss
from models.catalog import MODELS
from models.configs import TinyConfig


def recipe(name: str) -> Recipe:
    return next(item for item in RECIPES if item.name == name)


@pytest.mark.parametrize("item", RECIPES, ids=lambda item: item.name)
def test_every_recipe_makes_a_training(item: Recipe) -> None:
    training = item.training()
    assert loads(TrainingConfig, dumps(training)) == training
    assert training.max_steps == training.optimizer.cycle_steps == item.steps
    assert not training.optimizer.repeats
    assert build_loss(item.loss).terms
    assert item.paper.endswith(".")
    assert item.networks


@pytest.mark.parametrize("item", RECIPES, ids=lambda item: item.name)
def test_a_recipe_fills_in_a_network_it_was_published_for(item: Recipe) -> None:
    kinds = {spec.config_type for spec in MODELS if spec.name in item.networks}
    choice = choice_of(item, TinyConfig())
    assert type(choice.network) in kinds
    assert isinstance(choice.network.backbone, SwinConfig) == ("swin" in item.name)
    assert choice.network.head_rate == item.head_rate
    assert (choice.loss, choice.training) == (item.loss, item.training())
    assert choice_of(item, choice.network) == choice  # what fits stays


def test_names_are_unique() -> None:
    assert len({item.name for item in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("idrnet-ade20k", 130 * 1263),
        ("rmi-voc", 30406),  # "about 30 k"
        ("rmi-camvid", 5800),  # "about 6 k"
        ("spgnet-cityscapes", 60102),  # "60 k"
    ],
)
def test_lengths(name: str, steps: int) -> None:
    assert recipe(name).steps == steps


def rates(item: Recipe, places: tuple[int, ...]) -> list[float]:
    optimizer = item.training().optimizer
    schedule = Schedule(optimizer)
    found = []
    for step in range(item.steps):
        if step in places:
            found.append(optimizer.learning_rate * schedule.factor())
        schedule.advance()
    return found


def test_the_rate_of_region_mutual_information() -> None:
    item = recipe("rmi-camvid")
    first, half, warm, later = rates(item, (0, 150, 300, 3050))
    assert first == pytest.approx(1e-4)
    assert half == pytest.approx((1e-4 + 0.025) / 2)
    assert warm == pytest.approx(0.025)
    assert later == pytest.approx(0.025 * (1 - 2750 / 5500) ** 0.9)


def test_the_rate_of_idrnet() -> None:
    item = recipe("idrnet-cityscapes")
    first, middle = rates(item, (0, item.steps // 2))
    assert first == pytest.approx(0.01)
    assert middle == pytest.approx(0.5**0.9 * 0.0099 + 0.0001)


def test_oblong_crops_become_squares_of_about_their_pixels() -> None:
    assert recipe("idrnet-cityscapes").training().crop.size == 736
    assert recipe("idrnet-lip").training().crop.size == 473


def test_recipes_of_a_network() -> None:
    assert {item.name for item in recipes_for("spgnet")} == {"spgnet-cityscapes"}
    assert len(recipes_for("idrnet")) == 8
    assert recipes_for("tiny") == ()


@pytest.mark.parametrize("training", [QUICK, QUICK_CPU])
def test_quick_trainings_follow_corrections(training: TrainingConfig) -> None:
    assert training.optimizer.repeats
    assert training.max_steps is None
    assert training.crop.corrected_share > 0.5
