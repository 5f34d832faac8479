"""IDRNet: the deletion pass, and the variants."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.base import IGNORE_INDEX
from models.blocks import MINIMUM_SIZE
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig
from models.context_configs import ContextKind
from models.described import ConfigError
from models.grouping import group, group_vectors, spread
from models.idrnet_configs import ContextRefinement, IdrnetConfig, PyramidPlace, Refinement, RelationLearning
from models.idrnet_presets import (
    tiny_idrnet,
)
from models.losses.enlarged_entropy import enlarged_losses
from models.networks.idrnet import Idrnet, IdrnetOutput
from models.refinement import ClassRefiner, PixelRefiner
from tests.support import slow_relations as slow

K = 4


def build(seed: int = 0, **changes: Any) -> Idrnet:
    model = build_model(dataclasses.replace(tiny_idrnet(), **changes), K, seed=seed)
    assert isinstance(model, Idrnet)
    return model


def batch(seed: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, K, (2, 64, 64), generator=generator)
    target[:, :20] = IGNORE_INDEX
    return torch.randn(2, 3, 64, 64, generator=generator), target


# ------------------------------------------------------------------------------------------- refinement


def grouped(width: int, classes: int = 5) -> tuple[Tensor, Tensor, Any]:
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2, width, 4, 6, generator=generator, requires_grad=True)
    vectors = torch.randn(2, classes, 5 * width, generator=generator, requires_grad=True)
    return features, vectors, group(torch.randn(2, classes, 4, 6, generator=generator))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_work_shared_by_the_pixels_of_a_class_changes_no_result_and_no_gradient(
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    refiner = PixelRefiner(8, 4).double().train()
    features, vectors, groups = grouped(8)
    features = features.double().detach().to(memory_format=layout)
    inputs = (features.requires_grad_(), vectors.double().detach().requires_grad_())
    everything = torch.cat([inputs[0], spread(inputs[1], groups)], dim=1)
    plain = refiner.attention(everything, everything)
    ours = refiner(refiner.prepare(inputs[0], vectors), inputs[1], groups, groups.present)
    torch.testing.assert_close(ours, plain)
    assert ours.is_contiguous(memory_format=layout) or layout is torch.contiguous_format
    weights = torch.randn_like(plain)
    leaves = (*inputs, *refiner.parameters())
    expected = torch.autograd.grad((plain * weights).sum(), leaves)
    found = torch.autograd.grad((ours * weights).sum(), leaves)
    torch.testing.assert_close(found, expected)


def test_refined_by_class_all_pixels_of_a_class_agree_and_deleted_classes_answer_nothing() -> None:
    torch.manual_seed(0)
    refiner = ClassRefiner(8, 4)
    features, vectors, groups = grouped(8)
    own = group_vectors(torch.randn(2, 5, 4, 6), features, groups)
    prepared = refiner.prepare(features, own)
    kept = groups.present.clone()
    kept[:, 2] = False
    context = refiner(prepared, vectors, groups, kept)
    for image, label in zip(context, groups.label, strict=True):
        for c in label.unique():
            pixels = image[:, label == c]
            torch.testing.assert_close(pixels, pixels[:, :1].expand_as(pixels))
    others = (groups.label != 2)[:, None].expand_as(context)
    changed = prepared.clone()
    changed[:, 2] += 1.0
    torch.testing.assert_close(refiner(changed, vectors, groups, kept)[others], context[others])
    alone = refiner(prepared, vectors, groups, torch.zeros_like(kept))
    torch.testing.assert_close(alone, refiner.out.bias.view(1, 8, 1, 1).expand_as(alone))


# -------------------------------------------------------------------------------------------- deletion


@pytest.mark.parametrize("refinement", list(Refinement))
def test_deleting_a_class_that_is_not_there_changes_nothing_dropout_included(
    refinement: Refinement, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(dropout=0.5, refinement=refinement).train()
    image, _ = batch()
    with torch.no_grad():
        model.context.coarse_decoder[-1].get_parameter("bias")[1] = -1e4
    monkeypatch.setattr(model, "draw", lambda present: torch.ones(2, dtype=torch.int64))
    output = model(image)
    assert output.logits_without is not None
    final = nn.functional.interpolate(output.logits_without, (64, 64), mode="bilinear")
    torch.testing.assert_close(final, output.logits.detach())


@pytest.mark.parametrize("refinement", list(Refinement))
def test_deleting_a_class_moves_the_logits_of_others(refinement: Refinement) -> None:
    model = build(refinement=refinement).train()
    output = model(batch()[0])
    assert output.deleted is not None
    assert output.logits_without is not None
    assert not output.logits_without.requires_grad
    final = nn.functional.interpolate(output.logits_without, (64, 64), mode="bilinear")
    assert (final - output.logits).abs().max() > 1e-4


def test_an_image_of_a_single_class_can_lose_it() -> None:
    model = build().train()
    with torch.no_grad():
        model.context.coarse_decoder[-1].get_parameter("bias")[2] = 1e4
    output = model(batch()[0])
    assert output.deleted is not None
    assert output.logits_without is not None
    assert output.deleted.tolist() == [2, 2]
    assert torch.isfinite(output.logits_without).all()
    assert model.context.relations.mixtures(torch.zeros(1, K, dtype=torch.bool))[0].sum() == 0


def test_running_statistics_move_twice_as_published_or_once() -> None:
    image, _ = batch()
    moved = {}
    for published in (True, False):
        model = build(deletion_statistics=published).train()
        state = model.state_dict()
        output = model(image)
        moved[published] = output.logits
        counts = {name: int(n) for name, n in state.items() if name.endswith("num_batches_tracked")}
        twice = {name for name, n in counts.items() if n == 2}
        assert set(counts.values()) == ({1, 2} if published else {1})
        assert all(name.startswith(("context.refiner.", "decoder.")) for name in twice)
        assert model.context.refiner.training
        assert all(m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert torch.equal(moved[True], moved[False])


def test_evaluation_deletes_nothing() -> None:
    model = build().eval()
    output = model(batch()[0])
    assert output.deleted is None
    assert output.logits_without is None
    before = model.context.relations.mean.clone()
    model.observe(output, batch()[1], 0.1)
    assert torch.equal(model.context.relations.mean, before)
    assert (model.context.relations.vectors != 0).any()


def test_without_learning_relations_stay_and_class_vectors_move() -> None:
    model = build(relations=RelationLearning.NONE).train()
    output = model(batch()[0])
    assert output.deleted is None
    model.observe(output, batch()[1], 0.1)
    relations = model.context.relations
    assert torch.equal(relations.mean, torch.eye(K))
    assert torch.equal(relations.counter, torch.full((K,), 1e-6))
    assert (relations.vectors != 0).any()


def test_observing_is_the_update_of_the_relations(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build().train()
    image, target = batch()
    output: IdrnetOutput = model(image)
    seen: list[tuple[Tensor, ...]] = []
    monkeypatch.setattr(type(model.context.relations), "update", lambda self, *given: seen.append(given))
    model.observe(output, target, 0.1)
    deleted, labels, losses, without = seen[0]
    assert deleted is output.deleted
    assert labels is target
    cross_entropy = nn.functional.cross_entropy(output.logits, target, ignore_index=255, reduction="none")
    torch.testing.assert_close(losses, cross_entropy.detach())
    assert losses.shape == without.shape == target.shape
    assert (losses != without).any()


@pytest.mark.parametrize("same", [False, True])
def test_what_the_loss_has_found_is_not_computed_again(same: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless another target is observed than the loss was told."""
    model = build().train()
    image, target = batch()
    output: IdrnetOutput = model(image)
    build_loss(CrossEntropyConfig())(output, target)
    asked: list[Tensor] = []
    seen: list[tuple[Tensor, ...]] = []

    def losses_of(logits: Tensor, labels: Tensor) -> Tensor:
        asked.append(logits)
        return enlarged_losses(logits, labels)

    monkeypatch.setattr("models.networks.idrnet.enlarged_losses", losses_of)
    monkeypatch.setattr(type(model.context.relations), "update", lambda self, *given: seen.append(given))
    model.observe(output, target if same else target.clone(), 0.1)
    assert len(asked) == (1 if same else 2)
    torch.testing.assert_close(seen[0][2], enlarged_losses(output.for_pixels().detach(), target))


