"""A published checkpoint becomes the network of a project, and still is after it was closed and opened."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from engine.annotate.classes import ClassTable
from engine.learn.released import read_released, save_released
from engine.messages import CheckpointSaved, CommandFailed, NetworkOpened
from engine.session import Session
from models.backbone_configs import ResNestConfig, ResNestDepth
from models.configs import FcnConfig
from tests.support.learning import Listener, make_project
from tests.support.published import published_state, small_network
from tests.support.worker_desk import Desk


def test_a_project_goes_over_to_a_published_checkpoint_and_stays_there(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    shutil.rmtree(project.folder)  # the images alone: a project begins here
    file = tmp_path / "idrnet_ppm_resnet50os8_cityscapes.pth"
    torch.save({"model": published_state(small_network("idrnet", 19), "idrnet")}, file)
    imported = read_released(file)
    about = imported.checkpoint.about

    heard = Listener()
    session = Session.open(project.images, emit=heard)
    table = ClassTable().add("own").add("road")
    for spec in about.classes:
        table = table if table.by_name(spec.name) else table.add(spec.name)
    session.set_classes(table)
    folder = session.project.folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    session.choose_network(about.network, about.loss)
    session.load_checkpoint(save_released(imported, folder, name="paper"))
    session.save_checkpoint("adopted")
    heard.wait(CheckpointSaved)
    for event in list(heard.events):
        session.handle(event)
    assert not heard.of(CommandFailed)
    assert session.network == about.network
    assert session.manifest.checkpoint == "checkpoints/adopted_step-00000000.pt"
    session.close()

    again = Listener()
    session = Session.open(project.images, emit=again)
    session.worker.ensure_started()
    opened = again.wait(NetworkOpened)
    session.close()
    assert opened.title == "IDRNet"
    assert opened.checkpoint is not None
    assert opened.checkpoint.endswith("adopted_step-00000000.pt")
    assert not any("in part" in notice or "know" in notice for notice in opened.notices)


def test_a_backbone_whose_package_is_missing_is_no_fault_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    desk = Desk(make_project(tmp_path))
    network = FcnConfig(backbone=ResNestConfig(depth=ResNestDepth.RESNEST14))
    desk.give(desk.project.open_network(network=network))
    assert "timm" in desk.failed.problem.message
    assert "another backbone" in desk.failed.problem.hint
    assert desk.failed.problem.report == ""
    desk.open()
