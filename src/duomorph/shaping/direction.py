"""Emotions that a director asks for, on top of what the voice tells.

One promise: lips that meet go on meeting; whatever is asked for, P, B and M stay closed.

    score = read("joy=0.6,sad=0.2")            # all the time
    score = read("moods.csv")                  # time,joy,sad and a line for every moment; between them on the way
    curves = Director(score, delay=6).feed(curves)

Each shape of the emotion's face (`prototypes`) takes its share of what the voice has left of it up to 1. What
articulates gives way where the lips are near each other; a corner of the mouth does not smile and frown at once.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import TICK_RATE
from duomorph.errors import SettingError
from duomorph.prototypes import EMOTIONS, columns, emotion, faces, strengths
from duomorph.shaping.motion import ARTICULATION, CLOSED, Glide, aperture

Float32 = NDArray[np.float32]

FREE: Final = 0.2  # aperture from which an emotion moves what articulates as it likes; up to CLOSED not at all
LONGEST_S: Final = 86_400.0
_YIELDING: Final = np.setdiff1d(ARTICULATION, columns("mouthPress"))  # which closes
_SMILE, _FROWN = columns("mouthSmile"), columns("mouthFrown")


@dataclass(frozen=True, eq=False)
class Score:
    """What is asked for, and when.

    Attributes:
        times: (k,) s, rising. strengths: (k, 6) in [0, 1], in the order of `prototypes.EMOTIONS`; between two times on
            the way, before the first and after the last as there.
    """

    times: NDArray[np.float64]
    strengths: Float32


def always(named: Mapping[str, float]) -> Score:
    """The same all the time. Raises SettingError: no such emotion, or a strength that is not 0 to 1."""
    return Score(np.zeros(1), strengths(named)[None])


def read(text: str) -> Score:
    """`joy=0.6,sad=0.2`, or the name of a CSV file with the columns time, joy, sad, ...

    Raises:
        SettingError: it is neither, cannot be read, or holds what is no emotion, strength or moment.
    """
    if "=" not in text:
        return _file(text)
    named: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            strength = float(number)
        except ValueError:
            raise SettingError(f"got the emotion {part!r:.40}: expected NAME=STRENGTH, such as joy=0.6") from None
        if emotion(name.strip()) in map(emotion, named):
            raise SettingError(f"got the emotion {name.strip()} twice: expected each once; leave one out")
        named[name.strip()] = strength
    return always(named)


def _file(path: str) -> Score:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines)
            rows = [(reader.line_num, row) for row in reader if any(row)]
    except (OSError, ValueError, csv.Error) as problem:  # what is no UTF-8 is a ValueError
        reason = getattr(problem, "strerror", None) or problem
        expected = "expected joy=0.6,sad=0.2 or a CSV file with time,joy,sad"
        raise SettingError(f"cannot read the emotion {path!r:.80} ({reason}): {expected}") from None
    try:
        return _keys(rows)
    except SettingError as problem:
        raise SettingError(f"cannot use {path!r:.80}: {problem}") from None


def _keys(rows: list[tuple[int, list[str]]]) -> Score:
    """The score in the rows of a table, each with the number of its line."""
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    if header[:1] != ["time"] or len(header) < 2 or len(rows) < 2:
        raise SettingError("got no emotions by time: expected a first line time,joy,sad, then numbers like 0,0.6,0")
    places = [emotion(name) for name in header[1:]]
    if len(set(places)) < len(places):
        raise SettingError("an emotion stands there twice: expected one column each; leave one out")
    table = np.zeros((len(rows) - 1, len(EMOTIONS)), dtype=np.float32)
    times = np.zeros(len(table))
    for number, (line, row) in enumerate(rows[1:]):
        try:
            time, *values = map(float, row)
        except ValueError:
            time, values = np.nan, []
        if len(values) != len(places) or not all(0 <= value <= 1 for value in values):
            got, expected = ",".join(row)[:40], f"a time and {len(places)} strengths from 0 to 1"
            raise SettingError(f"line {line} is {got!r}: expected {expected}; mend it")
        if not (0 <= time <= LONGEST_S and (number == 0 or time > times[number - 1])):
            raise SettingError(f"line {line} is at {row[0]!r:.20} s: expected rising seconds from 0 on; sort them")
        times[number] = time
        table[number, places] = values
    return Score(times, table)


class Director:
    """The running state of a score: curves in, curves with emotion out, tick by tick."""

    def __init__(self, score: Score, delay: int, tick: int = 0) -> None:
        """`delay` of the network in ticks; the next curve is that of `tick - delay`."""
        self._score, self._delay = score, delay
        self._faces = faces()  # (6, 52)
        self._turned: Glide | None = None
        self._tick = tick - delay  # of the next curve

    def reset(self, at: Fraction = Fraction(0)) -> None:
        """The next sound begins at second `at` of the score."""
        self._tick = round(at * TICK_RATE) - self._delay

    def turn(self, named: Mapping[str, float]) -> None:
        """From the next curve on go to these strengths; those that are not named stay, and the score is over."""
        if self._turned is None:
            self._turned = Glide(self._scored(1)[0])
        self._turned.aim(strengths(named, self._turned.target))

    def feed(self, curves: Float32) -> Float32:
        """(n, 52) -> (n, 52)."""
        asked = self._turned.next(len(curves)) if self._turned else self._scored(len(curves))  # (n or 1, 6)
        self._tick += len(curves)
        if not asked.any():
            return curves
        share: Float32 = 1 - (1 - asked[:, :, None] * self._faces).prod(axis=1)  # (n or 1, 52)
        share = np.broadcast_to(share, curves.shape).copy()
        free = ((aperture(curves) - CLOSED) / (FREE - CLOSED)).clip(0, 1)
        share[:, _YIELDING] *= free[:, None]
        told = curves.copy()
        told[:, _SMILE] *= 1 - share[:, _FROWN]
        told[:, _FROWN] *= 1 - share[:, _SMILE]
        return told + (1 - told) * share

    def _scored(self, count: int) -> Float32:
        """(count, 6) of the next ticks; one row where they are all alike."""
        if len(self._score.times) == 1:
            return self._score.strengths
        times = np.arange(self._tick, self._tick + count) / TICK_RATE
        rows = [np.interp(times, self._score.times, column) for column in self._score.strengths.T]
        return np.stack(rows, axis=1).astype(np.float32)
