"""What networks keep to be explained by: it is the network itself, read again."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from models.base import SegmentationModel
from models.blocks import resize
from models.build import build_model
from models.catalog import MODELS, ModelSpec
from models.explanation import Explanation, Gate, read_by_last
from models.networks.idrnet import Idrnet, IdrnetOutput
from models.relation import ClassRelations, deletion_effects, pixel_losses

K = 4
SPECS = {spec.name: spec for spec in MODELS}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(name: str) -> SegmentationModel[Any]:
    """A tiny network in evaluation, with something in its memories."""
    config: Any = SPECS[name].tiny()
    model = build_model(config, K, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for key, values in model.named_buffers():
        if key.endswith(("memory.memory", "relations.mean", "relations.variance", "relations.vectors")):
            values.copy_(torch.randn(values.shape, generator=generator).abs())
    return model


def image() -> Tensor:
    return torch.randn(1, 3, 48, 72, generator=torch.Generator().manual_seed(2))


def explanation_of(model: SegmentationModel[Any]) -> Explanation:
    with torch.no_grad():
        found = model(image(), inspect=True).explanation
    assert found is not None
    return found


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_the_kept_features_give_the_logits_again(spec: ModelSpec) -> None:
    model = network(spec.name)
    with torch.no_grad():
        plain = model(image())
        output = model(image(), inspect=True)
    assert plain.explanation is None
    assert torch.equal(plain.logits, output.logits)
    kept = output.explanation
    assert torch.allclose(resize(kept.logits(), kept.padded)[..., :48, :72], output.logits, atol=1e-5)
    assert kept.spoken_for().shape == (kept.features.shape[1],)


@pytest.mark.parametrize("name", ["idrnet", "mcibi", "mcibi++"])
def test_deleting_nothing_gives_the_same_and_deletions_leave_no_trace(name: str) -> None:
    model = network(name)
    state = {key: values.clone() for key, values in model.state_dict().items()}
    kept = explanation_of(model)
    assert kept.representations is not None
    nothing, every = torch.zeros(K, dtype=torch.bool), torch.ones(K, dtype=torch.bool)
    with torch.no_grad():
        assert torch.allclose(kept.representations.without(nothing), kept.logits(), atol=1e-5)
        without = kept.representations.without(every)
        assert not torch.allclose(without, kept.logits(), atol=1e-5)
        assert torch.allclose(kept.representations.without(nothing), kept.logits(), atol=1e-5)
    assert all(torch.equal(values, state[key]) for key, values in model.state_dict().items())


@pytest.mark.parametrize("name", ["idrnet", "mcibi"])
def test_influence_is_largest_somewhere(name: str) -> None:
    known = explanation_of(network(name)).representations
    assert known is not None
    with torch.no_grad():
        places = known.influence(0.5, 0.5)
    assert places is not None
    assert float(places.max()) == pytest.approx(1)
    assert float(places.min()) >= 0


def test_a_deletion_measures_what_training_measures() -> None:
    """Training deletes one class per image and moves a row of the relations; the what-if is the same row."""
    model = network("idrnet")
    assert isinstance(model, Idrnet)
    target = torch.randint(0, K, (1, 48, 72), generator=torch.Generator().manual_seed(3))
    target[:, ::3] = 255
    kept = explanation_of(model)
    assert kept.representations is not None
    for channel in kept.representations.present[0].nonzero().flatten().tolist():
        deleted = torch.zeros(K, dtype=torch.bool)
        deleted[channel] = True
        with torch.no_grad():
            plain = model(image())
            small = kept.representations.without(deleted)
            without = resize(small, kept.padded)[..., :48, :72]
        count, mean, variance = deletion_effects(target, plain.logits, without)
        # The trainer's own way: the output of a training pass, taken in by `observe`, at full momentum.
        seen = IdrnetOutput(
            logits=plain.logits,
            features=plain.features,
            deleted=torch.tensor([channel]),
            logits_without=small,
        )
        relations = model.context.relations
        relations.relation_momentum = 1.0
        model.observe(seen, target, 0.0)
        assert torch.allclose(relations.mean[channel][count[0] > 0], mean[0][count[0] > 0], atol=1e-6)
        assert torch.allclose(relations.variance[channel][count[0] > 1], variance[0][count[0] > 1], atol=1e-6)


def test_deletions_are_those_of_a_training_pass() -> None:
    """In training mode, with nothing random in it, `forward` deletes exactly what a what-if deletes."""
    model = network("idrnet")
    assert isinstance(model, Idrnet)
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    output = model(image(), inspect=True)
    assert output.deleted is not None
    assert output.logits_without is not None
    assert output.explanation is not None
    known = output.explanation.representations
    assert known is not None
    deleted = torch.arange(K) == output.deleted
    with torch.no_grad():
        assert torch.allclose(known.without(deleted), output.logits_without, atol=1e-6)


def test_effects_are_changes_of_mean_and_variance() -> None:
    generator = torch.Generator().manual_seed(4)
    logits, without = (torch.randn(1, K, 6, 8, generator=generator) for _ in range(2))
    target = torch.randint(0, K, (1, 6, 8), generator=generator)
    count, mean, variance = deletion_effects(target, logits, without)
    before, after = pixel_losses(logits, target)[0], pixel_losses(without, target)[0]
    for channel in range(K):
        own = target[0] == channel
        assert int(count[0, channel]) == int(own.sum())
        assert float(mean[0, channel]) == pytest.approx(
            float(after[own].mean() - before[own].mean()), abs=1e-5
        )
        spread = float(after[own].var(correction=0) - before[own].var(correction=0))
        assert float(variance[0, channel]) == pytest.approx(spread, abs=1e-4)


def test_gates_are_averaged_over_the_channels_a_class_opens() -> None:
    values = torch.tensor([0.2, 0.4, 0.9]).view(1, 3, 1, 1)
    gate = Gate(stage=1, values=values, opened_by=torch.tensor([0, 0, 2]))
    assert gate.by_class(3)[0, :, 0, 0].tolist() == pytest.approx([0.3, 0.0, 0.9])


def test_only_a_convolution_can_be_read_as_the_last_layer() -> None:
    with pytest.raises(TypeError, match="no convolution"):
        read_by_last(torch.nn.Sequential(torch.nn.ReLU()), torch.zeros(1, 1, 2, 2))


def test_relations_are_kept_by_the_network_that_learns_them() -> None:
    model = network("idrnet")
    assert isinstance(model, Idrnet)
    assert isinstance(model.context.relations, ClassRelations)
    assert explanation_of(model).memory is not None


def test_a_memory_can_be_tried_without_being_learnt() -> None:
    model = network("mcibi")
    kept = explanation_of(model)
    assert kept.representations is not None
    assert kept.memory is not None
    with torch.no_grad():
        same = kept.representations.relearnt(kept.memory)
        other = kept.representations.relearnt(10 * kept.memory.flip(0))
    assert same is not None
    assert other is not None
    assert torch.allclose(same, kept.logits(), atol=1e-5)
    assert float((other - same).abs().max()) > 100 * float((same - kept.logits()).abs().max())
    assert torch.equal(model.state_dict()["memory.memory"], kept.memory)
    vectors = explanation_of(network("idrnet")).representations
    assert vectors is not None
    assert vectors.relearnt(kept.memory) is None
