"""The networks there are (torch-free). Adding one is one entry here."""

from collections.abc import Callable
from dataclasses import dataclass

from models.baseline_presets import (
    tiny_ann,
    tiny_ccnet,
    tiny_danet,
    tiny_deeplabv3,
    tiny_deeplabv3plus,
    tiny_denseaspp,
    tiny_dnl,
    tiny_ocrnet,
    tiny_pspnet,
    tiny_upernet,
)
from models.configs import (
    AnnConfig,
    CcNetConfig,
    DaNetConfig,
    DeepLabV3Config,
    DeepLabV3PlusConfig,
    DenseAsppConfig,
    DnlConfig,
    FcnConfig,
    IdrnetConfig,
    McibiConfig,
    McibiPlusPlusConfig,
    OcrNetConfig,
    PspNetConfig,
    SpgNetConfig,
    TinyConfig,
    UperNetConfig,
)
from models.idrnet_presets import tiny_idrnet
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
        name="idrnet",
        title="IDRNet",
        paper="Jin, Yuan, Gan, Zhou, Bai, Zhang, Wang, Luo: IDRNet: Intervention-Driven Relation Network for "
        "Semantic Segmentation. NeurIPS 2023.",
        config_type=IdrnetConfig,
        target="models.networks.idrnet:Idrnet",
        tiny=tiny_idrnet,
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
    ModelSpec(
        name="pspnet",
        title="PSPNet",
        paper="Zhao, Shi, Qi, Wang, Jia: Pyramid Scene Parsing Network. CVPR 2017.",
        config_type=PspNetConfig,
        target="models.networks.pspnet:PspNet",
        tiny=tiny_pspnet,
    ),
    ModelSpec(
        name="deeplabv3",
        title="DeepLabV3",
        paper="Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image "
        "Segmentation. 2017.",
        config_type=DeepLabV3Config,
        target="models.networks.deeplabv3:DeepLabV3",
        tiny=tiny_deeplabv3,
    ),
    ModelSpec(
        name="deeplabv3+",
        title="DeepLabV3+",
        paper="Chen, Zhu, Papandreou, Schroff, Adam: Encoder-Decoder with Atrous Separable Convolution "
        "for Semantic Image Segmentation. ECCV 2018.",
        config_type=DeepLabV3PlusConfig,
        target="models.networks.deeplabv3plus:DeepLabV3Plus",
        tiny=tiny_deeplabv3plus,
    ),
    ModelSpec(
        name="upernet",
        title="UPerNet",
        paper="Xiao, Liu, Zhou, Jiang, Sun: Unified Perceptual Parsing for Scene Understanding. ECCV 2018.",
        config_type=UperNetConfig,
        target="models.networks.upernet:UperNet",
        tiny=tiny_upernet,
    ),
    ModelSpec(
        name="ocrnet",
        title="OCRNet",
        paper="Yuan, Chen, Wang: Object-Contextual Representations for Semantic Segmentation. ECCV 2020.",
        config_type=OcrNetConfig,
        target="models.networks.ocrnet:OcrNet",
        tiny=tiny_ocrnet,
    ),
    ModelSpec(
        name="ann",
        title="ANN",
        paper="Zhu, Xu, Bai, Huang, Bai: Asymmetric Non-local Neural Networks for Semantic Segmentation. "
        "ICCV 2019.",
        config_type=AnnConfig,
        target="models.networks.ann:Ann",
        tiny=tiny_ann,
    ),
    ModelSpec(
        name="ccnet",
        title="CCNet",
        paper="Huang, Wang, Huang, Huang, Wei, Liu: CCNet: Criss-Cross Attention for Semantic "
        "Segmentation. ICCV 2019.",
        config_type=CcNetConfig,
        target="models.networks.ccnet:CcNet",
        tiny=tiny_ccnet,
    ),
    ModelSpec(
        name="dnl",
        title="DNL",
        paper="Yin, Yao, Cao, Li, Zhang, Lin, Hu: Disentangled Non-Local Neural Networks. ECCV 2020.",
        config_type=DnlConfig,
        target="models.networks.dnl:Dnl",
        tiny=tiny_dnl,
    ),
    ModelSpec(
        name="danet",
        title="DANet",
        paper="Fu, Liu, Tian, Li, Bao, Fang, Lu: Dual Attention Network for Scene Segmentation. CVPR 2019.",
        config_type=DaNetConfig,
        target="models.networks.danet:DaNet",
        tiny=tiny_danet,
    ),
    ModelSpec(
        name="denseaspp",
        title="DenseASPP",
        paper="Yang, Yu, Zhang, Li, Yang: DenseASPP for Semantic Segmentation in Street Scenes. CVPR 2018.",
        config_type=DenseAsppConfig,
        target="models.networks.denseaspp:DenseAspp",
        tiny=tiny_denseaspp,
    ),
)
