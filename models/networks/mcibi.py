"""MCIBI: every pixel is helped by what the network remembers of each class over the whole data set.

Jin, Gong, Yu, Chu, Wang, Wang, Shao: Mining Contextual Information Beyond Image for Semantic Segmentation.
ICCV 2021. A memory keeps a vector per class (`models.class_memory`), updated outside back-propagation. The
coarse prediction of a pixel mixes the vectors (beyond-image context), attention over the image corrects the
mixture by position, and both are fused with the pixel's own features, optionally with a within-image context
(PPM, ASPP) as well. A consistency loss keeps the memory recognisable to the last decoder.

Departures from the published code, all about statistics: the update never loses a class to 0 / 0; momentum
above 1 is cut off; processes share sums instead of averaging results; slots without a pixel do not decay;
classes never seen stay out of the consistency loss, which uses the running statistics of the normalisation
(both switchable). The trainer calls `observe` last, so that the consistency loss sees the memory as it was
before the batch; the published code updates between forward and loss. It also overwrites the memory that its
own backward pass still needs, and so computes the gradient of the coarse logits with the wrong vectors; here
it is the true gradient. In the paper the memory starts with pixels drawn at random; here, as in the published
code, a class starts with its mean in the first batch that shows it.

The feature pyramid (UPerNet base) was published for the successor only. Here its top level is the fused
context and a 3 x 3 convolution brings all levels back to C channels, because the consistency loss needs a
decoder that reads C channels.

B batch, K classes, M slots per class, C width, H W image size, h w size of the last features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.alike import AlikeAnswers, alike_places
from models.attention import AttentionBlock
from models.base import MakeBackbone, SegmentationModel
from models.blocks import BatchNorm, conv_norm_act, first_of, full_size, pad_to_minimum
from models.class_memory import ClassMemory, class_shares, memory_views, pad_target
from models.context import FeaturePyramid, build_context
from models.decoders import decoder
from models.explanation import Representations, explained, read_by_last
from models.memory_configs import McibiConfig
from models.output import InspectionView, SegmentationOutput
from models.processes import apart, process_count


@dataclass(frozen=True, kw_only=True)
class McibiOutput(SegmentationOutput):
    """What MCIBI's memory learns from.

    Attributes:
        features: (B, C, h, w) float of the padded image, detached.
    """

    features: Tensor


class Mcibi(SegmentationModel[McibiOutput]):
    """Coarse decoder, class memory with its fusion, and the decoder of the final logits."""

    independent_classes = False

    def __init__(self, config: McibiConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.config = config
        self.backbone = make_backbone(config.backbone)
        channels, width = self.backbone.channels, config.width
        slots = config.memory.slots
        self.context = build_context(config.context, channels[3], width, config.dilations)
        self.bottleneck = nn.Sequential(*conv_norm_act(channels[3], width))
        self.coarse_decoder = decoder(width, width, num_classes, dropout=config.dropout)
        self.memory = ClassMemory(num_classes, width, config.memory)
        self.memory_attentions = nn.ModuleList(
            AttentionBlock(width, config.attention_width, width) for _ in range(slots)
        )
        self.slot_fusion = nn.Sequential(*conv_norm_act(slots * width, width, 1)) if slots > 1 else None
        self.memory_fusion = nn.Sequential(*conv_norm_act(2 * width, width))
        self.context_attention: AttentionBlock | None = None
        self.context_fusion: nn.Sequential | None = None
        if self.context is not None:
            self.context_attention = AttentionBlock(width, config.attention_width, width)
            self.context_fusion = nn.Sequential(*conv_norm_act(2 * width, width))
        self.pyramid = FeaturePyramid(channels[:3], width, width) if config.pyramid else None
        self.pyramid_fusion = nn.Sequential(*conv_norm_act(4 * width, width)) if config.pyramid else None
        self.decoder = decoder(width, width, num_classes, dropout=config.dropout)
        self.auxiliary_decoder = (
            decoder(channels[2], config.auxiliary_width, num_classes, dropout=config.dropout, kernel=3)
            if config.auxiliary
            else None
        )

    @property
    def head_rate(self) -> float:
        """Learning rate of the head relative to the backbone's."""
        return self.config.head_rate

    def memory_features(self, image: Tensor) -> Tensor:
        """Returns the features the memory learns from, (B, C, h, w); they do not depend on the memory."""
        features: Tensor = self.bottleneck(self.backbone(pad_to_minimum(image))[3])
        return features

    def forward(self, image: Tensor, *, inspect: bool = False) -> McibiOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float; auxiliary logits in training only."""
        padded = pad_to_minimum(image)
        stages = self.backbone(padded)
        features = self.bottleneck(stages[3])
        coarse = self.coarse_decoder(features)
        shares = class_shares(coarse, hard=self.config.hard_gathering)
        within = self._within(stages[3], features)
        beyond = self._beyond(features, shares)
        last, classifier = read_by_last(self.decoder, self._fuse(stages[:3], features, within, beyond))
        auxiliary: dict[str, Tensor] = {}
        if self.training:
            auxiliary["coarse"] = full_size(coarse, padded, image)
            if self.auxiliary_decoder is not None:
                auxiliary["stage3"] = full_size(self.auxiliary_decoder(stages[2]), padded, image)
        return McibiOutput(
            logits=full_size(classifier(last), padded, image),
            auxiliary_logits=auxiliary,
            inspection=self._views(coarse, shares) if inspect else {},
            explanation=explained(
                last,
                classifier,
                padded,
                representations=MemoryVectors(self, stages[:3], features, within, shares, beyond),
                memory=self.memory.memory,
                remembered=features,
            )
            if inspect
            else None,
            features=features.detach(),
        )

    def _within(self, last: Tensor, features: Tensor) -> Tensor | None:
        """Returns within-image features (B, C, h, w) of the last stage, or None without such context."""
        if self.context is None or self.context_attention is None:
            return None
        within: Tensor = self.context_attention(features, self.context(last))
        return within

    def _beyond(self, features: Tensor, shares: Tensor, memory: Tensor | None = None) -> list[Tensor]:
        """Returns the mixture of each slot corrected by position, (B, C, h, w) each."""
        mixtures = self.memory.mixture(shares, memory).to(features.dtype)
        return [
            attention(features, mixture)
            for attention, mixture in zip(self.memory_attentions, mixtures.unbind(), strict=True)
        ]

    def _fuse(
        self, stages: tuple[Tensor, ...], features: Tensor, within: Tensor | None, beyond: Sequence[Tensor]
    ) -> Tensor:
        """Returns what the decoder reads, (B, C, h, w): pixel, beyond-image and within-image features."""
        fused: Tensor = self.memory_fusion(torch.cat([features, self._of_slots(beyond)], dim=1))
        return self._with_rest(stages, within, fused)

    def _of_slots(self, beyond: Sequence[Tensor]) -> Tensor:
        """Returns the context (B, C, h, w) of all slots together."""
        if self.slot_fusion is None:
            return beyond[0]
        context: Tensor = self.slot_fusion(torch.cat(list(beyond), dim=1))
        return context

    def _with_rest(self, stages: tuple[Tensor, ...], within: Tensor | None, fused: Tensor) -> Tensor:
        """Returns fused features (B, C, h, w) with the context within the image and the earlier stages."""
        if within is not None and self.context_fusion is not None:
            fused = self.context_fusion(torch.cat([within, fused], dim=1))
        if self.pyramid is not None and self.pyramid_fusion is not None:
            fused = self.pyramid_fusion(self.pyramid(stages, fused))
        return fused

    def reread(
        self,
        stages: tuple[Tensor, ...],
        features: Tensor,
        within: Tensor | None,
        shares: Tensor,
        memory: Tensor | None = None,
    ) -> Tensor:
        """Returns logits (B, K, h, w) for other weights over the memory.

        Args:
            stages: of the backbone, without the last one.
            features: (B, C, h, w).
            within: context within the image, or None.
            shares: (B, K, h, w), how much each place takes of each class's memory.
            memory: (K, M, C) instead of what is remembered.
        """
        beyond = self._beyond(features, shares, memory)
        logits: Tensor = self.decoder(self._fuse(stages, features, within, beyond))
        return logits

    def own_part(self, features: Tensor) -> Tensor:
        """Returns what the fusion's first convolution makes of the features alone, (B, C, h, w)."""
        return first_of(self.memory_fusion, features, slice(None, features.shape[1]))

    def refuse(
        self, stages: tuple[Tensor, ...], within: Tensor | None, own: Tensor, beyond: Sequence[Tensor]
    ) -> Tensor:
        """Returns logits (B, K, h, w) for other contexts from beyond the image.

        Args:
            stages: of the backbone, without the last one.
            within: context within the image, or None.
            own: from `own_part`.
            beyond: (B, C, h, w) of every slot.
        """
        given = first_of(self.memory_fusion, self._of_slots(beyond), slice(own.shape[1], None))
        fused = self.memory_fusion[1:](given.add_(own))
        logits: Tensor = self.decoder(self._with_rest(stages, within, fused))
        return logits

    def extra_losses(self, output: McibiOutput, target: Tensor, step: int) -> Mapping[str, Tensor]:
        """Returns the consistency loss once it has begun: the decoder must recognise every class vector."""
        del output, target
        memory = self.config.memory
        if not memory.consistency_weight or step < memory.consistency_start:
            return {}
        return {"consistency": memory.consistency_weight * self._consistency()}

    def _consistency(self) -> Tensor:
        """Returns the mean cross-entropy of the decoder's reading of the class vectors, a float32 scalar."""
        vectors = self.memory.memory.flatten(0, 1)[:, :, None, None].clone()
        labels = torch.arange(self.num_classes, device=vectors.device)
        labels = labels.repeat_interleave(self.config.memory.slots)
        if self.config.memory.consistency_statistics:
            with apart():  # every process reads the same vectors
                logits = self.decoder(vectors)
        else:
            logits = self._frozen_decoder(vectors)
        losses = F.cross_entropy(logits.flatten(1).float(), labels, reduction="none")
        counted = self.memory.filled().flatten().float()
        if self.config.memory.consistency_unseen:
            counted = torch.ones_like(counted)
        return (losses * counted).sum() / counted.sum().clamp(min=1) / process_count()

    def _frozen_decoder(self, vectors: Tensor) -> Tensor:
        """Runs the decoder with the running statistics of its normalisation, which stay as they are."""
        convolution, normalisation, *rest = self.decoder
        if not isinstance(normalisation, BatchNorm):
            raise TypeError(f"expected a batch normalisation, found {type(normalisation).__name__}")
        values = F.batch_norm(
            convolution(vectors),
            _copy(normalisation.running_mean),
            _copy(normalisation.running_var),
            normalisation.weight,
            normalisation.bias,
            training=False,
            eps=normalisation.eps,
        )
        for module in rest:
            values = module(values)
        return values

    def observe(self, output: McibiOutput, target: Tensor, learning_rate: float) -> None:
        """Moves the memory towards the features of this batch."""
        self.memory.update(output.features, pad_target(target), learning_rate)

    def _views(self, coarse: Tensor, shares: Tensor) -> dict[str, InspectionView]:
        return memory_views(self.memory.memory, coarse, shares)


