"""The contract: every network of the catalog, in its tiny configuration, keeps every promise of its base."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.base import IGNORE_INDEX, SegmentationModel, normalise
from models.build import build_loss, build_model, resolve
from models.catalog import MODELS, ModelSpec
from models.configs import CrossEntropyConfig
from models.losses.total import total
from models.output import check_view
from models.weights import load_state

pytestmark = pytest.mark.usefixtures("one_thread")

K = 4
SIZE = (64, 64)


@pytest.fixture(params=MODELS, ids=lambda spec: spec.name)
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    found: ModelSpec = request.param
    return found


def build(spec: ModelSpec, num_classes: int = K, seed: int = 0) -> SegmentationModel[Any]:
    config: Any = spec.tiny()
    return build_model(config, num_classes, seed=seed)


def shapes_of(model: SegmentationModel[Any]) -> dict[str, torch.Size]:
    return {name: values.shape for name, values in model.state_dict().items()}


def image_of(size: tuple[int, int] = SIZE, batch: int = 2) -> Tensor:
    pixels = torch.randint(0, 256, (batch, *size, 3), generator=torch.manual_seed(5), dtype=torch.uint8)
    return normalise(pixels)


def target_of(size: tuple[int, int] = SIZE, batch: int = 2, num_classes: int = K) -> Tensor:
    target = torch.randint(0, num_classes, (batch, *size), generator=torch.manual_seed(6))
    target[:, ::3] = IGNORE_INDEX
    return target


def losses_of(
    model: SegmentationModel[Any], image: Tensor, target: Tensor, step: int = 0
) -> dict[str, Tensor]:
    output = model(image)
    return build_loss(CrossEntropyConfig())(output, target) | dict(model.extra_losses(output, target, step))


def train(
    model: SegmentationModel[Any], image: Tensor, target: Tensor, steps: int, rate: float = 5e-3
) -> list[float]:
    """Runs the trainer's order of calls; returns the total loss of every step."""
    model.train()
    loss = build_loss(CrossEntropyConfig())
    optimizer = torch.optim.AdamW(model.parameter_groups(rate, 1e-4))
    values = []
    for step in range(steps):
        output = model(image)
        value = total(loss(output, target) | dict(model.extra_losses(output, target, step)))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        with torch.no_grad():
            model.observe(output, target, rate)
        values.append(value.item())
    return values


def test_the_class_of_the_catalog_is_what_is_built(spec: ModelSpec) -> None:
    model = build(spec)
    assert type(model) is resolve(spec)
    assert type(spec.tiny()) is spec.config_type
    assert model.num_classes == K
    assert model.training


@pytest.mark.parametrize(
    "size", [(32, 32), (33, 47), (64, 96), (91, 70), (128, 37), (5, 40), (1, 1), (1, 77)]
)
@pytest.mark.parametrize("training", [True, False])
def test_logits_have_the_size_of_the_image(spec: ModelSpec, size: tuple[int, int], training: bool) -> None:
    model = build(spec).train(training)
    with torch.no_grad():
        output = model(image_of(size))
    assert output.logits.shape == (2, K, *size)
    assert output.logits.dtype == torch.float32
    assert torch.isfinite(output.logits).all()
    for logits in output.auxiliary_logits.values():
        assert logits.shape[:2] == (2, K)
        assert torch.isfinite(logits).all()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("num_classes", [1, 2, 11])
def test_any_batch_and_any_number_of_classes_train(spec: ModelSpec, batch: int, num_classes: int) -> None:
    model = build(spec, num_classes)
    losses = losses_of(model, image_of((32, 32), batch), target_of((32, 32), batch, num_classes))
    total(losses).backward()
    assert all(value.dim() == 0 and torch.isfinite(value) for value in losses.values())


def test_backward_reaches_every_parameter(spec: ModelSpec) -> None:
    model = build(spec)
    with torch.no_grad():  # what remembers nothing yet passes nothing on
        model.observe(model(image_of()), target_of(), 1e-2)
    total(losses_of(model, image_of(), target_of())).backward()
    untouched = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.abs().sum() > 0)
    ]
    assert untouched == []


def test_the_same_seed_gives_the_same_losses_bit_for_bit(spec: ModelSpec) -> None:
    runs = []
    for _ in range(2):
        model = build(spec, seed=3)
        torch.manual_seed(1)
        runs.append(train(model, image_of(), target_of(), steps=3))
    assert runs[0] == runs[1]
    assert train(build(spec, seed=4), image_of(), target_of(), steps=1) != runs[0][:1]


