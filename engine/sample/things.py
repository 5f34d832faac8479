"""Small and thin things: trees, poles, signs, fences, cars and people."""

import itertools

import numpy as np

from engine.sample.grounds import CAR, PERSON, POLE, TREE
from engine.sample.painter import Color, Painter

COATS: tuple[Color, ...] = (
    (190, 50, 48),
    (44, 84, 160),
    (232, 190, 60),
    (60, 130, 90),
    (150, 80, 150),
    (235, 235, 230),
)
PAINTS: tuple[Color, ...] = (
    (176, 36, 40),
    (36, 78, 150),
    (228, 228, 226),
    (48, 52, 58),
    (222, 168, 44),
    (96, 140, 128),
)


def paint_broadleaf(painter: Painter, x: float, z: float, height: float, leaf: Color) -> None:
    """A tree with a round crown of leaf clusters, brighter towards the sun."""
    rng = painter.rng
    scale = painter.camera.pixels_per_metre(z)
    painter.shadow(x, z, height * 0.30)
    bark = painter.lit((98, 76, 58), facing=0.6, z=z)
    trunk = [(x - 0.22, 0.0, z), (x - 0.11, height * 0.6, z), (x + 0.11, height * 0.6, z), (x + 0.24, 0.0, z)]
    painter.surface(trunk, bark, TREE, grain=0.25)
    centre = painter.camera.project(np.asarray([[x, height * 0.64, z]]))[0]
    wide, tall = 0.34 * height * scale, 0.36 * height * scale
    clusters = 150
    angle = rng.uniform(0.0, 2 * np.pi, clusters)
    reach = np.sqrt(rng.uniform(0.0, 1.0, clusters))
    dx, dy = reach * np.cos(angle), reach * np.sin(angle)
    light = 0.52 + 0.30 * (dx * painter.light.side - 1.1 * dy) + rng.normal(0.0, 0.10, clusters)
    order = np.argsort(light + 0.25 * rng.random(clusters))
    painter.ellipse(
        centre[0], centre[1], (wide * 0.86, tall * 0.86), painter.lit(leaf, facing=0.15, z=z), TREE
    )
    for index in order:
        size = height * scale * rng.uniform(0.035, 0.075)
        tone = painter.lit(leaf, facing=float(np.clip(light[index], 0.0, 1.25)), z=z)
        tint = float(rng.uniform(0.9, 1.1))
        color = (tone[0] * tint, tone[1] * tint, tone[2])
        painter.disc(centre[0] + dx[index] * wide, centre[1] + dy[index] * tall, size, color, TREE)
    _leaves(painter, (float(centre[0]), float(centre[1])), (wide, tall), leaf, z)


def _leaves(
    painter: Painter, centre: tuple[float, float], radii: tuple[float, float], leaf: Color, z: float
) -> None:
    """Small light and dark specks over a crown and just beyond its rim."""
    rng = painter.rng
    size = max(1.0, 0.10 * painter.camera.pixels_per_metre(z))
    for _ in range(170):
        angle, reach = rng.uniform(0.0, 2 * np.pi), np.sqrt(rng.uniform(0.0, 1.15))
        dx, dy = reach * np.cos(angle), reach * np.sin(angle)
        light = 0.55 + 0.40 * (dx * painter.light.side - dy) + rng.normal(0.0, 0.22)
        tone = painter.lit(leaf, facing=float(np.clip(light, 0.0, 1.35)), z=z)
        painter.disc(
            centre[0] + dx * radii[0], centre[1] + dy * radii[1], size * rng.uniform(0.5, 1.1), tone, TREE
        )


