"""How the papers trained, as data (torch-free), and how to fine-tune on a few images.

A `Recipe` holds the published figures as they stand; `training()` makes of them what our trainer can do.
Differences are said there. `QUICK` and `QUICK_CPU` are ours, for networks that meet a few images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from engine.config import (
    AugmentConfig,
    CropConfig,
    Floor,
    OptimizerConfig,
    OptimizerKind,
    TrainingConfig,
)
from models.loss_configs import CrossEntropyConfig, LossConfig, RmiConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One published training.

    Attributes:
        name: identifier, method and data set.
        paper: whose training it is.
        networks: names of the catalog it was published for.
        images: training images of the data set.
        classes: its classes.
        epochs: passes over the images.
        batch: crops per step.
        crop: (H, W) in pixels.
        scales: smallest and largest zoom.
        loss: loss and its weights.
        optimizer: rates, momentum, decay and schedule; `cycle_steps` becomes the training's length.
        head_rate: learning rate of the heads relative to the backbone's; set it in the network.
        colours: whether brightness, contrast, saturation and hue were changed.
        certain: False where figures are customary ones, because the paper does not tell.
    """

    name: str
    paper: str
    networks: tuple[str, ...]
    images: int
    classes: int
    epochs: int
    batch: int
    crop: tuple[int, int]
    scales: tuple[float, float]
    loss: LossConfig
    optimizer: OptimizerConfig
    head_rate: float = 1.0
    colours: bool = True
    certain: bool = True

    @property
    def steps(self) -> int:
        """Updates of the whole training; an incomplete last batch of an epoch is dropped."""
        return self.epochs * (self.images // self.batch)

    def training(self) -> TrainingConfig:
        """Returns the training for our trainer.

        Crops are square here: an oblong one is replaced by the square with as many pixels, in steps of 32.
        Every crop is drawn anywhere, none after what was corrected last, as the papers have no corrections.
        """
        edge = 32 * max(1, round((self.crop[0] * self.crop[1]) ** 0.5 / 32))
        if self.crop[0] == self.crop[1]:
            edge = self.crop[0]
        low, high = self.scales
        change = (
            AugmentConfig() if self.colours else AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0)
        )
        if self.colours:
            change = replace(change, brightness=0.125, contrast=0.5, saturation=0.5, hue=0.1)
        return TrainingConfig(
            crop=CropConfig(size=edge, scale_low=low, scale_high=high, corrected_share=0.0, recent_share=0.0),
            augment=change,
            optimizer=replace(self.optimizer, cycle_steps=self.steps),
            batch_size=self.batch,
            max_steps=self.steps,
        )


_ONCE = OptimizerConfig(
    kind=OptimizerKind.SGD,
    learning_rate=0.01,
    weight_decay=5e-4,
    momentum=0.9,
    poly_power=0.9,
    repeats=False,
    floor=0.01,
    floor_way=Floor.BLEND,
    warmup_steps=0,
    decay_everything=True,
    clip_norm=1e6,
)
_SWIN = replace(
    _ONCE,
    kind=OptimizerKind.ADAMW,
    learning_rate=6e-5,
    weight_decay=0.01,
    poly_power=1.0,
    floor=0.0,
    warmup_steps=1500,
    warmup_start=1e-6,
    decay_everything=False,
)
_SLOW = replace(_ONCE, learning_rate=0.001, weight_decay=1e-4)
_DEEP_SUPERVISION = CrossEntropyConfig(weight=1.0, auxiliary_weight=0.4)
_ONE_STAGE = ("fcn", "pspnet", "deeplabv3", "deeplabv3+", "upernet", "ann", "ccnet", "dnl", "danet")
_IDRNET = "Jin et al.: IDRNet, Intervention-Driven Relation Network. NeurIPS 2023."
_MCIBI = "Jin et al.: Mining Contextual Information Beyond Image. ICCV 2021."
_BASELINES = "Baselines as trained beside IDRNet and MCIBI."
_SPGNET = "Cheng et al.: SPGNet, Semantic Prediction Guidance. ICCV 2019."
_RMI = "Zhao et al.: Region Mutual Information Loss. NeurIPS 2019."


def _data(
    name: str,
    *,
    images: int,
    classes: int,
    epochs: int,
    batch: int = 16,
    crop: tuple[int, int] = (512, 512),
    scales: tuple[float, float] = (0.5, 2.0),
) -> Recipe:
    """Returns what every method shares on a data set; `_recipe` fills in whose training it is."""
    return Recipe(
        name=name,
        paper="",
        networks=(),
        images=images,
        classes=classes,
        epochs=epochs,
        batch=batch,
        crop=crop,
        scales=scales,
        loss=_DEEP_SUPERVISION,
        optimizer=_ONCE,
    )


# PASCAL-Context: the usual split; the others as published.
_ADE20K = _data("ade20k", images=20210, classes=150, epochs=130)
_CITYSCAPES = _data("cityscapes", images=2975, classes=19, epochs=220, batch=8, crop=(512, 1024))
_COCO_STUFF = _data("cocostuff10k", images=9000, classes=182, epochs=110)
_LIP = _data("lip", images=30462, classes=20, epochs=150, batch=32, crop=(473, 473), scales=(0.75, 1.25))
_VOC = _data("voc", images=10582, classes=21, epochs=60)
_PASCAL_CONTEXT = _data("pascal-context", images=4998, classes=59, epochs=260, crop=(480, 480))
_CAMVID = _data("camvid", images=468, classes=12, epochs=200, crop=(479, 479), scales=(0.75, 1.25))


