import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED
from engine.config import OptimizerConfig, OptimizerKind, PredictConfig, TrainingConfig
from engine.errors import DeviceMemoryError, TrainingError
from engine.learn.batches import Batch
from engine.learn.evaluator import EvaluationSample, evaluate
from engine.learn.optimizer_state import OptimizerState
from engine.learn.pool import Pool
from engine.learn.trainer import Trainer
from engine.messages import PoolItem
from engine.predict.predictor import Predictor
from engine.project.manifest import Split
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig
from models.losses.cross_entropy import CrossEntropy
from models.output import SegmentationOutput
from tests.support.learning import BOX, CLASSES, LOSS, NETWORK, SIZE, SKY, TRAINING, picture, sparse

CPU = torch.device("cpu")


def _pool(count: int = 3, labels: Callable[[np.ndarray], np.ndarray] = sparse) -> Pool:
    pictures = {str(number): picture(number) for number in range(count)}

    def read(item: PoolItem) -> tuple[np.ndarray, np.ndarray]:
        label_map = labels(pictures[item.image_id][1])
        return label_map, (label_map != UNLABELLED).astype(np.uint8)

    pool = Pool(read, CLASSES, TRAINING.crop, 10**8, read_pixels=lambda path: pictures[path.name][0])
    for name in pictures:
        pool.update(PoolItem(image_id=name, image_path=name, size=SIZE, split=Split.TRAIN, revision=1))
    return pool


def _trainer(config: TrainingConfig = TRAINING, **more: object) -> tuple[Trainer, torch.nn.Module]:
    model = build_model(NETWORK, len(CLASSES), seed=0)
    trainer = Trainer(model, build_loss(LOSS), config, CLASSES, _pool(), CPU, **more)  # type: ignore[arg-type]
    return trainer, model


def _steps(trainer: Trainer, count: int) -> None:
    for _ in range(count):
        trainer.step()


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def _same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_sparse_strokes_teach_images_never_seen() -> None:
    trainer, model = _trainer()
    samples = [EvaluationSample(image=image, label_map=labels) for image, labels in map(picture, (10, 11))]

    def score() -> float:
        result = evaluate(Predictor(model, CLASSES, PredictConfig(), CPU), samples, CLASSES)  # type: ignore[arg-type]
        assert result.miou is not None
        return result.miou

    before = score()
    for _ in range(60):
        trainer.step()
    assert score() > max(0.75, before + 0.2)


@pytest.mark.parametrize("kind", OptimizerKind)
def test_both_optimizers_lower_the_loss(kind: OptimizerKind) -> None:
    trainer, _ = _trainer(replace(TRAINING, optimizer=replace(TRAINING.optimizer, kind=kind)))
    totals = []
    for _ in range(3):
        for _ in range(10):
            trainer.step()
        report = trainer.read()
        assert report is not None
        totals.append(report.total)
    assert totals[-1] < 0.8 * totals[0]


def test_the_same_seed_gives_the_same_losses_bit_for_bit() -> None:
    runs = []
    for _ in range(2):
        trainer, _ = _trainer()
        runs.append([float(trainer.step().losses["cross-entropy"]) for _ in range(4)])
    assert runs[0] == runs[1]


def test_readings_cover_all_steps_since_the_last_one() -> None:
    trainer, _ = _trainer()
    values = [float(trainer.step().losses["cross-entropy"]) for _ in range(30)]
    trainer.check()
    values += [float(trainer.step().losses["cross-entropy"]) for _ in range(5)]
    report = trainer.read()
    assert report is not None
    assert report.steps == 35
    assert report.losses["cross-entropy"] == pytest.approx(np.mean(values), rel=1e-4)
    assert trainer.read() is None


def test_unlabelled_pixels_give_no_gradient() -> None:
    _, model = _trainer()
    image = torch.randn(1, 3, 32, 32)
    target = torch.full((1, 32, 32), 255)
    target[0, :8] = 1
    logits = model(image).logits.detach().requires_grad_()
    loss = build_loss(LOSS)
    torch.stack(list(loss(SegmentationOutput(logits=logits), target).values())).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[:, :, 8:] == 0).all()
    assert (logits.grad[:, :, :8] != 0).any()


def test_a_batch_without_a_label_changes_no_loss_into_nonsense() -> None:
    trainer, model = _trainer()
    empty = Batch(
        image=torch.zeros(2, 3, 32, 32),
        target=torch.full((2, 32, 32), 255),
        provenance=torch.zeros(2, 32, 32, dtype=torch.uint8),
    )
    trainer._batches.next = lambda count, size: empty  # type: ignore[method-assign]
    trainer.step()
    trainer.check()
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


