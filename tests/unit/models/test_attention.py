"""Attention in its fused form, against the plain one."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.attention import AttentionBlock


def plain(block: AttentionBlock, asking: Tensor, answering: Tensor) -> Tensor:
    query, key, value = (
        projection(values).flatten(2)
        for projection, values in ((block.query, asking), (block.key, answering), (block.value, answering))
    )
    weights = (query.transpose(1, 2) @ key / block.width**0.5).softmax(dim=2)
    mixed = (weights @ value.transpose(1, 2)).transpose(1, 2)
    result: Tensor = block.out(mixed.unflatten(2, asking.shape[2:]))
    return result


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (2, 40)])
def test_fused_and_plain_attention_agree_with_gradients(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = AttentionBlock(6, 4, 8).double().eval()
    asking = torch.randn(2, 6, 5, 7, dtype=torch.float64, requires_grad=True)
    answering = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    found, expected = block(asking, answering), plain(block, asking, answering)
    torch.testing.assert_close(found, expected)
    leaves = (asking, answering, *block.parameters())
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), leaves),
        torch.autograd.grad((expected * weights).sum(), leaves),
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_fused_kernel_is_used(layout: torch.memory_format) -> None:
    block = AttentionBlock(6, 8, 8)
    features = torch.randn(2, 6, 5, 7).to(memory_format=layout).requires_grad_()
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # raises where the inputs do not allow it
        block(features, features).sum().backward()
    assert features.grad is not None


def test_first_projections_can_be_computed_elsewhere() -> None:
    torch.manual_seed(0)
    block = AttentionBlock(6, 4, 8)
    features = torch.randn(2, 6, 5, 7)
    projected = F.conv2d(features, block.first_weight())
    assert projected.shape == (2, 12, 5, 7)
    torch.testing.assert_close(block.after_first(*projected.split(4, dim=1)), block(features, features))
