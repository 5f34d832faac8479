"""SPGNet (reconstruction): encoder-decoders in a row, each guided by what the one before it predicts.

Cheng, Chen, Wei, Zhu, Huang, Xiong, Huang, Hwu, Shi: SPGNet: Semantic Prediction Guidance for Scene Parsing.
ICCV 2019. No code was published; structure from the paper's figures, widths chosen so that two ResNet-50
stages have the published 59.8 M parameters and 654.8 G operations (here 59.777 M and 655.06 G).

B batch, K classes, H W image size, C width of the decoders, h w size of the finest features; levels are
numbered from the finest, E and D are features of encoder and decoder.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.base import Features
from models.backbones.stages import StemlessBackbone
from models.base import MakeBackbone, SegmentationModel
from models.blocks import BatchNorm, conv_norm_act, full_size, pad_to_minimum, resize
from models.class_rows import Classifier, ClassTensor, FollowsClasses
from models.explanation import Gate, explained
from models.gate_views import view_of_classes, views_of_aggregation, views_of_guidance
from models.guided_channels import GuidedChannels
from models.output import InspectionView, SegmentationOutput
from models.spgnet_configs import Aggregation, SpgNetConfig


@dataclass(frozen=True, kw_only=True)
class SpgNetOutput(SegmentationOutput):
    """What SPGNet returns.

    Attributes:
        stage_logits: logits (B, K, h, w) of every stage, the last one's included.
        gates: for every stage but the last, how its prediction scales its features: (B, C, h, w), 0..1 if
            the gate is a sigmoid.
    """

    stage_logits: tuple[Tensor, ...]
    gates: tuple[Tensor, ...]


class Bottleneck(nn.Module):
    """Residual block: 1 x 1 to a quarter of the width, 3 x 3, 1 x 1; (B, channels, h, w) to (B, C, h, w)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inner = width // 4
        self.body = nn.Sequential(
            *conv_norm_act(channels, inner, 1), *conv_norm_act(inner, inner), *_conv_norm(inner, width)
        )
        self.shortcut = nn.Sequential() if channels == width else nn.Sequential(*_conv_norm(channels, width))

    def forward(self, features: Tensor) -> Tensor:
        """Returns the block's features, after the ReLU of the sum."""
        return F.relu(self.body(features) + self.shortcut(features), inplace=True)


class Decoder(nn.Module):
    """From the features of an encoder to one map at the finest level, by light upsample modules."""

    def __init__(self, channels: tuple[int, ...], width: int, blocks: int) -> None:
        super().__init__()
        self.top = Bottleneck(channels[3], width)
        self.image_level = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm_act(channels[3], width, 1))
        self.lateral = nn.ModuleList(Bottleneck(count, width) for count in channels[:3])
        self.fuse = nn.ModuleList(
            nn.Sequential(
                Bottleneck(2 * width, width), *(Bottleneck(width, width) for _ in range(blocks - 1))
            )
            for _ in range(3)
        )
        self.last = nn.Sequential(*conv_norm_act(width, width))

    def forward(self, features: Features) -> tuple[Tensor, Features]:
        """Returns the finest features (B, C, h, w) and those of all levels, finest first."""
        levels = [self.coarsest(features)]
        for level in (2, 1, 0):
            levels.insert(0, self.finer(level, levels[0], features))
        first, second, third, fourth = levels
        return self.last(first), (first, second, third, fourth)

    def coarsest(self, features: Features) -> Tensor:
        """Returns the features of the coarsest level."""
        top: Tensor = self.top(features[3]) + self.image_level(features[3])
        return top

    def finer(self, level: int, coarse: Tensor, features: Features) -> Tensor:
        """Returns the features of a level, made of those of the next coarser one."""
        fine = self.lateral[level](features[level])
        # To the size of the encoder's map, not by a factor: odd sizes lose no row.
        fused: Tensor = self.fuse[level](torch.cat([fine, resize(coarse, fine.shape[-2:])], dim=1))
        return fused


class Excitation(FollowsClasses, nn.Conv2d):
    """1 x 1 convolution from logits (B, K, h, w) to a gate for every channel (B, C, h, w)."""

    def __init__(self, num_classes: int, width: int, *, neutral: bool) -> None:
        super().__init__(num_classes, width, 1)
        self.neutral = neutral
        if neutral:
            nn.init.zeros_(self.weight)
            if self.bias is not None:
                nn.init.zeros_(self.bias)

    def class_tensors(self) -> tuple[ClassTensor, ...]:
        """Returns the weight; a class never seen pulls at no gate until training says how."""
        return (ClassTensor(name="weight", axes=(1,), fresh=nn.init.zeros_),)

    def set_class_count(self, count: int) -> None:
        """Sets the number of input channels."""
        self.in_channels = count


