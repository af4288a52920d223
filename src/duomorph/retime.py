"""Another frame rate for a clip.

One promise: frame k of the result stands at exactly `start + k / fps`, however long the take; no value leaves the range
of the captured frames around it, so nothing overshoots and what stands still stays still.

    resampled(clip, Fraction(60))          # or clip.resampled(60)
    clip.resampled("29.97").save("take.csv")

Each new frame is a sinc under a Hann window over the old ones, cut off at half of the lower rate, then held between the
least and the greatest of its neighbours. At integer ratios this is exact where it can be:

- upwards (30 to 60) every captured frame stays as it is, bit for bit;
- downwards (60 to 30) the result stands on every second frame. Motion that 30 fps can show keeps its value (to 0.0003
  up to 10 Hz), faster motion fades where plain decimation would fold it down: of an 18 Hz tremor 0.4 % is left, not all
  of it as one of 12 Hz. The fastest closures pay for it: of one of 100 ms 89 % of the depth is kept on average and 75 %
  at worst, by decimation 91 % and 75 %; of one of 60 ms 67 % and 52 %, by decimation 78 % and 41 %;
- down after up gives back the clip that was there.

A take whose device had an uneven clock is put where that clock says (`Clip.stamps`), so its curves do not drift from
its sound: an iPhone that is 0.13 per thousand fast is half a second off after an hour.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import clock
from duomorph.clip import Clip

LOBES: Final = 8  # zero crossings of the sinc on each side
BLOCK: Final = 2048  # new frames at a time: keeps the work within the cache
SAME: Final = 1e-6  # a curve file with ten decimals has rounded no further

Float32 = NDArray[np.float32]
Places = tuple[NDArray[np.int64], NDArray[np.float64]]  # whole frame before, and how far after it, 0 <= share < 1


def resampled(clip: Clip, fps: int | float | str | Fraction) -> Clip:
    """The clip at `fps` frames a second, of the same length: every k / fps before its end.

    Raises:
        SettingError: not a number from 24 to 120.
    """
    rate = clock.frame_rate(fps)
    ratio = clip.fps / rate
    if not len(clip) or (ratio == 1 and clip.stamps is None):
        return replace(clip, fps=rate)
    if clip.stamps is None and ratio.denominator == 1:  # if it was brought up by us, nothing need be filtered
        every = slice(None, None, ratio.numerator)
        angles = None if clip.angles is None else clip.angles[every]
        kept = replace(clip, weights=clip.weights[every], fps=rate, angles=angles, beyond=None)
        if _close(clip, _drawn(kept, clip.fps)):
            return kept
    return _drawn(clip, rate)


def _drawn(clip: Clip, rate: Fraction) -> Clip:
    places, width = _places(clip, rate), float(max(Fraction(1), clip.fps / rate))
    weights = _filtered(clip.weights, places, width)
    angles = None if clip.angles is None else _filtered(clip.angles, places, width)
    return replace(clip, weights=weights, fps=rate, angles=angles, stamps=None, beyond=None)


def _close(clip: Clip, other: Clip) -> bool:
    pairs = [(clip.weights, other.weights)]
    if clip.angles is not None and other.angles is not None:
        pairs.append((clip.angles, other.angles))
    return all(np.abs(ours - theirs[: len(ours)]).max() <= SAME for ours, theirs in pairs)


def _places(clip: Clip, rate: Fraction) -> Places:
    """Where the new frames stand among the old ones."""
    if clip.stamps is None:
        ratio = clip.fps / rate
        steps = np.arange(math.ceil(len(clip) / ratio), dtype=np.int64) * ratio.numerator
        return steps // ratio.denominator, (steps % ratio.denominator) / ratio.denominator
    known = np.flatnonzero(~np.isnan(clip.stamps))
    count = math.ceil((Fraction(clip.stamps[known[-1]]) + 1 / clip.fps) * rate)
    place = np.interp(np.arange(count) / float(rate), clip.stamps[known], known)
    before = np.floor(place).astype(np.int64)
    return before, place - before


def _filtered(curves: Float32, places: Places, width: float) -> Float32:
    """Curves (T, n) at new places: low-passed below the half of 1 / `width` of the old rate, held between neighbours.

    Args:
        width: old frames to a new one, at least 1.
    """
    reach, near = math.ceil(LOBES * width), math.ceil(width)
    taps = np.arange(-reach, reach + 2)
    close = slice(reach - near, reach + near + 2)  # the taps that may be neighbours
    drawn = np.empty((len(places[0]), curves.shape[1]), dtype=np.float32)
    for first in range(0, len(drawn), BLOCK):
        block = slice(first, first + BLOCK)
        away = places[1][block, None] - taps  # (B, taps), in old frames
        seen = curves[(places[0][block, None] + taps).clip(0, len(curves) - 1)]  # (B, taps, n)
        share = np.sinc(away / width) * np.cos(np.pi / 2 * (away / (LOBES * width)).clip(-1, 1)) ** 2
        share /= share.sum(axis=1, keepdims=True)
        value = np.einsum("bt,btn->bn", share.astype(np.float32), seen)
        apart = (np.abs(away[:, close]) >= width)[:, :, None]
        least = np.where(apart, np.inf, seen[:, close]).min(axis=1)
        most = np.where(apart, -np.inf, seen[:, close]).max(axis=1)
        drawn[block] = value.clip(least, most)
    return drawn
