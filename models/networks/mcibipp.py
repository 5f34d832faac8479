"""MCIBI++: the memory of a class is the mean and deviation of a normal distribution.

Jin, Yu, Chu, Wang, Jin, Luo: MCIBI++: Soft Mining Contextual Information Beyond Image for Semantic
Segmentation. TPAMI 2022. As in MCIBI, a coarse prediction mixes class vectors for every pixel and attention
corrects the mixture by position; but a class vector is drawn from its distribution (with a fixed draw per
class, `models.class_memory.NormalMemory`), the coarse prediction comes from the context within the image, and
a prediction may be fed back to the memory (coarse-to-fine refinement).

Departures from the published code: the draws are stored instead of seeding the global random generator in
every forward pass; a prediction is fed back inside the network, for every view of an image by itself, where
the published code first averages all views of test-time augmentation.

B batch, K classes, C width, H W image size, h w size of the last features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.alike import AlikeAnswers, alike_places
from models.attention import AttentionBlock
from models.base import MakeBackbone, SegmentationModel
from models.blocks import conv_norm_act, first_of, full_size, pad_to_minimum, resize
from models.class_memory import NormalMemory, class_shares, memory_views, pad_target
from models.context import FeaturePyramid, build_context
from models.decoders import decoder
from models.explanation import Representations, explained, read_by_last
from models.losses.cross_entropy import CrossEntropy
from models.memory_configs import McibiPlusPlusConfig
from models.output import SegmentationOutput

_OWN, _FED_BACK = 2.0, 1.5
"""Weights of the coarse logits and of a prediction fed back."""


@dataclass(frozen=True, kw_only=True)
class McibiPlusPlusOutput(SegmentationOutput):
    """What MCIBI++'s memory and its second coarse decoder learn from.

    Attributes:
        features: (B, C, h, w) float of the padded image, detached.
        within_logits: (B, K, H, W) prediction of the within-image context; None without one, and in
            evaluation.
    """

    features: Tensor
    within_logits: Tensor | None


class McibiPlusPlus(SegmentationModel[McibiPlusPlusOutput]):
    """Coarse decoders on pixels and on context, class memory, and the decoder of the final logits."""

    independent_classes = False

    def __init__(self, config: McibiPlusPlusConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.config = config
        self.backbone = make_backbone(config.backbone)
        channels, width = self.backbone.channels, config.width
        coarse_kernel, dropout = config.coarse_kernel.value, config.dropout
        self.context = build_context(config.context, channels[3], width, config.dilations)
        self.bottleneck = nn.Sequential(*conv_norm_act(channels[3], width))
        self.pixel_decoder = decoder(width, width, num_classes, dropout=dropout, kernel=coarse_kernel)
        self.context_decoder: nn.Sequential | None = None
        self.within_attention: AttentionBlock | None = None
        if self.context is not None:
            self.context_decoder = decoder(width, width, num_classes, dropout=dropout, kernel=coarse_kernel)
            if config.within_attention:
                self.within_attention = AttentionBlock(width, config.attention_width, width)
        self.memory = NormalMemory(num_classes, width, config.momentum)
        stride = config.attention_stride.value
        self.downsample = nn.Sequential(*conv_norm_act(width, width, stride=stride)) if stride > 1 else None
        self.memory_attention = AttentionBlock(width, config.attention_width, width)
        self.memory_fusion = nn.Sequential(*conv_norm_act(2 * width, width))
        top = width if self.context is None else 2 * width
        self.pyramid = FeaturePyramid(channels[:3], top, config.pyramid_width) if config.pyramid else None
        last = top + 3 * config.pyramid_width if config.pyramid else top
        self.decoder = decoder(last, width, num_classes, dropout=dropout, kernel=config.decoder_kernel.value)
        self.auxiliary_decoder = (
            decoder(channels[2], config.auxiliary_width, num_classes, dropout=dropout, kernel=3)
            if config.auxiliary
            else None
        )
        self.within_loss = CrossEntropy()

    @property
    def head_rate(self) -> float:
        """Learning rate of the head relative to the backbone's."""
        return self.config.head_rate

    def memory_features(self, image: Tensor) -> Tensor:
        """Returns the features the memory learns from, (B, C, h, w); they do not depend on the memory."""
        features: Tensor = self.bottleneck(self.backbone(pad_to_minimum(image))[3])
        return features

    def forward(self, image: Tensor, *, inspect: bool = False) -> McibiPlusPlusOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float; auxiliary logits in training only."""
        padded = pad_to_minimum(image)
        stages = self.backbone(padded)
        features = self.bottleneck(stages[3])
        context = None if self.context is None else self.context(stages[3])
        pixel_logits, within_logits = self._coarse(features, context)
        own = pixel_logits if within_logits is None or self.config.gather_by_pixels else within_logits
        last, classifier, gathering, beyond = self._refined(stages[:3], features, context, own, None)
        logits = classifier(last)
        auxiliary: dict[str, Tensor] = {}
        if self.training:
            auxiliary["pixels"] = full_size(pixel_logits, padded, image)
            if self.auxiliary_decoder is not None:
                auxiliary["stage3"] = full_size(self.auxiliary_decoder(stages[2]), padded, image)
        within = (
            full_size(within_logits, padded, image) if self.training and within_logits is not None else None
        )
        vectors = self.memory.vectors()[:, None]
        return McibiPlusPlusOutput(
            logits=full_size(logits, padded, image),
            auxiliary_logits=auxiliary,
            inspection=memory_views(vectors, gathering, self._shares(gathering)) if inspect else {},
            explanation=explained(
                last,
                classifier,
                padded,
                # Drawn vectors share only their mean and deviation with features: no memory to compare with.
                representations=MemoryDistributions(self, stages[:3], features, context, own, beyond),
            )
            if inspect
            else None,
            features=features.detach(),
            within_logits=within,
        )

    def _coarse(self, features: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the logits of the pixels' own features and those of their context, (B, K, h, w) each."""
        within = None if context is None or self.context_decoder is None else self.context_decoder(context)
        return self.pixel_decoder(features), within

    def _shares(self, gathering: Tensor) -> Tensor:
        return class_shares(gathering, hard=self.config.hard_gathering)

    def _refined(
        self,
        stages: tuple[Tensor, ...],
        features: Tensor,
        context: Tensor | None,
        own: Tensor,
        kept: Tensor | None,
    ) -> tuple[Tensor, nn.Conv2d, Tensor, Tensor]:
        """Returns what the classifier reads (B, C, h, w), the classifier, what chose, and what it chose.

        In evaluation a prediction is fed back as often as configured.

        Args:
            stages: of the backbone, without the last one.
            features: (B, C, h, w).
            context: within the image, or None.
            own: (B, K, h, w) coarse logits.
            kept: (K,) bool, classes whose vectors may be mixed in; None for all.
        """
        gathering = own
        beyond = self._chosen(features, gathering, kept)
        last, classifier = self._read_memory(stages, features, context, beyond)
        for _ in range(0 if self.training else self.config.refinements):
            fed_back = resize(classifier(last), own.shape[-2:])
            gathering = (_OWN * own + _FED_BACK * fed_back) / (_OWN + _FED_BACK - 1)
            beyond = self._chosen(features, gathering, kept)
            last, classifier = self._read_memory(stages, features, context, beyond)
        return last, classifier, gathering, beyond

    def reread(
        self, stages: tuple[Tensor, ...], features: Tensor, context: Tensor | None, own: Tensor, kept: Tensor
    ) -> Tensor:
        """Returns logits (B, K, h, w) from the memory of some classes; arguments as in `_refined`."""
        last, classifier, *_ = self._refined(stages, features, context, own, kept)
        logits: Tensor = classifier(last)
        return logits

    def refuse(
        self, stages: tuple[Tensor, ...], context: Tensor | None, own_part: Tensor, beyond: Tensor
    ) -> Tensor:
        """Returns logits (B, K, h, w) for another context from beyond the image.

        Args:
            stages: of the backbone, without the last one.
            context: within the image, or None.
            own_part: from `own_part`.
            beyond: (B, C, h, w).
        """
        given = first_of(self.memory_fusion, beyond, slice(own_part.shape[1], None))
        last, classifier = self._with_rest(stages, context, self.memory_fusion[1:](given.add_(own_part)))
        logits: Tensor = classifier(last)
        return logits

    def own_part(self, features: Tensor) -> Tensor:
        """Returns what the fusion's first convolution makes of the features alone, (B, C, h, w)."""
        return first_of(self.memory_fusion, features, slice(None, features.shape[1]))

    @property
    def reads_once(self) -> bool:
        """Whether the memory is read once and at every place, by what the places themselves share in."""
        return not self.config.refinements and self.downsample is None

    def shares_of(self, own: Tensor) -> Tensor:
        """Returns the weights over the memory (B, K, h, w) that coarse logits give before any refinement."""
        return self._shares(own)

    def _chosen(self, features: Tensor, gathering: Tensor, kept: Tensor | None) -> Tensor:
        """Returns what coarse logits choose from the memory, corrected by position, (B, C, h, w)."""
        shares = self._shares(gathering)
        if kept is not None:
            shares = shares * kept[:, None, None]
        return self._attend(features, self.memory.mixture(shares).to(features.dtype))

    def _read_memory(
        self, stages: tuple[Tensor, ...], features: Tensor, context: Tensor | None, beyond: Tensor
    ) -> tuple[Tensor, nn.Conv2d]:
        """Returns what the classifier reads for a context from beyond the image, and it."""
        fused: Tensor = self.memory_fusion(torch.cat([features, beyond], dim=1))
        return self._with_rest(stages, context, fused)

    def _with_rest(
        self, stages: tuple[Tensor, ...], context: Tensor | None, fused: Tensor
    ) -> tuple[Tensor, nn.Conv2d]:
        """Returns what the classifier reads of fused features, and it."""
        if context is not None:
            if self.within_attention is not None:
                fused = self.within_attention(context, fused)
            fused = torch.cat([fused, context], dim=1)
        if self.pyramid is not None:
            fused = self.pyramid(stages, fused)
        return read_by_last(self.decoder, fused)

    def _attend(self, features: Tensor, mixture: Tensor) -> Tensor:
        """Returns the mixture corrected by position, (B, C, h, w)."""
        if self.downsample is None:
            result: Tensor = self.memory_attention(features, mixture)
            return result
        small = self.memory_attention(self.downsample(features), self.downsample(mixture))
        return resize(small, features.shape[-2:])

    def extra_losses(self, output: McibiPlusPlusOutput, target: Tensor, step: int) -> Mapping[str, Tensor]:
        """Returns the loss on the prediction of the within-image context."""
        del step
        if output.within_logits is None or not self.config.within_weight:
            return {}
        return {"within image": self.config.within_weight * self.within_loss(output.within_logits, target)}

    def observe(self, output: McibiPlusPlusOutput, target: Tensor, learning_rate: float) -> None:
        """Moves mean and deviation of the classes of this batch."""
        del learning_rate
        self.memory.update(output.features, pad_target(target))