def test_small_images_are_padded_and_the_padding_teaches_nothing() -> None:
    model = build().train()
    image = torch.randn(2, 3, 20, 16)
    target = torch.zeros(2, 20, 16, dtype=torch.int64)
    output = model(image)
    model.observe(output, target, 0.1)
    padded = torch.full((2, MINIMUM_SIZE, MINIMUM_SIZE), IGNORE_INDEX)
    padded[:, :20, :16] = 0
    enlarged = nn.functional.interpolate(output.features, padded.shape[1:], mode="bilinear")
    mean = enlarged.permute(0, 2, 3, 1)[padded == 0].mean(dim=0)
    torch.testing.assert_close(model.context.relations.vectors[0], 0.1 * mean, rtol=1e-4, atol=1e-6)
    assert (model.context.relations.vectors[1:] == 0).all()


# -------------------------------------------------------------------------------------------- variants


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"context": ContextKind.NONE, "pyramid": PyramidPlace.NONE},
    "by class": {"refinement": Refinement.CLASSES, "deletion_statistics": False},
    "aspp, before": {
        "context": ContextKind.ASPP,
        "pyramid": PyramidPlace.NONE,
        "context_refinement": ContextRefinement.BEFORE,
        "dilations": (1, 2, 3),
    },
    "after, from features": {
        "context_refinement": ContextRefinement.AFTER,
        "coarse_from_features": True,
        "width": 24,
    },
    "pyramid first": {"pyramid": PyramidPlace.BEFORE, "context_refinement": ContextRefinement.BEFORE},
    "random": {"relations": RelationLearning.RANDOM_DELETION, "auxiliary": False},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains(name: str) -> None:
    model = build(**VARIANTS[name], context_attention_width=8).train()
    image, target = batch()
    output = model(image)
    loss = output.logits.square().mean()
    for logits in output.auxiliary_logits.values():
        loss = loss + logits.square().mean()
    loss.backward()
    untouched = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert untouched == []
    model.observe(output, target, 0.1)
    assert all(torch.isfinite(values).all() for values in model.buffers())
    assert model.eval()(image).logits.shape == (2, K, 64, 64)


