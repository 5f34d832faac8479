"""PSPNet: pyramid pooling on the last features.

Zhao, Shi, Qi, Wang, Jia: Pyramid Scene Parsing Network. CVPR 2017.

B batch, K classes, F width, h w size of the last features.
"""

from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import PspNetConfig
from models.context import PyramidPooling
from models.context_network import ContextNetwork, Gathered


class PspNet(ContextNetwork):
    """Averages over regions of several sizes, put beside the last features."""

    def __init__(self, config: PspNetConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        channels, width = self.backbone.channels, config.width
        self.context = PyramidPooling(channels[3], width)

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns features with context (B, F, h, w), and views if asked for."""
        del inspect  # nothing beyond what every network of this shape shows
        return Gathered(features=self.context(features[3]))