def paint_conifer(painter: Painter, x: float, z: float, height: float, leaf: Color) -> None:
    """A fir: ragged tiers that overlap, one side in shadow."""
    rng = painter.rng
    painter.shadow(x, z, height * 0.16)
    bark = painter.lit((88, 68, 54), facing=0.5, z=z)
    painter.surface(
        [(x - 0.15, 0, z), (x - 0.12, height * 0.3, z), (x + 0.12, height * 0.3, z), (x + 0.15, 0, z)],
        bark,
        TREE,
    )
    tiers = 7
    for tier in range(tiers):
        low = height * (0.10 + 0.78 * tier / tiers)
        high = min(height, low + height * 0.30)
        half = height * 0.21 * (1.0 - tier / (tiers + 0.6))
        teeth = np.linspace(-1.0, 1.0, 11)
        hem = [
            (x + half * t, low + height * (0.05 * t * t + 0.022 * ((i % 2) + rng.uniform(0, 0.5))), z)
            for i, t in enumerate(teeth)
        ]
        for side in (-1, 1):
            part = [corner for corner in hem if (corner[0] - x) * side >= -1e-9]
            facing = 0.85 if side == painter.light.side else 0.25
            tone = painter.lit(leaf, facing=facing + 0.04 * tier, z=z)
            painter.surface(
                [*part, (x, high, z)] if side > 0 else [(x, high, z), *part],
                tone,
                TREE,
                grain=0.30,
                shade=(1.15, 0.80),
            )


def paint_lamp(painter: Painter, x: float, z: float, height: float) -> None:
    """A street lamp whose arm reaches over the road."""
    reach = -1.3 if x > 0 else 1.3
    grey = painter.lit((92, 98, 104), facing=0.7, z=z)
    painter.surface(
        [(x - 0.09, 0, z), (x - 0.06, height, z), (x + 0.06, height, z), (x + 0.09, 0, z)], grey, POLE
    )
    arm = [
        (x, height, z),
        (x, height - 0.13, z),
        (x + reach, height + 0.22, z),
        (x + reach, height + 0.34, z),
    ]
    painter.surface(arm, grey, POLE)
    end = x + reach
    head = [
        (end - 0.30, height + 0.36, z),
        (end + 0.30, height + 0.36, z),
        (end + 0.24, height + 0.16, z),
        (end - 0.24, height + 0.16, z),
    ]
    painter.surface(head, painter.lit((210, 208, 190), facing=1.0, z=z), POLE)


def paint_mast(painter: Painter, x: float, z: float) -> None:
    """A wooden power pole with two cross-arms and insulators."""
    wood = painter.lit((104, 82, 64), facing=0.6, z=z)
    painter.surface(
        [(x - 0.14, 0, z), (x - 0.09, 8.2, z), (x + 0.09, 8.2, z), (x + 0.14, 0, z)], wood, POLE, grain=0.15
    )
    for height, half in ((7.7, 1.1), (7.0, 0.8)):
        painter.surface(
            [
                (x - half, height, z),
                (x - half, height + 0.16, z),
                (x + half, height + 0.16, z),
                (x + half, height, z),
            ],
            wood,
            POLE,
        )
        for place in (-half, -half / 2, half / 2, half):
            knob = [
                (x + place - 0.06, height + 0.16, z),
                (x + place - 0.05, height + 0.4, z),
                (x + place + 0.05, height + 0.4, z),
                (x + place + 0.06, height + 0.16, z),
            ]
            painter.surface(knob, painter.lit((188, 196, 200), z=z), POLE)


def paint_sign(painter: Painter, x: float, z: float, kind: int) -> None:
    """A traffic sign: red ring, blue disc or warning triangle."""
    grey = painter.lit((150, 154, 158), facing=0.8, z=z)
    painter.surface([(x - 0.05, 0, z), (x - 0.05, 2.3, z), (x + 0.05, 2.3, z), (x + 0.05, 0, z)], grey, POLE)
    scale = painter.camera.pixels_per_metre(z)
    centre = painter.camera.project(np.asarray([[x, 2.35, z]]))[0]
    red, white = painter.lit((204, 40, 40), facing=0.95, z=z), painter.lit((240, 240, 240), facing=0.95, z=z)
    if kind == 2:
        for size, color in ((0.52, red), (0.33, white)):
            low, high = 2.3 - size * 0.5, 2.3 + size
            painter.surface([(x - size, low, z), (x, high, z), (x + size, low, z)], color, POLE)
        return
    blue = painter.lit((40, 84, 170), facing=0.95, z=z)
    for size, color in ((0.42, red), (0.29, white)) if kind == 0 else ((0.42, white), (0.37, blue)):
        painter.ellipse(centre[0], centre[1], (size * scale, size * scale), color, POLE)


