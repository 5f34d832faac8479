"""IDRNet: the classes of an image help each other, as far as deleting one of them hurts the others.

Jin, Yuan, Gan, Zhou, Bai, Zhang, Wang, Luo: IDRNet: Intervention-Driven Relation Network for Semantic
Segmentation. NeurIPS 2023. Pixels are grouped by a coarse prediction (`models.grouping`); each class vector
is joined by the one of the whole data set; relations (`models.relation`) mix the vectors of the classes
present; attention refines the mixtures (`models.refinement`), which finally join the pixels' own features.

The pass with a class deleted is part of `forward` in training: it must see the very weights, normalisations
and dropout of the pass it is compared with, and `observe` comes only after the optimizer has changed the
weights. It runs without gradient, shares everything that does not depend on the deleted class, and changes
nothing but running statistics of normalisations; `observe` then moves counter, relations and class vectors.

Departures from the published code: dropout draws one mask for both passes on every device (there: on CUDA
only); a batch seen by several processes is one batch (there: results are averaged); nothing is done at all
where no pixel is labelled (there: not a number).

B batch, K classes, C width, F width of the pyramid, H W image size, h w size of the last features, P = h * w.
R features, D class vectors of the data set, G class vectors of the image, E mixtures of [G, D].
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.attention import AttentionBlock
from models.base import MakeBackbone, SegmentationModel
from models.blocks import conv_norm_act, full_size, pad_to_minimum, resize, unmoved
from models.class_memory import pad_target
from models.class_rows import Classifier
from models.context import FeaturePyramid, build_context
from models.decoders import classified, decoded, decoder, kept_channels
from models.explanation import Explanation, Representations, explained
from models.grouping import Groups, group, group_vectors, spread
from models.idrnet_configs import ContextRefinement, IdrnetConfig, PyramidPlace, Refinement, RelationLearning
from models.inspection import InspectionKind
from models.losses.enlarged_entropy import enlarged_losses
from models.output import Enlarged, FoundLosses, InspectionView, SegmentationOutput
from models.pointwise import pointwise
from models.refinement import ClassRefiner, PixelRefiner
from models.relation import ClassRelations
from models.views import relation_views


@dataclass(frozen=True, kw_only=True)
class IdrnetOutput(SegmentationOutput):
    """What IDRNet learns its relations from.

    Attributes:
        features: (B, C, h, w) R of the padded image, detached.
        deleted: (B,) int64, class deleted in each image; None in evaluation.
        logits_without: (B, K, h', w') logits of the padded image with that class deleted, without gradient;
            None in evaluation.
    """

    features: Tensor
    deleted: Tensor | None = None
    logits_without: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What does not depend on which class is deleted.

    Attributes:
        features: R, (B, C, h, w).
        within: context within the image (B, C', h', w'), or None.
        coarse: coarse logits (B, K, h, w).
        groups: pixels by coarse class.
        vectors: [G, D], (B, K, 2C).
        refined: what the refiner prepared.
    """

    features: Tensor
    within: Tensor | None
    coarse: Tensor
    groups: Groups
    vectors: Tensor
    refined: Tensor


