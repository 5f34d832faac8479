"""Class sums over a bilinearly enlarged feature map, without enlarging it.

Papers read class statistics from features enlarged to the size of the target: F = A_y R A_x^T, with one
weight matrix per axis. Every pixel is a combination of four cells of R, so sums over pixels are sums over
cells with the adjoint weights, and inner products of a pixel follow from inner products of neighbouring
cells. Both are exact and never hold C x H x W numbers.

B batch, C channels, H W size of the target, h w size of the features, P = h * w cells, G groups of pixels
(classes, or classes times slots).
"""

import torch
from torch import Tensor

_BLOCK = 8
"""Cells multiplied at once; longer blocks compute more products that nobody needs."""


def _axis(
    length: int, cells: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns first cell, second cell (int64) and weight of the second (`dtype`) of `length` pixels.

    Half-pixel centres, border cells repeated: what `torch.nn.functional.interpolate` does with "bilinear", to
    the last bit of float32. It rounds the ratio of the sizes, and then product and difference once together;
    where a pixel lies right on a cell without features, the cosine of what is left of its neighbours hangs on
    that.
    """
    # There is no float64 on MPS, where the last bits are whatever they are.
    wide = torch.float32 if device.type == "mps" else torch.float64
    ratio = torch.full((), cells / length, dtype=dtype, device=device).to(wide)
    centre = (torch.arange(length, device=device, dtype=wide) + 0.5) * ratio - 0.5
    centre = centre.to(dtype).clamp(0, cells - 1)
    first = centre.floor().to(torch.int64)
    return first, (first + 1).clamp(max=cells - 1), centre - first


def weights_along(length: int, cells: int, like: Tensor) -> Tensor:
    """Returns (length, cells): the weights by which cells make pixels along one axis.

    Args:
        length: pixels.
        cells: cells.
        like: gives precision and device.
    """
    first, second, share = _axis(length, cells, like.device, like.dtype)
    weights = like.new_zeros(length, cells)
    weights.scatter_add_(1, first[:, None], (1 - share)[:, None])
    return weights.scatter_add_(1, second[:, None], share[:, None])


class Enlargement:
    """Bilinear enlargement of (h, w) cells to (H, W) pixels, never carried out.

    Args:
        cells: (h, w).
        pixels: (H, W).
        device: where the weights live.
    """

    def __init__(self, cells: tuple[int, int], pixels: tuple[int, int], device: torch.device) -> None:
        self.cells = cells
        self.pixels = pixels
        self._rows = _axis(pixels[0], cells[0], device)
        self._columns = _axis(pixels[1], cells[1], device)
        top, bottom, down = self._rows
        left, right, across = self._columns
        width = cells[1]
        self.corners = torch.stack(
            [row[:, None] * width + column for row in (top, bottom) for column in (left, right)]
        )
        """(4, H, W) int64, the four cells of every pixel."""
        self.weights = torch.stack(
            [row[:, None] * column for row in (1 - down, down) for column in (1 - across, across)]
        )
        """(4, H, W) float32, their weights, which sum to 1."""

    def index(self, group: Tensor, groups: int) -> Tensor:
        """Returns (4, B, H, W) int64: where (b, group of the pixel, corner) lies in a flat (B, G, P).

        Args:
            group: (B, H, W) int64 in 0..G-1.
            groups: G.
        """
        batch = torch.arange(group.shape[0], device=group.device).view(-1, 1, 1)
        count = self.cells[0] * self.cells[1]
        return (batch * groups + group) * count + self.corners[:, None]

    def pick(self, maps: Tensor, index: Tensor) -> Tensor:
        """Enlarges, at every pixel, only the map of its own group.

        Args:
            maps: (B, G, P) float, or the same flat.
            index: (4, B, H, W) from `index`.

        Returns:
            (B, H, W) float.
        """
        picked = maps.reshape(-1).index_select(0, index.reshape(-1)).view(index.shape)
        result: Tensor = torch.linalg.vecdot(picked, self.weights[:, None], dim=0)
        return result

    def gather(self, values: Tensor, index: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Adjoint of `pick`: gives every cell its share of the values of its pixels.

        Args:
            values: (B, H, W) float, one number per pixel, e.g. its weight.
            index: (4, B, H, W) from `index`.
            shape: (B, G, P).

        Returns:
            (B, G, P) float; multiplied with the cells' features (B, P, C) and summed over b it is the sum of
            value times enlarged feature over the pixels of every group, and summed over b and P it is the sum
            of the values.
        """
        shares = values.new_zeros(shape[0] * shape[1] * shape[2])
        shares.scatter_add_(0, index.reshape(-1), (values * self.weights[:, None]).reshape(-1))
        return shares.view(shape)

    def squared_norm(self, features: Tensor) -> Tensor:
        """Returns |F|^2 of the enlarged features, (B, H, W).

        |sum of w_i R_i|^2 is a sum of w_i w_j (R_i . R_j) over pairs of the four cells of a pixel: five maps
        of inner products, enlarged with products of weights, which separate into rows and columns again.

        Args:
            features: (B, C, h, w) float32.
        """
        rows = _pair_weights(self._rows, self.cells[0])
        columns = _pair_weights(self._columns, self.cells[1])
        return (rows @ _neighbour_products(features) @ columns.T).clamp(min=0)


def _pair_weights(axis: tuple[Tensor, Tensor, Tensor], cells: int) -> Tensor:
    """Returns (H, 2h): squared weights of each cell, then twice the product of the weights of neighbours."""
    first, second, weight = axis
    squares = torch.zeros(len(first), cells, device=first.device)
    squares.scatter_add_(1, first[:, None], (1 - weight).square()[:, None])
    squares.scatter_add_(1, second[:, None], weight.square()[:, None])
    # At the border both cells are the same one and `weight` is 0, so that nothing is counted twice.
    products = torch.zeros_like(squares)
    products.scatter_add_(1, first[:, None], (2 * weight * (1 - weight))[:, None])
    return torch.cat([squares, products], dim=1)


def _neighbour_products(features: Tensor) -> Tensor:
    """Returns (B, 2h, 2w): inner products of every cell with itself, right, below, and the two diagonals.

    The blocks are [[self, right], [below, mean of both diagonals]], 0 where there is no neighbour. Cells are
    taken as one long row, in which all these neighbours are a fixed distance apart, and multiplied in short
    blocks: on CPUs that is many times faster than products of shifted maps.
    """
    batch, channels, height, width = features.shape
    count = batch * height * width
    blocks = -(-count // _BLOCK)
    row = features.new_zeros(blocks * _BLOCK + width + 2, channels)
    row[:count].view(batch, height, width, channels).copy_(features.permute(0, 2, 3, 1))
    left = row[: blocks * _BLOCK].view(blocks, _BLOCK, channels)
    near = left @ row.unfold(0, _BLOCK + 1, _BLOCK)[:blocks]
    far = left @ row[width - 1 :].unfold(0, _BLOCK + 2, _BLOCK)[:blocks]

    def at(products: Tensor, offset: int) -> Tensor:
        diagonal = products.diagonal(offset=offset, dim1=1, dim2=2)
        return diagonal.reshape(-1)[:count].view(batch, height, width)

    result = features.new_zeros(batch, 2, height, 2, width)
    result[:, 0, :, 0] = at(near, 0)
    result[:, 0, :, 1, :-1] = at(near, 1)[..., :-1]
    result[:, 1, :-1, 0] = at(far, 1)[:, :-1]
    falling, rising = at(far, 2)[:, :-1, :-1], at(far, 0)[:, :-1, 1:]
    result[:, 1, :-1, 1, :-1] = (falling + rising) / 2
    return result.view(batch, 2 * height, 2 * width)
