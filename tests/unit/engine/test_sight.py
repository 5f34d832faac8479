"""What a network that came trained sees, and the quick model that learns from it."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED
from engine.config import Precision
from engine.errors import DeviceMemoryError
from engine.messages import AnnotationChanged, CheckpointSaved, OpenNetwork, Predict, Shutdown, StopTraining
from engine.quick import texture
from engine.quick.features import FEATURES, feature_grid
from engine.worker import sight as module
from engine.worker.network import LiveNetwork
from engine.worker.origin import came_from, origin
from engine.worker.quick_desk import QuickDesk
from engine.worker.sight import CHANNELS, Sight, sight_of
from models.backbones.tiny import TinyBackbone
from models.build import build_model
from models.catalog import MODELS, ModelSpec
from models.configs import TinyBackboneConfig
from tests.support.learning import BOX, SKY, make_project, picture
from tests.support.worker_desk import Desk

CPU = torch.device("cpu")
BY_HAND = FEATURES + texture.CHANNELS
OWN = 16 + 21
"""Channels of the last two stages of the smallest backbone."""


def backbone(width: int = 8) -> TinyBackbone:
    torch.manual_seed(0)
    return TinyBackbone(TinyBackboneConfig(width=width, depth=1))


def sight(width: int = 8) -> Sight:
    return Sight(backbone(width), CPU, Precision.FLOAT32)


@dataclass
class Live:
    """As much of a live network as is asked for."""

    model: torch.nn.Module
    request: OpenNetwork
    has_learnt: bool = True
    shown_step: int = 0
    precision: Precision = Precision.FLOAT32
    device: object = field(default_factory=lambda: SimpleNamespace(device=CPU))


@pytest.fixture
def request_of(tmp_path: Path) -> OpenNetwork:
    file = tmp_path / "came.pt"
    file.touch()
    return make_project(tmp_path, train=0, held_out=0).open_network(checkpoint=str(file), quick_head=True)


def of(model: torch.nn.Module, request: OpenNetwork, *, has_learnt: bool = True) -> Sight | None:
    return seen_by(cast(LiveNetwork, Live(model, request, has_learnt)))


def seen_by(network: LiveNetwork) -> Sight | None:
    return sight_of(network, came_from(network))


def test_the_last_stages_join_the_hand_made_features() -> None:
    image = picture(0)[0]
    found = sight()
    stages = found.stages(image)
    assert [stage.shape for stage in stages] == [(16, 8, 10), (21, 4, 5)]
    assert all(stage.dtype == np.float16 for stage in stages)
    assert not any(stage.flags.writeable for stage in stages)
    grid = feature_grid(image, found.stages)
    assert grid.at(np.arange(3)).shape == (3, BY_HAND + OWN)
    assert grid.nbytes > feature_grid(image, lambda _: ()).nbytes


def test_channels_are_bounded_and_mixed_the_same_way_every_time() -> None:
    image = picture(0)[0]
    wide = CHANNELS
    one, other = sight(wide).stages(image), sight(wide).stages(image)
    assert [len(stage) for stage in one] == [CHANNELS, CHANNELS]
    assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_it_stays_as_it_came_whatever_is_learnt_meanwhile() -> None:
    original = backbone()
    found = Sight(original, CPU, Precision.FLOAT32)
    image = picture(0)[0]
    before = found.stages(image)
    with torch.no_grad():
        for value in original.parameters():
            value.add_(1.0)
    after = found.stages(image)
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert original.training
    assert all(value.requires_grad for value in original.parameters())


@pytest.mark.parametrize("spec", MODELS, ids=[spec.name for spec in MODELS])
def test_every_network_sees_through_its_backbone(spec: ModelSpec, request_of: OpenNetwork) -> None:
    config: Any = spec.tiny()
    model = build_model(config, 3, seed=0)
    found = of(model, request_of)
    assert found is not None
    for stage in found.stages(picture(0)[0]):
        assert np.isfinite(stage).all()
        assert stage.std() > 0


def test_untrained_networks_and_those_without_a_backbone_see_nothing(request_of: OpenNetwork) -> None:
    assert of(backbone(), request_of) is not None
    assert of(backbone(), request_of, has_learnt=False) is None
    assert of(torch.nn.Conv2d(3, 3, 1), request_of) is None
    assert of(backbone(), replace(request_of, quick_head=False)) is None
    assert of(backbone(), replace(request_of, store_folder="")) is None


def test_weights_that_are_no_numbers_do_not_spoil_what_is_made_by_hand() -> None:
    broken = backbone()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    for stage in Sight(broken, CPU, Precision.FLOAT32).stages(picture(0)[0]):
        assert np.isfinite(stage).all()


def test_a_costly_backbone_sees_fewer_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((720, 728, 3), np.uint8)
    assert sight().stages(image)[1].shape[1:] == (45, 46)
    monkeypatch.setitem(module._PRODUCTS, "cpu", 1e6)
    height, width = sight().stages(image)[1].shape[1:]
    assert height * width * 16**2 <= module._FEWEST_PIXELS + 64 * 16**2


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A network that came trained, the first image on screen."""
    desk = Desk(make_project(tmp_path))
    desk.open(quick_head=True)
    desk.count_as_trained()
    desk.predict(7)
    desk.heard.clear()
    yield desk
    desk.give(Shutdown())


