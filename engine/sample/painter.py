"""A pinhole camera and a brush that paints the picture and its label map with the same outlines.

Ground coordinates are metres: x to the right, y up, z away from the viewer. Everything is painted at
``SCALE`` times the final size; the picture is then averaged down, while a label is what lies at the pixel's
centre.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

SCALE = 3
HEIGHT, WIDTH = 360, 480
_SHIFT = 3
_FARTHEST = 15000.0
_NEAREST_Z = 0.6

Color = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Time of day and weather.

    Attributes:
        sky_top: RGB 0 … 255 overhead.
        sky_low: RGB at the horizon; distant things fade into it.
        sun: RGB factors on everything that is lit.
        side: -1 when the sun stands on the left, 1 on the right.
        contrast: 0 … 1, how dark the sides in shadow are.
        haze: metres after which two thirds of a colour have faded.
        clouds: 0 … 1 share of the sky.
    """

    sky_top: Color
    sky_low: Color
    sun: Color
    side: int
    contrast: float
    haze: float
    clouds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera looking along z.

    Attributes:
        horizon: row of the horizon in painted pixels.
        centre: column of the vanishing point in painted pixels.
        focal: painted pixels per unit of slope.
        height: metres above the ground.
    """

    horizon: float
    centre: float
    focal: float
    height: float

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 3) ground coordinates → (N, 2) painted pixels as (x, y)."""
        z = np.maximum(points[:, 2], _NEAREST_Z)
        x = self.centre + self.focal * points[:, 0] / z
        y = self.horizon + self.focal * (self.height - points[:, 1]) / z
        return np.clip(np.stack([x, y], axis=1), -_FARTHEST, _FARTHEST)

    def pixels_per_metre(self, z: float) -> float:
        """Painted pixels per metre at distance ``z``."""
        return self.focal / max(z, _NEAREST_Z)


