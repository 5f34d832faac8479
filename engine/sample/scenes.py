"""The embedded example: village and country roads, rendered from a seed, with exact label maps.

No file, no network access and no weights are needed. The same seed and index give the same picture, byte
for byte, on one machine; layouts agree everywhere.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.exchange.png import encode_grey, encode_rgb
from engine.files import atomic_write, storage_errors
from engine.sample.buildings import ROOFS, WALLS, House, paint_house
from engine.sample.grounds import paint_hills, paint_meadow, paint_road, paint_sky, road_centre
from engine.sample.painter import HEIGHT, SCALE, WIDTH, Camera, Color, Light, Painter
from engine.sample.things import (
    COATS,
    PAINTS,
    paint_broadleaf,
    paint_car,
    paint_conifer,
    paint_fence,
    paint_lamp,
    paint_mast,
    paint_person,
    paint_sign,
)

SAMPLE_SIZE = (HEIGHT, WIDTH)
SAMPLE_COUNT = 24

_CLASSES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("sky", (86, 180, 233)),
    ("tree", (0, 110, 80)),
    ("grass", (160, 200, 60)),
    ("road", (128, 128, 136)),
    ("building", (213, 94, 0)),
    ("pole and fence", (240, 228, 66)),
    ("car", (0, 90, 190)),
    ("person", (214, 90, 170)),
)

_LIGHTS: tuple[Light, ...] = (
    Light(
        sky_top=(58, 120, 208),
        sky_low=(188, 220, 244),
        sun=(1.04, 1.02, 0.98),
        side=1,
        contrast=0.50,
        haze=420,
        clouds=0.35,
    ),
    Light(
        sky_top=(98, 146, 206),
        sky_low=(248, 226, 200),
        sun=(1.06, 0.98, 0.88),
        side=-1,
        contrast=0.52,
        haze=260,
        clouds=0.30,
    ),
    Light(
        sky_top=(150, 160, 172),
        sky_low=(208, 213, 218),
        sun=(0.90, 0.92, 0.95),
        side=1,
        contrast=0.22,
        haze=230,
        clouds=0.75,
    ),
    Light(
        sky_top=(84, 106, 168),
        sky_low=(252, 196, 132),
        sun=(1.12, 0.93, 0.70),
        side=-1,
        contrast=0.58,
        haze=300,
        clouds=0.40,
    ),
    Light(
        sky_top=(72, 132, 206),
        sky_low=(206, 226, 238),
        sun=(1.00, 1.00, 1.00),
        side=-1,
        contrast=0.44,
        haze=340,
        clouds=0.55,
    ),
    Light(
        sky_top=(52, 64, 116),
        sky_low=(226, 150, 134),
        sun=(0.74, 0.68, 0.78),
        side=1,
        contrast=0.40,
        haze=260,
        clouds=0.35,
    ),
)

_LEAVES: tuple[Color, ...] = ((86, 138, 52), (104, 142, 48), (70, 122, 56), (196, 132, 44), (120, 146, 60))
_MEADOWS: tuple[Color, ...] = ((124, 168, 70), (112, 156, 66), (148, 166, 78), (176, 166, 88))

Thing = tuple[float, Callable[[], None]]
"""Distance of a thing and the call that paints it."""


def sample_classes() -> ClassTable:
    """The example's classes; a class's index is its place in the list."""
    table = ClassTable()
    for name, color in _CLASSES:
        table = table.add(name, color)
    return table


SAMPLE_CLASSES: ClassTable = sample_classes()


def generate_scene(seed: int, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render one scene.

    Args:
        seed: which sample.
        index: which picture of it; time of day goes round with it.

    Returns:
        The picture (360, 480, 3) uint8 RGB and its label map (360, 480) uint8 of class indices, exact and
        without unlabelled pixels.
    """
    rng = np.random.default_rng([seed, index])
    focal = WIDTH * SCALE * rng.uniform(0.86, 1.05)
    camera = Camera(
        horizon=HEIGHT * SCALE * rng.uniform(0.40, 0.50),
        centre=WIDTH * SCALE * rng.uniform(0.38, 0.62),
        focal=focal,
        height=rng.uniform(2.2, 3.2),
    )
    painter = Painter(rng, camera, _LIGHTS[(index + seed) % len(_LIGHTS)])
    leaf, meadow = _pick(rng, _LEAVES), _pick(rng, _MEADOWS)
    offset, bend, half_width = rng.uniform(-1.8, 1.8), rng.uniform(-0.0022, 0.0022), rng.uniform(2.9, 3.5)
    paint_sky(painter)
    paint_hills(painter, (72, 112, 62), layers=int(rng.integers(1, 4)))
    paint_meadow(painter, meadow)
    paint_road(painter, offset, bend, half_width)
    layout = _Layout(painter, leaf, offset, bend, half_width)
    for _, paint in sorted(layout.things(), key=lambda thing: -thing[0]):
        paint()
    return painter.developed()


