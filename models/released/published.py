"""A published checkpoint, whatever its family: the network it belongs to and its tensors under our names.

Every family has a file of its own that recognises its networks, reads their configuration from shapes and
renames; here they are asked one after the other, and the backbone is put to them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from models.backbone_configs import BackboneConfig
from models.configs import NetworkConfig
from models.released import backbones, baselines, idrnet, mcibi
from models.weights import unwrapped

State = Mapping[str, Tensor]


class UnknownCheckpointError(Exception):
    """The tensors are of no network known here; the message says why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the checkpoints of one family are read; the functions are those of its file.

    Attributes:
        title: for people.
        recognises: whether tensors by published name are of this family.
        num_classes: number of classes K.
        config: configuration from tensors, backbone and name of the file.
        own_state: the same tensors under our names in the same order, then tensors that are never stored.
    """

    title: str
    recognises: Callable[[State], bool]
    num_classes: Callable[[State], int]
    config: Callable[[State, BackboneConfig, str], NetworkConfig]
    own_state: Callable[[State], dict[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published checkpoint, translated.

    Attributes:
        title: family, for people.
        network: configuration of the network; the backbone asks for no weights.
        num_classes: K.
        state: tensors by our name.
        names: published name by our name.
        left_out: published names of what is computed here instead of stored.
    """

    title: str
    network: NetworkConfig
    num_classes: int
    state: Mapping[str, Tensor]
    names: Mapping[str, str]
    left_out: tuple[str, ...]


FAMILIES: tuple[Family, ...] = (
    Family(
        title="IDRNet",
        recognises=idrnet.is_idrnet,
        num_classes=idrnet.num_classes,
        config=lambda state, backbone, file: idrnet.idrnet_config(state, backbone, file=file),
        own_state=idrnet.own_state,
    ),
    Family(
        title="MCIBI",
        recognises=mcibi.is_mcibi,
        num_classes=mcibi.num_classes,
        config=lambda state, backbone, file: mcibi.mcibi_config(state, backbone, file=file),
        own_state=mcibi.own_state,
    ),
    Family(
        title="a network of the comparison tables",
        recognises=baselines.is_baseline,
        num_classes=baselines.num_classes,
        config=lambda state, backbone, _: baselines.baseline_config(state, backbone),
        own_state=baselines.own_state,
    ),
)


def read_published(state: State, *, file: str = "") -> Published:
    """Translates the tensors of a published checkpoint.

    Args:
        state: tensors by published name.
        file: name of the file: some settings leave no trace in the tensors and are known by it.

    Raises:
        UnknownCheckpointError: no network known here has these names, or a tensor without which its
            configuration cannot be told is missing.
    """
    given = backbones.gathered(unwrapped(state))
    family = next((family for family in FAMILIES if family.recognises(given)), None)
    if family is None:
        raise UnknownCheckpointError(
            "Its tensors have the names of no network that can be imported: IDRNet, MCIBI, MCIBI++ or one of "
            "the networks they are compared with."
        )
    try:
        backbone = backbones.backbone_config(_inside(given))
        network = family.config(given, backbone, file.lower())
        classes = family.num_classes(given)
        own = family.own_state(given)
    except (LookupError, TypeError, ValueError) as error:
        why = f"“{error.args[0]}” is missing" if isinstance(error, KeyError) else str(error)
        raise UnknownCheckpointError(f"It looks like {family.title}, but {why}.") from error
    return _translated(family.title, network, backbone, classes, given, own)


def _inside(state: State) -> dict[str, Tensor]:
    return {
        name.removeprefix(backbones.PREFIX): values
        for name, values in state.items()
        if name.startswith(backbones.PREFIX)
    }


def _translated(
    title: str,
    network: NetworkConfig,
    backbone: BackboneConfig,
    classes: int,
    given: State,
    own: Mapping[str, Tensor],
) -> Published:
    state: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    left_out = []
    published = iter(given)
    for name, values in own.items():
        origin = next(published, "")
        if not origin.startswith(backbones.PREFIX):
            state[name] = values
            names[name] = origin
            continue
        inner = origin.removeprefix(backbones.PREFIX)
        renamed = backbones.own_name(inner, backbone)
        if renamed is None:
            left_out.append(origin)
            continue
        state[f"backbone.{renamed}"] = backbones.own_values(inner, values, backbone)
        names[f"backbone.{renamed}"] = origin
    return Published(
        title=title,
        network=network,
        num_classes=classes,
        state=state,
        names=names,
        left_out=tuple(left_out),
    )
