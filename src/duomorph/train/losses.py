"""The five losses, pure functions of prediction, truth and mask.

One promise: a shape that a capture did not measure, and a tick without a captured frame, weigh nothing.

    total, parts = losses(predicted, truth, mask, network.alpha(), 0.88, LossWeights())

Prediction, truth and mask are (B, N, 52); mask is 1 where the truth is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from duomorph import arkit


@dataclass(frozen=True)
class LossWeights:
    mse: float = 1.0
    l1: float = 0.1
    perceptual: float = 0.5
    temporal: float = 0.2
    smoothing: float = 0.1


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1.0)


def mse(predicted: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error."""
    return _mean((predicted - truth).square(), mask)


def l1(predicted: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error."""
    return _mean((predicted - truth).abs(), mask)


def perceptual(predicted: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of the mouth and of the expression, each group with the same say."""
    error = (predicted - truth).abs()
    groups = [torch.as_tensor(group, device=error.device) for group in (arkit.MOUTH, arkit.EXPRESSION)]
    present = [group for group in groups if bool(mask[..., group].any())]
    return sum((_mean(error[..., group], mask[..., group]) for group in present), error.new_zeros(())) / max(
        1, len(present)
    )


def temporal(predicted: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of the differences from tick to tick."""
    step = (predicted - truth).diff(dim=1).abs()
    return _mean(step, mask[:, 1:] * mask[:, :-1])


def smoothing(alpha: Tensor, target: float) -> Tensor:
    """Keeps the smoothing constant of each shape near its target."""
    return (alpha - target).square().mean()


def losses(
    predicted: Tensor, truth: Tensor, mask: Tensor, alpha: Tensor, alpha_target: float, weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum, and each part's own value for the log."""
    parts = {
        "mse": mse(predicted, truth, mask),
        "l1": l1(predicted, truth, mask),
        "perceptual": perceptual(predicted, truth, mask),
        "temporal": temporal(predicted, truth, mask),
        "smoothing": smoothing(alpha, alpha_target),
    }
    total = sum((getattr(weights, name) * value for name, value in parts.items()), predicted.new_zeros(()))
    return total, {name: float(value.detach()) for name, value in parts.items()}
