"""The yardsticks as pure functions of curves: arrays in, numbers out, nothing known of models or files.

One promise: NaN in the truth is what nobody captured; it counts nowhere, and a figure without data is NaN.

    error = [np.abs(predicted - truth) for predicted, truth in pairs]     # (n, 52) each, pairs of one take
    mean(error[0][:, arkit.MOUTH])
    jitter(pairs, fps=30.0)                                               # (52,), 1: as lively as the truth

`Pairs` are (predicted, truth) of each take at its captured frames, both (n, 52).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit

Float32 = NDArray[np.float32]
Floats = NDArray[np.floating]
Pairs = Sequence[tuple[Float32, Float32]]

GROUPS: Final = {"all": np.arange(arkit.COUNT), "mouth": arkit.MOUTH, "expression": arkit.EXPRESSION}
CALM: Final = np.concatenate([arkit.GROUPS["brows"], arkit.GROUPS["cheeks"]])  # what speech moves least
MAX_LAG: Final = 6  # frames searched either way
STILL: Final = 1e-3  # spread under which a captured shape is dead: it has no r and no jitter
SMOOTH_HZ: Final = 8.0  # no face moves faster on purpose: above it the truth is noise of the capture
SMOOTH_S: Final = 0.3  # half the length of the filter


def mean(values: Floats) -> float:
    """Mean of what is there; NaN if nothing is."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def by_shape(values: Floats) -> NDArray[np.float64]:
    """`mean` of each column: (n, 52) -> (52,)."""
    return np.array([mean(column) for column in values.T])


def masked(weights: Float32, captured: NDArray[np.bool_]) -> Float32:
    """(n, 52) with NaN in the shapes that were not captured."""
    known: Float32 = np.where(captured, weights, np.float32(np.nan))
    return known


def trivial_faces(seen: Float32) -> dict[str, Float32]:
    """The faces that cost nothing, (52,) each, of (n, 52) training frames; a shape never captured rests at 0."""
    columns = [column[~np.isnan(column)] for column in seen.T]
    columns = [column if column.size else np.zeros(1, dtype=np.float32) for column in columns]
    return {
        "zero": np.zeros(arkit.COUNT, dtype=np.float32),
        "mean": np.array([column.mean() for column in columns], dtype=np.float32),
        "median": np.array([np.median(column) for column in columns], dtype=np.float32),
    }


def skill(mae: float, still: float) -> float:
    """1 - MAE / MAE of the median face: 0 is no better than a mask, 1 is perfect."""
    return 1 - mae / still if still > 0 else float("nan")


def correlation(a: Floats, b: Floats) -> float:
    """Pearson r; 0 if either does not move."""
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def alive(truth: Float32) -> NDArray[np.bool_]:
    """Which shapes were captured and move, (52,), of (n, 52)."""
    return np.array([bool(np.nanstd(column) > STILL) if not np.isnan(column).all() else False for column in truth.T])


# -- time


def agreement(pairs: Pairs) -> NDArray[np.float64]:
    """r of predicted and captured curves, (n,) each, at every shift from -MAX_LAG to MAX_LAG frames."""
    long = [(p, t) for p, t in pairs if len(p) > MAX_LAG]

    def at(lag: int) -> float:
        moved = [(p[lag:], t[: len(t) - lag]) if lag >= 0 else (p[:lag], t[-lag:]) for p, t in long]
        return correlation(np.concatenate([p for p, _ in moved]), np.concatenate([t for _, t in moved]))

    return np.array([at(lag) if long else 0.0 for lag in range(-MAX_LAG, MAX_LAG + 1)])


def best_lag(pairs: Pairs) -> int:
    """Shift in frames at which predicted curves match captured ones best, over all (predicted, truth) pairs."""
    r = agreement(pairs)
    return int(np.argmax(r)) - MAX_LAG if r.any() else 0


def fine_lag(pairs: Pairs) -> float:
    """The same between frames: the top of the parabola through the best shift and its neighbours."""
    r, best = agreement(pairs), best_lag(pairs)
    if abs(best) == MAX_LAG:
        return float(best)
    left, top, right = r[best + MAX_LAG - 1 : best + MAX_LAG + 2]
    bend = left - 2 * top + right
    return best + float(0.5 * (left - right) / bend) if bend < 0 else float(best)


