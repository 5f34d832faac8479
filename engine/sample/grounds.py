"""What fills most of a scene: sky with clouds, wooded hills, meadow and road."""

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2
from engine.sample.painter import Color, Painter, smooth_noise

SKY, TREE, GRASS, ROAD, BUILDING, POLE, CAR, PERSON = range(8)

_TILE = 512
_FAR = 160.0


def paint_sky(painter: Painter) -> None:
    """Gradient, a glow where the sun stands, and clouds that shrink towards the horizon."""
    height, width = painter.size
    light = painter.light
    bottom = min(height, int(painter.camera.horizon) + 60)
    rise = np.linspace(0.0, 1.0, bottom, dtype=np.float32)[:, None, None] ** 1.3
    sky = (1.0 - rise) * np.asarray(light.sky_top, np.float32) + rise * np.asarray(light.sky_low, np.float32)
    sky = np.broadcast_to(sky, (bottom, width, 3)).copy()
    rows, columns = np.mgrid[0:bottom, 0:width].astype(np.float32)
    sun_x = width * (0.5 + 0.42 * light.side)
    glow = np.exp(-(((columns - sun_x) / 420.0) ** 2 + ((rows - 0.35 * bottom) / 300.0) ** 2))
    sky += (0.35 * glow * light.contrast)[:, :, None] * np.asarray([255, 236, 190], np.float32)
    clouds = _clouds(painter.rng, (bottom, width), light.clouds)
    white = np.asarray(light.sky_low, np.float32) * 0.25 + 0.75 * 250.0 * np.asarray(light.sun, np.float32)
    relief = 1.0 - 0.22 * np.clip(cv2.GaussianBlur(clouds, (0, 0), 14) - 0.35, 0, 1)[:, :, None]
    alpha = clouds[:, :, None] * (1.0 - 0.6 * rise**3)
    painter.picture[:bottom] = (1.0 - alpha) * sky + alpha * white * relief
    painter.labels[:bottom] = SKY


def _clouds(rng: np.random.Generator, size: tuple[int, int], share: float) -> NDArray[np.float32]:
    """(H, W) float32 opacity 0 … 1 of clouds covering about ``share`` of the sky."""
    height, width = size
    field = smooth_noise(rng, (_TILE, _TILE), (5, 4), 6)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = 1.0 / (1.12 - rows / height)
    map_x = (columns - width / 2) * distance * np.float32(0.085)
    seen = cv2.remap(
        field, map_x, distance * np.float32(150.0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    level = np.quantile(seen, 1.0 - share)
    ramp = np.clip((seen - level) / 0.42, 0.0, 1.0)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp), np.float32)


def paint_hills(painter: Painter, leaf: Color, layers: int) -> None:
    """Wooded ridges behind each other, the farthest palest; tops are ragged like tree crowns."""
    width = painter.size[1]
    for layer in range(layers):
        z = 260.0 - 75.0 * layer
        top = painter.camera.horizon - (150.0 - 38.0 * layer) * painter.rng.uniform(0.55, 1.0)
        ridge = smooth_noise(painter.rng, (2, width), (1, 3), 3)[0] * (60.0 - 12 * layer)
        crowns = np.abs(smooth_noise(painter.rng, (2, width), (1, 70), 2)[0]) * (16.0 + 9.0 * layer)
        line = top + ridge - crowns + 6.0 * np.abs(smooth_noise(painter.rng, (2, width), (1, 220), 2)[0])
        line = np.minimum(line, painter.camera.horizon - 10.0)
        columns = np.arange(width, dtype=np.float64)
        base = painter.camera.horizon + 12.0
        points = np.concatenate([np.stack([columns, line], axis=1), [[width, base], [0.0, base]]])
        painter.polygon(points, painter.lit(leaf, facing=0.75, z=z), TREE, grain=0.22, shade=(1.10, 0.80))


def _texture(
    painter: Painter, cells: tuple[float, float], noise: NDArray[np.float32], top: int
) -> NDArray[np.float32]:
    """Noise lying on the ground, seen in perspective, for all rows from ``top``; fades with distance."""
    height, width = painter.size
    camera = painter.camera
    rows = np.arange(top, height, dtype=np.float32)
    z = (camera.focal * camera.height / np.maximum(rows - camera.horizon, 1.0)).astype(np.float32)
    columns = (np.arange(width, dtype=np.float32) - camera.centre) / camera.focal
    map_x = columns[None, :] * (z[:, None] * np.float32(cells[0]))
    map_y = np.ascontiguousarray(np.broadcast_to((z * np.float32(cells[1]))[:, None], map_x.shape))
    seen = cv2.remap(noise, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen * np.exp(-z / 45.0)[:, None], np.float32)


