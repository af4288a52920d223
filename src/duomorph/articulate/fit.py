"""Learning how a real face articulates: ridge regression from features and loudness to its curves.

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
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, files
from duomorph.articulate.model import LEARNED, RATE, SMOOTH, Fit, inputs, smooth
from duomorph.articulate.phones import INDEX, Floats, Spoken
from duomorph.errors import CorpusError

Take = tuple[Spoken, Floats, NDArray[np.float32], Fraction]  # what is said, loudness, (T, 52), frames a second

RIDGE: Final = 10.0
AIMS: Final = {
    "jawOpen": 0.44, "mouthPucker": 0.40, "mouthFunnel": 0.40, "mouthLowerDown": 0.32, "mouthUpperUp": 0.28,
}  # fmt: skip
QUANTILE: Final = 0.95


def learn(takes: Iterable[Take], ranged: bool = True) -> Fit:
    """A fit on these takes.

    Args:
        ranged: in the range of style `articulate`; else in that of the face itself.
    Raises:
        CorpusError: no takes.
    """
    rows, targets, speaking = [], [], []
    for said, loud, weights, fps in takes:
        times = np.arange(len(weights)) / float(fps)
        at = np.clip(np.rint(times * RATE).astype(np.intp), 0, len(loud) - 1)
        rows.append(smooth(inputs(said, loud), SMOOTH)[at])
        targets.append(sides_as_one(weights))
        speaking.append(said.table(times)[:, INDEX["silence"]] < 0.5)
    if not rows:
        raise CorpusError("cannot fit an articulator on 0 takes: expected some minutes of speech; give takes")
    x, y, voiced = np.concatenate(rows), np.concatenate(targets), np.concatenate(speaking)
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - middle
    weights = np.linalg.solve(centred.T @ centred + RIDGE * np.eye(x.shape[1]), centred.T @ (y - mean))
    bias = mean - middle @ weights
    if ranged:
        predicted = x @ weights + bias
        rest = np.median(predicted[~voiced], axis=0)
        gain = np.array([AIMS[shape] for shape in LEARNED])
        gain /= np.quantile(predicted[voiced], QUANTILE, axis=0) - rest
        weights, bias = weights * gain, (bias - rest) * gain
    return Fit(LEARNED, weights.astype(np.float32), bias.astype(np.float32))


def sides_as_one(weights: NDArray[np.float32]) -> Floats:
    """(T, 52) -> (T, S): the learned shapes, left and right as their mean."""
    names = [[n for n in (shape, f"{shape}Left", f"{shape}Right") if n in arkit.INDEX] for shape in LEARNED]
    return np.stack([weights[:, [arkit.INDEX[n] for n in each]].mean(axis=1) for each in names], axis=1)


def save(path: str | Path, fit: Fit) -> None:
    """Write a fit, in half precision. Raises FormatError if it cannot be written."""
    packed = io.BytesIO()
    np.savez_compressed(packed, shapes=np.array(fit.shapes), weights=fit.weights.astype(np.float16), bias=fit.bias)
    files.write(path, packed.getvalue())
