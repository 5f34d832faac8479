"""What is made of the robot's figures: times of arrival, intervals, paired differences, words of the verb."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine.annotate.classes import UNLABELLED
from engine.cli import run as verb
from engine.cli.changes import changed
from engine.cli.chosen import LOSSES
from engine.cli.robot import moments as parsed_moments
from engine.cli.robot import seeds
from engine.cli.robot_files import Outcome, write_results
from engine.cli.robot_page import page
from engine.cli.robot_runs import notes_of
from engine.cli.robot_tables import arrivals, effort, points, summary
from engine.config import OptimizerKind, TrainingConfig
from engine.errors import EngineError
from engine.measure.baselines.learner import Marked
from engine.measure.medial import medial_path, path_length, thinned
from engine.measure.robot.memory import peak_memory_mib
from engine.measure.robot.results import Recalled, count_worse
from engine.measure.robot.statistics import at_other_prices, interval, latency, moments, paired
from models.loss_configs import CrossEntropyConfig, RmiConfig
from tests.support.robot_results import outcome, point, run_of, visit


def test_times_of_arrival_lie_between_measurements() -> None:
    run = run_of(0, 0.2, 0.4, 0.6)
    assert run.seconds_to(0.4) == pytest.approx(200.0)
    assert run.seconds_to(0.5) == pytest.approx(250.0)
    assert run.seconds_to(0.1) == pytest.approx(50.0)
    assert run.seconds_to(0.7) is None
    assert run.at(200.0) == 0.4
    assert run.at(150.0) is None
    assert run.area() == pytest.approx((10.0 + 30.0 + 50.0) / 300.0)


def test_other_prices_move_measurements_in_time_and_nothing_else() -> None:
    run = dataclasses.replace(run_of(0, 0.2, 0.4), seconds=200.0)
    points_ = tuple(
        dataclasses.replace(point, strokes=strokes)
        for point, strokes in zip(run.curve, (20, 50), strict=True)
    )
    run = dataclasses.replace(run, curve=points_)
    half = at_other_prices(run, pause=0.5)
    assert [point.seconds for point in half.curve] == [100.0 - 15.0, 200.0 - 37.5]
    assert [point.miou for point in half.curve] == [0.2, 0.4]
    assert half.between(85.0) == pytest.approx(0.2)
    assert half.between(170.0) is None, "nobody knows what came later"
    twice = at_other_prices(run, pause=2.0)
    assert [point.seconds for point in twice.curve] == [130.0, 275.0]
    assert at_other_prices(run, pause=2.0, paid=2.0).curve == run.curve, "it was measured with such pauses"
    assert [point.seconds for point in at_other_prices(run, work=0.5).curve] == [50.0, 100.0]
    assert run.area(100.0) == pytest.approx(0.1)
    assert run.area(150.0) == pytest.approx((10.0 + 12.5) / 150.0)
    waiting = dataclasses.replace(run, visits=(visit(seconds=90.0, blocked=10.0),))
    assert [point.seconds for point in at_other_prices(waiting, work=2.0).curve] == [190.0, 390.0]


def test_areas_are_told_to_the_times_sessions_are_compared_at() -> None:
    text = "\n".join(summary([Outcome(title="ours", options={}, runs=(run_of(0, 0.2, 0.4, 0.4, 0.4),))]))
    assert sum(line.startswith("  area under the curve") for line in text.splitlines()) == 2
    (line,) = (line for line in text.splitlines() if "area under the curve to 300 s" in line)
    assert line.endswith("26.7 %")


def test_a_comparison_says_what_other_costs_make_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for title, gain in (("ours", 0.1), ("theirs", 0.0)):
        runs = tuple(run_of(seed, 0.2 + gain, 0.4 + gain, 0.5 + gain) for seed in range(3))
        write_results(tmp_path / f"{title}.json", Outcome(title=title, options={"gap": 1.0}, runs=runs))
        paths.append(str(tmp_path / f"{title}.json"))
    assert verb(["robot", "--compare", *paths, "--report", str(tmp_path / "page.html")]) == 0
    told = capsys.readouterr().out
    html = (tmp_path / "page.html").read_text("utf-8")
    for prices in ("pause between actions x 0.5", "pause between actions x 2", "every action x 2"):
        (line,) = (line for line in told.splitlines() if prices in line and "mIoU at 200 s" in line)
        assert "points" in line
        assert f"mIoU at 200 s, {prices}" in html
    # With every second twice as dear, 200 s buy what 100 s bought.
    (line,) = (line for line in told.splitlines() if "every action x 2" in line and "mIoU at 200 s" in line)
    assert "+10.0 points" in line
    assert "above 0" in line


def test_an_interval_holds_its_mean_and_shrinks_with_seeds() -> None:
    values = list(np.random.default_rng(0).normal(0.5, 0.1, 40))
    few, many = interval(values[:4]), interval(values)
    assert few is not None
    assert many is not None
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low
    assert interval([None, 0.3]) == interval([0.3])
    assert interval([None]) is None


def test_differences_are_paired_by_seed() -> None:
    ours = [run_of(seed, base + 0.1) for seed, base in ((0, 0.2), (1, 0.5), (2, 0.3))]
    theirs = [run_of(seed, base) for seed, base in ((2, 0.3), (1, 0.5), (0, 0.2), (9, 0.9))]
    difference = paired(ours, theirs, lambda run: run.at(100.0))
    assert difference is not None
    assert difference.mean == pytest.approx(0.1)
    assert difference.high - difference.low < 1e-9
    assert difference.is_above_zero
    assert "above 0" in points(difference)
    two = paired(ours[:2], theirs, lambda run: run.at(100.0))
    assert two is not None
    assert not two.is_above_zero
    assert paired(ours[:1], theirs[:1], lambda run: run.at(100.0)) is None


def test_seconds_to_a_mark_are_paired_by_seed_and_never_is_no_number() -> None:
    ours = outcome("ours", *(run_of(seed, 0.3, 0.5, 0.5) for seed in range(3)), run_of(8, 0.9))
    late = outcome("late", *(run_of(seed, 0.2, 0.3, 0.5) for seed in (2, 0, 1)))
    both = "(reached by ours on 3 of 3 seeds, by late on 3 of 3)"
    assert dict(arrivals(ours, late)) == {
        "seconds to 0.40": f"-100 s [-100, -100], below 0 {both}",
        "seconds to 0.50": f"-100 s [-100, -100], below 0 {both}",
        "seconds to 0.60": "– (reached by ours on 0 of 3 seeds, by late on 0 of 3)",
    }
    never = outcome("never", *(run_of(seed, 0.2, 0.3, 0.38) for seed in range(3)))
    assert dict(arrivals(ours, never))["seconds to 0.40"] == (
        "– (reached by ours on 3 of 3 seeds, by never on 0 of 3)"
    )
    assert dict(arrivals(never, ours))["seconds to 0.40"] == (
        "– (reached by never on 0 of 3 seeds, by ours on 3 of 3)"
    )
    once = outcome("once", run_of(0, 0.2, 0.3, 0.4), *never.runs[1:])
    assert dict(arrivals(ours, once))["seconds to 0.40"] == (
        "-150 s [-150, -150] over 1 of 3 seeds only: no claim "
        "(reached by ours on 3 of 3 seeds, by once on 1 of 3)"
    )
    two = outcome("two", *late.runs[:2])
    assert "2 seeds: too few for a claim" in dict(arrivals(ours, two))["seconds to 0.50"]
    assert "below 0" not in dict(arrivals(late, ours))["seconds to 0.50"], "later is no lead"
    assert set(dict(arrivals(ours, outcome("other", run_of(7, 0.9)))).values()) == {"– (no seed in common)"}
    text, html = "\n".join(summary([ours, once])), page([ours, once])
    assert "  seconds to 0.40          -150 s" in text
    assert "<td>seconds to 0.40</td><td>-150 s [-150, -150] over 1 of 3 seeds only" in html


def test_one_tool_alone_is_told_with_other_costs_too() -> None:
    curve = tuple(
        dataclasses.replace(point, strokes=strokes)
        for point, strokes in zip(run_of(0, 0.2, 0.4).curve, (20, 50), strict=True)
    )
    alone = outcome("ours", *(dataclasses.replace(run_of(seed, 0.2, 0.4), curve=curve) for seed in (0, 1)))
    lines, html = list(summary([alone])), page([alone])
    for prices, seconds, miou in (
        ("as measured", 200, 20.0),
        ("pause between actions x 0.5", 162, 23.9),
        ("pause between actions x 2", 275, 15.4),
        ("every action x 0.5", 100, 40.0),
        ("every action x 2", 400, 10.0),
    ):
        told = {line[31:].split("  ")[0]: line for line in lines if line.startswith(f"  {prices}  ")}
        assert f"{seconds} s [{seconds}, {seconds}]" in told["seconds to 0.40"]
        assert told["seconds to 0.60"].endswith("never")
        assert f" {miou:.1f} %" in told["mIoU at 100 s"], "to the time the cheapest prices reach"
        assert f"<td>seconds to 0.40, {prices}</td><td>{seconds} s" in html
    assert not any(line.startswith("ours with other costs") for line in summary([alone, alone]))


def test_the_page_tells_every_class_at_every_moment() -> None:
    html = page([outcome("ours", run_of(0, 0.2, 0.4), run_of(1, 0.4, 0.6, 0.7))])
    for when, share in (("100 s", "30.0 %"), ("200 s", "50.0 %"), ("end", "55.0 %")):
        assert f"<tr><td>{when}</td><td>{share}</td><td>–</td></tr>" in html
    assert "<th>user time</th><th>a</th><th>b</th>" in html


def test_keys_medians_and_memory_are_told() -> None:
    visits = tuple(
        dataclasses.replace(visit(seconds=seconds, blocked=0.0), keys=keys, regions=regions)
        for seconds, keys, regions in ((2.0, 1, 0), (4.0, 3, 1), (12.0, 5, 2))
    )
    runs = [
        dataclasses.replace(run_of(seed, 0.2), visits=visits, peak_memory_mib=peak)
        for seed, peak in ((0, 800.0), (1, 1234.5))
    ]
    told = dict(effort(runs))
    assert told["keys per image"] == "3.00"
    assert told["regions accepted per image"] == "1.00"
    assert told["seconds per image"] == "6.0"
    assert told["seconds per image, median"] == "4.0"
    assert told["peak memory of the process"] == "1234 MiB"
    older = dataclasses.replace(runs[0], visits=(visit(seconds=2.0, blocked=0.0), *visits))
    assert dict(effort([older]))["keys per image"] == "–", "a mean over some of the images is no mean"


def test_sessions_that_were_asked_differing_things_stand_on_one_page() -> None:
    asked = dataclasses.replace(run_of(0, 0.2), recalled=(Recalled(images=3, alone=0.5, shown=1.0),))
    short, whole = outcome("short", run_of(0, 0.2)), outcome("whole", asked)
    name = "of the first three images&#x27; pixels after 3, by the network / the model alone / shown"
    assert f"<td>{name}</td><td>–</td><td>– /  50.0 % / 100.0 %</td>" in page([short, whole])
    assert f"<td>{name}</td><td>– /  50.0 % / 100.0 %</td><td>–</td>" in page([whole, short])


def test_peak_memory_is_that_of_the_system_and_not_told_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = peak_memory_mib()
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
        assert peak == pytest.approx(int(line.split()[1]) / 1024, rel=0.1)
    monkeypatch.setattr("sys.platform", "win32")
    assert peak_memory_mib() is None


def test_only_shared_moments_are_compared() -> None:
    assert moments([run_of(0, 0.1, 0.2), run_of(1, 0.1, 0.2, 0.3)]) == (100.0, 200.0)
    assert latency([run_of(0, 0.1)], 50) == pytest.approx(2.0)
    assert latency([], 50) is None


def test_a_later_model_that_is_worse_is_counted_once_for_each_fall() -> None:
    curve = [point(1, 0.4, 1), point(2, 0.39, 2), point(3, 0.387, 3), point(4, 0.2, 3), point(5, 0.1, 4)]
    assert count_worse(curve) == 2


def test_a_session_in_which_nothing_was_shown_says_why() -> None:
    (note,) = notes_of(run_of(3, 0.0))
    assert note.startswith("Seed 3: no model was ever shown")
    assert "--rare-first" in note
    assert notes_of(run_of(3, 0.0, 0.2)) == []
    told = dataclasses.replace(run_of(3, 0.0, 0.2), facts={"notes": ["The weights are random."]})
    assert notes_of(told) == ["The weights are random."]


def test_text_and_page_name_everything() -> None:
    outcomes = [
        Outcome(title=title, options={}, runs=(run_of(0, low, 0.55), run_of(1, low, 0.65)))
        for title, low in (("<ours>", 0.3), ("theirs", 0.2))
    ]
    text = "\n".join(summary(outcomes))
    for words in ("<ours> minus theirs", "mIoU at    100 s", "seconds to 0.40", "t_look 2"):
        assert words in text
    html = page(outcomes)
    assert "&lt;ours&gt; minus theirs" in html
    assert html.count("<polyline") == 2
    assert "<ours>" not in html


def test_words_of_the_verb() -> None:
    assert seeds("0-2,5") == (0, 1, 2, 5)
    assert parsed_moments("60,180") == (60.0, 180.0)
    for wrong in ("", "a", "-1"):
        with pytest.raises((ValueError, argparse.ArgumentTypeError)):
            seeds(wrong)


def test_training_choices_are_changed_by_name() -> None:
    words = ["crop.size=96", "optimizer.kind=sgd", "augment.flip=false", "max_steps=7", "refresh_s=0.5"]
    config = changed(TrainingConfig(), words)
    assert config.crop.size == 96
    assert config.optimizer.kind is OptimizerKind.SGD
    assert config.augment.flip is False
    assert config.refresh_s == 0.5
    assert changed(config, ["max_steps=none"]).max_steps is None
    words = (
        "crop.size",
        "crop.nothing=1",
        "crop.size.x=1",
        "crop.size=x",
        "augment.flip=maybe",
        "crop.size=1",
    )
    for wrong in words:
        with pytest.raises(EngineError):
            changed(TrainingConfig(), [wrong])


def test_choices_of_a_loss_are_changed_by_name() -> None:
    assert changed(LOSSES["cross-entropy"], ["class_balance=1"]) == CrossEntropyConfig(class_balance=1.0)
    assert changed(LOSSES["rmi"], ["share=0.25"]) == RmiConfig(share=0.25)
    with pytest.raises(EngineError, match="share") as error:
        changed(LOSSES["cross-entropy"], ["share=0.25"])
    assert "class_balance" in error.value.hint


def test_a_skeleton_is_thin_and_keeps_what_is_connected() -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[10:30, 5:75] = True
    mask[10:55, 40:52] = True
    skeleton = thinned(mask)
    assert skeleton.any()
    assert not (skeleton & ~mask).any()
    squares = skeleton[1:, 1:] & skeleton[:-1, 1:] & skeleton[1:, :-1] & skeleton[:-1, :-1]
    assert not squares.any()
    path = medial_path(mask, np.ones(mask.shape, np.float32), longest=1e9)
    assert path_length(path) > 45.0
    assert all(mask[int(y), int(x)] for y, x in path)
    assert medial_path(np.ones((2, 2), np.bool_), np.ones((2, 2), np.float32), longest=9.0) == ((0.0, 0.0),)


def test_dice_and_cross_entropy_leave_unlabelled_pixels_alone() -> None:
    import torch

    from engine.measure.baselines.networks import stroke_loss

    torch.manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    target = torch.full((2, 8, 8), UNLABELLED)
    assert stroke_loss(logits, target, 0.7).item() == 0.0
    target[0, :3] = 1
    target[0, 5] = 2
    stroke_loss(logits, target, 0.7).backward()
    assert logits.grad is not None
    silent = (target == UNLABELLED)[:, None].expand_as(logits)
    assert (logits.grad[silent] == 0).all()
    assert (logits.grad[~silent] != 0).any()


def test_networks_learn_from_strokes_and_judge_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.measure.baselines import networks
    from tests.support.robot import COLORS, blobs, classes

    monkeypatch.setattr(networks, "_CROP", 64)
    recipe = dataclasses.replace(networks.unet_recipe(), sync_steps=2)
    learner = networks.NetworkLearner(recipe, classes(), seed=0)
    assert learner.settle() is None
    for place in range(3):
        truth = blobs(place)
        image = COLORS[truth]
        learner.mark(
            Marked(image_id=str(place), image=image, annotation=truth, mask=np.ones(truth.shape, np.bool_))
        )
    model = learner.settle()
    assert model is not None
    guess = model("0", COLORS[blobs(0)])
    assert guess.label_map.shape == (90, 120)
    assert set(np.unique(guess.label_map)) <= {0, 1, 2, 3}
    assert 0.0 < float(guess.confidence.min()) <= float(guess.confidence.max()) <= 1.0
    assert learner.facts()["steps"] == 2
    assert [image.is_val for image in learner._images.values()] == [False, True, False]
