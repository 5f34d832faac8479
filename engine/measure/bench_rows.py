"""The rows of the comparison tables (torch-free): what is built, and what was published about it.

Published figures are read here only; nothing is computed from them.
"""

from dataclasses import dataclass, replace

from models.loss_configs import AffinityConfig, CrossEntropyConfig, LossConfig, PixelForm, Pooling, RmiConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Figures of a paper; None where it has none.

    Attributes:
        parameters: millions.
        operations: thousand millions, as that paper counts.
        milliseconds: on the authors' graphics card; only its order among rows means something elsewhere.
        memory_mb: likewise.
    """

    parameters: float | None = None
    operations: float | None = None
    milliseconds: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRow:
    """A context module, or a whole network.

    Attributes:
        title: first column.
        target: "module:function" that returns the module, or the network's configuration.
        published: what the paper says.
        counts_training: parameters and operations are those of training: the paper counts heads that only
            training needs. Time and memory are those of prediction all the same.
    """

    title: str
    target: str
    published: Published = Published()
    counts_training: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRow:
    """A loss.

    Attributes:
        title: first column.
        config: the loss.
    """

    title: str
    config: LossConfig


MODULE_INPUT = (1, 2048, 128, 128)
"""Features of a 1024 x 1024 image at stride 8: the input of the table in the IDRNet paper."""

MODULES: tuple[ModuleRow, ...] = (
    ModuleRow(
        title="OCR",
        target="models.compared:ocr",
        published=Published(parameters=15.12, operations=242.48, milliseconds=16.58, memory_mb=617.24),
    ),
    ModuleRow(
        title="ASPP",
        target="models.compared:aspp",
        published=Published(operations=674.47, milliseconds=41.98, memory_mb=976.06),
    ),
    ModuleRow(
        title="PPM",
        target="models.compared:ppm",
        published=Published(parameters=23.07, operations=309.45, milliseconds=21.45, memory_mb=960.63),
    ),
    ModuleRow(
        title="UPerNet",
        target="models.compared:upernet",
        published=Published(parameters=34.75, operations=500.76, milliseconds=36.51, memory_mb=1429.18),
    ),
    ModuleRow(
        title="ANN",
        target="models.compared:ann",
        published=Published(parameters=22.42, operations=369.62, milliseconds=26.58, memory_mb=1445.75),
    ),
    ModuleRow(
        title="CCNet",
        target="models.compared:ccnet",
        published=Published(parameters=23.92, operations=397.38, milliseconds=30.92, memory_mb=986.28),
    ),
    ModuleRow(
        title="DNL",
        target="models.compared:dnl",
        published=Published(parameters=24.12, operations=395.25, milliseconds=51.38, memory_mb=2381.04),
    ),
    ModuleRow(title="DANet", target="models.compared:danet"),
    ModuleRow(
        title="MCIBI",
        target="models.compared:mcibi",
        published=Published(parameters=14.82, operations=242.80, milliseconds=47.64, memory_mb=252.0),
    ),
    ModuleRow(title="MCIBI++", target="models.compared:mcibipp"),
    ModuleRow(title="IDRNet, pixels (released)", target="models.compared:idrnet"),
    ModuleRow(
        title="IDRNet, classes (paper)",
        target="models.compared:idrnet_by_class",
        published=Published(parameters=10.79, operations=155.89, milliseconds=20.52, memory_mb=365.66),
    ),
    ModuleRow(
        title="PPM + IDRNet, classes",
        target="models.compared:ppm_idrnet",
        published=Published(parameters=23.65, operations=349.23, milliseconds=32.64, memory_mb=1034.28),
    ),
)

NETWORK_INPUT = (1, 3, 1025, 2049)
"""The input at which the SPGNet paper counts; 19 classes."""

NETWORKS: tuple[ModuleRow, ...] = (
    ModuleRow(
        title="SPGNet, 2 × ResNet-50",
        target="models.presets:spgnet_resnet50",
        published=Published(parameters=59.8, operations=654.8),
    ),
    ModuleRow(
        title="DANet, ResNet-101",
        target="models.baseline_presets:danet_resnet101",
        published=Published(parameters=66.5, operations=2878.9),
        counts_training=True,
    ),
    ModuleRow(title="FCN, ResNet-50", target="models.presets:fcn_resnet50"),
    ModuleRow(title="PSPNet, ResNet-50", target="models.baseline_presets:pspnet_resnet50"),
    ModuleRow(title="DeepLabV3, ResNet-50", target="models.baseline_presets:deeplabv3_resnet50"),
    ModuleRow(title="DeepLabV3+, ResNet-50", target="models.baseline_presets:deeplabv3plus_resnet50"),
    ModuleRow(title="UPerNet, ResNet-50", target="models.baseline_presets:upernet_resnet50"),
    ModuleRow(title="OCRNet, ResNet-50", target="models.baseline_presets:ocrnet_resnet50"),
    ModuleRow(title="ANN, ResNet-50", target="models.baseline_presets:ann_resnet50"),
    ModuleRow(title="CCNet, ResNet-50", target="models.baseline_presets:ccnet_resnet50"),
    ModuleRow(title="DNL, ResNet-50", target="models.baseline_presets:dnl_resnet50"),
    ModuleRow(title="DenseASPP, ResNet-50", target="models.baseline_presets:denseaspp_resnet50"),
    ModuleRow(title="IDRNet, ResNet-50", target="models.idrnet_presets:idrnet_fcn"),
    ModuleRow(title="MCIBI, ResNet-50", target="models.memory_presets:mcibi_resnet50"),
    ModuleRow(title="MCIBI++, ResNet-50", target="models.memory_presets:mcibipp_resnet50"),
)

_RMI = RmiConfig(only_labelled=False)

LOSSES: tuple[LossRow, ...] = (
    LossRow(title="cross-entropy", config=CrossEntropyConfig()),
    LossRow(title="RMI, average 4 (published)", config=_RMI),
    LossRow(title="RMI, average 2", config=replace(_RMI, factor=2)),
    LossRow(title="RMI, average 1", config=replace(_RMI, factor=1)),
    LossRow(title="RMI, maximum 4", config=replace(_RMI, pooling=Pooling.MAXIMUM)),
    LossRow(title="RMI, interpolation 4", config=replace(_RMI, pooling=Pooling.INTERPOLATION)),
    LossRow(title="RMI, average 4, 5 × 5", config=replace(_RMI, region=5)),
    LossRow(title="RMI, average 4, softmax", config=replace(_RMI, form=PixelForm.SOFTMAX)),
    LossRow(title="RMI, average 4, labelled only", config=RmiConfig()),
    LossRow(title="affinity fields", config=AffinityConfig()),
)
