"""How IDRNet refines the mixtures of class vectors: among pixels, or among classes.

Mixtures are the same at all pixels of a class. Convolutions of 1 x 1 therefore treat them once per class and
image, and the results are given to the pixels; that is exact and saves five sixths of the published work.

B batch, K classes, C width, T attention width, h w size of the features, P = h * w. R features, D class
vectors of the data set, G class vectors of the image, E mixtures of [G, D].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import AttentionBlock
from models.grouping import Groups, masked_softmax, spread
from models.pointwise import pointwise


class PixelRefiner(nn.Module):
    """Attention among pixels over [R, D, E by mean, E by variance]; the published form."""

    def __init__(self, width: int, attention_width: int) -> None:
        super().__init__()
        self.width = width
        self.attention = AttentionBlock(6 * width, attention_width, width)

    def prepare(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Returns what does not depend on the deleted class, (B, 3T, h, w): the first projections of R.

        Args:
            features: R, (B, C, h, w).
            vectors: G, (B, K, C).
        """
        del vectors
        return pointwise(features, self.attention.first_weight()[:, : self.width])

    def forward(self, prepared: Tensor, vectors: Tensor, groups: Groups, kept: Tensor) -> Tensor:
        """Returns refined context (B, C, h, w).

        Args:
            prepared: from `prepare`.
            vectors: (B, K, 5C), D and mixtures of every class.
            groups: of the image.
            kept: (B, K) bool, classes present and not deleted; what is deleted is 0 in `vectors` already.
        """
        del kept
        by_class = F.linear(vectors, self.attention.first_weight().flatten(1)[:, self.width :])
        mixed = spread(by_class, groups, like=prepared)
        width = self.attention.width
        # Parts are added one by one, so that each lies in one piece for the normalisation that follows.
        parts = zip(prepared.split(width, dim=1), mixed.split(width, dim=1), strict=True)
        return self.attention.after_first(*(own + given for own, given in parts))


class ClassRefiner(nn.Module):
    """Attention among the classes of the image over [G, D, E by mean, E by variance].

    The paper's table gives IDRNet 10.79 M parameters and 155.89 G operations, of which one 1 x 1 convolution
    per pixel and 1.28 M parameters without work per pixel are not the reduction: this form has both, at an
    attention width of 128. How many classes there are differs from image to image, so every vector is
    normalised by itself instead of over a batch.
    """

    def __init__(self, width: int, attention_width: int) -> None:
        super().__init__()
        channels, inner = 6 * width, attention_width
        self.query = nn.Sequential(*_linear_norm_act(channels, inner), *_linear_norm_act(inner, inner))
        self.key = nn.Sequential(*_linear_norm_act(channels, inner), *_linear_norm_act(inner, inner))
        self.value = nn.Sequential(*_linear_norm_act(channels, inner))
        self.out = nn.Linear(inner, width)

    def prepare(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Returns what does not depend on the deleted class: G, (B, K, C). Arguments as in `PixelRefiner`."""
        del features
        return vectors

    def forward(self, prepared: Tensor, vectors: Tensor, groups: Groups, kept: Tensor) -> Tensor:
        """Returns refined context (B, C, h, w); deleted classes answer nothing.

        Args:
            prepared: from `prepare`.
            vectors: (B, K, 5C), D and mixtures of every class.
            groups: of the image.
            kept: (B, K) bool, classes present and not deleted.
        """
        classes = torch.cat([prepared, vectors], dim=2)
        query, key = self.query(classes), self.key(classes)
        scores = (query @ key.transpose(1, 2)).float() * query.shape[2] ** -0.5
        weights = masked_softmax(scores, kept[:, None])
        return spread(self.out(weights.to(query.dtype) @ self.value(classes)), groups)


def _linear_norm_act(channels: int, width: int) -> list[nn.Module]:
    return [nn.Linear(channels, width, bias=False), nn.LayerNorm(width), nn.ReLU(inplace=True)]