def paint_fence(painter: Painter, x: float, near: float, far: float, color: Color) -> None:
    """Posts and two rails along the road; the meadow shows between them."""
    tone = painter.lit(color, facing=0.8, z=near)
    posts = np.arange(near, far, 2.2)
    for low, high in ((0.36, 0.47), (0.80, 0.91)):
        painter.surface(
            [(x, low, near), (x, high, near), (x, high, posts[-1]), (x, low, posts[-1])],
            tone,
            POLE,
            grain=0.08,
        )
    for z in posts[::-1]:
        shade = painter.lit(color, facing=0.65, z=float(z))
        painter.surface(
            [(x - 0.07, 0, z), (x - 0.07, 1.08, z), (x + 0.07, 1.08, z), (x + 0.07, 0, z)],
            shade,
            POLE,
            grain=0.08,
        )


_PROFILE = (
    (0.0, 0.32),
    (0.0, 0.86),
    (0.55, 0.95),
    (1.0, 1.42),
    (2.55, 1.46),
    (3.25, 0.98),
    (4.25, 0.84),
    (4.3, 0.32),
)
"""Outline of a car from the side, near end first: (metres along, metres up)."""


def paint_car(painter: Painter, x: float, z: float, color: Color, *, oncoming: bool) -> None:
    """A car along the road, seen from behind or from the front, with the side that shows."""
    painter.shadow(x, z + 2.0, 1.3, long=0.4, depth=0.8)
    profile = [(4.3 - along, up) for along, up in reversed(_PROFILE)] if oncoming else list(_PROFILE)
    half = 0.88
    side = -half if x > 0 else half
    facing = 0.95 if (side > 0) == (painter.light.side > 0) else 0.35
    glass = painter.lit((52, 66, 80), facing=0.8, z=z)
    strips = list(itertools.pairwise(profile))
    for (z0, y0), (z1, y1) in reversed(strips[1:]):
        inset0, inset1 = _inset(y0), _inset(y1)
        corners = [
            (x - half + inset0, y0, z + z0),
            (x + half - inset0, y0, z + z0),
            (x + half - inset1, y1, z + z1),
            (x - half + inset1, y1, z + z1),
        ]
        steep = y1 - y0 > 0.3
        painter.surface(
            corners,
            glass if steep else painter.lit(color, facing=1.05, z=z),
            CAR,
            shade=(1.25, 0.9) if steep else (1, 1),
        )
    _car_side(painter, (x, z), side, profile, painter.lit(color, facing=facing, z=z), glass)
    _car_end(painter, (x, z), profile, color, oncoming=oncoming)


def _inset(up: float) -> float:
    """How far the cabin leans inwards at a height."""
    return max(0.0, up - 0.95) * 0.35


def _car_side(
    painter: Painter,
    place: tuple[float, float],
    side: float,
    profile: list[tuple[float, float]],
    tone: Color,
    glass: Color,
) -> None:
    x, z = place
    sign = 1.0 if side > 0 else -1.0
    painter.surface([(x + side - sign * _inset(up), up, z + along) for along, up in profile], tone, CAR)
    roof = [(along, up) for along, up in profile if up > 1.3]
    sill = 0.98
    pane = [
        (roof[0][0] - 0.12, sill),
        (roof[0][0] + 0.12, 1.36),
        (roof[1][0] - 0.12, 1.36),
        (roof[1][0] + 0.35, sill),
    ]
    painter.surface(
        [(x + side - sign * _inset(up), up, z + along) for along, up in pane], glass, CAR, shade=(1.3, 0.8)
    )
    for along in (0.85, 3.45):
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        for radius, color in ((0.34, (30.0, 30.0, 32.0)), (0.18, (150.0, 150.0, 152.0))):
            wheel = [(x + side, 0.34 + radius * np.sin(a), z + along + radius * np.cos(a)) for a in angles]
            painter.surface(wheel, painter.lit(color, facing=0.8, z=z), CAR)


