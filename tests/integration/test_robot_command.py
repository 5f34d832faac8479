"""``maskloop robot`` on small pictures: the real session, its files, and what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli import run
from engine.cli.robot_files import read_results
from engine.errors import EngineError
from engine.measure.robot.plan import RobotPlan
from engine.measure.robot.results import FORMAT, Measured, RunResult
from engine.measure.robot.tool import AnnotatedTool, Material
from engine.project.manifest import read_manifest
from models.loss_configs import CrossEntropyConfig
from tests.support.robot import blobs, write_masks, write_picture

KEYS = {"title", "options", "costs", "runs", "format"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures with masks; the last one is held out by the verb."""
    folder = tmp_path_factory.mktemp("robot verb ä")
    truths = {f"{place}.png": blobs(place) for place in range(5)}
    for place, (name, truth) in enumerate(truths.items()):
        write_picture(folder / "images" / name, truth, place)
    write_masks(folder / "masks", truths)
    return folder


def command(folder: Path, *more: str) -> list[str]:
    return ["robot", "--images", str(folder / "images"), "--masks", str(folder / "masks"), *more]


def sync(folder: Path, out: Path, *more: str) -> list[str]:
    short = ["--session", "24", "--sync", "--sync-steps", "3", "--device", "cpu", "--measure-at", "12"]
    return command(folder, *short, "--json", str(out / "out.json"), "--journal", str(out / "journal"), *more)