def lowpass(curves: Floats, fps: float, hz: float = SMOOTH_HZ) -> NDArray[np.float64]:
    """Curves (n, C), n > 1, without what is faster than `hz`, not shifted in time: a symmetric windowed-sinc filter."""
    half = max(2, round(SMOOTH_S * fps))
    taps = np.arange(-half, half + 1)
    kernel = np.sinc(2 * hz / fps * taps) * np.hamming(len(taps))
    padded = np.pad(curves.astype(np.float64), ((half, half), (0, 0)), mode="reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis=0)  # (n, C, taps)
    smooth: NDArray[np.float64] = windows @ (kernel / kernel.sum())
    return smooth


def roughness(curves: Sequence[Floats]) -> NDArray[np.float64]:
    """Mean square of the third difference of each shape, over takes of (n, 52): (52,)."""
    steps = [np.diff(take.astype(np.float64), 3, axis=0) for take in curves if len(take) > 3]
    return by_shape(np.concatenate(steps) ** 2) if steps else np.full(arkit.COUNT, np.nan)


def jitter(pairs: Pairs, fps: float) -> dict[str, NDArray[np.float64]]:
    """Mean square third difference of "predicted" and of the low-passed "truth", (52,); NaN where the truth is dead."""
    dead = ~alive(np.concatenate([truth for _, truth in pairs]))
    squares = {
        "predicted": roughness([np.where(np.isnan(truth), np.nan, predicted) for predicted, truth in pairs]),
        "truth": roughness([lowpass(truth, fps) for _, truth in pairs if len(truth) > 3]),
    }
    return {name: np.where(dead, np.nan, values) for name, values in squares.items()}


def jitter_ratio(squares: dict[str, NDArray[np.float64]], shapes: NDArray[np.intp]) -> float:
    """Root mean square third difference of some shapes against the truth's: 1 is as lively, above is trembling."""
    truth = mean(squares["truth"][shapes])
    return float(np.sqrt(mean(squares["predicted"][shapes]) / truth)) if truth > 0 else float("nan")


def velocity(pairs: Pairs, fps: float) -> dict[str, float]:
    """Mean absolute error of the speed of the curves, a second; and the "still" face's, which has none."""
    steps = [(np.diff(p, axis=0), np.diff(t, axis=0)) for p, t in pairs]
    return {
        "error": fps * mean(np.concatenate([np.abs(p - t) for p, t in steps])),
        "still": fps * mean(np.concatenate([np.abs(t) for _, t in steps])),
    }


def consistency(predicted: Float32, truth: Float32) -> float:
    """Frame-to-frame variation within a file against the truth's: below 1 too calm, above 1 too lively."""
    step = np.abs(np.diff(truth, axis=0))
    own = np.where(np.isnan(step), np.nan, np.abs(np.diff(predicted, axis=0)))
    return mean(own) / mean(step) if mean(step) > 1e-6 else float("nan")


def unsmoothed(curves: Float32, alpha: Floats) -> Float32:
    """What `Network.smoothed` made them from: y (n, 52) at 60 fps -> x (n - 2, 52), of frames 2, 3, ..."""
    x = curves.astype(np.float64)
    share = (1 - alpha) * alpha / 2  # of the curve 1/30 s before
    for n in range(2, len(x)):
        x[n] = (curves[n] - (1 - alpha) ** 2 * curves[n - 2] - share * x[n - 2]) / (alpha + share)
    return x[2:].astype(np.float32)


# -- windows


def window_begins(frames: int, length: int, stride: int) -> list[int]:
    """First frames of windows `stride` apart that together cover all frames; the last one ends with them."""
    last = max(0, frames - length)
    return [*range(0, last, stride), last]


class Coverage:
    """Errors of overlapping windows of one take of `frames` frames."""

    def __init__(self, frames: int) -> None:
        self.total = np.zeros((frames, arkit.COUNT))  # of the errors of each frame
        self.count = np.zeros((frames, 1))  # windows that have it

    def add(self, begin: int, error: Float32) -> None:
        """A window's errors, (n, 52), from frame `begin` on."""
        self.total[begin : begin + len(error)] += error
        self.count[begin : begin + len(error)] += 1


def covered(takes: Sequence[Coverage]) -> tuple[float, float]:
    """MAE over all frames, each window's error weighted by 1 / coverage, so that dense stretches do not count more;
    and MAE over all windows as they are."""
    total = np.concatenate([take.total for take in takes])
    count = np.broadcast_to(np.concatenate([take.count for take in takes]), total.shape)
    there = ~np.isnan(total)
    return float((total[there] / count[there]).mean()), float(total[there].sum() / count[there].sum())


# -- streams


def stream_split(streams: Floats, shapes: NDArray[np.intp]) -> tuple[float, float]:
    """Mean w_mel of some shapes, and their specialisation S = |w_mel - w_emo| / (w_mel + w_emo); streams (52, 2)."""
    mel, emotion = streams[shapes].mean(axis=0)
    return float(mel), float(abs(mel - emotion) / (mel + emotion))


def specialisation(streams: Floats) -> dict[str, object]:
    """Who listens to what, by group and shape: [w_mel, w_emo] of each shape, (52, 2). 0.5 is equal, S 0."""
    groups = {**arkit.GROUPS, "mouth": arkit.MOUTH, "expression": arkit.EXPRESSION, "brows and cheeks": CALM}
    split = {name: stream_split(streams, shapes) for name, shapes in groups.items()}
    return {
        "w_mel": {name: mel for name, (mel, _) in split.items()},
        "s": {name: s for name, (_, s) in split.items()},
        "mouth_less_brows_cheeks": split["mouth"][0] - split["brows and cheeks"][0],
        "by_shape": {shape: [float(w) for w in streams[index]] for shape, index in arkit.INDEX.items()},
    }


# -- sounds


def auc(high: Floats, low: Floats) -> float:
    """The chance that a value of `high` is above one of `low`, ties counting half; NaN if there is none of either."""
    if not len(high) or not len(low):
        return float("nan")
    order = np.sort(low)
    below, upto = np.searchsorted(order, high, "left"), np.searchsorted(order, high, "right")
    return float((below + upto).mean() / 2 / len(low))


def opening(curves: Float32) -> Float32:
    """How far the lips are apart, (n, 52) -> (n,): the jaw less what the lips make up for, what the lips part, less
    what presses or rolls them together; not below 0."""
    apart: Float32 = np.nan_to_num(curves) @ arkit.APERTURE
    return np.maximum(0, apart)


def rounding(curves: Float32) -> Float32:
    """How round the lips are, (n, 52) -> (n,): pucker and funnel."""
    known = np.nan_to_num(curves)
    both: Float32 = known[:, arkit.INDEX["mouthPucker"]] + known[:, arkit.INDEX["mouthFunnel"]]
    return both