class MemoryDistributions(Representations):
    """MCIBI++'s class vectors as one batch reads them; a class is deleted by mixing nothing of it in."""

    title = "what is remembered of each class"

    def __init__(
        self,
        network: McibiPlusPlus,
        stages: tuple[Tensor, ...],
        features: Tensor,
        context: Tensor | None,
        own: Tensor,
        beyond: Tensor,
    ) -> None:
        self.present = torch.ones(len(own), own.shape[1], dtype=torch.bool, device=own.device)
        self._network = network
        self._kept = (stages, features, context, own)
        self._beyond = beyond
        self._quick: tuple[Tensor, AlikeAnswers] | None = None

    def prepare(self) -> bool:
        """Groups places that are alike where that saves time: large images on the processor."""
        network, features = self._network, self._kept[1]
        is_slow = features.device.type == "cpu" and len(features) == 1 and not network.training
        if self._quick is not None or not is_slow or not network.reads_once:
            return False
        alike = alike_places(self.taken()[0].flatten(1).float())
        if alike is not None:
            vectors = network.memory.vectors()
            answer = AlikeAnswers(network.memory_attention, features, alike, self._beyond, vectors)
            self._quick = network.own_part(features), answer
        return alike is not None

    def without(self, deleted: Tensor) -> Tensor:
        """Returns logits (B, K, h, w) as if nothing were remembered of classes (K,) bool."""
        self.prepare()
        if self._quick is not None:
            stages, _, context, _ = self._kept
            own_part, answer = self._quick
            return self._network.refuse(stages, context, own_part, answer.without(deleted))
        return self._network.reread(*self._kept, ~deleted)

    def taken(self) -> Tensor:
        """Returns the weights over the memory before any refinement, (B, K, h, w)."""
        return self._network.shares_of(self._kept[3])
