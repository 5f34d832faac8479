"""What turns features into logits."""

from torch import Tensor, nn

from models.blocks import conv_norm_act
from models.class_rows import Classifier
from models.pointwise import pointwise


def decoder(channels: int, width: int, num_classes: int, *, dropout: float, kernel: int = 1) -> nn.Sequential:
    """Returns convolution, normalisation, ReLU, channel dropout and classifier.

    Maps (B, channels, h, w) to (B, K, h, w). The parts have the numbers of published checkpoints, 0 to 4.
    """
    return nn.Sequential(
        *conv_norm_act(channels, width, kernel), nn.Dropout2d(dropout), Classifier(width, num_classes)
    )


def decoded(layers: nn.Sequential, values: Tensor) -> Tensor:
    """Returns the logits of a decoder, whose last two layers, dropout and classifier, are one product.

    Args:
        layers: from `decoder`, or at least those two.
        values: (B, channels, h, w).
    """
    *before, dropout, classifier = layers
    for layer in before:
        values = layer(values)
    return classified(values, classifier, kept_channels(dropout, values))


def kept_channels(dropout: nn.Module, values: Tensor) -> Tensor | None:
    """Draws by what the channels of (B, C, h, w) are multiplied, (B, C, 1, 1); None in evaluation."""
    if not dropout.training:
        return None
    kept: Tensor = dropout(values.new_ones(*values.shape[:2], 1, 1))
    return kept


def classified(values: Tensor, classifier: nn.Module, kept: Tensor | None) -> Tensor:
    """Returns logits (B, K, h, w) of features (B, C, h, w), of whose channels dropout keeps some."""
    return pointwise(values, classifier.get_parameter("weight"), classifier.get_parameter("bias"), kept)