class Guidance(nn.Module):
    """Semantic prediction guidance: supervise, excite, and keep the features beside it (identity path)."""

    def __init__(self, config: SpgNetConfig, num_classes: int) -> None:
        super().__init__()
        self.classifier = Classifier(config.width, num_classes)
        self.excitation = Excitation(num_classes, config.width, neutral=config.neutral_start)
        self.sigmoid, self.identity = config.sigmoid, config.identity

    def forward(self, features: Tensor, silent: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Guides features.

        Args:
            features: (B, C, h, w).
            silent: (K,) bool, classes whose channels are gated as if the prediction said nothing.

        Returns:
            logits (B, K, h, w), gate (B, C, h, w) and guided features (B, C, h, w).
        """
        logits = self.classifier(features)
        gate = self._opened(self.excitation(logits))
        if silent is not None:
            channels = silent[opened_by(self)][:, None, None]
            gate = torch.where(channels, self._opened(self._unsaid()).to(gate.dtype), gate)
        guided = torch.addcmul(features, features, gate) if self.identity else features * gate
        return logits, gate, guided

    def _opened(self, excited: Tensor) -> Tensor:
        return excited.sigmoid() if self.sigmoid else excited

    def _unsaid(self) -> Tensor:
        """Returns what excitation gives where all logits are 0, (C, 1, 1)."""
        bias, weight = self.excitation.bias, self.excitation.weight
        return (weight.new_zeros(len(weight)) if bias is None else bias)[:, None, None]


def opened_by(guidance: nn.Module) -> Tensor:
    """Returns for each channel the class whose logit opens its gate most, (C,) int64."""
    weight: Tensor = guidance.get_submodule("excitation").get_parameter("weight")
    return weight.detach().flatten(1).argmax(dim=1)


class LaterStage(nn.Module):
    """Encoder and decoder of a stage after the first, fed with guided features instead of an image."""

    def __init__(self, encoder: StemlessBackbone, config: SpgNetConfig) -> None:
        super().__init__()
        width, channels = config.width, encoder.channels
        self.entry = nn.Sequential(*conv_norm_act(width, encoder.entry_channels, 1))
        self.encoder = encoder
        self.decoder = Decoder(channels, width, config.blocks)
        # Not at the finest level: that one receives the guided features.
        takes_encoder = config.aggregation is Aggregation.ENCODER_AND_DECODER
        takes_anything = config.aggregation is not Aggregation.NONE
        self.from_encoder = nn.ModuleList(
            nn.Sequential(*_conv_norm(count, count)) if takes_encoder else nn.Identity()
            for count in (channels[1:] if takes_anything else ())
        )
        self.from_decoder = nn.ModuleList(
            nn.Sequential(*_conv_norm(width, count)) for count in (channels[1:] if takes_anything else ())
        )

    def forward(
        self, guided: Tensor, before: Features, decoded: Features
    ) -> tuple[Tensor, Features, Features, tuple[Tensor, ...]]:
        """Runs the stage.

        Args:
            guided: (B, C, h, w) features of the stage before, guided by its prediction.
            before: features of its encoder.
            decoded: features of its decoder, by level.

        Returns:
            finest features (B, C, h, w), features of encoder and decoder by level, and what was taken over
            at each level but the finest.
        """
        taken: list[Tensor] = []

        def aggregate(level: int, features: Tensor) -> Tensor:
            if level == 0 or not len(self.from_decoder):
                return features
            taken.append(self._taken(level, before, decoded))
            return F.relu(features + taken[-1], inplace=True)

        encoded = self.encoder(self.entry(guided), aggregate)
        finest, levels = self.decoder(encoded)
        return finest, encoded, levels, tuple(taken)

    def _taken(self, level: int, before: Features, decoded: Features) -> Tensor:
        """Returns what is taken over at a level from the stage before."""
        own, other = self.from_encoder[level - 1], self.from_decoder[level - 1]
        taken: Tensor = own(before[level]) + other(decoded[level])
        return taken

    def in_pieces(
        self, guided: Tensor, before: Features, decoded: Features
    ) -> Generator[None, None, tuple[Tensor, Features, Features]]:
        """Runs the stage level by level, with the same result but for what was taken over.

        Args:
            guided: see `forward`, as are the others.
            before: features of the encoder before.
            decoded: features of the decoder before.

        Yields:
            Nothing, after each level.

        Returns:
            finest features (B, C, h, w), features of encoder and decoder by level.
        """
        features: list[Tensor] = []
        current = self.entry(guided)
        for level, part in enumerate(self.encoder.stages):
            current = part(current)
            if level and len(self.from_decoder):
                current = F.relu(current + self._taken(level, before, decoded), inplace=True)
            features.append(current)
            yield
        encoded: Features = (features[0], features[1], features[2], features[3])
        levels = [self.decoder.coarsest(encoded)]
        for level in (2, 1, 0):
            yield
            levels.insert(0, self.decoder.finer(level, levels[0], encoded))
        first, second, third, fourth = levels
        return self.decoder.last(first), encoded, (first, second, third, fourth)


class SpgNet(SegmentationModel[SpgNetOutput]):
    """Two encoder-decoders or more; every stage but the last guides the next one."""

    independent_classes = False

    def __init__(self, config: SpgNetConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.backbone = make_backbone(config.backbone)
        self.decoder = Decoder(self.backbone.channels, config.width, config.blocks)
        later = config.stages - 1
        self.guidance = nn.ModuleList(Guidance(config, num_classes) for _ in range(later))
        self.later = nn.ModuleList(
            LaterStage(StemlessBackbone(make_backbone(config.backbone)), config) for _ in range(later)
        )
        self.classifier = Classifier(config.width, num_classes)
        self.supervised = config.supervised
        self._head_rate = config.head_rate

    @property
    def head_rate(self) -> float:
        """Learning rate of everything but the encoders relative to theirs."""
        return self._head_rate

    def forward(self, image: Tensor, *, inspect: bool = False) -> SpgNetOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float; those of earlier stages are auxiliary."""
        padded = pad_to_minimum(image)
        encoded = self.backbone(padded)
        finest, decoded = self.decoder(encoded)
        first = (finest, encoded, decoded) if inspect else None  # else they are given back on the way
        stage_logits: list[Tensor] = []
        gates: list[Tensor] = []
        views: dict[str, InspectionView] = {}
        kept: list[Gate] = []
        for number, (guidance, stage) in enumerate(zip(self.guidance, self.later, strict=True), start=1):
            logits, gate, guided = guidance(finest)
            stage_logits.append(logits)
            gates.append(gate)
            finest, encoded, decoded, taken = stage(guided, encoded, decoded)
            if inspect:
                kept.append(Gate(stage=number, values=gate.detach(), opened_by=opened_by(guidance)))
                views |= views_of_guidance(number, logits, kept[-1], self.num_classes)
                views |= views_of_aggregation(number + 1, taken, encoded, self.backbone.strides)
        stage_logits.append(self.classifier(finest))
        if inspect:
            views |= view_of_classes(stage_logits[-1])
        auxiliary: Mapping[str, Tensor] = {}
        if self.training and self.supervised:
            auxiliary = {
                f"stage{number}": full_size(logits, padded, image)
                for number, logits in enumerate(stage_logits[:-1], start=1)
            }
        return SpgNetOutput(
            logits=full_size(stage_logits[-1], padded, image),
            auxiliary_logits=auxiliary,
            inspection=views,
            explanation=explained(
                finest,
                self.classifier,
                padded,
                representations=GuidedChannels(self.reguided, first, self._opened_classes())
                if kept and first is not None
                else None,
                gates=tuple(kept),
            )
            if inspect
            else None,
            stage_logits=tuple(stage_logits),
            gates=tuple(gates),
        )

    def _opened_classes(self) -> Tensor:
        """Returns (K,) bool: which classes open a channel most in any stage."""
        opened = torch.zeros(self.num_classes, dtype=torch.bool, device=self.classifier.weight.device)
        for guidance in self.guidance:
            opened[opened_by(guidance)] = True
        return opened

    def reguided(
        self, finest: Tensor, encoded: Features, decoded: Features, silent: Tensor
    ) -> Iterator[Tensor | None]:
        """Runs all stages after the first with some classes guiding nothing, in pieces.

        Args:
            finest: (B, C, h, w) of the first stage, as are the others.
            encoded: features of its encoder.
            decoded: features of its decoder.
            silent: (K,) bool, classes whose channels are gated as if the predictions said nothing.

        Yields:
            None after each piece, at last the logits (B, K, h, w).
        """
        for guidance, stage in zip(self.guidance, self.later, strict=True):
            if not isinstance(stage, LaterStage):
                raise TypeError(f"{type(stage).__name__} is no later stage")
            _, _, guided = guidance(finest, silent)
            yield None
            finest, encoded, decoded = yield from stage.in_pieces(guided, encoded, decoded)
        yield self.classifier(finest)


def _conv_norm(channels: int, width: int) -> list[nn.Module]:
    """Returns a 1 x 1 convolution without bias and its normalisation."""
    return [nn.Conv2d(channels, width, 1, bias=False), BatchNorm(width)]