@pytest.mark.parametrize("poison", ["rate", "nan"])
def test_a_poisoned_run_is_named_and_the_old_weights_are_back(poison: str) -> None:
    good, model = _trainer()
    for _ in range(40):
        good.step()
    before = _weights(model)
    config = TRAINING
    if poison == "rate":
        config = replace(TRAINING, optimizer=replace(TRAINING.optimizer, learning_rate=10.0))
    trainer = Trainer(model, build_loss(LOSS), config, CLASSES, _pool(), CPU, step=40)  # type: ignore[arg-type]
    if poison == "nan":
        draw = trainer._batches.next

        def spoiled(count: int, size: int) -> Batch:
            batch = draw(count, size)
            return replace(batch, image=batch.image * float("nan")) if trainer.step_count == 47 else batch

        trainer._batches.next = spoiled  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="last good weights") as caught:
        _steps(trainer, 300)
    assert "smaller learning rate" in caught.value.hint
    assert _same(_weights(model), before)
    assert trainer.step_count == 40


def test_good_progress_is_not_rolled_back_to_the_start() -> None:
    trainer, model = _trainer()
    for _ in range(120):
        trainer.step()
    good = trainer._good[0]
    trainer._batches.next = lambda count, size: Batch(  # type: ignore[method-assign]
        image=torch.full((1, 3, 32, 32), float("nan")),
        target=torch.zeros(1, 32, 32, dtype=torch.int64),
        provenance=torch.zeros(1, 32, 32, dtype=torch.uint8),
    )
    with pytest.raises(TrainingError):
        _steps(trainer, 60)
    assert trainer.step_count == good == 50
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_too_little_memory_makes_the_plan_smaller_and_says_so() -> None:
    notices: list[str] = []
    config = replace(TRAINING, crop=replace(TRAINING.crop, size=224), batch_size=4)
    trainer, _ = _trainer(config, notice=notices.append)
    draw = trainer._batches.next

    def limited(count: int, size: int) -> Batch:
        if count * size * size > 2 * 128 * 128:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return draw(count, size)

    trainer._batches.next = limited  # type: ignore[method-assign]
    trainer.step()
    assert (trainer.plan.crop, trainer.plan.batch) == (128, 2)
    assert len(notices) == 3
    assert notices[0] == ("Not enough memory for 4 crops of 224 px: training goes on with 4 crops of 160 px.")
    trainer.step()
    assert len(notices) == 3
    assert trainer.step_count == 2


def test_no_memory_at_all_is_an_error_with_a_remedy() -> None:
    trainer, _ = _trainer()

    def refuse(count: int, size: int) -> Batch:
        raise MemoryError

    trainer._batches.next = refuse  # type: ignore[method-assign]
    with pytest.raises(DeviceMemoryError, match="1 crop of 48 px") as caught:
        trainer.step()
    assert "smaller network" in caught.value.hint


def test_a_full_card_ends_on_the_processor() -> None:
    notices: list[str] = []
    trainer, _ = _trainer(notice=notices.append)
    # As on a graphics card: the plan may still give up the card itself.
    trainer._plan = replace(trainer.plan, on_cpu=False)
    draw = trainer._batches.next

    def full(count: int, size: int) -> Batch:
        if not trainer.plan.on_cpu:
            raise RuntimeError("CUDA out of memory")
        return draw(count, size)

    trainer._batches.next = full  # type: ignore[method-assign]
    trainer.step()
    assert trainer.plan.on_cpu
    assert trainer.device == CPU
    assert "on the processor" in notices[-1]


def test_other_errors_are_loud() -> None:
    trainer, _ = _trainer()

    def broken(count: int, size: int) -> Batch:
        raise RuntimeError("shape mismatch")

    trainer._batches.next = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shape mismatch"):
        trainer.step()


def test_classes_that_stay_keep_what_they_learned() -> None:
    trainer, model = _trainer()
    for _ in range(30):
        trainer.step()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = model.eval()(image).logits
    table = CLASSES.add("new").move(SKY, 2)
    sources = [CLASSES.indices.index(index) if index in CLASSES.indices else None for index in table.indices]
    known = len(trainer.optimizer_state().values)
    trainer.follow(table, sources)
    with torch.no_grad():
        after = model.eval()(image).logits
    for channel, source in enumerate(sources):
        if source is not None:
            assert torch.allclose(after[:, channel], before[:, source])
    # Everything but the classifier resumes with what the optimizer knew.
    assert known - 2 <= len(trainer.optimizer_state().values) < known
    trainer.step()
    trainer.check()