class MemoryVectors(Representations):
    """MCIBI's memory as one batch reads it; a class is deleted by mixing nothing of it in."""

    title = "what is remembered of each class"

    def __init__(
        self,
        network: Mcibi,
        stages: tuple[Tensor, ...],
        features: Tensor,
        within: Tensor | None,
        shares: Tensor,
        beyond: Sequence[Tensor],
    ) -> None:
        self.present = network.memory.filled().any(dim=1).expand(len(shares), -1)
        self._network = network
        self._kept = (stages, features, within)
        self._shares = shares.detach()
        self._beyond = beyond
        self._key: Tensor | None = None
        self._quick: tuple[Tensor, list[AlikeAnswers]] | None = None

    def prepare(self) -> bool:
        """Groups places that are alike where that saves time: large images on the processor."""
        shares, network = self._shares, self._network
        is_slow = shares.device.type == "cpu" and len(shares) == 1 and not network.training
        alike = alike_places(shares[0].flatten(1).float()) if is_slow and self._quick is None else None
        if alike is not None:
            features = self._kept[1]
            vectors = network.memory.memory.unbind(dim=1)
            answers = [
                AlikeAnswers(attention, features, alike, exact, slot)
                for attention, exact, slot in zip(self._attentions(), self._beyond, vectors, strict=True)
            ]
            self._quick = network.own_part(features), answers
        return alike is not None

    def without(self, deleted: Tensor) -> Tensor:
        """Returns logits (B, K, h, w) as if nothing were remembered of classes (K,) bool."""
        self.prepare()
        if self._quick is not None:
            return self._refused([answer.without(deleted) for answer in self._quick[1]], self._quick[0])
        return self._network.reread(*self._kept, self._shares * ~deleted[:, None, None])

    def relearnt(self, memory: Tensor) -> Tensor:
        """Returns logits (B, K, h, w) with another memory (K, M, C)."""
        self.prepare()
        if self._quick is not None:
            own, answers = self._quick
            slots = zip(answers, memory.unbind(dim=1), strict=True)
            return self._refused([answer.with_vectors(vectors) for answer, vectors in slots], own)
        return self._network.reread(*self._kept, self._shares, memory)

    def _refused(self, beyond: Sequence[Tensor], own: Tensor) -> Tensor:
        stages, _, within = self._kept
        return self._network.refuse(stages, within, own, beyond)

    def taken(self) -> Tensor:
        """Returns the weights over the memory, (B, K, h, w)."""
        return self._shares

    def influence(self, y: float, x: float) -> Tensor:
        """Returns which places correct what one place takes from the memory, (B, h, w), most is 1."""
        features = self._kept[1]
        attention = self._attentions()[0]
        if self._key is None:
            mixtures = self._network.memory.mixture(self._shares).to(features.dtype)
            self._key = attention.key(mixtures[0])
        row, column = int(y * features.shape[2]), int(x * features.shape[3])
        return attention.asked_by(row, column, features, self._key)

    def _attentions(self) -> list[AttentionBlock]:
        return [part for part in self._network.memory_attentions if isinstance(part, AttentionBlock)]


def _copy(values: Tensor | None) -> Tensor | None:
    """Copies a statistic: a later forward may change it in place while this graph still needs it."""
    return None if values is None else values.clone()