@pytest.mark.slow
def test_the_session_at_work_twice_writes_the_same_journal(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert run(sync(folder, tmp_path / name, "--keep", str(tmp_path / name / "kept"))) == 0
    first, again = (tmp_path / name / "journal" / "tiny-0.jsonl" for name in ("a", "b"))
    assert first.read_bytes() == again.read_bytes()
    content = json.loads((tmp_path / "a" / "out.json").read_text("utf-8"))
    assert set(content) == KEYS
    (result,) = content["runs"]
    lines = [json.loads(line) for line in first.read_text("utf-8").splitlines()]
    assert result["seconds"] == pytest.approx(24.0)
    assert result["blocked"] == 0.0
    assert result["facts"]["steps"] >= 1  # how many there is time for depends on the machine
    assert result["facts"]["shares"][0][1] == 0.0  # the quick model answers before a network has learnt
    assert [point["seconds"] for point in result["curve"]] == [12.0, 24.0]
    assert sum(line["do"] == "paint" for line in lines) >= 2
    assert sum(line["seconds"] for line in lines) == pytest.approx(24.0, abs=0.02)
    assert all(line["do"] != "wait" for line in lines), "how long somebody waited would differ"
    assert "mIoU at the end" in capsys.readouterr().out
    kept = sorted(path.name for path in (tmp_path / "a" / "kept" / "tiny-0").iterdir())
    assert kept == ["0.png", "1.png", "2.png", "3.png", "held out", "maskloop"]
    said = np.concatenate(
        [
            np.asarray(Image.open(path)).ravel()
            for path in (tmp_path / "a" / "kept" / "tiny-0" / "maskloop" / "annotations").rglob("*.png")
        ]
    )
    assert ((said < 4) | (said == 255)).all()
    assert (said < 4).any()


@pytest.mark.slow
def test_learning_alongside_takes_the_persons_time(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ("--session", "20", "--device", "cpu", "--policy", "queue", "--json", str(out))
    journal = ("--journal", str(tmp_path))
    loss = ("--loss", "cross-entropy", "--loss-set", "class_balance=0.5", "--keep", str(tmp_path / "kept"))
    assert run(command(folder, *words, *loss, *journal)) == 0
    (result,) = json.loads(out.read_text("utf-8"))["runs"]
    assert result["real_seconds"] >= 19.0
    assert result["curve"][-1]["updates"] >= 1
    assert result["latencies"]
    lines = [json.loads(line) for line in (tmp_path / "tiny-0.jsonl").read_text("utf-8").splitlines()]
    assert sum(line["seconds"] for line in lines) == pytest.approx(result["seconds"], abs=0.02)
    waited = sum(line["seconds"] for line in lines if line["do"] == "wait")
    assert waited == pytest.approx(result["blocked"], abs=0.02)
    kept = read_manifest(tmp_path / "kept" / "tiny-0" / "maskloop" / "project.json")
    assert kept.loss == CrossEntropyConfig(class_balance=0.5)


@pytest.mark.slow
def test_a_forest_and_a_comparison(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the forest is made of it: maskloop[robot]")
    pytest.importorskip("skimage", reason="the filter bank is made of it: maskloop[robot]")
    for name in ("rf", "sgd"):
        out = str(tmp_path / f"{name}.json")
        more = ("--baseline", name, "--session", "12", "--sync", "--seeds", "0-1", "--json", out)
        assert run(command(folder, *more)) == 0
    files = [str(tmp_path / f"{name}.json") for name in ("rf", "sgd")]
    capsys.readouterr()
    assert run(["robot", "--compare", *files, "--report", str(tmp_path / "page.html")]) == 0
    said = capsys.readouterr().out
    assert "rf minus sgd, paired by seed" in said
    assert "too few for a claim" in said
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<svg" in page
    assert "t_look" in page
    content = json.loads((tmp_path / "rf.json").read_text("utf-8"))
    assert [point["seconds"] for point in content["runs"][1]["curve"]] == [12.0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "lraspp", "deeplabv3"])
def test_a_baseline_network_learns_from_nothing_between_images(
    folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A download would be a crash: what is compared starts from scratch.
    monkeypatch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", None)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", None)
    short = ["--session", "18", "--strokes", "4", "--sync", "--sync-steps", "1"]
    out = ["--json", str(tmp_path / "out.json"), "--journal", str(tmp_path)]
    assert run(command(folder, "--baseline", name, *short, *out)) == 0
    (result,) = read_results(tmp_path / "out.json").runs
    lines = [json.loads(line) for line in (tmp_path / f"{name}-0.jsonl").read_text("utf-8").splitlines()]
    assert sum(line["seconds"] for line in lines) == pytest.approx(result.seconds, abs=0.02)
    assert len(result.visits) >= 2
    assert result.facts["steps"] == len(result.visits), "one step after each image"
    assert result.curve[-1].updates >= 1
    assert 0.0 < result.curve[-1].pixel_accuracy <= 1.0
    assert result.blocked == 0.0


@pytest.mark.slow
def test_the_session_tells_which_pixels_were_accepted(folder: Path, tmp_path: Path) -> None:
    short = ["--session", "40", "--strokes", "3", "--feedback", "replay", "--sync", "--sync-steps", "2"]
    out = ["--device", "cpu", "--json", str(tmp_path / "out.json")]
    assert run(command(folder, *short, *out)) == 0
    (result,) = read_results(tmp_path / "out.json").runs
    assert any(visit.accepted for visit in result.visits[:3])
    first = result.recalled[0]
    assert first.images == 3
    assert first.accepted_alone is not None
    assert first.accepted_shown == pytest.approx(1.0, abs=0.01), "what was accepted stands in what is shown"


def test_a_missing_package_is_said_with_its_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert run(command(folder, "--baseline", "rf")) == 1
    assert 'pip install "maskloop[robot]"' in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_where_nothing_can_be_written_is_said_before_the_work(
    folder: Path, option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.cli.robot_runs.run_seeds", None)  # calling it would be a crash
    assert run(command(folder, option, str(folder))) == 1
    assert f"“{folder}” could not be written: it is a folder" in capsys.readouterr().err


def test_seeds_that_are_done_are_kept_when_a_later_one_fails(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point = Measured(
        seconds=5.0,
        miou=0.5,
        pixel_accuracy=0.6,
        iou_per_class={"ground": 0.5},
        strokes=1,
        images=1,
        updates=1,
    )

    def work(plan: RobotPlan, tool: AnnotatedTool, material: Material, **_: object) -> RunResult:
        if plan.seed == 1:
            raise EngineError("The disk is full.", hint="Free some space.")
        return RunResult(
            tool=tool.title,
            seed=plan.seed,
            curve=(point,),
            visits=(),
            seconds=5.0,
            blocked=0.0,
            latencies=(),
            worse=0,
            journal="",
            facts={},
            real_seconds=1.0,
        )

    monkeypatch.setattr("engine.cli.robot_runs.run_robot", work)
    out = tmp_path / "out.json"
    assert run(command(folder, "--baseline", "unet", "--seeds", "0-2", "--json", str(out))) == 1
    assert "The disk is full" in capsys.readouterr().err
    assert [result.seed for result in read_results(out).runs] == [0]


def test_a_result_without_a_run_cannot_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.json").write_text(
        json.dumps({"format": FORMAT, "title": "x", "options": {}, "costs": {}, "runs": []}), "utf-8"
    )
    assert run(["robot", "--compare", str(tmp_path / "none.json")]) == 1
    assert "holds no measurement" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--session", "forever"], 1, "no session length"),
        (["--network", "no-such"], 1, "There is no network"),
        (["--training", "crop.size"], 1, "KEY=VALUE"),
        (["--training", "crop.width=3"], 1, "crop.width=3"),
        (["--training", "crop.size=1"], 1, "crop.size=1"),
        (["--baseline", "rf", "--network", "tiny"], 1, "--baseline measures another method"),
        (["--baseline", "rf", "--loss", "rmi"], 1, "--baseline measures another method"),
        (["--loss-set", "class_balance=1"], 1, "--loss-set changes a loss"),
        (["--loss", "cross-entropy", "--loss-set", "balance=1"], 1, "Choices are"),
        (["--baseline", "rf", "--weights", "x.pt"], 1, "--weights belongs to"),
        (["--ignore", "999"], 1, "--ignore 999 is no class of the masks. They are: 0 ground, 1 car"),
        (["--test-images", "x"], 2, "--test-masks"),
        (["--seeds", "x"], 2, "--seeds"),
        (["--user", "tired"], 2, "--user"),
    ],
)
def test_what_cannot_be_done_is_said(
    folder: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(folder, *words)) == code
    assert said in capsys.readouterr().err


def test_without_images_it_is_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["robot"]) == 2
    assert "--images" in capsys.readouterr().err
    (tmp_path / "no.json").write_text("{}", encoding="utf-8")
    assert run(["robot", "--compare", str(tmp_path / "no.json")]) == 1
    assert run(["robot", "--compare", str(tmp_path / "none.json")]) == 1