def test_sgd_takes_in_a_class_that_comes_later() -> None:
    """Some parameters have a momentum then, and the new ones none."""
    trainer, _ = _trainer(replace(TRAINING, optimizer=OptimizerConfig(kind=OptimizerKind.SGD)))
    _steps(trainer, 2)
    known = len(trainer.optimizer_state().values)
    trainer.follow(CLASSES.add("tree"), (*range(len(CLASSES)), None))
    assert 0 < len(trainer.optimizer_state().values) < known
    _steps(trainer, 2)
    assert len(trainer.optimizer_state().values) == known
    trainer.check()


@pytest.mark.parametrize("kind", list(OptimizerKind))
def test_momenta_of_another_layout_in_memory_mean_the_same(kind: OptimizerKind) -> None:
    """A file may hold them row by row where the network has its channels last."""
    config = replace(TRAINING, optimizer=OptimizerConfig(kind=kind))
    trainer, model = _trainer(config)
    _steps(trainer, 3)
    state, weights = trainer.optimizer_state(), _weights(model)
    rows = OptimizerState(
        values={
            name: {key: value.contiguous() for key, value in known.items()}
            for name, known in state.values.items()
        }
    )
    assert any(
        value.stride() != rows.values[name][key].stride()
        for name, known in state.values.items()
        for key, value in known.items()
    )
    results = []
    for known in (replace(state, cycle_position=0.0), rows):
        again = build_model(NETWORK, len(CLASSES), seed=0)
        again.load_state_dict(weights)
        resumed = Trainer(again, build_loss(LOSS), config, CLASSES, _pool(), CPU, step=3, optimizer=known)
        _steps(resumed, 3)
        results.append(_weights(again))
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_a_resumed_run_continues_step_rate_and_optimizer() -> None:
    trainer, model = _trainer()
    for _ in range(10):
        trainer.step()
    state = trainer.optimizer_state()
    assert state.cycle_position == 10
    again = Trainer(  # type: ignore[arg-type]
        model, build_loss(LOSS), TRAINING, CLASSES, _pool(), CPU, step=10, optimizer=state
    )
    result = again.step()
    assert result.step == 11
    assert result.learning_rate == pytest.approx(0.01 * (1 - 10 / 400) ** 0.9)
    assert again.optimizer_state().values["classifier.weight"]["step"] == 11


def test_a_new_config_takes_over_without_forgetting() -> None:
    trainer, _ = _trainer()
    trainer.step()
    optimizer = OptimizerConfig(learning_rate=1e-4, warmup_steps=0)
    trainer.reconfigure(
        replace(TRAINING, batch_size=1, crop=replace(TRAINING.crop, size=32), optimizer=optimizer)
    )
    assert (trainer.plan.batch, trainer.plan.crop) == (1, 32)
    assert trainer.step().learning_rate < 1e-4 * 1.001
    assert trainer.optimizer_state().values["classifier.weight"]["step"] == 2
    trainer.reconfigure(replace(TRAINING, optimizer=replace(optimizer, kind=OptimizerKind.SGD)))
    trainer.step()
    assert OptimizerState().values == {}


def test_weights_of_classes_follow_the_classes() -> None:
    """Weights belong to permanent indices; channels come, go and change places."""
    loss = build_loss(CrossEntropyConfig(class_weights=(0.5, 2.0, 4.0)))
    (entropy,) = {part for part in loss.modules() if isinstance(part, CrossEntropy)}
    model = build_model(NETWORK, len(CLASSES), seed=0)
    trainer = Trainer(model, loss, TRAINING, CLASSES, _pool(), CPU)

    def weights() -> list[float]:
        assert entropy.class_weights is not None
        return entropy.class_weights.tolist()

    by_index = {0: 0.5, 1: 2.0, 2: 4.0}
    assert weights() == [by_index.get(index, 1.0) for index in CLASSES.indices]
    table = CLASSES.move(BOX, 0).remove(SKY).add("tree")
    sources = [CLASSES.indices.index(i) if i in CLASSES.indices else None for i in table.indices]
    trainer.follow(table, sources)
    assert weights() == [by_index.get(index, 1.0) for index in table.indices]
    assert math.isfinite(float(sum(trainer.step().losses.values())))