@pytest.mark.parametrize("name", ["pyramid first", "after, from features", "aspp, before"])
def test_the_head_computes_what_the_specification_says(name: str) -> None:
    """Every step in the published order, on concatenated maps, without anything shared."""
    model = build(**VARIANTS[name], context_attention_width=8).double().eval()
    context, config = model.context, model.config
    context.relations.mean.copy_(torch.randn(K, K))
    context.relations.variance.copy_(torch.randn(K, K))
    context.relations.vectors.copy_(torch.randn(K, config.width))
    stages = model.backbone(batch()[0].double())
    features = context.bottleneck(stages[3])
    within = context.context(features)
    if config.context_refinement is ContextRefinement.BEFORE:
        within = context.context_refiner(within, within)
    if config.pyramid is PyramidPlace.BEFORE:
        within = context.pyramid(stages[:3], within)
    coarse = context.coarse_decoder(features if config.coarse_from_features else within)
    coarse = nn.functional.interpolate(coarse, features.shape[2:], mode="bilinear")
    if config.context_refinement is ContextRefinement.AFTER:
        within = context.context_refiner(within, within)
    label = coarse.argmax(dim=1)
    enhanced = torch.cat([features, context.relations.vectors[label].permute(0, 3, 1, 2)], dim=1)
    maps = [enhanced]
    for relations, only_positive in ((context.relations.mean, True), (context.relations.variance, False)):
        mixed = [
            slow.mixture(
                logits.flatten(1).detach().numpy(),
                values.flatten(1).detach().numpy(),
                relations.numpy(),
                only_positive=only_positive,
                deleted=None,
            )
            for logits, values in zip(coarse, enhanced, strict=True)
        ]
        maps.append(torch.from_numpy(np.stack(mixed)).view_as(enhanced))
    everything = torch.cat(maps, dim=1)
    refined = context.refiner.attention(everything, everything)
    if config.pyramid is PyramidPlace.AFTER:
        within = context.pyramid(stages[:3], within)
    size = within.shape[2:]
    parts = [nn.functional.interpolate(values, size, mode="bilinear") for values in (features, refined)]
    logits = model.decoder(torch.cat([*parts, within], dim=1))
    expected = nn.functional.interpolate(logits, (64, 64), mode="bilinear")
    torch.testing.assert_close(model(batch()[0].double()).logits, expected)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pyramid": PyramidPlace.AFTER}, "pyramid"),
        ({"context_refinement": ContextRefinement.AFTER}, "context_refinement"),
        (
            {
                "context": ContextKind.PPM,
                "pyramid": PyramidPlace.BEFORE,
                "context_refinement": ContextRefinement.AFTER,
            },
            "context_refinement",
        ),
    ],
)
def test_variants_that_make_no_network_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        IdrnetConfig(**changes)
    assert caught.value.field == field


@pytest.mark.slow
@pytest.mark.parametrize("published", [True, False])
def test_a_training_step_compiles_as_one_graph(published: bool) -> None:
    image, _ = batch()
    model, other = build(deletion_statistics=published), build(deletion_statistics=published)

    def step(images: Tensor) -> tuple[Tensor, Tensor | None]:
        output = other(images)
        return output.logits, output.logits_without

    torch._dynamo.reset()
    compiled = torch.compile(step, backend="eager", fullgraph=True)
    torch.manual_seed(1)
    expected = model(image)
    torch.manual_seed(1)
    logits, without = compiled(image)
    torch._dynamo.reset()
    torch.testing.assert_close(logits, expected.logits)
    torch.testing.assert_close(without, expected.logits_without)
    torch.testing.assert_close(dict(other.named_buffers()), dict(model.named_buffers()))
