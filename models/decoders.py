"""What turns features into logits."""

from torch import nn

from models.blocks import conv_norm_act
from models.class_rows import Classifier


def decoder(channels: int, width: int, num_classes: int, *, dropout: float, kernel: int = 1) -> nn.Sequential:
    """Returns convolution, normalisation, ReLU, channel dropout and classifier.

    Maps (B, channels, h, w) to (B, K, h, w). The parts have the numbers of published checkpoints, 0 to 4.
    """
    return nn.Sequential(
        *conv_norm_act(channels, width, kernel), nn.Dropout2d(dropout), Classifier(width, num_classes)
    )
