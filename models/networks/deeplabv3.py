"""DeepLabV3: atrous spatial pyramid pooling on the last features.

Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation. 2017.

B batch, K classes, F width, h w size of the last features.
"""

from models.backbones.base import Features
from models.base import MakeBackbone
from models.baseline_configs import DeepLabV3Config
from models.context import AtrousPyramid
from models.context_network import ContextNetwork, Gathered, dilations


class DeepLabV3(ContextNetwork):
    """Convolutions of several dilations and the average of the image, side by side."""

    def __init__(self, config: DeepLabV3Config, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(config, num_classes, make_backbone)
        channels, width = self.backbone.channels, config.width
        self.context = AtrousPyramid(
            channels[3], width, config.dilations or dilations(config.dilation_step, (1, 2, 3))
        )

    def gather(self, features: Features, *, inspect: bool) -> Gathered:
        """Returns features with context (B, F, h, w), and views if asked for."""
        del inspect  # nothing beyond what every network of this shape shows
        return Gathered(features=self.context(features[3]))
