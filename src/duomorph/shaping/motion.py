"""Ways to change how curves move: closures that last, less tremble, knobs that are turned without a jump.

One promise: all are causal, keep their state in themselves, and any chunking gives the same curves.

    OneEuro(rest_hz=3.0).feed(curves)      # (n, 52) -> (n, 52), lags by `latency_s` at most
    Hold(ticks=2).feed(curves)             # a closed mouth stays closed for 2 ticks, lags nowhere
    Glide(knobs).next(n)                   # (n, k): there, or on the way
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import TICK_RATE

Float32 = NDArray[np.float32]

# What speech moves: the mouth but for the corners, which also smile.
_CORNERS: Final = ("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight")
CORNERS: Final = np.array([arkit.INDEX[name] for name in _CORNERS], dtype=np.intp)
ARTICULATION: Final = np.setdiff1d(arkit.MOUTH, CORNERS)

_APART: Final = [index for name, index in arkit.INDEX.items() if name.startswith(("mouthLowerDown", "mouthUpperUp"))]

CLOSED: Final = 0.05  # aperture under which lips meet
SPEED_HZ: Final = 4.0  # cutoff that one unit a second of speed adds
SPEED_MEAN_HZ: Final = 5.0  # cutoff of the speed itself
GLIDE_TICKS: Final = 18  # 0.3 s from where a knob was to where it is put


def aperture(curves: Float32) -> Float32:
    """How far the lips are apart, (n, 52) -> (n,): jawOpen - mouthClose + mean(lowerDown, upperUp) / 2."""
    jaw, close = curves[:, arkit.INDEX["jawOpen"]], curves[:, arkit.INDEX["mouthClose"]]
    gap: Float32 = jaw - close + curves[:, _APART].mean(axis=1) / 2
    return gap


class Hold:
    """A closure that begins is kept for `ticks` ticks: the mouth shows its last closed tick until then."""

    latency_s: Final = 0.0

    def __init__(self, ticks: int) -> None:
        self._ticks = ticks
        self.reset()

    def reset(self) -> None:
        """Back to the start of a clip."""
        self._rows = np.zeros((0, arkit.COUNT), dtype=np.float32)  # as they came; a closure held now began in them

    def feed(self, curves: Float32) -> Float32:
        """(n, 52) -> (n, 52)."""
        if not len(curves):
            return curves
        known = np.concatenate([self._rows, curves])
        self._rows = known[-self._ticks :]
        place = np.arange(len(known))
        closed = aperture(known) <= CLOSED
        begins = closed & ~np.concatenate([[True], closed[:-1]])  # from the start of a clip on it is just not open yet
        begun = np.maximum.accumulate(np.where(begins, place, -self._ticks))
        shown = np.maximum.accumulate(np.where(closed, place, 0))  # the last closed tick
        held = ~closed & (place - begun < self._ticks)
        out = known.copy()
        out[np.ix_(held, ARTICULATION)] = known[np.ix_(shown[held], ARTICULATION)]
        return out[len(known) - len(curves) :]


class OneEuro:
    """Smooths what is slow and follows what is fast.

    Source: Casiez, Roussel, Vogel 2012, "1 € filter"; the speed is that of the curves as they came, so that both its
    recursions are linear.
    """

    def __init__(self, rest_hz: float) -> None:
        """`rest_hz`: cutoff at rest; it rises by SPEED_HZ for each unit a second."""
        self._rest_hz = rest_hz
        self.reset()

    def reset(self) -> None:
        """Back to the start of a clip."""
        self._before: Float32 | None = None  # last curves as they came, their speed, and as they went, (52,) each
        self._speed = np.zeros(arkit.COUNT, dtype=np.float32)
        self._smooth = np.zeros(arkit.COUNT, dtype=np.float32)

    @property
    def latency_s(self) -> float:
        """Group delay of motion so slow that the cutoff does not rise: the most there is."""
        return 1 / (2 * math.pi * self._rest_hz)

    def feed(self, curves: Float32) -> Float32:
        """(n, 52) -> (n, 52)."""
        if not len(curves):
            return curves
        if self._before is None:
            self._before = self._smooth = curves[0]
        speed = np.diff(curves, axis=0, prepend=self._before[None]) * np.float32(TICK_RATE)
        speed = _follow(speed, np.full_like(speed, _alpha(np.array(SPEED_MEAN_HZ))), self._speed)
        smooth = _follow(curves, _alpha(self._rest_hz + SPEED_HZ * np.abs(speed)), self._smooth)
        self._before, self._speed, self._smooth = curves[-1], speed[-1], smooth[-1]
        return smooth


class Glide:
    """Values that stay until they are put elsewhere, and then go there in GLIDE_TICKS."""

    def __init__(self, values: Float32) -> None:
        self.target = self._from = values  # (k,)
        self._gone = GLIDE_TICKS

    def aim(self, values: Float32) -> None:
        """Go there, from where they are."""
        self._from, self.target, self._gone = self._at(self._gone), values, 0

    def next(self, count: int) -> Float32:
        """(count, k) of the next ticks; one row where they are all alike."""
        if self._gone >= GLIDE_TICKS:
            return self.target[None]
        ticks = self._gone + np.arange(1, count + 1)
        self._gone += count
        return self._at(ticks[:, None])

    def _at(self, ticks: int | NDArray[np.intp]) -> Float32:
        share = np.minimum(np.float32(ticks) / np.float32(GLIDE_TICKS), np.float32(1))
        values: Float32 = self._from + share * share * (3 - 2 * share) * (self.target - self._from)
        return np.where(share == 1, self.target, values)


def _alpha(cutoff_hz: NDArray[np.floating]) -> Float32:
    """Share of the new in one step of a first-order low pass."""
    return (1 / (1 + TICK_RATE / (2 * math.pi * cutoff_hz))).astype(np.float32)


def _follow(values: Float32, share: Float32, before: Float32) -> Float32:
    """y[t] = share[t] * values[t] + (1 - share[t]) * y[t - 1] from y[-1] = `before`, in log2(n) passes over (n, 52).

    Source: Hillis and Steele 1986, prefix scan of x -> keep * x + add.
    """
    keep, add = 1 - share, share * values
    add[0] += keep[0] * before
    step = 1
    while step < len(add):
        add[step:] += keep[step:] * add[:-step].copy()
        keep[step:] *= keep[:-step].copy()
        step *= 2
    return add
