"""Networks trained on strokes in the plain way. Imports torch.

One is made as corrective annotation tools do it: a small U-Net, stochastic gradient descent, Dice and
cross-entropy on labelled pixels, and a model is shown only if it is better on images kept for that. The
others are torchvision's, trained with AdamW and cross-entropy on labelled pixels.
"""

import copy
import dataclasses
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.annotate.classes import UNLABELLED, ClassTable
from engine.measure.baselines.forest import cores
from engine.measure.baselines.learner import Image, Marked, Model
from engine.measure.baselines.unet import UNet
from engine.measure.metrics import ConfusionMatrix
from engine.measure.robot.tool import Guess, LabelMap
from models.weights import load_state

_CROP = 256
_BATCH = 4
_TRAIN_PER_VAL = 5
_DICE_SHARE = 0.7
_SMOOTH = 1.0
_WHOLE = 4 << 20
_TILE, _AROUND = 1024, 96
"""Images of more pixels are predicted in tiles of this edge, with so many pixels of what lies around them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecipe:
    """How a baseline network is trained.

    Attributes:
        title: name for people.
        build: makes the network for K classes.
        optimizer: makes the optimizer of a network.
        dice_share: share of Dice in the loss; the rest is cross-entropy.
        epoch: steps after which a model is offered.
        guarded: offered models are shown only if they are better on the images kept for that.
        sync_steps: steps of learning after each image where that takes no time.
    """

    title: str
    build: Callable[[int], nn.Module]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    dice_share: float
    epoch: int
    guarded: bool
    sync_steps: int = 100


def unet_recipe() -> NetworkRecipe:
    """U-Net of width 16: SGD 0.01, momentum 0.99 (Nesterov), 0.7 Dice + 0.3 cross-entropy, guarded."""
    return NetworkRecipe(
        title="U-Net",
        build=lambda classes: UNet(classes, width=16),
        optimizer=lambda net: torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.99, nesterov=True),
        dice_share=_DICE_SHARE,
        epoch=4,
        guarded=True,
    )


def lraspp_recipe() -> NetworkRecipe:
    """Torchvision's LR-ASPP on MobileNetV3 (large), from scratch."""

    def build(classes: int) -> nn.Module:
        from torchvision.models.segmentation import lraspp_mobilenet_v3_large

        return _Logits(lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes))

    return _plain("LR-ASPP MobileNetV3", build)


def deeplab_recipe() -> NetworkRecipe:
    """Torchvision's DeepLabV3 on MobileNetV3 (large), from scratch."""

    def build(classes: int) -> nn.Module:
        from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

        net = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
        return _Logits(net)

    return _plain("DeepLabV3 MobileNetV3", build)


def _plain(title: str, build: Callable[[int], nn.Module]) -> NetworkRecipe:
    return NetworkRecipe(
        title=title,
        build=build,
        optimizer=lambda net: torch.optim.AdamW(net.parameters(), lr=1e-3),
        dice_share=0.0,
        epoch=4,
        guarded=False,
    )


class _Logits(nn.Module):
    """Takes the logits out of the dictionary torchvision's networks return."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, H, W) of images (B, 3, H, W)."""
        logits: Tensor = self.net(image)["out"]
        return logits


def stroke_loss(logits: Tensor, target: Tensor, dice_share: float) -> Tensor:
    """Dice and cross-entropy on labelled pixels; unlabelled ones have gradient zero.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) int64 channels, 255 where nothing is said.
        dice_share: share of the Dice loss, averaged over the classes present.
    """
    known = target != UNLABELLED
    if not bool(known.any()):
        return logits.sum() * 0.0
    loss = functional.cross_entropy(logits, target, ignore_index=UNLABELLED)
    if dice_share == 0.0:
        return loss
    shares = logits.softmax(dim=1).movedim(1, -1)[known]
    truth = functional.one_hot(target[known], logits.shape[1]).to(shares.dtype)
    overlap, total = (shares * truth).sum(dim=0), (shares + truth).sum(dim=0)
    present = truth.sum(dim=0) > 0
    dice = 1.0 - ((2.0 * overlap + _SMOOTH) / (total + _SMOOTH))[present].mean()
    return dice_share * dice + (1.0 - dice_share) * loss


@dataclasses.dataclass(slots=True)
class _Annotated:
    image: Image
    channels: LabelMap
    is_val: bool