def test_a_seed_leaves_the_random_state_alone(spec: ModelSpec) -> None:
    before = torch.get_rng_state()
    build(spec, seed=9)
    assert torch.equal(before, torch.get_rng_state())


def test_forward_in_evaluation_changes_nothing(spec: ModelSpec) -> None:
    model = build(spec).eval()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    with torch.no_grad():
        first = model(image_of(), inspect=True)
        second = model(image_of())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(values, after[name]) for name, values in before.items())
    assert torch.equal(first.logits, second.logits)


def test_an_image_is_judged_alone_in_evaluation(spec: ModelSpec) -> None:
    model = build(spec).eval()
    image = image_of(batch=3)
    with torch.no_grad():
        together, alone = model(image).logits[1:2], model(image[1:2]).logits
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_observe_changes_buffers_only(spec: ModelSpec) -> None:
    model = build(spec)
    parameters = {name: values.detach().clone() for name, values in model.named_parameters()}
    output = model(image_of())
    names = set(model.state_dict())
    with torch.no_grad():
        model.observe(output, target_of(), 1e-3)
        model.observe(output, torch.full_like(target_of(), IGNORE_INDEX), 1e-3)
    assert set(model.state_dict()) == names
    assert all(torch.equal(values, parameters[name]) for name, values in model.named_parameters())
    assert all(torch.isfinite(values).all() for values in model.buffers())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_inspection_is_empty_unless_asked_for_and_valid(spec: ModelSpec, training: bool) -> None:
    model = build(spec).train(training)
    assert not model(image_of()).inspection
    views = model(image_of(), inspect=True).inspection
    assert views
    for view in views.values():
        check_view(view, K)


def test_unlabelled_pixels_pull_nowhere(spec: ModelSpec) -> None:
    model, target = build(spec), target_of()
    output = replace(model(image_of()), small_logits=None)
    output.logits.retain_grad()
    total(build_loss(CrossEntropyConfig())(output, target)).backward()
    pull = output.logits.grad
    assert pull is not None
    ignored = (target == IGNORE_INDEX)[:, None].expand_as(pull)
    assert (pull[ignored] == 0).all()
    assert (pull[~ignored] != 0).any()


def test_an_unlabelled_image_in_the_batch_changes_nothing(spec: ModelSpec) -> None:
    model = build(spec).eval()
    image, target = image_of(batch=3), target_of(batch=3)
    target[2] = IGNORE_INDEX
    with torch.no_grad():
        with_it, without_it = losses_of(model, image, target), losses_of(model, image[:2], target[:2])
    assert with_it.keys() == without_it.keys()
    for name, value in with_it.items():
        torch.testing.assert_close(value, without_it[name], rtol=1e-4, atol=1e-6)


def test_nothing_labelled_is_no_loss_and_no_pull(spec: ModelSpec) -> None:
    model = build(spec)
    value = total(losses_of(model, image_of(), torch.full((2, *SIZE), IGNORE_INDEX)))
    value.backward()
    assert value.item() == 0.0
    for parameter in model.parameters():
        assert parameter.grad is None or (parameter.grad == 0).all()


def test_saved_and_loaded_networks_agree(spec: ModelSpec) -> None:
    model = build(spec, seed=0)
    train(model, image_of(), target_of(), steps=2)
    other = build(spec, seed=1)
    assert load_state(other, model.state_dict()).complete
    with torch.no_grad():
        assert torch.equal(model.eval()(image_of()).logits, other.eval()(image_of()).logits)


