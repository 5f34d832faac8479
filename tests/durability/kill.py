"""Kill the program at random moments, again and again, and look at what is left each time.

    python -m tests.durability.kill --points 100 [--training] [--seed 0] [--keep FOLDER]

Each point: a child process opens the same project and paints, saves, switches images (and trains); it is
killed with SIGKILL; then the project is opened and compared, pixel by pixel and undo step by undo step, with
what was painted.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from engine.errors import EngineError
from engine.project.integrity import Severity, check_project
from engine.project.project import Project
from tests.durability.painting import SIZE, TICK_S, painter_at
from tests.support.disk import images_folder

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Told:
    """What the log of a killed child says, revisions by image."""

    did: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    acknowledged: dict[str, int] = field(default_factory=dict)
    ticks: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    trained: int = 0

    @classmethod
    def read(cls, log: Path) -> "Told":
        """Read a log; its last line may be missing, never half."""
        told = cls()
        for line in log.read_text(encoding="utf-8").splitlines():
            word, *rest = line.split(" ")
            if word == "did":
                told.did[rest[0]][int(rest[1])] = float(rest[2])
            elif word == "ack":
                told.acknowledged[rest[0]] = max(int(rest[1]), told.acknowledged.get(rest[0], 0))
            elif word == "tick":
                told.ticks.append(float(rest[0]))
            elif word == "trained":
                told.trained += 1
            else:
                told.failures.append(line)
        return told

    def must_be_there(self, killed_at: float) -> Mapping[str, int]:
        """The least revision of each image: everything acknowledged, everything older than a second.

        A second in which the child's threads get their turn: as long as the machine kept one of them waiting,
        so long it may have kept the one that writes.
        """
        least = dict(self.acknowledged)
        before = killed_at - 1.0 - self.kept_waiting(killed_at)
        for image_id, steps in self.did.items():
            old = [revision for revision, at in steps.items() if at < before]
            least[image_id] = max([least.get(image_id, 0), *old])
        return least

    def kept_waiting(self, killed_at: float) -> float:
        """The longest time in seconds for which a thread of the child that wanted its turn got none."""
        gaps = [later - earlier for earlier, later in pairwise([*self.ticks, killed_at])]
        return max([0.0, *(gap - TICK_S for gap in gaps)])


@dataclass(frozen=True)
class Point:
    """What one kill showed: strokes there, strokes not acknowledged yet, and what is wrong."""

    strokes: int
    ahead: int
    trained: int
    wrong: tuple[str, ...]


def paint_and_kill(folder: Path, log: Path, seed: int, delay: float, *, training: bool) -> float:
    """Run a child, kill it `delay` seconds after it began to paint; returns when, in monotonic seconds."""
    command = [sys.executable, "-m", "tests.durability.painting", str(folder), str(log), str(seed)]
    command += ["--training"] if training else []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            if child.stdout is None or child.stdout.readline() != "ready\n":
                raise RuntimeError(f"the child ended with {child.wait(10)} before it began")
            try:
                child.wait(delay)
            except subprocess.TimeoutExpired:
                return time.monotonic()
            raise RuntimeError(f"the child ended by itself with {child.returncode}")
        finally:
            child.kill()


def inspect(folder: Path, told: Told, killed_at: float, before: dict[str, int]) -> Point:
    """Open what is left and compare it with what was painted.

    Args:
        folder: folder of images.
        told: what the killed child said.
        killed_at: when it was killed, in monotonic seconds.
        before: revision of every image at the last inspection; brought up to date.
    """
    wrong = list(told.failures)
    wrong += [finding.message for finding in check_project(folder) if finding.severity is Severity.ERROR]
    project = Project.open(folder)
    if project.read_only:
        wrong.append(f"opens read-only: {project.read_only_reason}")
    must, ahead = told.must_be_there(killed_at), 0
    for image_id in project.manifest.images:
        least = max(must.get(image_id, 0), before.get(image_id, 0))
        before[image_id] = least
        try:
            before[image_id] = compare(project, image_id, least)
        except (EngineError, AssertionError) as error:
            wrong.append(f"{image_id}: {error}")
        ahead += max(0, max(told.did[image_id], default=0) - told.acknowledged.get(image_id, least))
    project.close()
    wrong += unreadable_checkpoints(project.folder / "checkpoints")
    return Point(sum(before.values()), ahead, told.trained, tuple(wrong))


def compare(project: Project, image_id: str, least: int) -> int:
    """Compare one annotation with what was painted; returns its revision."""
    loaded = project.store.load(image_id, SIZE, project.manifest.classes)
    revision = loaded.annotation.revision
    painter = painter_at(image_id, revision)
    present = loaded.annotation.label_map.tobytes(), loaded.annotation.provenance.tobytes()
    assert revision >= least, f"{least} strokes must be there, {revision} are"
    assert present == painter.state()[:2], f"other pixels than were painted up to stroke {revision}"
    assert loaded.history == painter.history, f"another undo history than after stroke {revision}"
    known = project.manifest.images[image_id].revision
    assert known == revision, f"the manifest says {known} strokes, the annotation {revision}"
    return revision


def unreadable_checkpoints(folder: Path) -> list[str]:
    """Read every checkpoint there is."""
    paths = sorted(folder.glob("[!.]*.pt")) if folder.exists() else []
    if not paths:
        return []
    from engine.errors import CheckpointError
    from engine.learn.checkpoint import read_checkpoint

    wrong = []
    for path in paths:
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            wrong.append(str(error))
    return wrong


def run(folder: Path, points: int, seed: int, *, training: bool) -> list[Point]:
    """Kill so many times in one and the same project, printing a line for each."""
    generator = random.Random(seed)
    images = images_folder(folder / "images", 3, SIZE)
    results: list[Point] = []
    revisions: dict[str, int] = {}
    for number in range(points):
        log = folder / f"{number}.log"
        delay = generator.uniform(0.0, 4.0 if training else 1.6)
        killed_at = paint_and_kill(images, log, generator.randrange(2**31), delay, training=training)
        point = inspect(images, Told.read(log), killed_at, revisions)
        results.append(point)
        print(
            f"{number + 1:4d}: killed after {delay:4.2f} s, {point.strokes:6d} strokes there, "
            f"{point.ahead:2d} not yet acknowledged, {'; '.join(point.wrong) or 'all well'}",
            flush=True,
        )
    return results


def main() -> int:
    """Returns 0 if every kill left everything as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=100, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--training", action="store_true", help="train the tiny network meanwhile")
    parser.add_argument("--keep", type=Path, help="folder to work in and to leave behind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = run(options.keep or Path(scratch), options.points, options.seed, training=options.training)
    bad = sum(bool(point.wrong) for point in results)
    print(f"{len(results)} kills, {bad} of them with damage")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
