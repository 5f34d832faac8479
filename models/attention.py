"""Scaled dot-product attention between feature maps, as IDRNet, MCIBI and OCR use it.

B batch, C channels of the input, T channels inside, O channels of the output, h w size of a feature map,
P = h * w.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks import conv_norm_act


def places(values: Tensor) -> Tensor:
    """Turns (B, T, h, w) into (B, 1, P, T), one head, as torch's attention wants it.

    The channels of a place lie side by side in memory afterwards. Without that, torch falls back from its
    fused kernel to one that holds the P x P weights, several times slower.
    """
    return values.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()


class AttentionBlock(nn.Module):
    """Every place of one feature map asks every place of another, one head.

    Query and key are projected twice, the value once, the result once; each projection is a 1 x 1 convolution
    with normalisation and ReLU. The P x P weights exist only inside torch's fused kernel, so that large
    images fit into memory.

    Args:
        channels: C of both maps.
        width: T.
        outputs: O.
    """

    def __init__(self, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        self.width = width
        self.query = nn.Sequential(*conv_norm_act(channels, width, 1), *conv_norm_act(width, width, 1))
        self.key = nn.Sequential(*conv_norm_act(channels, width, 1), *conv_norm_act(width, width, 1))
        self.value = nn.Sequential(*conv_norm_act(channels, width, 1))
        self.out = nn.Sequential(*conv_norm_act(width, outputs, 1))

    def forward(self, asking: Tensor, answering: Tensor) -> Tensor:
        """Returns (B, O, h, w) for the places of `asking`.

        Args:
            asking: (B, C, h, w), gives the queries.
            answering: (B, C, h', w'), gives keys and values; its size may differ.
        """
        return self._attend(self.query(asking), self.key(answering), self.value(answering))

    def asked_by(self, row: int, column: int, asking: Tensor, key: Tensor) -> Tensor:
        """Returns how much one place of a map listens to every place of another, (B, h', w').

        The largest weight is 1.

        Args:
            row: of the place that asks.
            column: of the place that asks.
            asking: (B, C, h, w), gives the queries.
            key: (B, T, h', w'), what `key` makes of the map that answers.
        """
        query = self.query(asking[:, :, row : row + 1, column : column + 1]).flatten(1)
        scores = torch.einsum("bt,bthw->bhw", query, key).float() * self.width**-0.5
        weights: Tensor = (scores - scores.amax(dim=(1, 2), keepdim=True)).exp()
        return weights

    def first_weight(self) -> Tensor:
        """Returns the weights of the three first convolutions as those of one, (3T, C, 1, 1)."""
        first = (self.query[0], self.key[0], self.value[0])
        return torch.cat([layer.weight for layer in first if isinstance(layer, nn.Conv2d)])

    def after_first(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Returns what `forward` returns for a map that asks itself, from its first projections.

        For networks that compute those more cheaply than by convolving the map.

        Args:
            query: (B, T, h, w), what a convolution with the first T of `first_weight` makes of the map.
            key: the same of the next T.
            value: the same of the last T.
        """
        return self._attend(self.query[1:](query), self.key[1:](key), self.value[1:](value))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Returns (B, O, h, w) from projected queries (B, T, h, w), keys and values (B, T, h', w')."""
        mixed = F.scaled_dot_product_attention(places(query), places(key), places(value))
        size = query.shape[-2:]
        result: Tensor = self.out(mixed.squeeze(1).transpose(1, 2).unflatten(2, size))
        return result