def shapes() -> tuple[Tensor, Tensor]:
    """Returns four images of one shape each (disc, square, cross, stripe) and their targets."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    masks = [
        (y - 30) ** 2 + (x - 34) ** 2 < 18**2,
        (y > 12) & (y < 50) & (x > 10) & (x < 44),
        ((y - 32).abs() < 9) | ((x - 28).abs() < 9),
        (y > 34) & (y < 54),
    ]
    colors = torch.tensor([[200, 60, 60], [60, 190, 80], [70, 90, 210], [210, 190, 60]], dtype=torch.uint8)
    pixels = torch.full((4, 64, 64, 3), 120, dtype=torch.uint8)
    target = torch.zeros(4, 64, 64, dtype=torch.int64)
    for number, mask in enumerate(masks):
        pixels[number][mask] = colors[number]
        target[number][mask] = number + 1
    noise = torch.randint(0, 20, pixels.shape, generator=torch.manual_seed(2), dtype=torch.uint8)
    return normalise(pixels + noise), target


def test_four_shapes_are_learned_by_heart_in_sixty_steps(spec: ModelSpec) -> None:
    model = build(spec, num_classes=5)
    image, target = shapes()
    values = train(model, image, target, steps=60)
    with torch.no_grad():
        labels = model.eval()(image).logits.argmax(dim=1)
    assert values[-1] < 0.3 * values[0]
    assert (labels == target).float().mean() > 0.93
    for channel in range(1, 5):
        found, true = labels == channel, target == channel
        assert (found & true).sum() / (found | true).sum() > 0.8


def test_classes_that_stay_keep_their_logits(spec: ModelSpec) -> None:
    model = build(spec)
    if not model.independent_classes:
        pytest.skip("the classes of this network look at each other")
    train(model, image_of(), target_of(), steps=2)
    sources = [2, None, 0, 3]
    with torch.no_grad():
        before = model.eval()(image_of()).logits
        model.follow_classes(sources)
        after = model(image_of()).logits
    assert model.num_classes == 4
    for place, source in enumerate(sources):
        if source is not None:
            assert torch.equal(after[:, place], before[:, source])
    assert not any(torch.equal(after[:, 1], before[:, old]) for old in range(K))


def test_classes_in_another_order_keep_their_logits(spec: ModelSpec) -> None:
    model = build(spec)
    train(model, image_of(), target_of(), steps=2)
    order = [2, 0, 3, 1]
    with torch.no_grad():
        before = model.eval()(image_of()).logits
        model.follow_classes(order)
        after = model(image_of()).logits
    torch.testing.assert_close(after, before[:, order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sources", [[0], [3, 2, 1, 0, None, None], [1, 1], [None]])
def test_with_other_classes_it_goes_on_learning(spec: ModelSpec, sources: list[int | None]) -> None:
    model = build(spec)
    model.follow_classes(sources)
    fresh = build(spec, num_classes=len(sources))
    assert {n: v.shape for n, v in model.state_dict().items()} == {
        n: v.shape for n, v in fresh.state_dict().items()
    }
    values = train(model, image_of(), target_of(num_classes=len(sources)), steps=2)
    assert torch.isfinite(torch.tensor(values)).all()


def test_a_class_that_does_not_exist_changes_nothing(spec: ModelSpec) -> None:
    model = build(spec)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    with pytest.raises(IndexError, match="class channel 4"):
        model.follow_classes([0, 4])
    with pytest.raises(ValueError, match="at least one class"):
        model.follow_classes([])
    assert model.num_classes == K
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


def test_every_parameter_is_in_one_group(spec: ModelSpec) -> None:
    model = build(spec)
    groups = model.parameter_groups(0.1, 0.01)
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert len({group["name"] for group in groups}) == len(groups)
    for group in groups:
        assert group["params"]
        assert group["lr"] > 0
        decays = {parameter.dim() > 1 for parameter in group["params"]}
        assert decays == {group["weight_decay"] > 0}


def test_compiles_as_one_graph(spec: ModelSpec) -> None:
    model = build(spec).eval()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        expected, found = model(image_of()), compiled(image_of())
    torch._dynamo.reset()
    assert type(found) is type(expected)
    torch.testing.assert_close(found.logits, expected.logits)


def test_half_precision_autocast_trains(spec: ModelSpec) -> None:
    model = build(spec)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(image_of())
        losses = build_loss(CrossEntropyConfig())(output, target_of())
        value = total(losses | dict(model.extra_losses(output, target_of(), 0)))
    value.backward()
    assert value.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    expected = total(losses_of(build(spec), image_of(), target_of()))
    torch.testing.assert_close(value, expected, rtol=0.05, atol=0.05)


def test_channels_last_gives_the_same_logits(spec: ModelSpec) -> None:
    model = build(spec).eval()
    with torch.no_grad():
        expected = model(image_of()).logits
        found = model.to(memory_format=torch.channels_last)(
            image_of().to(memory_format=torch.channels_last)
        ).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