def smooth_noise(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], octaves: int
) -> NDArray[np.float32]:
    """(H, W) float32 noise, about -1 … 1, as a sum of enlarged random grids."""
    height, width = size
    total = np.zeros(size, np.float32)
    weight = 1.0
    for octave in range(octaves):
        rows, columns = min(height, cells[0] << octave), min(width, cells[1] << octave)
        grid = rng.uniform(-1.0, 1.0, (rows, columns)).astype(np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight *= 0.55
    return total / 1.5


class Painter:
    """Paints polygons, discs and shadows; later things cover earlier ones, in picture and label map alike."""

    def __init__(self, rng: np.random.Generator, camera: Camera, light: Light) -> None:
        self.rng = rng
        self.camera = camera
        self.light = light
        self.size = (HEIGHT * SCALE, WIDTH * SCALE)
        self.picture: NDArray[np.float32] = np.zeros((*self.size, 3), np.float32)
        self.labels: NDArray[np.uint8] = np.zeros(self.size, np.uint8)
        self.grain: NDArray[np.float32] = smooth_noise(rng, self.size, (180, 240), 3)

    def lit(self, color: Color, *, facing: float = 1.0, z: float = 0.0) -> Color:
        """The colour as seen: sun colour, brightness of the side, haze with distance.

        Args:
            color: RGB 0 … 255 in plain daylight.
            facing: 1 towards the sun, 0 away from it.
            z: metres away.
        """
        light = self.light
        brightness = 1.0 - light.contrast * (1.0 - facing)
        fade = 1.0 - float(np.exp(-z / light.haze))
        seen = [
            (1 - fade) * part * factor * brightness + fade * far
            for part, factor, far in zip(color, light.sun, light.sky_low, strict=True)
        ]
        return (seen[0], seen[1], seen[2])

    def polygon(
        self,
        points: NDArray[np.float64],
        color: Color,
        label: int | None,
        *,
        grain: float = 0.0,
        shade: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Fill a polygon of painted pixels.

        Args:
            points: (N, 2) as (x, y).
            color: RGB as seen.
            label: class index, or ``None`` to leave the label map alone.
            grain: strength of the surface texture, 0 … 1.
            shade: brightness factors at the polygon's top and bottom.
        """
        low = np.floor(points.min(axis=0)).astype(int)
        high = np.ceil(points.max(axis=0)).astype(int) + 1
        left, top = max(0, low[0]), max(0, low[1])
        right, bottom = min(self.size[1], high[0]), min(self.size[0], high[1])
        if right <= left or bottom <= top:
            return
        mask = np.zeros((bottom - top, right - left), np.uint8)
        corners = np.round((points - (left, top)) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1, shift=_SHIFT)
        ramp = np.linspace(shade[0], shade[1], max(2, high[1] - low[1]), dtype=np.float32)
        ramp = ramp[top - low[1] : top - low[1] + bottom - top, None]
        factor = ramp * (1.0 + grain * self.grain[top:bottom, left:right])
        inside = mask.astype(bool)
        area = self.picture[top:bottom, left:right]
        area[inside] = factor[inside][:, None] * np.asarray(color, np.float32)
        if label is not None:
            self.labels[top:bottom, left:right][inside] = label

    def surface(
        self,
        corners: list[tuple[float, float, float]],
        color: Color,
        label: int | None,
        *,
        grain: float = 0.0,
        shade: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Fill a polygon given in ground coordinates."""
        projected = self.camera.project(np.asarray(corners, np.float64))
        self.polygon(projected, color, label, grain=grain, shade=shade)

    def disc(self, x: float, y: float, radius: float, color: Color, label: int | None) -> None:
        """Fill a disc of painted pixels."""
        if not (-radius < x < self.size[1] + radius and -radius < y < self.size[0] + radius):
            return
        centre, whole = (round(x), round(y)), max(1, round(radius))
        cv2.circle(self.picture, centre, whole, color, -1)
        if label is not None:
            cv2.circle(self.labels, centre, whole, label, -1)

    def ellipse(
        self, x: float, y: float, radii: tuple[float, float], color: Color, label: int | None
    ) -> None:
        """Fill an upright ellipse of painted pixels; radii as (x, y)."""
        angles = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
        points = np.stack([x + radii[0] * np.cos(angles), y + radii[1] * np.sin(angles)], axis=1)
        self.polygon(points, color, label)

    def shadow(self, x: float, z: float, radius: float, *, long: float = 1.6, depth: float = 0.4) -> None:
        """Darken the ground beside a thing, away from the sun; changes no label."""
        angles = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
        reach = radius * long
        ground = np.stack(
            [
                x - self.light.side * reach * 0.7 + (radius + 0.6 * reach) * np.cos(angles),
                np.zeros_like(angles),
                z + radius * 0.6 * np.sin(angles),
            ],
            axis=1,
        )
        points = self.camera.project(ground)
        blur = max(1.0, 0.12 * self.camera.pixels_per_metre(z))
        low = np.maximum(np.floor(points.min(axis=0) - 3 * blur), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0) + 3 * blur), (self.size[1], self.size[0])).astype(int)
        if (high <= low).any():
            return
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
        cv2.fillPoly(mask, [np.round((points - low) * (1 << _SHIFT)).astype(np.int32)], 1.0, shift=_SHIFT)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur), np.float32)
        area = self.picture[low[1] : high[1], low[0] : high[0]]
        area *= 1.0 - depth * self.light.contrast * 1.6 * mask[:, :, None]

    def developed(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The finished picture (360, 480, 3) uint8 RGB, a little blurred and noisy, and its label map."""
        small = cv2.resize(self.picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        blur = float(self.rng.uniform(0.35, 0.65))
        small = cv2.GaussianBlur(small, (0, 0), blur)
        rows = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
        columns = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :]
        vignette = 1.0 - 0.10 * (rows**2 + columns**2)
        noise = self.rng.standard_normal(small.shape, np.float32) * self.rng.uniform(2.0, 4.5)
        small = small * vignette[:, :, None] + noise
        picture = np.clip(np.round(small), 0, 255).astype(np.uint8)
        middle = SCALE // 2
        return picture, np.ascontiguousarray(self.labels[middle::SCALE, middle::SCALE])
