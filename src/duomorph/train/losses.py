"""The five losses, pure functions of prediction, truth and mask.

One promise: a shape that a capture did not measure, and a tick without a captured frame, weigh nothing; and a batch
gives the same loss however it is cut into parts, one after the other or on many machines.

    counts = count(mask)                                      # of the whole batch
    total, parts = losses(predicted, truth, mask, counts, every, network.alpha(), 0.88, LossConfig())

Prediction, truth and mask are (B, N, 52), or some of its rows; mask is 1 where the truth is known. Each loss is the
part's sum over the whole batch's count, so the parts of a batch add up.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from duomorph import arkit
from duomorph.train.config import LossConfig

PARTS = ("mse", "l1", "perceptual", "temporal", "smoothing")
SHUT = 0.03  # opening of the lips below which they are
# shapes of moods and the tongue: most of the time at rest
SELDOM = ("brow", "cheek", "eyeSquint", "eyeWide", "mouthFrown", "mouthSmile", "noseSneer", "tongue")
_SMALL = 0.1  # at this error a seldom shape's square weighs what others weigh themselves
_GROUPS = {"mouth": arkit.MOUTH, "expression": arkit.EXPRESSION}

Counts = dict[str, float]


def count(mask: Tensor) -> Counts:
    """How many values each loss averages over in a whole batch."""
    counts = {"values": float(mask.sum()), "steps": float(_both(mask).sum()), "bends": float(_both(_both(mask)).sum())}
    counts["lips"] = float(_lips(mask).sum())
    return counts | {name: float(mask[..., group].sum()) for name, group in _GROUPS.items()}


def _both(mask: Tensor) -> Tensor:
    """Where a value and the one before it are known."""
    return mask[:, 1:] * mask[:, :-1]


def _lips(mask: Tensor) -> Tensor:
    """Where all shapes are known that part or seal the lips."""
    return mask[..., arkit.APERTURE != 0].amin(dim=-1)


def _mean(values: Tensor, mask: Tensor, count: float) -> Tensor:
    return (values * mask).sum() / max(count, 1.0)


def mse(predicted: Tensor, truth: Tensor, mask: Tensor, counts: Counts) -> Tensor:
    """Mean squared error."""
    return _mean((predicted - truth).square(), mask, counts["values"])


def seldom(styles: Sequence[str], of: Sequence[str]) -> Tensor:
    """(S, 52): the shapes of SELDOM, in those of the styles that `of` names."""
    shapes = torch.tensor([name.startswith(SELDOM) for name in arkit.NAMES])
    return torch.tensor([style in of for style in styles])[:, None] & shapes


def _apart(predicted: Tensor, truth: Tensor, rare: Tensor | None) -> Tensor:
    """Absolute error; where `rare`, its square in tenths: the median of what rests nine times in ten is rest, so an
    absolute error teaches such a shape never to move, a square one its mean."""
    error = (predicted - truth).abs()
    return error if rare is None else torch.where(rare, error.square() / _SMALL, error)


def l1(predicted: Tensor, truth: Tensor, mask: Tensor, counts: Counts, rare: Tensor | None = None) -> Tensor:
    """Mean absolute error; of shapes that are `rare`, (B, 1, 52), the square."""
    return _mean(_apart(predicted, truth, rare), mask, counts["values"])


def perceptual(
    predicted: Tensor,
    truth: Tensor,
    mask: Tensor,
    counts: Counts,
    lips: float,
    seal: float = 0.0,
    rare: Tensor | None = None,
    sealed: Tensor | None = None,
) -> Tensor:
    """Mean absolute error of the mouth and of the expression, each group with the same say, and `lips` times that of
    the lips' opening, in all windows or in those `sealed`, (B, 1): ten small errors can leave a seal open. Where the
    lips are shut it weighs `seal` times more on top: the median of "perhaps shut" is open, and a p that stays open is
    seen. It is for the lips to seal: a jaw that has to be open is taken as it stands, since it would stay nearly shut
    wherever there might be a seal; one that has to rest is not, since it would hang behind shut lips."""
    error = _apart(predicted, truth, rare)
    present = {name: group for name, group in _GROUPS.items() if counts[name]}
    means = [_mean(error[..., group], mask[..., group], counts[name]) for name, group in present.items()]
    aperture = predicted.new_tensor(arkit.APERTURE)
    jaw = torch.arange(arkit.COUNT, device=predicted.device) == arkit.INDEX["jawOpen"]
    given = torch.where(jaw & (truth > SHUT), predicted.detach(), predicted)
    apart = ((given - truth) @ aperture).abs() * (1 + seal * (truth @ aperture < SHUT))  # (B, N)
    apart = apart if sealed is None else apart * sealed
    return sum(means, error.new_zeros(())) / max(1, len(present)) + lips * _mean(apart, _lips(mask), counts["lips"])


def temporal(predicted: Tensor, truth: Tensor, mask: Tensor, counts: Counts, every: int, bend: float) -> Tensor:
    """Mean absolute error of the differences from frame to frame, and `bend` times the mean squared error of the
    differences of these, in which a tremble shows; values are `every` ticks apart, bends are counted per tick."""
    error, steps = predicted - truth, _both(mask)
    bends = error.diff(n=2, dim=1).square() / every**4
    return _mean(error.diff(dim=1).abs(), steps, counts["steps"]) + bend * _mean(bends, _both(steps), counts["bends"])


def smoothing(alpha: Tensor, target: float) -> Tensor:
    """Keeps the smoothing constant of each shape near its target."""
    return (alpha - target).square().mean()


def losses(
    predicted: Tensor,
    truth: Tensor,
    mask: Tensor,
    counts: Counts,
    every: int,
    alpha: Tensor,
    alpha_target: float,
    weights: LossConfig,
    rare: Tensor | None = None,
    sealed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The weighted sum, and the value of each of `PARTS` (detached, one tensor)."""
    share = float(mask.sum()) / max(counts["values"], 1.0)  # of this part in the batch
    values = torch.stack([
        mse(predicted, truth, mask, counts),
        l1(predicted, truth, mask, counts, rare),
        perceptual(predicted, truth, mask, counts, weights.lips, weights.seal, rare, sealed),
        temporal(predicted, truth, mask, counts, every, weights.bend),
        smoothing(alpha, alpha_target) * share,
    ])  # fmt: skip
    factors = values.new_tensor([getattr(weights, name) for name in PARTS])
    return (values * factors).sum(), values.detach()