def _car_end(
    painter: Painter,
    place: tuple[float, float],
    profile: list[tuple[float, float]],
    color: Color,
    *,
    oncoming: bool,
) -> None:
    """The end that looks at the viewer: bumper, lights, plate, tyres."""
    x, z = place
    half, top = 0.88, profile[1][1]

    def box(left: float, right: float, low: float, high: float) -> list[tuple[float, float, float]]:
        return [(x + left, low, z), (x + left, high, z), (x + right, high, z), (x + right, low, z)]

    for left in (-half, half - 0.24):
        painter.surface(box(left, left + 0.24, 0.0, 0.4), painter.lit((28, 28, 30), facing=0.8, z=z), CAR)
    painter.surface(
        box(-half, half, 0.30, top), painter.lit(color, facing=0.72, z=z), CAR, shade=(1.08, 0.85)
    )
    painter.surface(box(-half, half, 0.28, 0.44), painter.lit((58, 60, 64), facing=0.7, z=z), CAR)
    lamp = (250.0, 244.0, 214.0) if oncoming else (214.0, 34.0, 30.0)
    for left in (-half + 0.05, half - 0.35):
        painter.surface(box(left, left + 0.30, 0.60, 0.78), lamp, CAR)
    painter.surface(box(-0.26, 0.26, 0.50, 0.64), painter.lit((236, 236, 228), facing=0.9, z=z), CAR)


def paint_person(painter: Painter, x: float, z: float, height: float, coat: Color, stride: float) -> None:
    """Someone walking: legs apart by ``stride`` metres, swinging arms, coat, head and hair."""
    painter.shadow(x, z, 0.35, long=1.4)
    unit = height / 1.75
    scale = painter.camera.pixels_per_metre(z) * unit
    trousers = painter.lit((52, 58, 82), facing=0.7, z=z)
    skin = painter.lit((224, 178, 148), facing=0.9, z=z)
    tone = painter.lit(coat, facing=0.85, z=z)
    dark = painter.lit((coat[0] * 0.75, coat[1] * 0.75, coat[2] * 0.75), facing=0.7, z=z)

    def limb(x0: float, y0: float, x1: float, y1: float, wide: float, color: Color) -> None:
        corners = [(x0 - wide, y0, z), (x0 + wide, y0, z), (x1 + wide * 0.8, y1, z), (x1 - wide * 0.8, y1, z)]
        painter.surface([(x + (cx * unit), cy * unit, cz) for cx, cy, cz in corners], color, PERSON)

    for side in (-1, 1):
        limb(side * 0.09, 0.86, side * (0.09 + stride), 0.04, 0.105, trousers)
        limb(
            side * (0.09 + stride) + 0.03,
            0.09,
            side * (0.09 + stride) + 0.04,
            0.0,
            0.13,
            painter.lit((40, 36, 34), z=z),
        )
        limb(side * 0.25, 1.42, side * (0.30 + stride * 0.6), 0.82, 0.075, dark)
        hand = painter.camera.project(
            np.asarray([[x + side * (0.30 + stride * 0.6) * unit, 0.78 * unit, z]])
        )[0]
        painter.disc(hand[0], hand[1], 0.07 * scale, skin, PERSON)
    body = [(-0.20, 0.78), (-0.27, 1.38), (-0.12, 1.50), (0.12, 1.50), (0.27, 1.38), (0.20, 0.78)]
    painter.surface([(x + bx * unit, by * unit, z) for bx, by in body], tone, PERSON, shade=(1.1, 0.85))
    head = painter.camera.project(np.asarray([[x, 1.63 * unit, z]]))[0]
    painter.ellipse(
        head[0], head[1] - 0.03 * scale, (0.125 * scale, 0.15 * scale), painter.lit((72, 50, 38), z=z), PERSON
    )
    painter.ellipse(head[0], head[1] + 0.02 * scale, (0.105 * scale, 0.13 * scale), skin, PERSON)