def paint_meadow(painter: Painter, green: Color) -> None:
    """Grass with tufts, large patches and flowers."""
    top = int(painter.camera.horizon) - 2
    height = painter.size[0]
    rng = painter.rng
    tufts = _texture(painter, (26.0, 26.0), smooth_noise(rng, (_TILE, _TILE), (128, 128), 3), top)
    patches = _texture(painter, (3.0, 3.0), smooth_noise(rng, (_TILE, _TILE), (20, 20), 3), top)
    far, near = painter.lit(green, facing=0.95, z=90.0), painter.lit(green, facing=0.85)
    rise = np.linspace(0.0, 1.0, height - top, dtype=np.float32)[:, None, None] ** 0.6
    base = (1.0 - rise) * np.asarray(far, np.float32) + rise * np.asarray(near, np.float32)
    factor = 1.0 + 0.34 * tufts + 0.20 * patches + 0.06 * painter.grain[top:]
    meadow = base * factor[:, :, None]
    meadow[:, :, 0] += 22.0 * patches
    painter.picture[top:] = meadow
    painter.labels[top:] = GRASS
    bloom = painter.lit(((238, 220, 90), (240, 240, 235), (214, 92, 110))[int(rng.integers(3))])
    for x, z in zip(rng.uniform(-16, 16, 260), rng.uniform(5, 26, 260), strict=True):
        column, row = painter.camera.project(np.asarray([[x, 0.0, z]]))[0]
        painter.disc(column, row, 0.035 * painter.camera.pixels_per_metre(z), bloom, None)


def road_centre(z: float, offset: float, bend: float) -> float:
    """Metres to the right of the viewer where the road's middle lies at distance ``z``."""
    return offset + bend * z * z


def paint_road(painter: Painter, offset: float, bend: float, half_width: float) -> None:
    """Asphalt with a gravel verge, edge lines and a dashed middle line."""
    steps = np.concatenate([np.linspace(2.5, 30.0, 40), np.linspace(31.0, _FAR, 60)])

    def strip(left: float, right: float, part: NDArray[np.float64]) -> NDArray[np.float64]:
        one = [(road_centre(z, offset, bend) + left, 0.0, z) for z in part]
        other = [(road_centre(z, offset, bend) + right, 0.0, z) for z in part[::-1]]
        return painter.camera.project(np.asarray(one + other))

    asphalt = painter.rng.uniform(86, 118)
    tone = painter.lit((asphalt, asphalt, asphalt * 1.05), facing=0.9, z=6.0)
    verge = painter.lit((150, 136, 112), facing=0.9, z=6.0)
    painter.polygon(strip(-half_width - 0.35, half_width + 0.35, steps), verge, ROAD, grain=0.15)
    before = painter.labels.copy()
    painter.polygon(strip(-half_width, half_width, steps), tone, ROAD, grain=0.07, shade=(1.12, 0.92))
    _roughen(painter, before)
    paint = painter.lit((232, 230, 222), facing=0.95, z=6.0)
    for side in (-1.0, 1.0):
        edge = side * (half_width - 0.25)
        painter.polygon(strip(edge - 0.06, edge + 0.06, steps), paint, ROAD, grain=0.06)
    for start in np.arange(3.0 + painter.rng.uniform(0, 5), 90.0, 7.5):
        painter.polygon(strip(-0.07, 0.07, np.linspace(start, start + 3.2, 6)), paint, ROAD, grain=0.06)


def _roughen(painter: Painter, before: NDArray[np.uint8]) -> None:
    """Give the asphalt its grain, in perspective, and two worn tracks."""
    top = int(painter.camera.horizon) + 1
    stones = _texture(painter, (40.0, 30.0), smooth_noise(painter.rng, (_TILE, _TILE), (200, 200), 2), top)
    wear = _texture(painter, (6.0, 0.8), smooth_noise(painter.rng, (_TILE, _TILE), (30, 30), 2), top)
    road = (painter.labels[top:] == ROAD) & (before[top:] == ROAD)
    painter.picture[top:][road] *= (1.0 + 0.13 * stones + 0.10 * wear)[road][:, None]
