"""Classes that change while people work: what a network learnt of the others stays theirs, in every network.

Everything a network keeps per class (classifiers, relations, counters, class vectors, memories) is looked up
by the permanent index of the class, before and after: in the running worker, and when a checkpoint meets
another class table.
"""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.learn.checkpoint import read_checkpoint, restore
from engine.messages import (
    CheckpointSaved,
    ClassesChanged,
    CommandFailed,
    LoadCheckpoint,
    SaveCheckpoint,
    StepsDone,
    StopTraining,
    WorkerState,
)
from models.base import SegmentationModel
from models.build import build_model
from models.catalog import MODELS, ModelSpec
from models.class_rows import FollowsClasses
from models.configs import NetworkConfig, RmiConfig
from models.networks.spgnet import Excitation
from tests.support.learning import BOX, CLASSES, GROUND, SKY, SmallProject, make_project
from tests.support.worker_desk import QUIET, Desk

pytestmark = pytest.mark.usefixtures("one_thread")

ClassState = dict[tuple[str, tuple[int, ...]], Tensor]
"""What a network keeps per class, by name of the tensor and permanent indices."""

STATEFUL = {
    "idrnet": {"mean", "variance", "counter", "vectors"},
    "mcibi": {"memory"},
    "mcibi++": {"memory", "draws"},
}