def _pick(rng: np.random.Generator, choices: tuple[Color, ...]) -> Color:
    return choices[int(rng.integers(len(choices)))]


class _Layout:
    """Decides what stands where beside one road."""

    def __init__(self, painter: Painter, leaf: Color, offset: float, bend: float, half_width: float) -> None:
        self._painter = painter
        self._rng = painter.rng
        self._leaf = leaf
        self._offset = offset
        self._bend = bend
        self._half = half_width

    def things(self) -> list[Thing]:
        """Everything that stands on the ground, in no order."""
        village = self._rng.random() < 0.72
        left = self._side(-1, houses=village or self._rng.random() < 0.4)
        right = self._side(1, houses=village and self._rng.random() < 0.75)
        return [*left, *right, *self._far_trees(), *self._cars(), *self._people()]

    def _beside(self, side: int, z: float, gap: float) -> float:
        """Ground x at ``gap`` metres from the road's edge."""
        return road_centre(z, self._offset, self._bend) + side * (self._half + gap)

    def _side(self, side: int, *, houses: bool) -> list[Thing]:
        """Houses or trees, and a row of thin things, along one side of the road."""
        rng, painter = self._rng, self._painter
        things: list[Thing] = []
        z = float(rng.uniform(13, 19))
        while z < 75:
            if houses and rng.random() < 0.72:
                house = self._house(side, z)
                things.append((house.near, partial(paint_house, painter, house)))
                z += house.depth + float(rng.uniform(2.5, 9))
            else:
                things.extend(self._trees(side, z))
                z += float(rng.uniform(5, 11))
        things.extend(self._thin(side))
        return things

    def _house(self, side: int, z: float) -> House:
        rng = self._rng
        width, depth = rng.uniform(6.5, 10.5), rng.uniform(7.0, 11.0)
        near_edge = self._beside(side, z + depth if side * self._bend < 0 else z, rng.uniform(3.2, 6.5))
        storeys = 1 + int(rng.random() < 0.55)
        return House(
            left=near_edge if side > 0 else near_edge - width,
            right=near_edge + width if side > 0 else near_edge,
            near=z,
            depth=depth,
            eaves=2.9 + 2.7 * (storeys - 1),
            roof=rng.uniform(2.0, 3.4),
            ridge_along=bool(rng.random() < 0.5),
            wall=_pick(rng, WALLS),
            tiles=_pick(rng, ROOFS),
            storeys=storeys,
        )

    def _trees(self, side: int, z: float) -> list[Thing]:
        rng, painter, leaf = self._rng, self._painter, self._leaf
        things: list[Thing] = []
        for _ in range(int(rng.integers(1, 4))):
            at = z + float(rng.uniform(-2, 3))
            x = self._beside(side, at, float(rng.uniform(3.5, 15)))
            height = float(rng.uniform(4.5, 9.0))
            paint = paint_conifer if rng.random() < 0.35 else paint_broadleaf
            tone = (58.0, 98.0, 66.0) if paint is paint_conifer else leaf
            things.append((at, partial(paint, painter, x, at, height, tone)))
        return things

    def _far_trees(self) -> list[Thing]:
        """A loose row of trees in front of the hills."""
        rng, painter = self._rng, self._painter
        things: list[Thing] = []
        for _ in range(int(rng.integers(6, 16))):
            z, x = float(rng.uniform(80, 130)), float(rng.uniform(-75, 75))
            if abs(x - road_centre(z, self._offset, self._bend)) < 7:
                continue
            height = float(rng.uniform(6, 11))
            things.append((z, partial(paint_broadleaf, painter, x, z, height, self._leaf)))
        return things

    def _thin(self, side: int) -> list[Thing]:
        """A fence, lamps, masts or signs close to the road."""
        rng, painter = self._rng, self._painter
        things: list[Thing] = []
        kind = int(rng.integers(4))
        start = float(rng.uniform(8, 13))
        if kind == 0 or rng.random() < 0.3:
            near, far = start, start + float(rng.uniform(14, 30))
            x = self._beside(side, (near + far) / 2, 1.6)
            color: Color = (232, 230, 224) if rng.random() < 0.5 else (134, 98, 66)
            things.append((far - 0.1, partial(paint_fence, painter, x, near, far, color)))
        if kind == 1:
            for z in np.arange(start + 1, 70, 13.0):
                lamp = self._beside(side, float(z), 0.8)
                things.append((float(z), partial(paint_lamp, painter, lamp, float(z), 5.6)))
        if kind == 2:
            for z in np.arange(start + 3, 90, 17.0):
                mast = self._beside(side, float(z), 2.4)
                things.append((float(z), partial(paint_mast, painter, mast, float(z))))
        if kind == 3 or rng.random() < 0.4:
            z = start + float(rng.uniform(0, 9))
            sign, which = self._beside(side, z, 0.7), int(rng.integers(3))
            things.append((z, partial(paint_sign, painter, sign, z, which)))
        return things

    def _cars(self) -> list[Thing]:
        rng, painter = self._rng, self._painter
        things: list[Thing] = []
        for _ in range(int(rng.integers(2, 6))):
            z = float(rng.uniform(9.5, 34))
            if any(abs(z - other) < 6.5 for other, _ in things):
                continue
            oncoming = bool(rng.random() < 0.5)
            lane = -0.5 if oncoming else 0.5
            x = road_centre(z, self._offset, self._bend) + lane * self._half
            color = _pick(rng, PAINTS)
            things.append((z, partial(paint_car, painter, x, z, color, oncoming=oncoming)))
        return things

    def _people(self) -> list[Thing]:
        rng, painter = self._rng, self._painter
        things: list[Thing] = []
        for _ in range(int(rng.integers(2, 6))):
            z, side = float(rng.uniform(6.8, 18)), int(rng.choice([-1, 1]))
            x = self._beside(side, z, float(rng.uniform(0.2, 1.3)))
            height, coat, stride = (
                float(rng.uniform(1.25, 1.9)),
                _pick(rng, COATS),
                float(rng.uniform(0.02, 0.2)),
            )
            things.append((z, partial(paint_person, painter, x, z, height, coat, stride)))
        return things


