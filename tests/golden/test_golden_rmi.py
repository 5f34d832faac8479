"""Region mutual information against numbers of the authors' code."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from models.loss_configs import Balance, Pooling, RmiConfig
from models.losses.regions import posterior_covariance, region_bound
from models.losses.rmi import Rmi
from tests.support.reference_data import stored

CASES = ["rmi_default", "rmi_avg3", "rmi_half_ignored", "rmi_lambda_additive", "rmi_radius5", "rmi_tiny"]
WAYS = {"average": Pooling.AVERAGE}

pytestmark = pytest.mark.golden


def config_of(case: dict[str, Any]) -> RmiConfig:
    config = case["config"]
    return RmiConfig(
        region=config["radius"],
        factor=config["pool"],
        pooling=WAYS[config["pool_name"]],
        share=config["weight_lambda"],
        balance=Balance.CONVEX if config["lambda_way"] == 1 else Balance.ADDITIVE,
        only_labelled=False,
    )


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient(name: str) -> None:
    case = stored(name)
    loss = Rmi(config_of(case))
    logits = case["logits"].clone().requires_grad_()
    value = torch.stack(list(loss(logits, case["labels"]).values())).sum()
    value.backward()
    torch.testing.assert_close(value, case["loss"], rtol=1e-6, atol=1e-6)
    assert logits.grad is not None
    error = (logits.grad - case["grad_logits"]).norm() / case["grad_logits"].norm()
    assert error.item() < 2e-6
    _, regional = loss.parts(logits.detach(), case["labels"])
    torch.testing.assert_close(regional, case["rmi"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_posterior_covariance_and_its_determinant(name: str) -> None:
    case = stored(name)
    factor, radius = case["config"]["pool"], case["config"]["radius"]
    labels, probabilities = (
        F.avg_pool2d(case[key], factor, factor, factor // 2) for key in ("one_hot", "probs")
    )
    covariance = posterior_covariance(labels, probabilities, radius)
    torch.testing.assert_close(covariance, case["posterior_covariance"], rtol=1e-9, atol=1e-10)
    twice = 2 * region_bound(labels, probabilities, radius)
    torch.testing.assert_close(twice, case["logdet"], rtol=1e-9, atol=1e-9)
