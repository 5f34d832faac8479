"""How much classes need each other, learned by deleting them (deletion diagnostics of IDRNet).

In every image one class is taken away; how much the loss of each other class moves is the relation. The
statistics are buffers outside back-propagation. Nothing loops over classes or pixels and nothing is read back
from the device; only the draw of the deleted classes goes image by image, because each draw changes the odds
of the next one.

B batch, K classes, C channels, H W size of the target, h w size of the features, P = h * w.
"""

import torch
from torch import Tensor, nn

from models.base import IGNORE_INDEX
from models.class_rows import ClassTensor, FollowsClasses
from models.enlarged import Enlargement
from models.grouping import masked_softmax
from models.processes import gathered, own, summed

_NEVER_DELETED = 1e-6
"""First value of the counter: a class never deleted comes before every other by a factor of a million."""


class ClassRelations(FollowsClasses):
    """Relations between classes, how often each was deleted, and a vector of each over the whole data set.

    In distributed training what every process saw is put together as one batch, so that all end with the same
    statistics. (The published code averages the processes' results, which slows entries that only some of
    them saw down by the number of processes.)

    Args:
        num_classes: K.
        channels: C.
        relation_momentum: share of the new value in the relations.
        vector_momentum: share of the new value in the class vectors.
    """

    mean: Tensor
    """(K, K) float32: row d, column c, by how much the mean loss of c rises when d is deleted."""
    variance: Tensor
    """(K, K) float32: the same for the variance of the loss."""
    counter: Tensor
    """(K,) float32: how often each class was deleted, plus one millionth."""
    vectors: Tensor
    """(K, C) float32: mean feature of each class; 0 for a class never seen."""

    def __init__(
        self, num_classes: int, channels: int, *, relation_momentum: float, vector_momentum: float
    ) -> None:
        super().__init__()
        self.relation_momentum = relation_momentum
        self.vector_momentum = vector_momentum
        self.register_buffer("mean", torch.eye(num_classes))
        self.register_buffer("variance", torch.eye(num_classes))
        self.register_buffer("counter", torch.full((num_classes,), _NEVER_DELETED))
        self.register_buffer("vectors", torch.zeros(num_classes, channels))

    def class_tensors(self) -> tuple[ClassTensor, ...]:
        """Returns all statistics; a new class relates to itself only, was never deleted and never seen."""
        return (
            ClassTensor(name="mean", axes=(0, 1), fresh=nn.init.eye_),
            ClassTensor(name="variance", axes=(0, 1), fresh=nn.init.eye_),
            ClassTensor(name="counter", axes=(0,), fresh=lambda values: values.fill_(_NEVER_DELETED)),
            ClassTensor(name="vectors", axes=(0,), fresh=nn.init.zeros_),
        )

    def mixtures(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Returns how much each class takes from each other one, by mean and by variance, (B, K, K) each.

        Rows receive and sum to 1, columns give; both are 0 outside `kept`. By mean, only classes with a
        positive relation give; a row without any takes from all alike.

        Args:
            kept: (B, K) bool, classes that are in the image and not deleted.
        """
        columns, rows = kept[:, None], kept[:, :, None]
        positive = columns & (self.mean > 0)
        some = positive.any(dim=2, keepdim=True)
        scores = torch.where(some, self.mean, 0.0)
        by_mean = masked_softmax(scores, torch.where(some, positive, columns))
        by_variance = masked_softmax(self.variance.expand_as(by_mean), columns)
        return by_mean * rows, by_variance * rows

    def draw(self, present: Tensor, *, balanced: bool) -> Tensor:
        """Draws a class to delete for every image, (B,) int64; changes nothing.

        Args:
            present: (B, K) bool, classes to choose from; at least one per image.
            balanced: with odds inverse to how often a class was deleted, earlier images of this batch
                included; otherwise all alike.
        """
        # The class whose exponentially distributed time runs out first is a draw with the inverse of their
        # means as odds: no probabilities to normalise, and nothing that waits for the device.
        times = self.times(present)
        if not balanced:
            return times.masked_fill(~present, torch.inf).argmin(dim=1)
        counter, drawn = self.counter, []
        # The draws of all processes come one after the other, as those of one batch.
        everywhere = gathered(times), gathered(present.to(torch.uint8)).bool()
        for image, there in zip(everywhere[0].unbind(), everywhere[1].unbind(), strict=True):
            place = (image * counter).masked_fill(~there, torch.inf).argmin(dim=0)
            counter = counter + _one_hot(place, counter.shape[0])
            drawn.append(place)
        return own(torch.stack(drawn))

    def times(self, present: Tensor) -> Tensor:
        """Returns (B, K) float32, exponentially distributed with mean 1, for classes that may be drawn."""
        return torch.empty(present.shape, device=present.device).exponential_()

    @torch.no_grad()
    def update(self, deleted: Tensor, target: Tensor, losses: Tensor, losses_without: Tensor) -> None:
        """Moves counter and relations by what one batch showed.

        For every class c of the target of an image, row `deleted` and column c move towards the change of
        the mean and (with more than one pixel) of the population variance of the loss. Images that delete the
        same class move the same row one after the other.

        Args:
            deleted: (B,) int64.
            target: (B, H, W) int64, 0..K-1 and 255 for unlabelled pixels.
            losses: (B, H, W) float, loss of every pixel.
            losses_without: (B, H, W) float, the same with the class deleted.
        """
        count, mean, variance = _changes(target, losses.float(), losses_without.float(), len(self.counter))
        deleted, count, mean, variance = (gathered(part) for part in (deleted, count, mean, variance))
        rows = _one_hot(deleted, len(self.counter))
        self.counter += rows.sum(dim=0)
        self._move(self.mean, rows, mean, count > 0)
        self._move(self.variance, rows, variance, count > 1)

    def _move(self, relations: Tensor, rows: Tensor, values: Tensor, valid: Tensor) -> None:
        """Moves relations (K, K) by values (B, K) where valid (B, K); rows (B, K) one-hot says which row.

        Averages one after the other in closed form: a value counts momentum * (1 - momentum) ^ (number of
        later images that move the same entry).
        """
        kept = 1.0 - self.relation_momentum
        moves = valid.to(values.dtype)
        later = torch.triu(rows @ rows.T, diagonal=1) @ moves
        weights = self.relation_momentum * kept**later * moves
        relations.mul_(kept ** (rows.T @ moves)).add_(rows.T @ (weights * values))

    @torch.no_grad()
    def update_vectors(self, features: Tensor, target: Tensor) -> None:
        """Moves the vector of every class of the batch towards the mean of its features.

        The mean is over the pixels of the target, to whose size the features are enlarged bilinearly.

        Args:
            features: (B, C, h, w) float.
            target: (B, H, W) int64, 0..K-1 and 255 for unlabelled pixels.
        """
        classes, batch = len(self.counter), len(target)
        height, width = features.shape[-2:]
        pixels = Enlargement((height, width), (target.shape[1], target.shape[2]), features.device)
        label = _labels(target, classes)
        index = pixels.index(label, classes + 1)
        ones = torch.ones(label.shape, device=label.device)
        shares = pixels.gather(ones, index, (batch, classes + 1, height * width))[:, :classes]
        sums = torch.einsum("bkp,bcp->kc", shares, features.float().flatten(2))
        count = shares.sum(dim=(0, 2))
        sums, count = summed(sums), summed(count)
        seen = (count > 0)[:, None]
        vectors = sums / count.clamp(min=torch.finfo(count.dtype).tiny)[:, None]
        self.vectors.lerp_(torch.where(seen, vectors, self.vectors), self.vector_momentum)


def pixel_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the cross-entropy of every pixel, (B, H, W) float32; 0 where nothing is known.

    Args:
        logits: (B, K, H, W) float of any precision.
        target: (B, H, W) int64, 0..K-1 and 255 for unlabelled pixels.
    """
    return nn.functional.cross_entropy(logits.float(), target, ignore_index=IGNORE_INDEX, reduction="none")


def deletion_effects(target: Tensor, logits: Tensor, without: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what deleting a class does to each class of an image, as `ClassRelations.update` takes it in.

    Args:
        target: (B, H, W) int64, 0..K-1 and 255 for unlabelled pixels.
        logits: (B, K, H, W) float.
        without: (B, K, H, W) float, the same with a class deleted.

    Returns:
        pixels, change of the mean loss and change of its population variance, (B, K) float32 each.
    """
    losses, losses_without = pixel_losses(logits, target), pixel_losses(without, target)
    return _changes(target, losses, losses_without, logits.shape[1])


def _changes(
    target: Tensor, losses: Tensor, losses_without: Tensor, classes: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns pixels, change of the mean and of the population variance of the loss, (B, K) each."""
    label = _labels(target, classes)
    change = losses_without - losses
    sums = _class_sums(torch.stack([torch.ones_like(losses), losses, change]), label, classes)
    count = sums[0]
    means = sums[1:] / count.clamp(min=1)
    # Differences of deviations instead of differences of variances: the changes are small beside the losses.
    at_pixels = (
        nn.functional.pad(means, (0, 1)).gather(2, label.flatten(1).expand(2, -1, -1)).view(2, *label.shape)
    )
    deviation, moved = losses - at_pixels[0], change - at_pixels[1]
    squares = _class_sums((moved * (2 * deviation + moved))[None], label, classes)
    return count, means[1], squares[0] / count.clamp(min=1)


def _class_sums(values: Tensor, label: Tensor, classes: int) -> Tensor:
    """Sums (N, B, H, W) over the pixels of every class to (N, B, K); label K is left out.

    Row by row first: few numbers meet in one float32 sum, and few threads in one place.
    """
    count, batch, height, _ = values.shape
    sums = values.new_zeros(count, batch, height, classes + 1)
    sums.scatter_add_(3, label.expand(values.shape), values)
    return sums[..., :classes].sum(dim=2)


def _labels(target: Tensor, classes: int) -> Tensor:
    """Returns the target with K where nothing is known."""
    return torch.where(target == IGNORE_INDEX, classes, target)


def _one_hot(places: Tensor, classes: int) -> Tensor:
    """Returns (..., K) float32."""
    return (places[..., None] == torch.arange(classes, device=places.device)).float()
