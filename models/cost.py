"""Parameters and operations of a network, counted without computing anything.

The network and its input live on the meta device, so that ResNet-101 at 1025 x 2049 takes a second and no
memory. Two published conventions are served; neither counts resizing, softmax or additions.

* `Cost.module_operations`, the table of context modules (IDRNet, MCIBI): multiply-accumulates of convolutions
  plus one per output for a bias, 2 per output of a batch normalisation, 1 per output of a ReLU and 1 per
  input of a pooling. Matrix products of attention are left out.
* `Cost.multiply_accumulates`, the table of whole networks (SPGNet): multiply-accumulates of convolutions with
  their biases and of matrix products; nothing else.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one forward pass costs.

    Attributes:
        parameters: number of elements of all parameters, shared ones once; buffers are not counted.
        convolutions: multiply-accumulates of convolutions.
        biases: outputs of convolutions that have a bias.
        normalisations: outputs of batch normalisations.
        activations: outputs of ReLUs.
        poolings: inputs of adaptive average poolings.
        products: multiply-accumulates of matrix products: attention, linear layers.
    """

    parameters: int
    convolutions: int
    biases: int
    normalisations: int
    activations: int
    poolings: int
    products: int

    @property
    def module_operations(self) -> int:
        """Operations as the published table of context modules counts them."""
        return self.convolutions + self.biases + 2 * self.normalisations + self.activations + self.poolings

    @property
    def multiply_accumulates(self) -> int:
        """Operations as the published table of whole networks counts them."""
        return self.convolutions + self.biases + self.products


def count_parameters(module: nn.Module) -> int:
    """Returns the number of elements of all parameters, shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def measure_cost(make: Callable[[], nn.Module], *shapes: Sequence[int], training: bool = False) -> Cost:
    """Counts the forward pass of a module.

    Args:
        make: builds the module; called with the meta device as default device, so it must not load weights.
        shapes: shape of each tensor that the module is called with, e.g. (1, 3, 1025, 2049).
        training: count what runs in training, auxiliary heads included, instead of evaluation.
    """
    with torch.device("meta"):
        module = make().train(training)
        inputs = [torch.empty(tuple(shape)) for shape in shapes]
    new: Callable[[], _Counter] = _Counter  # torch's own constructor carries no types
    counter = new()
    counter.counts = {item.name: 0 for item in dataclasses.fields(Cost) if item.name != "parameters"}
    with torch.no_grad(), counter:
        module(*inputs)
    return Cost(parameters=count_parameters(module), **counter.counts)


def without_weights(config: Any) -> Any:
    """Returns the same network configuration with no backbone that loads pretrained weights.

    Args:
        config: any configuration dataclass; nested ones are searched too.
    """
    changes: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if item.name == "pretrained":
            changes[item.name] = False
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            changes[item.name] = without_weights(value)
    return dataclasses.replace(config, **changes)


class _Counter(TorchDispatchMode):
    """Adds up what passes the dispatcher; every operation of the two conventions arrives there."""

    counts: dict[str, int]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs an operation and counts it."""
        del types
        result = func(*args, **(kwargs or {}))
        rule = _RULES.get(func.overloadpacket.__name__)
        if rule is not None:
            for name, count in rule(args, kwargs or {}, result).items():
                self.counts[name] += count
        return result


_Counts = dict[str, int]


def _convolution(args: tuple[Any, ...], _: Mapping[str, Any], result: Tensor) -> _Counts:
    weight, bias = args[1], args[2]
    per_output = weight[0].numel()
    return {
        "convolutions": result.numel() * per_output,
        "biases": 0 if bias is None else result.numel(),
    }


def _normalisation(_: tuple[Any, ...], __: Mapping[str, Any], result: Sequence[Tensor]) -> _Counts:
    return {"normalisations": result[0].numel()}


def _activation(_: tuple[Any, ...], __: Mapping[str, Any], result: Tensor) -> _Counts:
    return {"activations": result.numel()}


def _pooling(args: tuple[Any, ...], _: Mapping[str, Any], __: Tensor) -> _Counts:
    return {"poolings": args[0].numel()}


def _mean(args: tuple[Any, ...], _: Mapping[str, Any], __: Tensor) -> _Counts:
    # Pooling to one value arrives as the mean over both edges of a feature map; other means are no pooling.
    values, axes = args[0], args[1] if len(args) > 1 else None
    both_edges = axes is not None and {axis % values.dim() for axis in axes} == {2, 3} and values.dim() == 4
    return {"poolings": values.numel() if both_edges else 0}


def _product(args: tuple[Any, ...], _: Mapping[str, Any], result: Tensor) -> _Counts:
    left = args[-2]
    return {"products": result.numel() * left.shape[-1]}


def _attention(args: tuple[Any, ...], _: Mapping[str, Any], __: Any) -> _Counts:
    query, key, value = args[:3]
    pairs = math.prod(query.shape[:-1]) * key.shape[-2]
    return {"products": pairs * (query.shape[-1] + value.shape[-1])}


_RULES: dict[str, Callable[..., _Counts]] = {
    "convolution": _convolution,
    "_native_batch_norm_legit_no_training": _normalisation,
    "native_batch_norm": _normalisation,
    "cudnn_batch_norm": _normalisation,
    "relu": _activation,
    "relu_": _activation,
    "_adaptive_avg_pool2d": _pooling,
    "mean": _mean,
    "mm": _product,
    "bmm": _product,
    "addmm": _product,
    "baddbmm": _product,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}
"""What an operation of torch (in its namespace "aten") adds; everything else adds nothing."""