WITH_TREE = CLASSES.add("tree")
CHANGES = {
    "added": WITH_TREE,
    "removed": CLASSES.remove(GROUND),
    "merged": CLASSES.remove(BOX),  # its pixels are another's from now on
    "reordered": CLASSES.move(BOX, 0),
    "all at once": WITH_TREE.move(BOX, 0).remove(SKY).add("road"),
    "renamed and recoloured": CLASSES.rename(SKY, "heaven").recolor(BOX, (9, 9, 9)),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    return make_project(tmp_path_factory.mktemp("classes"), train=2, held_out=0)


def network_of(desk: Desk) -> SegmentationModel[Any]:
    network = desk.loop._work._network
    assert network is not None
    return network.model


def trained_network_of(desk: Desk) -> SegmentationModel[Any]:
    """Returns the network that is trained, of which `network_of` may be an average."""
    run = desk.loop._work._training.run
    assert run is not None
    return run.trainer._model


def class_state(model: SegmentationModel[Any], classes: ClassTable) -> ClassState:
    found: ClassState = {}
    for path, module in model.named_modules():
        if not isinstance(module, FollowsClasses):
            continue
        for item in module.class_tensors():
            values = getattr(module, item.name).detach()
            for places in itertools.product(range(len(classes)), repeat=len(item.axes)):
                part = values
                for axis, place in zip(reversed(item.axes), reversed(places), strict=True):
                    part = part.select(axis, place)
                ids = tuple(classes.indices[place] for place in places)
                found[f"{path}.{item.name}", ids] = part.clone()
    return found


def check_kept(before: ClassState, after: ClassState, old: ClassTable, new: ClassTable) -> None:
    """Everything between classes that are in both tables is the same bit for bit; nothing else is there."""
    kept = set(old.indices) & set(new.indices)
    compared = 0
    for key, values in before.items():
        if kept.issuperset(key[1]):
            assert torch.equal(after[key], values), key
            compared += 1
    assert compared > 0
    assert {index for _, ids in after for index in ids} == set(new.indices)


def opened(project: SmallProject, spec: ModelSpec, **changes: object) -> Desk:
    desk = Desk(project)
    desk.open(network=spec.tiny(), **changes)
    return desk


def learn(desk: Desk, steps: int = 3) -> None:
    """Trains until class state has moved away from where it started."""
    if desk.states()[-1] is not WorkerState.TRAINING:
        desk.start(replace(QUIET, max_steps=None))
    for _ in range(steps):
        desk.work()
    assert desk.heard.of(StepsDone)
    assert not desk.heard.of(CommandFailed)


def is_fresh(name: str, values: Tensor, ids: tuple[int, ...]) -> bool:
    """Whether an entry is what a class never seen starts from; classifiers start anywhere."""
    kind = name.rsplit(".", 1)[-1]
    if kind in {"mean", "variance"}:
        return float(values) == (1.0 if ids[0] == ids[1] else 0.0)
    if kind == "counter":
        return float(values) == pytest.approx(1e-6)
    if kind == "vectors" or (kind == "memory" and values.dim() == 2):
        return not values.any()
    if kind == "memory":
        return values.tolist() == [0.0, 1.0]
    return True


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_a_running_worker_keeps_everything_of_classes_that_stay(
    project: SmallProject, spec: ModelSpec
) -> None:
    desk = opened(project, spec)
    learn(desk)
    desk.predict()  # from now on weights are shown, apart from those being trained
    table = CLASSES
    for change in (*CHANGES.values(), CLASSES):
        before = class_state(trained_network_of(desk), table)
        shown = class_state(network_of(desk), table)
        desk.give(ClassesChanged(classes=change))
        after = class_state(trained_network_of(desk), change)
        check_kept(before, after, table, change)
        check_kept(shown, class_state(network_of(desk), change), table, change)
        table = change
        learn(desk, steps=1)
    desk.give(StopTraining())
    assert not desk.heard.of(CommandFailed)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_an_idle_worker_keeps_everything_and_new_classes_start_fresh(
    project: SmallProject, spec: ModelSpec
) -> None:
    desk = opened(project, spec)
    for new in CHANGES.values():
        fill(network_of(desk))
        before = class_state(network_of(desk), CLASSES)
        desk.give(ClassesChanged(classes=new))
        after = class_state(network_of(desk), new)
        check_kept(before, after, CLASSES, new)
        for (name, ids), values in after.items():
            if not set(CLASSES.indices).issuperset(ids):
                assert is_fresh(name, values, ids), (name, ids)
        desk.give(ClassesChanged(classes=CLASSES))
    assert not desk.heard.of(CommandFailed)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_a_checkpoint_that_meets_another_class_table_keeps_everything(
    project: SmallProject, spec: ModelSpec
) -> None:
    desk = opened(project, spec)
    fill(network_of(desk))
    before = class_state(network_of(desk), CLASSES)
    desk.give(SaveCheckpoint(name=spec.name))
    path = desk.heard.of(CheckpointSaved)[-1].path
    content = read_checkpoint(Path(path))
    for new in CHANGES.values():
        model = build_model(cast(NetworkConfig, spec.tiny()), len(new), seed=5)
        restore(model, content, new)
        check_kept(before, class_state(model, new), CLASSES, new)

    # The same through the worker: when a project is opened, and when somebody goes back to a checkpoint.
    new = CHANGES["all at once"]
    again = opened(project, spec, classes=new, checkpoint=path)
    check_kept(before, class_state(network_of(again), new), CLASSES, new)
    desk.give(ClassesChanged(classes=new))
    fill(network_of(desk))
    desk.give(LoadCheckpoint(path=path))
    check_kept(before, class_state(network_of(desk), new), CLASSES, new)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_a_merged_class_leaves_and_the_other_stays_as_it_was(project: SmallProject, spec: ModelSpec) -> None:
    """Merging relabels the pixels on disk; for the network the class that was merged is gone."""
    desk = opened(project, spec)
    learn(desk)
    merged = CLASSES.remove(BOX)
    before = class_state(trained_network_of(desk), CLASSES)
    desk.give(ClassesChanged(classes=merged))
    after = class_state(trained_network_of(desk), merged)
    check_kept(before, after, CLASSES, merged)
    assert not any(BOX in ids for _, ids in after)
    learn(desk, steps=1)


@pytest.mark.parametrize("name", STATEFUL)
def test_training_moves_the_class_state_that_these_tests_watch(project: SmallProject, name: str) -> None:
    (spec,) = (spec for spec in MODELS if spec.name == name)
    desk = opened(project, spec)
    fresh = class_state(network_of(desk), CLASSES)
    learn(desk, steps=4)
    moved = class_state(trained_network_of(desk), CLASSES)
    watched = {key[0].rsplit(".", 1)[-1] for key in fresh}
    assert STATEFUL[name] <= watched
    changed = {
        key[0].rsplit(".", 1)[-1] for key, values in fresh.items() if not torch.equal(values, moved[key])
    }
    assert STATEFUL[name] - {"draws"} <= changed


@pytest.mark.parametrize("name", ["idrnet", "mcibi", "spgnet"])
def test_regions_are_learned_on_while_classes_come_and_go(project: SmallProject, name: str) -> None:
    """The loss over regions keeps nothing per class; weights of classes go with their class."""
    (spec,) = (spec for spec in MODELS if spec.name == name)
    desk = opened(project, spec, loss=RmiConfig(factor=2))
    learn(desk, steps=2)
    table = CLASSES
    for change in (*CHANGES.values(), CLASSES):
        before = class_state(trained_network_of(desk), table)
        desk.give(ClassesChanged(classes=change))
        check_kept(before, class_state(trained_network_of(desk), change), table, change)
        table = change
        learn(desk, steps=1)
        losses = desk.heard.of(StepsDone)[-1].losses
        assert any("regions" in part for part in losses)
        assert all(math.isfinite(value) for value in losses.values())


def test_what_is_watched_of_spgnet_holds_its_gate(project: SmallProject) -> None:
    (spec,) = (spec for spec in MODELS if spec.name == "spgnet")
    model = network_of(opened(project, spec))
    (gate,) = (name for name, module in model.named_modules() if isinstance(module, Excitation))
    watched = class_state(model, CLASSES)
    assert {ids for name, ids in watched if name == f"{gate}.weight"} == {
        (index,) for index in CLASSES.indices
    }


def fill(model: SegmentationModel[Any]) -> None:
    """Gives every entry of the class state a value of its own."""
    generator = torch.manual_seed(11)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, FollowsClasses):
                for item in module.class_tensors():
                    values = getattr(module, item.name)
                    values.copy_(torch.rand(values.shape, generator=generator) + 2.0)
