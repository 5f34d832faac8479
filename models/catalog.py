"""The networks there are (torch-free). Adding one is one entry here."""

from collections.abc import Callable
from dataclasses import dataclass

from models.configs import FcnConfig, McibiConfig, McibiPlusPlusConfig, SpgNetConfig, TinyConfig
from models.memory_presets import tiny_mcibi, tiny_mcibipp
from models.presets import tiny, tiny_fcn, tiny_spgnet


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One network of the catalog.

    Attributes:
        name: identifier, lower case.
        title: shown to the user.
        paper: reference, "" for our own.
        config_type: the dataclass that configures it; no two networks share one.
        target: "module:Class" of the `SegmentationModel`, constructed as `Class(config, num_classes,
            make_backbone)`.
        tiny: returns a configuration that runs in milliseconds on a CPU; the contract test uses it.
    """

    name: str
    title: str
    paper: str
    config_type: type
    target: str
    tiny: Callable[[], object]


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="tiny",
        title="Tiny",
        paper="",
        config_type=TinyConfig,
        target="models.networks.tiny:TinyNetwork",
        tiny=tiny,
    ),
    ModelSpec(
        name="fcn",
        title="FCN",
        paper="Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation. CVPR 2015.",
        config_type=FcnConfig,
        target="models.networks.fcn:Fcn",
        tiny=tiny_fcn,
    ),
    ModelSpec(
        name="spgnet",
        title="SPGNet (reconstruction)",
        paper="Cheng et al.: SPGNet: Semantic Prediction Guidance for Scene Parsing. ICCV 2019.",
        config_type=SpgNetConfig,
        target="models.networks.spgnet:SpgNet",
        tiny=tiny_spgnet,
    ),
    ModelSpec(
        name="mcibi",
        title="MCIBI",
        paper="Jin, Gong, Yu, Chu, Wang, Wang, Shao: Mining Contextual Information Beyond Image for Semantic "
        "Segmentation. ICCV 2021.",
        config_type=McibiConfig,
        target="models.networks.mcibi:Mcibi",
        tiny=tiny_mcibi,
    ),
    ModelSpec(
        name="mcibi++",
        title="MCIBI++",
        paper="Jin, Yu, Chu, Wang, Jin, Luo: MCIBI++: Soft Mining Contextual Information Beyond Image for "
        "Semantic Segmentation. TPAMI 2022.",
        config_type=McibiPlusPlusConfig,
        target="models.networks.mcibipp:McibiPlusPlus",
        tiny=tiny_mcibipp,
    ),
)
