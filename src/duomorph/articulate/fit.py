"""Learning how a real face articulates: a small network from features and loudness to its curves.

One promise: a fit knows the clips that it was given and no others.

    fit = learn([(said, loud, weights, fps), ...])       # minutes of one speaker
    save("fit.npz", fit)

The face's own range is replaced by that of style `articulate`: each curve is scaled so that the 95th percentile of
what is predicted for the speech it learned from lies at `AIMS`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from duomorph import arkit, files
from duomorph.articulate.model import LEARNED, RATE, SMOOTH, Fit, inputs, known, smooth
from duomorph.articulate.phones import INDEX, Floats, Spoken
from duomorph.errors import CorpusError

Take = tuple[Spoken, Floats, NDArray[np.float32], Fraction]  # what is said, loudness, (T, 52), frames a second

HIDDEN: Final = 32  # units of a network
NETS: Final = 3  # of which the mean counts
EPOCHS: Final = 6
DROPPED: Final = 0.1  # of inputs and units, while learning
RARE: Final = 0.02  # added to deviations: a feature that hardly occurs is not blown up
AIMS: Final = {
    "jawOpen": 0.44, "mouthPucker": 0.40, "mouthFunnel": 0.40, "mouthLowerDown": 0.32, "mouthUpperUp": 0.28,
}  # fmt: skip
QUANTILE: Final = 0.95


def learn(takes: Iterable[Take], ranged: bool = True, without: Iterable[NDArray[np.bool_]] = ()) -> Fit:
    """A fit on these takes; the same takes give the same fit.

    Args:
        without: for every take, (T,) which of its frames to leave out; empty: none of any.
        ranged: in the range of style `articulate`; else in the face's own.
    Raises:
        CorpusError: no takes.
    """
    rows, targets, speaking = [], [], []
    for (said, loud, weights, fps), hidden in zip_longest(takes, without):
        times = np.arange(len(weights)) / float(fps)
        at = np.clip(np.rint(times * RATE).astype(np.intp), 0, len(loud) - 1)
        kept = np.ones(len(times), bool) if hidden is None else ~hidden
        rows.append(smooth(inputs(said, loud, known(said, loud)), SMOOTH)[at[kept]])
        targets.append(sides_as_one(weights)[kept])
        speaking.append(said.table(times[kept])[:, INDEX["silence"]] < 0.5)
    if not rows:
        raise CorpusError("cannot fit an articulator on 0 takes: expected some minutes of speech; give takes")
    x, y, voiced = np.concatenate(rows), np.concatenate(targets), np.concatenate(speaking)
    middle, spread = x.mean(axis=0), x.std(axis=0) + RARE
    mean, deviation = y.mean(axis=0), y.std(axis=0)
    nets = [_train((x - middle) / spread, (y - mean) / deviation, seed) for seed in range(NETS)]
    enter = np.concatenate([net[0] for net in nets], axis=1) / spread[:, None]
    enter_bias = np.concatenate([net[1] for net in nets]) - middle @ enter
    leave = np.concatenate([net[2] for net in nets]) / NETS * deviation
    leave_bias = np.mean([net[3] for net in nets], axis=0) * deviation + mean
    if ranged:
        predicted = np.tanh(x @ enter + enter_bias) @ leave + leave_bias
        rest = np.median(predicted[~voiced], axis=0)
        gain = np.array([AIMS[shape] for shape in LEARNED]) / (np.quantile(predicted[voiced], QUANTILE, axis=0) - rest)
        leave, leave_bias = leave * gain, (leave_bias - rest) * gain
    return Fit(LEARNED, *(part.astype(np.float32) for part in (enter, enter_bias, leave, leave_bias)))


def _train(x: Floats, y: Floats, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """One hidden layer by least squares: weights and biases, in and out."""
    torch.manual_seed(seed)
    layers = (nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, y.shape[1]))
    net = nn.Sequential(nn.Dropout(DROPPED), layers[0], nn.Tanh(), nn.Dropout(DROPPED), layers[1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    given, wanted = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    for _ in range(EPOCHS):
        order: Any = torch.randperm(len(given))
        for batch in order.split(512):
            loss: Any = nn.functional.mse_loss(net(given[batch]), wanted[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    parts = [part.detach().numpy().astype(np.float64) for layer in layers for part in (layer.weight, layer.bias)]
    return parts[0].T, parts[1], parts[2].T, parts[3]


def sides_as_one(weights: NDArray[np.float32]) -> Floats:
    """(T, 52) -> (T, S): the learned shapes, left and right as their mean."""
    names = [[n for n in (shape, f"{shape}Left", f"{shape}Right") if n in arkit.INDEX] for shape in LEARNED]
    return np.stack([weights[:, [arkit.INDEX[n] for n in each]].mean(axis=1) for each in names], axis=1)


def save(path: str | Path, fit: Fit) -> None:
    """Write a fit, in half precision. Raises FormatError if it cannot be written."""
    packed = io.BytesIO()
    parts = {name: getattr(fit, name) for name in ("enter_bias", "leave", "leave_bias")}
    np.savez_compressed(packed, shapes=np.array(fit.shapes), enter=fit.enter.astype(np.float16), **parts)
    files.write(path, packed.getvalue())
