"""Houses: a box with a gable roof, windows, a door and a chimney, in perspective."""

import dataclasses

import numpy as np

from engine.sample.grounds import BUILDING
from engine.sample.painter import Color, Painter

WALLS: tuple[Color, ...] = (
    (226, 208, 176),
    (236, 230, 220),
    (196, 108, 84),
    (206, 176, 120),
    (168, 186, 196),
    (222, 170, 148),
)
ROOFS: tuple[Color, ...] = ((150, 66, 50), (96, 82, 80), (122, 78, 58), (78, 86, 98))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One house; metres.

    Attributes:
        left: ground x of its left wall.
        right: ground x of its right wall.
        near: distance of its front.
        depth: from front to back.
        eaves: height of the walls.
        roof: height of the ridge above the eaves.
        ridge_along: true when the ridge runs away from the viewer (the gable looks at the viewer).
        wall: RGB of the walls.
        tiles: RGB of the roof.
        storeys: rows of windows.
    """

    left: float
    right: float
    near: float
    depth: float
    eaves: float
    roof: float
    ridge_along: bool
    wall: Color
    tiles: Color
    storeys: int


def paint_house(painter: Painter, house: House) -> None:
    """Paint the faces the viewer sees, farthest first."""
    painter.shadow(
        (house.left + house.right) / 2, house.near + 0.5, (house.right - house.left) / 2, depth=0.5
    )
    side_x = house.right if house.right < 0 else house.left
    sees_side = house.right < 0 or house.left > 0
    facing_side = 1.0 if (side_x > 0) == (painter.light.side < 0) else 0.15
    if sees_side:
        _side(painter, house, side_x, facing_side)
    _front(painter, house)
    _roof(painter, house, side_x if sees_side else None, facing_side)
    _chimney(painter, house)


def _side(painter: Painter, house: House, x: float, facing: float) -> None:
    near, far, eaves = house.near, house.near + house.depth, house.eaves
    corners = [(x, 0.0, near), (x, eaves, near), (x, eaves, far), (x, 0.0, far)]
    if not house.ridge_along:
        corners.insert(2, (x, eaves + house.roof, (near + far) / 2))
    color = painter.lit(house.wall, facing=facing, z=near)
    painter.surface(corners, color, BUILDING, grain=0.10, shade=(1.04, 0.92))
    _courses(painter, house, side_x=x)
    count = max(1, int(house.depth / 2.6))
    for row in range(house.storeys):
        for column in range(count):
            middle = near + house.depth * (column + 0.5) / count
            _window(painter, house, (x, middle), row, along_z=True, facing=facing)


def _front(painter: Painter, house: House) -> None:
    left, right, near, eaves = house.left, house.right, house.near, house.eaves
    corners = [(left, 0.0, near), (left, eaves, near), (right, eaves, near), (right, 0.0, near)]
    if house.ridge_along:
        corners.insert(2, ((left + right) / 2, eaves + house.roof, near))
    color = painter.lit(house.wall, facing=0.72, z=near)
    painter.surface(corners, color, BUILDING, grain=0.10, shade=(1.05, 0.92))
    _courses(painter, house, side_x=None)
    plinth = [(left, 0.0, near), (left, 0.45, near), (right, 0.45, near), (right, 0.0, near)]
    painter.surface(plinth, painter.lit((120, 112, 106), facing=0.7, z=near), BUILDING, grain=0.15)
    count = max(2, int((right - left) / 2.4))
    door = count // 2
    for row in range(house.storeys):
        for column in range(count):
            middle = left + (right - left) * (column + 0.5) / count
            if row == 0 and column == door:
                _door(painter, house, middle)
            else:
                _window(painter, house, (middle, near), row, along_z=False, facing=0.72)
    if house.ridge_along and house.roof > 2.0:
        _window(painter, house, ((left + right) / 2, near), house.storeys, along_z=False, facing=0.72)


def _courses(painter: Painter, house: House, side_x: float | None) -> None:
    """Faint horizontal joints, so that walls read as walls."""
    near, far = house.near, house.near + house.depth
    color = painter.lit(
        (house.wall[0] * 0.86, house.wall[1] * 0.84, house.wall[2] * 0.83), facing=0.5, z=near
    )
    for height in np.arange(0.8, house.eaves, 0.42):
        if side_x is None:
            line = [(house.left, height, near), (house.right, height, near)]
        else:
            line = [(side_x, height, near), (side_x, height, far)]
        (x0, y0, z0), (x1, y1, z1) = line
        corners = [(x0, y0, z0), (x1, y1, z1), (x1, y1 + 0.03, z1), (x0, y0 + 0.03, z0)]
        painter.surface(corners, color, BUILDING)


def _window(
    painter: Painter, house: House, place: tuple[float, float], row: int, *, along_z: bool, facing: float
) -> None:
    """One window with frame, glass, bars and sill on the front (``place`` = x, z) or on a side wall."""
    sill = 1.0 + 2.7 * row
    if sill + 1.25 > house.eaves + (house.roof * 0.75 if row == house.storeys else 0.0):
        return
    x, z = place

    def pane(u0: float, u1: float, v0: float, v1: float) -> list[tuple[float, float, float]]:
        if along_z:
            return [(x, sill + v, z + u) for u, v in ((u0, v0), (u0, v1), (u1, v1), (u1, v0))]
        return [(x + u, sill + v, z) for u, v in ((u0, v0), (u0, v1), (u1, v1), (u1, v0))]

    bright = 0.5 + 0.5 * facing
    painter.surface(
        pane(-0.58, 0.58, -0.08, 1.30), painter.lit((240, 238, 232), facing=bright, z=z), BUILDING
    )
    lamp = painter.light.sun[0] < 0.85 and painter.rng.random() < 0.5
    glass = (250, 214, 140) if lamp else (74, 96, 120)
    tone = glass if lamp else painter.lit(glass, facing=bright, z=z)
    painter.surface(pane(-0.48, 0.48, 0.0, 1.22), tone, BUILDING, shade=(1.35, 0.75))
    bar = painter.lit((232, 230, 224), facing=bright, z=z)
    painter.surface(pane(-0.035, 0.035, 0.0, 1.22), bar, BUILDING)
    painter.surface(pane(-0.48, 0.48, 0.72, 0.79), bar, BUILDING)
    painter.surface(
        pane(-0.66, 0.66, -0.16, -0.06), painter.lit((170, 160, 150), facing=bright, z=z), BUILDING
    )


def _door(painter: Painter, house: House, x: float) -> None:
    z = house.near
    wood = ((112, 66, 42), (52, 84, 76), (120, 44, 44))[int(painter.rng.integers(3))]
    frame = [(x - 0.62, 0.0, z), (x - 0.62, 2.25, z), (x + 0.62, 2.25, z), (x + 0.62, 0.0, z)]
    leaf = [(x - 0.5, 0.0, z), (x - 0.5, 2.12, z), (x + 0.5, 2.12, z), (x + 0.5, 0.0, z)]
    painter.surface(frame, painter.lit((236, 232, 224), facing=0.75, z=z), BUILDING)
    painter.surface(leaf, painter.lit(wood, facing=0.75, z=z), BUILDING, grain=0.12, shade=(0.9, 1.1))


def _roof(painter: Painter, house: House, side_x: float | None, facing_side: float) -> None:
    left, right, near, eaves = house.left - 0.35, house.right + 0.35, house.near - 0.35, house.eaves
    far, top = house.near + house.depth + 0.35, eaves + house.roof
    drop = 0.12
    if house.ridge_along:
        middle = (left + right) / 2
        if side_x is not None:
            edge = right if side_x == house.right else left
            slope = [
                (edge, eaves - drop, near),
                (middle, top, near),
                (middle, top, far),
                (edge, eaves - drop, far),
            ]
            _tiled(painter, house, slope, facing=0.35 + 0.6 * facing_side)
        for edge in (left, right):
            board = [
                (edge, eaves - drop, near),
                (middle, top, near),
                (middle, top - 0.3, near),
                (edge, eaves - 0.42, near),
            ]
            painter.surface(board, painter.lit(house.tiles, facing=0.4, z=near), BUILDING)
        return
    ridge = (near + far) / 2
    slope = [(left, eaves - drop, near), (left, top, ridge), (right, top, ridge), (right, eaves - drop, near)]
    _tiled(painter, house, slope, facing=0.9)
    if side_x is not None:
        edge = right if side_x == house.right else left
        for z in (near, far):
            board = [
                (edge, eaves - drop, z),
                (edge, top, ridge),
                (edge, top - 0.3, ridge),
                (edge, eaves - 0.42, z),
            ]
            painter.surface(board, painter.lit(house.tiles, facing=0.3, z=near), BUILDING)


def _tiled(painter: Painter, house: House, slope: list[tuple[float, float, float]], *, facing: float) -> None:
    """A roof slope (eaves, ridge, ridge, eaves) with rows of tiles."""
    painter.surface(slope, painter.lit(house.tiles, facing=facing, z=house.near), BUILDING, grain=0.16)
    low0, high0, high1, low1 = (np.asarray(corner) for corner in slope)
    dark = (house.tiles[0] * 0.74, house.tiles[1] * 0.74, house.tiles[2] * 0.74)
    color = painter.lit(dark, facing=facing, z=house.near)
    for share in np.arange(0.08, 1.0, 0.115):
        one, other = low0 + share * (high0 - low0), low1 + share * (high1 - low1)
        above, beyond = low0 + (share + 0.028) * (high0 - low0), low1 + (share + 0.028) * (high1 - low1)
        corners = [(float(c[0]), float(c[1]), float(c[2])) for c in (one, other, beyond, above)]
        painter.surface(corners, color, BUILDING, grain=0.12)


def _chimney(painter: Painter, house: House) -> None:
    x = house.left + (house.right - house.left) * 0.3
    z = house.near + house.depth / 2
    top, base = house.eaves + house.roof + 0.55, house.eaves + house.roof * 0.45
    brick = painter.lit((138, 74, 60), facing=0.7, z=z)
    painter.surface(
        [(x - 0.3, base, z), (x - 0.3, top, z), (x + 0.3, top, z), (x + 0.3, base, z)],
        brick,
        BUILDING,
        grain=0.2,
    )
    cap = painter.lit((96, 90, 86), facing=0.8, z=z)
    painter.surface(
        [(x - 0.38, top, z), (x - 0.38, top + 0.14, z), (x + 0.38, top + 0.14, z), (x + 0.38, top, z)],
        cap,
        BUILDING,
    )