def quick(desk: Desk) -> QuickDesk:
    return desk.loop._work._screen.quick


def network_of(desk: Desk) -> LiveNetwork:
    found = desk.loop._work._network
    assert found is not None
    return found


def extra(desk: Desk) -> int:
    """Return how many features the quick model has from a network."""
    found = quick(desk).readout()
    assert found is not None
    assert found.look(picture(0)[0]).at(np.arange(1)).shape == (1, found.features)
    return found.features - BY_HAND


def test_the_quick_model_learns_from_what_a_trained_network_sees(desk: Desk) -> None:
    for item in desk.project.items:
        desk.give(AnnotationChanged(item=item))
    desk.work(4)
    assert extra(desk) == OWN
    image, labels = picture(9)
    shown = np.zeros_like(labels)
    wanted = Predict(image_id="new", image_path="", request_id=1)
    for part in quick(desk).predict(image, wanted):
        shown[part.box.slices] = part.label_map
    assert (shown == labels).mean() > 0.85


def test_another_network_begins_with_other_features_and_the_same_annotations(desk: Desk) -> None:
    desk.give(AnnotationChanged(item=desk.project.items[0]))
    assert extra(desk) > 0
    learnt = quick(desk)._model.images
    desk.open(quick_head=True)  # the same network, untrained
    desk.work(4)
    assert quick(desk)._model.images == learnt
    assert extra(desk) == 0


def test_what_runs_of_the_project_made_of_a_network_is_not_what_came(desk: Desk) -> None:
    came = desk.project.folder / "checkpoints" / network_of(desk).checkpoint
    before = quick(desk)._sight
    for item in desk.project.items:
        desk.give(AnnotationChanged(item=item))
    for _ in range(2):
        desk.start()
        desk.work(3)
        desk.give(StopTraining())
    saved = Path(desk.heard.of(CheckpointSaved)[-1].path)
    assert network_of(desk).step > 0
    assert saved != came
    assert origin(desk.project.folder, saved, network_of(desk).step) == came
    model = quick(desk)._model
    desk.open(quick_head=True, checkpoint=str(saved))
    assert quick(desk)._model is model  # it sees the same, so nothing has to be learnt again
    assert before is not None
    again = quick(desk)._sight
    assert again is not None
    assert again.source == before.source
    found = quick(desk).readout()
    assert found is not None
    assert not found.expected.any(), "it learnt elsewhere what to expect"
    fresh = seen_by(network_of(desk))
    assert fresh is not None
    image = picture(0)[0]
    assert all(np.array_equal(*pair) for pair in zip(fresh.stages(image), before.stages(image), strict=True))
    came.unlink()
    assert seen_by(network_of(desk)) is None


