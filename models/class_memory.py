"""What a network remembers about every class over the whole data set.

`ClassMemory` keeps vectors (MCIBI), `NormalMemory` two numbers per class (MCIBI++). Both are buffers, moved
in `update` by what one batch showed; no class and no pixel is looped over, and nothing is read back from the
device.

B batch, K classes, M slots per class, C channels, H W size of the target, h w size of the features,
P = h * w.
"""

import torch
from torch import Tensor, nn

from models.base import IGNORE_INDEX
from models.blocks import MINIMUM_SIZE
from models.class_rows import ClassTensor, FollowsClasses
from models.enlarged import Enlargement
from models.inspection import InspectionKind
from models.instant_memory import ClassSums, InstantMemory
from models.memory_configs import ClassMemoryConfig, MemoryUpdate, MomentumSchedule
from models.output import InspectionView
from models.precision import as_given
from models.processes import summed

_LEAST_WEIGHT = 1e-12
"""Weight of a pixel that points exactly where the memory does. Not 0: a class of nothing but such pixels then
gets their mean, where the published code divides 0 by 0 and loses the class for ever."""

_SMALLEST = 1e-30
"""Divisor of empty sums, which are 0 themselves."""


class ClassMemory(FollowsClasses, InstantMemory):
    """Vectors of every class, moving averages outside back-propagation.

    A slot of zeros is empty: classes start empty, and the first batch that contains a class fills a slot with
    its mean feature. In distributed training sums and weights are added over the processes, so that every
    process ends with the memory of the joint batch (the published code averages the results, which divides a
    class seen by one process only).
    """

    memory: Tensor
    """(K, M, C) float32."""

    def __init__(self, num_classes: int, channels: int, config: ClassMemoryConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("memory", torch.zeros(num_classes, config.slots, channels))

    def class_tensors(self) -> tuple[ClassTensor, ...]:
        """Returns the memory; a new class starts empty."""
        return (ClassTensor(name="memory", axes=(0,), fresh=nn.init.zeros_),)

    def filled(self) -> Tensor:
        """Returns (K, M) bool: which slots hold a vector."""
        return (self.memory != 0).any(dim=2)

    def mixture(self, shares: Tensor, memory: Tensor | None = None) -> Tensor:
        """Mixes the vectors of all classes at every place.

        Args:
            shares: (B, K, h, w), non-negative, sum 1 over classes.
            memory: (K, M, C) to mix instead of what is remembered.

        Returns:
            (M, B, C, h, w), one mixture per slot, in the precision of `shares`; no gradient to the memory.
        """
        remembered = self.memory if memory is None else memory
        vectors = remembered.permute(1, 2, 0).to(shares.dtype, copy=True)
        mixed = vectors[:, None] @ shares.flatten(2)
        result: Tensor = mixed.unflatten(3, shares.shape[-2:])
        return result

    def with_corrections(self, said: ClassSums) -> Tensor:
        """Returns the memory (K, M, C) as if it knew some corrections.

        Of each class corrected, the slot most like the mean of its corrections moves towards it; an empty
        slot is filled instead, as in `update`.
        """
        device, kept = self.memory.device, self.memory.cpu()
        means = said.means().float()
        likeness = nn.functional.cosine_similarity(kept, means[:, None], dim=2)
        filled = (kept != 0).any(dim=2)
        full = filled.all(dim=1)
        slot = torch.where(full, likeness.argmax(dim=1), filled.to(torch.uint8).argmin(dim=1))
        shares = torch.where(full, said.shares().float(), 1.0)
        rows = torch.arange(len(kept))
        before = kept[rows, slot]
        moved = kept.clone()
        moved[rows, slot] = torch.where(
            (said.pixels > 0)[:, None], torch.lerp(before, means, shares[:, None]), before
        )
        return moved.to(device)

    def momentum(self, learning_rate: float) -> float:
        """Returns the weight of the new value, 0..1, for an update done with this learning rate."""
        config = self.config
        match config.schedule:
            case MomentumSchedule.CONSTANT:
                return config.momentum
            case MomentumSchedule.FOLLOWS_RATE:
                # The rate may exceed the base rate: the average must not extrapolate then.
                return min(1.0, config.momentum / config.base_rate * learning_rate)

    def update(self, features: Tensor, target: Tensor, learning_rate: float) -> None:
        """Moves the memory towards the features of one batch, enlarged bilinearly to the target.

        A class with an empty slot fills the first empty one with its mean feature and does nothing else in
        this batch. Otherwise every pixel belongs to the slot of its class that points most nearly the same
        way, and each slot that has pixels moves towards their mean, in which (`MemoryUpdate.COSINE`) a pixel
        counts 1 - cos(pixel, slot). Slots without pixels stay, and so does a slot whose new value would not
        be finite.

        Args:
            features: (B, C, h, w) of any precision; computed in float32.
            target: (B, H, W) int64; everything outside 0..K-1 is ignored.
            learning_rate: rate of this iteration.
        """
        with torch.no_grad(), as_given(features):
            classes, slots, channels = self.memory.shape
            features = features.float()
            pixels = Enlargement(_size(features), _size(target), features.device)
            label, labelled = _labels(target, classes)
            filled = self.filled()
            full = filled.all(dim=1)
            settled = full[label]
            index = pixels.index(label * slots, classes * slots)
            slot, weight = self._assigned(features, pixels, index)
            weight = torch.where(settled, weight, 1.0) * labelled
            cells = features.shape[2] * features.shape[3]
            if slots > 1:
                first_empty = filled.to(torch.uint8).argmin(dim=1)[label]
                index = index + torch.where(settled, slot, first_empty) * cells
            shares = pixels.gather(weight, index, (target.shape[0], classes * slots, cells))
            value, weights = _mean_features(shares, features)
            value = value.view(classes, slots, channels)
            momentum = torch.where(full, self.momentum(learning_rate), 1.0)[:, None, None]
            changed = (weights.view(classes, slots) > 0) & value.isfinite().all(dim=2)
            moved = torch.lerp(self.memory, value, momentum)
            self.memory.copy_(torch.where(changed[:, :, None], moved, self.memory))

    def _assigned(self, features: Tensor, pixels: Enlargement, index: Tensor) -> tuple[Tensor, Tensor]:
        """Returns slot (int64) and weight (float32) of every pixel, (B, H, W), if its class were full.

        Args:
            features: (B, C, h, w) float32.
            pixels: how features are enlarged.
            index: (4, B, H, W), where the first slot of the pixel's class lies.
        """
        if self.memory.shape[1] == 1 and self.config.update is MemoryUpdate.MEAN:
            return torch.zeros_like(index[0]), torch.ones_like(index[0], dtype=torch.float32)
        closest, cosine = self._closest(features, pixels, index)
        if self.config.update is MemoryUpdate.MEAN:
            return closest, torch.ones_like(cosine)
        return closest, (1 - cosine).clamp(min=_LEAST_WEIGHT)

    def _closest(self, features: Tensor, pixels: Enlargement, index: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the slot of its class most similar to each pixel, and the cosine, (B, H, W) each.

        F . m of an enlarged feature F is the enlarged map of R . m, so memory and features are multiplied
        first, cell by cell, and only the map of the pixel's own class is enlarged.
        """
        slots, channels = self.memory.shape[1:]
        cells = features.shape[2] * features.shape[3]
        rows = nn.functional.normalize(self.memory.view(-1, channels), eps=1e-8)
        products = (rows @ features.flatten(2)).flatten()
        length = pixels.squared_norm(features).sqrt().clamp(min=1e-8)
        # The maps of the slots of a class lie one after the other.
        per_slot = [pixels.pick(products[slot * cells :], index) / length for slot in range(slots)]
        if slots == 1:
            return torch.zeros_like(index[0]), per_slot[0]
        cosine, closest = torch.stack(per_slot).max(dim=0)
        return closest, cosine


class NormalMemory(FollowsClasses, InstantMemory):
    """Mean and standard deviation of every class, and one fixed draw per class from the standard normal.

    The class vector is mean + deviation * draw. The draws are those of the published code, which seeds
    torch's CPU generator with the class channel before each; here they are made once, kept with the weights
    (they depend on torch's generator), and follow their class when the class table changes.
    """

    memory: Tensor
    """(K, 2) float32: mean, standard deviation."""
    draws: Tensor
    """(K, C) float32."""

    def __init__(self, num_classes: int, channels: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("memory", _standard(torch.empty(num_classes, 2)))
        # The draws need the CPU's generator; they then go where other tensors are made (e.g. nowhere: meta).
        self.register_buffer("draws", normal_draws(num_classes, channels).to(self.memory.device))

    def class_tensors(self) -> tuple[ClassTensor, ...]:
        """Returns both; a new class starts as standard normal with a draw unlike that of any other class."""
        return (
            ClassTensor(name="memory", axes=(0,), fresh=_standard),
            ClassTensor(name="draws", axes=(0,), fresh=nn.init.normal_),
        )

    def with_corrections(self, said: ClassSums) -> Tensor:
        """Returns mean and deviation (K, 2) as if they knew some corrections."""
        kept, means = self.memory.cpu(), said.means().float()
        normal = torch.stack([means.mean(dim=1), means.std(dim=1)], dim=1)
        moved = torch.lerp(kept, normal, said.shares().float()[:, None])
        return torch.where((said.pixels > 0)[:, None], moved, kept).to(self.memory.device)

    def vectors(self) -> Tensor:
        """Returns the class vectors, (K, C) float32."""
        return self.memory[:, :1] + self.memory[:, 1:] * self.draws

    def mixture(self, shares: Tensor) -> Tensor:
        """Mixes the class vectors at every place: shares (B, K, h, w) to (B, C, h, w), same precision."""
        mixed = self.vectors().T.to(shares.dtype) @ shares.flatten(2)
        result: Tensor = mixed.unflatten(2, shares.shape[-2:])
        return result

    def update(self, features: Tensor, target: Tensor) -> None:
        """Moves mean and deviation of the classes present towards those of their mean feature.

        Args:
            features: (B, C, h, w) of any precision, read as if enlarged to the target; C at least 2.
            target: (B, H, W) int64; everything outside 0..K-1 is ignored.
        """
        with torch.no_grad(), as_given(features):
            classes = self.memory.shape[0]
            features = features.float()
            pixels = Enlargement(_size(features), _size(target), features.device)
            label, labelled = _labels(target, classes)
            shape = (target.shape[0], classes, features.shape[2] * features.shape[3])
            shares = pixels.gather(labelled.float(), pixels.index(label, classes), shape)
            value, counts = _mean_features(shares, features)
            normal = torch.stack([value.mean(dim=1), value.std(dim=1)], dim=1)
            changed = (counts > 0) & normal.isfinite().all(dim=1)
            moved = torch.lerp(self.memory, normal, self.momentum)
            self.memory.copy_(torch.where(changed[:, None], moved, self.memory))


def normal_draws(num_classes: int, channels: int) -> Tensor:
    """Returns (K, C) float32 on the CPU: row k is the first draw of a generator seeded with k."""
    rows = [
        torch.randn(1, channels, generator=torch.Generator("cpu").manual_seed(number), device="cpu")
        for number in range(num_classes)
    ]
    return torch.cat(rows)


def _standard(values: Tensor) -> Tensor:
    """Fills (K, 2) with mean 0 and deviation 1, in place."""
    values[:, 0] = 0.0
    values[:, 1] = 1.0
    return values


def _size(values: Tensor) -> tuple[int, int]:
    return values.shape[-2], values.shape[-1]


def _labels(target: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Returns channels that are safe to index with, and which pixels have one, (B, H, W) each."""
    return target.clamp(0, classes - 1), (target >= 0) & (target < classes)


def _mean_features(shares: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the weighted mean feature of every group (G, C) and its sum of weights (G,).

    Args:
        shares: (B, G, P) from `Enlargement.gather`.
        features: (B, C, h, w).
    """
    sums = (shares @ features.flatten(2).transpose(1, 2)).sum(dim=0)
    weights = shares.sum(dim=(0, 2))
    # One message for both, where there are several processes.
    both = summed(torch.cat([sums, weights[:, None]], dim=1))
    sums, weights = both[:, :-1], both[:, -1]
    return sums / weights.clamp(min=_SMALLEST)[:, None], weights


def class_shares(logits: Tensor, *, hard: bool) -> Tensor:
    """Returns how much of each class's vector every place gets, (B, K, h, w), sum 1 over classes.

    Args:
        logits: (B, K, h, w); softmax is computed in float32 or better.
        hard: all from the most probable class, without gradient to the logits.
    """
    if not hard:
        return logits.softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
    classes = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
    return (logits.argmax(dim=1, keepdim=True) == classes).float()


def pad_target(target: Tensor) -> Tensor:
    """Pads (B, H, W) with the ignore index to the size at which a network saw the image."""
    missing_rows = max(0, MINIMUM_SIZE - target.shape[-2])
    missing_columns = max(0, MINIMUM_SIZE - target.shape[-1])
    return nn.functional.pad(target, (0, missing_columns, 0, missing_rows), value=IGNORE_INDEX)


def memory_views(memory: Tensor, coarse: Tensor, shares: Tensor) -> dict[str, InspectionView]:
    """Returns what a network with a class memory can show.

    Args:
        memory: (K, M, C) class vectors.
        coarse: (B, K, h, w) logits that choose from the memory.
        shares: (B, K, h, w) weights made of them.
    """
    vectors = memory.detach().float()
    directions = nn.functional.normalize(vectors.mean(dim=1), dim=1)
    return {
        "memory": InspectionView(
            kind=InspectionKind.CLASS_MEMORY,
            title="Class memory",
            explanation="What the network remembers of each class; all zero for a class never seen.",
            values=vectors.clone(),
        ),
        "similarity": InspectionView(
            kind=InspectionKind.CLASS_MATRIX,
            title="Likeness of classes",
            explanation="How alike two classes are in memory: 1 is the same, 0 nothing in common.",
            values=directions @ directions.T,
        ),
        "coarse": InspectionView(
            kind=InspectionKind.LABEL_MAP,
            title="Coarse prediction",
            explanation="What the network believes before it asks the memory.",
            values=coarse.detach().argmax(dim=1),
        ),
        "shares": InspectionView(
            kind=InspectionKind.CLASS_HEATMAPS,
            title="Weights over the memory",
            explanation="How much of each class's memory every place receives.",
            values=shares.detach().float(),
        ),
    }