def _recipe(
    method: str,
    data: Recipe,
    paper: str,
    networks: tuple[str, ...],
    optimizer: OptimizerConfig = _ONCE,
    **changes: Any,
) -> Recipe:
    """Returns the training of a method on a data set; `changes` are fields that differ from the others'."""
    name = f"{method}-{data.name}"
    return replace(data, name=name, paper=paper, networks=networks, optimizer=optimizer, **changes)


_RMI_VOC = replace(
    _ONCE,
    learning_rate=0.007,
    weight_decay=1e-4,
    floor=1e-6 / 0.007,
    floor_way=Floor.CUT,
    warmup_steps=1500,
    warmup_start=1e-4 / 0.007,
    decay_after_warmup=True,
    decay_everything=False,
)
_RMI_CAMVID = replace(
    _RMI_VOC, learning_rate=0.025, floor=1e-6 / 0.025, warmup_steps=300, warmup_start=1e-4 / 0.025
)

RECIPES: tuple[Recipe, ...] = (
    _recipe("baselines", _ADE20K, _BASELINES, (*_ONE_STAGE, "ocrnet")),
    _recipe("baselines", _CITYSCAPES, _BASELINES, _ONE_STAGE),
    _recipe("ocrnet", _CITYSCAPES, _BASELINES, ("ocrnet",), epochs=440),
    _recipe("baselines", _VOC, _BASELINES, (*_ONE_STAGE, "ocrnet")),
    _recipe("baselines", _COCO_STUFF, _BASELINES, (*_ONE_STAGE, "ocrnet"), _SLOW),
    _recipe("baselines", _LIP, _BASELINES, (*_ONE_STAGE, "ocrnet")),
    _recipe(
        "baselines",
        _PASCAL_CONTEXT,
        _BASELINES,
        (*_ONE_STAGE, "ocrnet"),
        replace(_ONCE, learning_rate=0.004, weight_decay=1e-4),
    ),
    _recipe("idrnet", _ADE20K, _IDRNET, ("idrnet",)),
    _recipe("idrnet", _CITYSCAPES, _IDRNET, ("idrnet",)),
    _recipe("idrnet", _COCO_STUFF, _IDRNET, ("idrnet",), _SLOW),
    _recipe("idrnet", _LIP, _IDRNET, ("idrnet",)),
    _recipe("idrnet-swin", _ADE20K, _IDRNET, ("idrnet",), _SWIN, crop=(640, 640)),
    _recipe("idrnet-swin", _COCO_STUFF, _IDRNET, ("idrnet",), _SWIN, crop=(640, 640)),
    _recipe("idrnet-swin", _PASCAL_CONTEXT, _IDRNET, ("idrnet",), _SWIN, crop=(640, 640)),
    _recipe("idrnet-swin", _LIP, _IDRNET, ("idrnet",), _SWIN, batch=16, epochs=110),
    _recipe("mcibi", _ADE20K, _MCIBI, ("mcibi", "mcibi++")),
    _recipe("mcibi", _CITYSCAPES, _MCIBI, ("mcibi",), images=3475, batch=16, epochs=440),
    _recipe("mcibi++", _CITYSCAPES, _MCIBI, ("mcibi++",)),
    _recipe("mcibi", _COCO_STUFF, _MCIBI, ("mcibi", "mcibi++"), _SLOW),
    _recipe("mcibi", _LIP, _MCIBI, ("mcibi", "mcibi++")),
    _recipe(
        "spgnet",
        _CITYSCAPES,
        _SPGNET,
        ("spgnet",),
        replace(_ONCE, floor=0.0),
        epochs=162,  # 60 k steps of 8 crops
        crop=(769, 769),
        loss=CrossEntropyConfig(weight=1.0, auxiliary_weight=1.0),
        colours=False,
        certain=False,
    ),
    _recipe(
        "rmi",
        _VOC,
        _RMI,
        ("deeplabv3", "deeplabv3+", "pspnet"),
        _RMI_VOC,
        epochs=46,
        crop=(513, 513),
        loss=RmiConfig(only_labelled=False),
        head_rate=10.0,
        colours=False,
    ),
    _recipe(
        "rmi",
        _CAMVID,
        _RMI,
        ("deeplabv3", "deeplabv3+", "pspnet"),
        _RMI_CAMVID,
        loss=RmiConfig(only_labelled=False),
        head_rate=10.0,
        colours=False,
    ),
)
"""Published trainings; the first of a method is the one most of its figures come from."""

QUICK = TrainingConfig(
    crop=CropConfig(size=384, scale_low=0.6, scale_high=1.6),
    optimizer=OptimizerConfig(learning_rate=3e-4, weight_decay=1e-2, cycle_steps=600, warmup_steps=30),
    batch_size=8,
)
"""Fine-tuning a pretrained network on a few images, on a GPU: AdamW, short cycles, corrections first."""

QUICK_CPU = TrainingConfig(
    crop=CropConfig(size=192, scale_low=0.7, scale_high=1.5),
    optimizer=OptimizerConfig(learning_rate=1e-3, cycle_steps=300, warmup_steps=10),
    batch_size=4,
)
"""The same for ResNet-18 with narrow heads on a processor."""


def recipes_for(network: str) -> tuple[Recipe, ...]:
    """Returns the published trainings of a network of the catalog; empty where none is known."""
    return tuple(recipe for recipe in RECIPES if network in recipe.networks)