class NetworkLearner:
    """Trains on crops around strokes; offers a model after each epoch of some steps.

    Attributes:
        title: name for people.
    """

    def __init__(
        self,
        recipe: NetworkRecipe,
        classes: ClassTable,
        *,
        seed: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Build the network.

        Args:
            recipe: how it is made and trained.
            classes: the class table.
            seed: weights and crops.
            weights: tensors to start from, by name; what does not fit keeps its random values.
        """
        torch.set_num_threads(cores())
        torch.manual_seed(seed)
        self.title = recipe.title
        self._recipe = recipe
        self._classes = classes
        self._rng = np.random.default_rng([seed, 3])
        self._net = recipe.build(len(classes))
        self._notes: list[str] = []
        if weights is not None:
            self._notes.append(load_state(_inner(self._net), weights).summary())
        self._optimizer = recipe.optimizer(self._net)
        self._images: dict[str, _Annotated] = {}
        self._present: set[int] = set()
        self._shown: nn.Module | None = None
        self._steps = self._offered = self._promoted = 0

    # --- annotations --------------------------------------------------------------------------------------

    def mark(self, marked: Marked) -> None:
        """Take over an annotation; every sixth image is kept for judging, the second one first."""
        channels = self._classes.channel_of()[marked.annotation]
        known = self._images.get(marked.image_id)
        if known is None:
            val = sum(image.is_val for image in self._images.values())
            train = len(self._images) - val
            is_val = self._recipe.guarded and train > _TRAIN_PER_VAL * val
            known = self._images[marked.image_id] = _Annotated(marked.image, channels, is_val)
        known.channels = channels
        if not known.is_val:
            self._present |= set(np.unique(channels[marked.mask]).tolist())

    @property
    def is_busy(self) -> bool:
        """Whether there are two classes to tell apart."""
        return len(self._present) > 1

    def _train(self) -> list[_Annotated]:
        return [image for image in self._images.values() if not image.is_val]

    # --- learning -----------------------------------------------------------------------------------------

    def work(self) -> Model | None:
        """One step; after each epoch a model, if it may be shown."""
        self._step()
        return self._offer() if self._steps % self._recipe.epoch == 0 else None

    def settle(self) -> Model | None:
        """A fixed number of steps."""
        if not self.is_busy:
            return None
        for _ in range(self._recipe.sync_steps):
            self._step()
        return self._offer()

    def facts(self) -> dict[str, object]:
        """Steps, offered and shown models, threads."""
        return {
            "steps": self._steps,
            "offered": self._offered,
            "promoted": self._promoted,
            "threads": cores(),
            "notes": self._notes,
        }

    def _step(self) -> None:
        self._net.train()
        crops = [self._crop() for _ in range(_BATCH)]
        image = torch.from_numpy(np.stack([crop for crop, _ in crops])).movedim(-1, 1).float() / 255.0 - 0.5
        target = torch.from_numpy(np.stack([channels for _, channels in crops])).long()
        self._optimizer.zero_grad()
        loss = stroke_loss(self._net(image), target, self._recipe.dice_share)
        loss.backward()
        self._optimizer.step()
        self._steps += 1

    def _crop(self) -> tuple[Image, LabelMap]:
        """A window around a labelled pixel, mirrored half of the time; padded where the image is smaller."""
        images = self._train()
        chosen = images[int(self._rng.integers(len(images)))]
        rows, columns = np.nonzero(chosen.channels != UNLABELLED)
        place = int(self._rng.integers(len(rows)))
        size = chosen.channels.shape
        top, left = (
            int(np.clip(at - self._rng.integers(_CROP), 0, max(0, side - _CROP)))
            for at, side in zip((rows[place], columns[place]), size, strict=True)
        )
        image = chosen.image[top : top + _CROP, left : left + _CROP]
        channels = chosen.channels[top : top + _CROP, left : left + _CROP]
        down, right = _CROP - channels.shape[0], _CROP - channels.shape[1]
        image = np.pad(image, ((0, down), (0, right), (0, 0)))
        channels = np.pad(channels, ((0, down), (0, right)), constant_values=UNLABELLED)
        if self._rng.random() < 0.5:
            image, channels = image[:, ::-1], channels[:, ::-1]
        return np.ascontiguousarray(image), np.ascontiguousarray(channels)

    # --- showing ------------------------------------------------------------------------------------------

    def _offer(self) -> Model | None:
        """The network of now as a model, if it is not to be judged or was found better."""
        self._offered += 1
        candidate = copy.deepcopy(self._net).eval()
        shown = self._shown if self._recipe.guarded and self._has_val() else None
        if shown is not None and self._score(candidate) <= self._score(shown):
            return None
        self._shown = candidate
        self._promoted += 1
        return self._model(candidate)

    def _has_val(self) -> bool:
        return any(image.is_val for image in self._images.values())

    def _score(self, net: nn.Module) -> float:
        """MIoU on the labelled pixels of the images kept for judging."""
        matrix = ConfusionMatrix(len(self._classes))
        for image in self._images.values():
            if image.is_val:
                matrix.update(_predicted(net, image.image)[0], image.channels)
        return matrix.miou() or 0.0

    def _model(self, net: nn.Module) -> Model:
        indices = np.asarray(self._classes.indices, np.uint8)

        def predict(image_id: str, image: Image) -> Guess:
            del image_id
            channels, confidence = _predicted(net, image)
            return Guess(label_map=indices[channels], confidence=confidence)

        return predict


def _predicted(net: nn.Module, image: Image) -> tuple[LabelMap, NDArray[np.float32]]:
    """Channels (H, W) uint8 and confidence (H, W) float32 of a whole image."""
    height, width = image.shape[:2]
    if height * width <= _WHOLE:
        return _answer(net, image)
    channels: LabelMap = np.empty((height, width), np.uint8)
    confidence = np.empty((height, width), np.float32)
    for top, left in itertools.product(range(0, height, _TILE), range(0, width, _TILE)):
        tile = np.s_[top : top + _TILE, left : left + _TILE]
        first_row, first_column = max(0, top - _AROUND), max(0, left - _AROUND)
        around = image[first_row : top + _TILE + _AROUND, first_column : left + _TILE + _AROUND]
        inner = np.s_[top - first_row :, left - first_column :]
        rows, columns = channels[tile].shape
        found, sure = _answer(net, around)
        channels[tile] = found[inner][:rows, :columns]
        confidence[tile] = sure[inner][:rows, :columns]
    return channels, confidence


def _answer(net: nn.Module, image: Image) -> tuple[LabelMap, NDArray[np.float32]]:
    """Channels and confidence as `_predicted`, in one go."""
    with torch.inference_mode():
        pixels = torch.from_numpy(np.array(image, order="C"))  # a copy: what is on screen is read-only
        batch = pixels.movedim(-1, 0)[None].float() / 255.0 - 0.5
        confidence, channels = net(batch).softmax(dim=1)[0].max(dim=0)
    return channels.to(torch.uint8).numpy(), confidence.float().numpy()


def _inner(net: nn.Module) -> nn.Module:
    return net.net if isinstance(net, _Logits) else net
