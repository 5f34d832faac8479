"""SPGNet: published sizes, guidance, aggregation and the switches of its ablation."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from models.backbone_configs import OutputStride, ResNetConfig, ResNetDepth, TinyBackboneConfig
from models.backbones.build import build_backbone
from models.backbones.stages import StemlessBackbone
from models.blocks import full_size
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig
from models.cost import Cost, measure_cost, without_weights
from models.losses.total import total
from models.networks.spgnet import Bottleneck, Guidance, SpgNet
from models.output import SegmentationOutput
from models.presets import spgnet_resnet50, tiny_spgnet
from models.spgnet_configs import Aggregation, SpgNetConfig

K = 5


def cost_of(config: SpgNetConfig, size: tuple[int, int] = (1025, 2049)) -> Cost:
    plain = without_weights(config)
    return measure_cost(lambda: SpgNet(plain, 19, build_backbone), (1, 3, *size))


def tiny(**changes: object) -> SpgNet:
    model = build_model(dataclasses.replace(tiny_spgnet(), **changes), K, seed=0)
    assert isinstance(model, SpgNet)
    return model


def image_of(batch: int = 2, size: tuple[int, int] = (48, 64)) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.manual_seed(1))


def test_two_resnet50_have_the_published_size() -> None:
    cost = cost_of(spgnet_resnet50())
    assert cost.parameters == 59_776_998
    assert round(cost.convolutions / 1e9, 1) == 655.0
    assert round(cost.multiply_accumulates / 1e9, 2) == 655.06
    assert round(cost_of(spgnet_resnet50(), (1024, 2048)).multiply_accumulates / 1e9, 2) == 645.04


def test_resnet18_stages_have_the_size_of_the_specification() -> None:
    backbone = ResNetConfig(depth=ResNetDepth.RESNET18, output_stride=OutputStride.STRIDE32)
    two = cost_of(SpgNetConfig(backbone=backbone))
    one = cost_of(SpgNetConfig(backbone=backbone, stages=1))
    assert round(two.parameters / 1e6, 2) == 26.62
    assert round(two.multiply_accumulates / 1e9, 1) == 416.0
    assert round(one.parameters / 1e6, 2) == 13.02


def test_the_cross_stage_layers_have_the_size_of_the_specification() -> None:
    both = cost_of(SpgNetConfig()).parameters
    none = cost_of(SpgNetConfig(aggregation=Aggregation.NONE)).parameters
    decoder = cost_of(SpgNetConfig(aggregation=Aggregation.DECODER)).parameters
    assert both - none == 6_436_864
    assert both - decoder == sum(count * count + 2 * count for count in (512, 1024, 2048))


def test_without_excitation_the_features_are_scaled_by_one_and_a_half() -> None:
    guidance = Guidance(dataclasses.replace(tiny_spgnet(), neutral_start=True), K)
    features = torch.randn(2, 16, 6, 7)
    logits, gate, guided = guidance(features)
    assert logits.shape == (2, K, 6, 7)
    assert torch.equal(gate, torch.full_like(features, 0.5))
    torch.testing.assert_close(guided, 1.5 * features)


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("identity", [True, False])
def test_the_guidance_is_what_its_switches_say(sigmoid: bool, identity: bool) -> None:
    config = dataclasses.replace(tiny_spgnet(), sigmoid=sigmoid, identity=identity)
    guidance, features = Guidance(config, K), torch.randn(2, 16, 6, 7)
    logits, _, guided = guidance(features)
    weight = guidance.excitation.weight[:, :, 0, 0]
    gate = torch.einsum("ck,bkhw->bchw", weight, logits) + guidance.excitation.bias[:, None, None]
    gate = 1 / (1 + torch.exp(-gate)) if sigmoid else gate
    torch.testing.assert_close(guided, features * gate + (features if identity else 0))


def test_the_last_prediction_teaches_the_first_stage() -> None:
    model = tiny()
    output = model(image_of())
    target = torch.randint(0, K, (2, 48, 64))
    only_last = SegmentationOutput(logits=output.logits)
    total(build_loss(CrossEntropyConfig())(only_last, target)).backward()
    stem = next(model.backbone.parameters())
    classifier = model.guidance[0].classifier.weight
    for parameter in (stem, classifier):
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_every_stage_but_the_last_is_supervised(stages: int) -> None:
    model = tiny(stages=stages)
    output = model(image_of())
    names = [f"stage{number}" for number in range(1, stages)]
    assert list(output.auxiliary_logits) == names
    assert len(output.stage_logits) == stages
    assert len(output.gates) == stages - 1
    image = image_of()
    for name, logits in zip(names, output.stage_logits, strict=False):
        assert torch.equal(output.auxiliary_logits[name], full_size(logits, image, image))
    assert model.eval()(image).auxiliary_logits == {}
    assert tiny(stages=stages, supervised=False)(image).auxiliary_logits == {}


def test_gate_and_prediction_of_every_stage_and_scale_can_be_seen() -> None:
    views = tiny(stages=3)(image_of(), inspect=True).inspection
    assert set(views) == {
        "classes",
        *(f"prediction_stage{stage}" for stage in (1, 2)),
        *(f"{gate}_stage{stage}" for stage in (1, 2) for gate in ("gate", "gate_classes", "gate_channels")),
        *(f"taken_stage{stage}_level{level}" for stage in (2, 3) for level in (1, 2, 3)),
    }
    for name, view in views.items():
        if name.startswith(("gate", "taken")):
            assert 0 <= view.values.min() <= view.values.max() <= 1
    channels = views["gate_channels_stage1"].values
    assert torch.allclose(channels.mean(dim=1), views["gate_stage1"].values, atol=1e-6)
    sizes = [views[f"taken_stage2_level{level}"].values.shape[1:] for level in (1, 2, 3)]
    assert sizes == [(12, 16), (6, 8), (3, 4)]


def test_without_aggregation_nothing_is_taken_over() -> None:
    model = tiny(aggregation=Aggregation.NONE)
    assert not any(name.startswith("taken") for name in model(image_of(), inspect=True).inspection)
    assert tiny(aggregation=Aggregation.DECODER)(image_of()).logits.shape == (2, K, 48, 64)


def test_a_class_that_comes_opens_no_gate() -> None:
    model = tiny().eval()
    with torch.no_grad():
        before = model(image_of()).logits
        model.follow_classes([*range(K), None])
        after = model(image_of()).logits
    torch.testing.assert_close(after[:, :K], before, rtol=1e-5, atol=1e-6)


def test_a_residual_block_keeps_its_input_where_widths_agree() -> None:
    block = Bottleneck(16, 16).eval()
    for parameter in block.body[-1].parameters():
        nn.init.zeros_(parameter)
    features = torch.randn(1, 16, 5, 5)
    assert torch.equal(block(features), features.clamp(min=0))


@pytest.mark.parametrize(
    ("config", "stem"),
    [
        (ResNetConfig(depth=ResNetDepth.RESNET18, pretrained=False), "maxpool"),
        (TinyBackboneConfig(width=12, depth=1), "stem"),
    ],
)
def test_stages_without_their_stem_compute_what_the_backbone_computes(
    config: ResNetConfig | TinyBackboneConfig, stem: str
) -> None:
    backbone = build_backbone(config).eval()
    seen: list[Tensor] = []
    backbone.get_submodule(stem).register_forward_hook(lambda *call: seen.append(call[2]))
    expected = backbone(image_of())
    stemless = StemlessBackbone(backbone)
    assert seen[0].shape[1] == stemless.entry_channels
    for found, wanted in zip(stemless(seen[0]), expected, strict=True):
        assert torch.equal(found, wanted)


def test_what_has_no_stem_is_refused() -> None:
    stemless = StemlessBackbone(build_backbone(TinyBackboneConfig(width=12, depth=1)))
    with pytest.raises(TypeError, match="no stem"):
        StemlessBackbone(stemless)


def test_later_stages_learn_at_the_rate_of_a_backbone() -> None:
    model = tiny(head_rate=10.0)
    rates = {
        id(parameter): group["lr"]
        for group in model.parameter_groups(0.1, 0.0)
        for parameter in group["params"]
    }
    encoder = next(model.later[0].encoder.parameters())
    assert rates[id(encoder)] == pytest.approx(0.1)
    assert rates[id(model.classifier.weight)] == pytest.approx(1.0)


def test_a_deletion_in_pieces_is_the_network_without_it() -> None:
    """With nothing deleted the pieces end in the logits of the whole network; pieces are many and short."""
    torch.manual_seed(0)
    model = build_model(tiny_spgnet(), 4, seed=0).eval()
    with torch.inference_mode():
        output = model(torch.randn(1, 3, 40, 56), inspect=True)
        known = output.explanation.representations
        pieces = list(known.in_pieces(torch.zeros(4, dtype=torch.bool)))
        deleted = torch.arange(4) == int(known.present[0].nonzero()[0])
        *_, without = known.in_pieces(deleted)
        assert torch.equal(without, known.without(deleted))
    assert [piece is None for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert len(pieces) > 8
    assert torch.allclose(pieces[-1], output.explanation.logits(), atol=1e-5)


def test_a_rough_deletion_is_the_deletion_on_coarser_features(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    network = build_model(tiny_spgnet(), 4, seed=3).eval()
    for guidance in network.guidance:
        nn.init.normal_(guidance.get_submodule("excitation").get_parameter("weight"))
    image = torch.randn(1, 3, 70, 101)
    with torch.inference_mode():
        explanation = network(image, inspect=True).explanation
        assert explanation is not None
        known = explanation.representations
        assert known is not None
        assert known.slow
        nobody, two = torch.tensor([False] * 4), torch.tensor([True, False, True, False])
        assert known.prepare()
        assert not known.prepare()
        assert known.changed_roughly(nobody).abs().max() == 0
        exact = known.without(two) - explanation.logits()
        assert exact.abs().max() > 0
        assert known.changed_roughly(two).shape == exact.shape
        monkeypatch.setattr("models.guided_channels._COARSER", 1)
        again = network(image, inspect=True).explanation
        assert again is not None
        assert again.representations is not None
        torch.testing.assert_close(again.representations.changed_roughly(two), exact, atol=1e-5, rtol=1e-4)