def test_a_network_that_was_trained_here_from_the_start_gives_no_features(tmp_path: Path) -> None:
    desk = Desk(make_project(tmp_path))
    desk.open(quick_head=True)
    desk.start()
    desk.work(3)
    desk.give(StopTraining())
    saved = desk.heard.of(CheckpointSaved)[-1].path
    desk.open(quick_head=True, checkpoint=saved)
    assert network_of(desk).has_learnt
    assert seen_by(network_of(desk)) is None
    for item in desk.project.items:
        desk.give(AnnotationChanged(item=item))
    while quick(desk).has_news:
        desk.work(1)
    assert quick(desk).held_out_count < 3
    share = desk.loop._work._screen._contest.share(network_of(desk))
    assert share == 0.15, "opened again it does not have the whole say, which it never earned"
    found = quick(desk).readout()
    assert found is not None
    assert found.expected.max() > found.expected.min(), "it learnt from these labels"
    desk.give(Shutdown())


def test_taking_a_stroke_back_brings_back_every_bit(desk: Desk) -> None:
    item = desk.project.items[0]
    old = desk.project.store.load(item.image_id, item.size).annotation.label_map.copy()
    desk.give(AnnotationChanged(item=item))
    before = quick(desk).readout()
    more = old.copy()
    more[20:30, 20:40] = np.where(old[20:30, 20:40] == UNLABELLED, BOX, old[20:30, 20:40])
    desk.annotate(more, 2)
    between = quick(desk).readout()
    desk.annotate(old, 3)
    after = quick(desk).readout()
    assert before is not None
    assert between is not None
    assert after is not None
    assert not np.array_equal(before.matrix, between.matrix)
    assert np.array_equal(before.matrix, after.matrix)
    assert np.array_equal(before.offsets, after.offsets)


def test_where_memory_is_short_the_quick_model_goes_by_hand_and_learns_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in desk.project.items[:2]:
        desk.give(AnnotationChanged(item=item))
    desk.work(4)
    assert extra(desk) > 0

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    alone = sight()
    monkeypatch.setattr(TinyBackbone, "forward", full)
    with pytest.raises(DeviceMemoryError):
        alone.stages(picture(0)[0])
    desk.give(AnnotationChanged(item=desk.project.items[2]))
    desk.work(4)
    assert set(quick(desk)._model.images) == {item.image_id for item in desk.project.items[:3]}
    assert extra(desk) == 0
    found = quick(desk).readout()
    assert found is not None
    assert SKY in found.classes


def test_a_full_card_leaves_the_work_to_the_processor() -> None:
    elsewhere = sight()
    assert elsewhere.fallback() is None
    elsewhere._device = torch.device("meta")
    second = elsewhere.fallback()
    assert second is not None
    found, expected = second.stages(picture(0)[0]), sight().stages(picture(0)[0])
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.gpu
def test_a_card_is_free_again_after_an_image_was_looked_at() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA card on this machine")
    card = torch.device("cuda")
    image = picture(0)[0]
    found = Sight(backbone(), card, Precision.FLOAT32)
    found.stages(image)  # libraries keep some room of their own from the first time on
    before = torch.cuda.memory_allocated(card)
    stages = found.stages(image)
    assert torch.cuda.memory_allocated(card) <= before
    for one, other in zip(stages, sight().stages(image), strict=True):
        assert np.abs(one.astype(float) - other).max() < 0.05


def test_memory_goes_back_only_when_nothing_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    free: list[bool] = []

    def full(_: object, image: torch.Tensor) -> None:
        held.append(weakref.ref(image))
        raise torch.OutOfMemoryError("out of memory")

    found = sight()
    monkeypatch.setattr(TinyBackbone, "forward", full)
    monkeypatch.setattr(module, "release_memory", lambda _: free.append(held[0]() is None))
    with pytest.raises(DeviceMemoryError):
        found.stages(picture(0)[0])
    assert free == [True]