class RelationContext(nn.Module):
    """Everything between backbone and final decoder: the context module of the comparison tables."""

    def __init__(self, config: IdrnetConfig, num_classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        width = config.width
        pyramid = config.pyramid is not PyramidPlace.NONE
        within = config.pyramid_width if pyramid else width
        self.bottleneck = nn.Sequential(*conv_norm_act(channels[-1], width))
        self.context = build_context(config.context, width, within, config.dilations)
        self.context_refiner = (
            None
            if config.context_refinement is ContextRefinement.NONE
            else AttentionBlock(within, config.context_attention_width, within)
        )
        self.pyramid = (
            FeaturePyramid(channels[:-1], within, config.level_width or within) if pyramid else None
        )
        self.within_channels = 0 if self.context is None else within
        coarse_channels = width if self.context is None else within
        if self.pyramid is not None:
            self.within_channels = self.pyramid.out_channels
            if config.pyramid is PyramidPlace.BEFORE:
                coarse_channels = self.within_channels
        if config.coarse_from_features:
            coarse_channels = width
        if config.refinement is Refinement.PIXELS:
            self.coarse_decoder = decoder(coarse_channels, width, num_classes, dropout=config.dropout)
            self.refiner: PixelRefiner | ClassRefiner = PixelRefiner(width, config.attention_width)
        else:
            self.coarse_decoder = nn.Sequential(
                nn.Dropout2d(config.dropout), Classifier(coarse_channels, num_classes)
            )
            self.refiner = ClassRefiner(width, config.attention_width)
        self.relations = ClassRelations(
            num_classes,
            width,
            relation_momentum=config.relation_momentum,
            vector_momentum=config.vector_momentum,
        )

    def forward(self, *stages: Tensor) -> Tensor:
        """Returns context (B, C, h, w) of the backbone's stages, finest first.

        Without a pyramid the last stage alone will do.
        """
        prepared = self.prepare(stages)
        return self.mix(prepared, prepared.groups.present)

    def prepare(self, stages: Sequence[Tensor]) -> Prepared:
        """Computes all that does not depend on which class is deleted."""
        features = self.bottleneck(stages[-1])
        within = None if self.context is None else self.context(features)
        if within is not None:
            within = self._refined(within, ContextRefinement.BEFORE)
            within = self._with_pyramid(stages, within, PyramidPlace.BEFORE)
        seen = features if within is None or self.config.coarse_from_features else within
        coarse = resize(decoded(self.coarse_decoder, seen), features.shape[-2:])
        if within is not None:
            within = self._refined(within, ContextRefinement.AFTER)
            within = self._with_pyramid(stages, within, PyramidPlace.AFTER)
        groups = group(coarse)
        own = group_vectors(coarse, features, groups)
        remembered = self.relations.vectors.to(own.dtype).expand_as(own)
        return Prepared(
            features=features,
            within=within,
            coarse=coarse,
            groups=groups,
            vectors=torch.cat([own, remembered], dim=2),
            refined=self.refiner.prepare(features, own),
        )

    def mix(self, prepared: Prepared, kept: Tensor) -> Tensor:
        """Returns refined context (B, C, h, w) from the classes kept, (B, K) bool."""
        by_mean, by_variance = self.relations.mixtures(kept)
        vectors = prepared.vectors
        mixtures = [relations.to(vectors.dtype) @ vectors for relations in (by_mean, by_variance)]
        remembered = vectors[..., self.config.width :]
        given = torch.cat([remembered, *mixtures], dim=2)
        context: Tensor = self.refiner(prepared.refined, given, prepared.groups, kept)
        return context

    def _refined(self, within: Tensor, place: ContextRefinement) -> Tensor:
        if self.context_refiner is None or self.config.context_refinement is not place:
            return within
        refined: Tensor = self.context_refiner(within, within)
        return refined

    def _with_pyramid(self, stages: Sequence[Tensor], within: Tensor, place: PyramidPlace) -> Tensor:
        if self.pyramid is None or self.config.pyramid is not place:
            return within
        joined: Tensor = self.pyramid(stages[:-1], within)
        return joined


class Idrnet(SegmentationModel[IdrnetOutput]):
    """Context between classes, and the decoder of the final logits."""

    independent_classes = False

    def __init__(self, config: IdrnetConfig, num_classes: int, make_backbone: MakeBackbone) -> None:
        super().__init__(num_classes)
        self.config = config
        self.backbone = make_backbone(config.backbone)
        channels, width = self.backbone.channels, config.width
        self.context = RelationContext(config, num_classes, channels)
        self.decoder = decoder(
            2 * width + self.context.within_channels, width, num_classes, dropout=config.dropout
        )
        self.auxiliary_decoder = (
            decoder(channels[2], config.auxiliary_width, num_classes, dropout=config.dropout, kernel=3)
            if config.auxiliary
            else None
        )

    @property
    def head_rate(self) -> float:
        """Learning rate of the head relative to the backbone's."""
        return self.config.head_rate

    def forward(self, image: Tensor, *, inspect: bool = False) -> IdrnetOutput:
        """Computes logits (B, K, H, W) of (B, 3, H, W) float; in training also those with a class deleted."""
        padded = pad_to_minimum(image)
        stages = self.backbone(padded)
        prepared = self.context.prepare(stages)
        present = prepared.groups.present
        fixed = self._fixed(prepared)
        mask = kept_channels(self.decoder[3], fixed)  # one for both passes
        read = self._read(fixed, self.context.mix(prepared, present))
        logits = classified(read, self.decoder[4], mask)
        deleted, without = None, None
        if self.training and self.config.relations is not RelationLearning.NONE:
            with torch.no_grad():
                deleted = self.draw(present)
                without = self._without(prepared, fixed, mask, deleted)
        small = logits if self.training and padded is image else None
        size = (image.shape[2], image.shape[3])
        return IdrnetOutput(
            logits=full_size(logits, padded, image) if small is None else Enlarged(small=small, size=size),
            auxiliary_logits=self._auxiliary(stages[2], prepared.coarse, padded, image),
            inspection=self._views(prepared, logits) if inspect else {},
            explanation=self._explanation(read, padded, prepared, fixed, mask) if inspect else None,
            features=prepared.features.detach(),
            small_logits=small,
            found_losses=None if deleted is None else FoundLosses(),
            deleted=deleted,
            logits_without=without,
        )

    def _explanation(
        self, read: Tensor, padded: Tensor, prepared: Prepared, fixed: Tensor, mask: Tensor | None
    ) -> Explanation:
        (classifier,) = (layer for layer in self.decoder if isinstance(layer, Classifier))
        return explained(
            read if mask is None else read * mask,
            classifier,
            padded,
            representations=ClassVectors(self, prepared, fixed, mask),
            memory=self.context.relations.vectors[:, None],
            remembered=prepared.features,
        )

    def draw(self, present: Tensor) -> Tensor:
        """Draws the class to delete in each image, (B,) int64, among those present (B, K)."""
        balanced = self.config.relations is RelationLearning.BALANCED_DELETION
        return self.context.relations.draw(present, balanced=balanced)

    def observe(self, output: IdrnetOutput, target: Tensor, learning_rate: float) -> None:
        """Moves counter and relations by the deletion, and class vectors by the features, of one batch."""
        del learning_rate
        relations, size = self.context.relations, target.shape[-2:]
        labels = pad_target(target)
        if output.deleted is not None and output.logits_without is not None:
            without = enlarged_losses(output.logits_without, labels)[..., : size[0], : size[1]]
            found = None if output.found_losses is None else output.found_losses.of(target)
            losses = enlarged_losses(output.for_pixels(), target) if found is None else found
            relations.update(output.deleted, target, losses, without)
        relations.update_vectors(output.features, labels)

    def _auxiliary(self, stage: Tensor, coarse: Tensor, padded: Tensor, image: Tensor) -> dict[str, Tensor]:
        if not self.training:
            return {}
        logits = {"coarse": coarse}
        if self.auxiliary_decoder is not None:
            logits["stage3"] = decoded(self.auxiliary_decoder, stage)
        if padded is image:
            return logits  # the loss enlarges them more cheaply
        return {name: full_size(values, padded, image) for name, values in logits.items()}

    def _fixed(self, prepared: Prepared) -> Tensor:
        """Returns the decoder's first convolution of all its inputs but the context, (B, C, h', w').

        A 1 x 1 convolution and a bilinear enlargement may change places, so R is convolved at its own size.
        """
        width, weight = self.config.width, self._first_weight()
        result = pointwise(prepared.features, weight[:, :width])
        if prepared.within is None:
            return result
        within = prepared.within
        return resize(result, within.shape[-2:]) + pointwise(within, weight[:, 2 * width :])

    def _first_weight(self) -> Tensor:
        """Returns (C, 2C + channels of the context within the image, 1, 1): inputs R, context, within."""
        weight: Tensor = self.decoder[0].get_parameter("weight")
        return weight

    def _read(self, fixed: Tensor, context: Tensor) -> Tensor:
        """Returns what the last convolution reads but for dropout, (B, C, h', w')."""
        width = self.config.width
        given = pointwise(context, self._first_weight()[:, width : 2 * width])
        features: Tensor = self.decoder[1:3](fixed + resize(given, fixed.shape[-2:]))
        return features

    def _without(self, prepared: Prepared, fixed: Tensor, mask: Tensor | None, deleted: Tensor) -> Tensor:
        """Returns logits (B, K, h', w') with class `deleted` (B,) taken out of each image."""
        classes = torch.arange(self.num_classes, device=deleted.device)
        return self.keeping(prepared, fixed, mask, classes != deleted[:, None])

    def keeping(self, prepared: Prepared, fixed: Tensor, mask: Tensor | None, kept: Tensor) -> Tensor:
        """Returns logits (B, K, h', w') from those classes of each image that are kept, (B, K) bool.

        Args:
            prepared: of the batch.
            fixed: the decoder's first convolution of all its inputs but the context.
            mask: the channels that dropout keeps; None for all.
            kept: classes that may speak; those not in the image do not in any case.
        """
        moving = nullcontext() if self.config.deletion_statistics else unmoved(self.context, self.decoder)
        with moving:
            context = self.context.mix(prepared, prepared.groups.present & kept)
            return classified(self._read(fixed, context), self.decoder[4], mask)

    def _views(self, prepared: Prepared, logits: Tensor) -> dict[str, InspectionView]:
        coarse = prepared.coarse.detach().float().softmax(dim=1)
        return {
            "pseudo_label": InspectionView(
                kind=InspectionKind.LABEL_MAP,
                title="Pseudo-label",
                explanation="The class of the first, coarse prediction, by which pixels are grouped.",
                values=prepared.groups.label,
            ),
            "coarse_confidence": InspectionView(
                kind=InspectionKind.HEATMAP,
                title="Coarse confidence",
                explanation="How sure the first prediction is, before the classes have helped each other.",
                values=coarse.amax(dim=1),
            ),
            "confidence": InspectionView(
                kind=InspectionKind.HEATMAP,
                title="Final confidence",
                explanation="How sure the final prediction is; compare it with the coarse one.",
                values=logits.detach().float().softmax(dim=1).amax(dim=1),
            ),
            **relation_views(self.context.relations),
        }


class ClassVectors(Representations):
    """IDRNet's class vectors of one batch; deleted exactly as training deletes them to learn relations."""

    title = "what each class of this image tells the others"
    diagnosed = True

    def __init__(self, network: Idrnet, prepared: Prepared, fixed: Tensor, mask: Tensor | None) -> None:
        self.present = prepared.groups.present
        self._network = network
        self._prepared = prepared
        self._fixed = fixed
        self._mask = mask
        self._taken: Tensor | None = None

    def without(self, deleted: Tensor) -> Tensor:
        """Returns logits (B, K, h', w') with classes (K,) bool taken out."""
        kept = ~deleted.expand_as(self.present)
        return self._network.keeping(self._prepared, self._fixed, self._mask, kept)

    def without_at(self, deleted: Tensor, places: Tensor) -> Tensor | None:
        """Returns logits (B, K, n) of the head on these places alone; None where places ask each other."""
        prepared, groups = self._prepared, self._prepared.groups
        is_by_class = isinstance(self._network.context.refiner, ClassRefiner)
        if not is_by_class or self._fixed.shape[-2:] != groups.label.shape[-2:]:
            return None
        rows, columns = places // groups.label.shape[2], places % groups.label.shape[2]
        fixed = self._fixed[:, :, rows, columns][:, :, None]
        few = replace(prepared, groups=groups.at(places))
        kept = ~deleted.expand_as(self.present)
        return self._network.keeping(few, fixed, self._mask, kept).flatten(2)

    def taken(self) -> Tensor:
        """Returns how much of each class's vectors every place takes by its own class, (B, K, h, w)."""
        if self._taken is None:
            by_mean, by_variance = self._network.context.relations.mixtures(self.present)
            self._taken = spread((by_mean + by_variance) / 2, self._prepared.groups)
        return self._taken

    def influence(self, y: float, x: float) -> Tensor:
        """Returns how much of every place's class the class at one place takes, (B, h, w), most is 1."""
        label = self._prepared.groups.label
        taken = self.taken()[:, :, int(y * label.shape[1]), int(x * label.shape[2])]
        places: Tensor = taken.gather(1, label.flatten(1))
        places = places / places.amax(dim=1, keepdim=True).clamp(min=torch.finfo(places.dtype).tiny)
        return places.view(label.shape)
