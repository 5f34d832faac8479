"""Which context a network gathers (torch-free)."""

from enum import Enum


class ContextKind(Enum):
    """Which context a network gathers from the image."""

    NONE = "none"
    PPM = "ppm"
    """Averages over regions of several sizes (pyramid pooling)."""
    ASPP = "aspp"
    """Convolutions of several dilations (atrous spatial pyramid pooling)."""