def truth_folder(folder: Path) -> Path:
    """Where the exact label maps of a sample lie: beside its images, so that nobody takes them for images."""
    return folder.with_name(folder.name + "-truth")


def image_name(index: int) -> str:
    """File name of a picture, the same for its label map."""
    return f"scene_{index + 1:02d}.png"


def write_sample(
    folder: Path, count: int = SAMPLE_COUNT, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write pictures into ``folder`` and label maps with ``classes.json`` into :func:`truth_folder`.

    Args:
        folder: the images folder; made when missing.
        count: how many pictures.
        seed: which sample.
        progress: called with (done, total) after each picture.

    Raises:
        StorageError: the disk refuses.
    """
    truth = truth_folder(folder)
    for place in (folder, truth):
        with storage_errors(place):
            place.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image, label_map = generate_scene(seed, index)
        atomic_write(folder / image_name(index), encode_rgb(image))
        atomic_write(truth / image_name(index), encode_grey(label_map))
        if progress is not None:
            progress(index + 1, count)
    entries = [{"id": spec.index, "name": spec.name, "color": list(spec.color)} for spec in SAMPLE_CLASSES]
    text = json.dumps({"classes": entries, "ignore_index": 255}, indent=1) + "\n"
    atomic_write(truth / "classes.json", text.encode("utf-8"))
