"""What a voice says about brows, eyes, cheeks, nose and mouth corners: expression targets to train on.

One promise: the curves follow what can be heard at any level, are the same on both sides, and fade where nobody speaks.

    calm = usual([measure(sound) for sound in neutral_utterances])      # of one speaker
    curves = expression(sound, "anger", times, baseline=calm)           # (T, 52), to add to what articulates
    curves = expression(sound, None, times)                             # unlabelled: what pitch accents say

A labelled emotion shows its EMFACS prototype, the stronger the more the voice is aroused. All speech raises the brows
on pitch accents and where pitch rises before a pause. Blinks and gaze stay 0: a voice does not tell them.

Source: brows and pitch accents: Flecha-García 2010, Speech Communication 52; arousal: Goudbeek & Scherer 2010, JASA
128.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, egemaps
from duomorph.egemaps.contours import F0, LOUDNESS
from duomorph.egemaps.frames import FRAME_RATE
from duomorph.egemaps.names import FUNCTIONAL_INDEX
from duomorph.errors import SettingError
from duomorph.prototypes import PROTOTYPES, columns

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]

STRENGTH: Final = (0.65, 0.35, 0.4, 1.0)  # of an emotion: at rest, per unit of arousal, least, most
SUBDUED: Final = ("sadness",)  # shown the more, the less aroused the voice

ATTACK_S: Final = 0.07  # time constants of an expression, twice in a row: 90 % after 0.28 s of voice,
RELEASE_S: Final = 0.4  # half of it left after 0.87 s of silence, a tenth after 1.75 s
SILENCE: Final = 0.05  # loudness that no voice has: about 46 dB under speech of -20 dBFS
FALL: Final = 0.1  # nepers of loudness a second, by which the loudest of late is forgotten
HEARD_S: Final = 0.3  # so long a voiced frame proves that somebody speaks,
PROOF: Final = 6  # frames of voice prove it for certain
SHARE_FIRM: Final = 0.7  # of an expression does not depend on how loud a syllable is

HIGHEST: Final = 50.0  # semitones over 27.5 Hz: 494 Hz
SHORTEST: Final = 5  # frames of voice
RAISE: Final = {"browInnerUp": 0.2, "browOuterUp": 0.16}  # of a full accent
RAISE_S: Final = (0.14, 0.30)  # up, down
REFERENCE_S: Final = 1.5  # what an accent stands out from: the mean pitch of so long a past,
SPREAD_S: Final = 4.0  # and the deviation of so long a one,
SPREAD: Final = (1.5, 3.0)  # but at least and at most so many semitones
ACCENT: Final = (1.2, 2.8)  # deviations above it, where a raise begins and where it is full
STRESS: Final = (0.4, 0.8)  # of the loudest of late, the same
RISE_S: Final = 0.3  # the end of a voiced stretch in which pitch rises
RISE: Final = (3.0, 7.0)  # semitones, where a raise begins and where it is full
ASKED_RISE: Final = (1.0, 4.0)  # the same where the text ends with a question mark
PAUSE_S: Final = 0.09  # without voice: the stretch has ended
LEAST_RISE: Final = 5  # frames; shorter ones, and those in which pitch steps by
JUMP: Final = 3.0  # semitones, are the end of a creak


@dataclass(frozen=True)
class Voice:
    """How a voice sounds in an utterance, whatever its level.

    Attributes:
        pitch: median, semitones. pitch_range: 20th to 80th percentile, semitones.
        effort: energy from 1 to 5 kHz against that under 1 kHz in voiced frames, dB. A pressed voice has more.
        loudness_range: deviation of the loudness over its mean.
    """

    pitch: float
    pitch_range: float
    effort: float
    loudness_range: float


# What each departs by in a voice that is fully aroused, and its weight (docs/expression.md).
_AROUSED: Final = Voice(pitch=9.0, pitch_range=4.0, effort=10.0, loudness_range=0.2)
_WEIGHT: Final = Voice(pitch=0.4, pitch_range=0.1, effort=0.4, loudness_range=0.1)
_FUNCTIONAL: Final = (
    "F0semitoneFrom27.5Hz_sma3nz_percentile50.0",
    "F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2",
    "alphaRatioV_sma3nz_amean",
    "loudness_sma3_stddevNorm",
)


def measure(sound: Float32) -> Voice:
    """The voice of an utterance, (S,) at 16 kHz. Raises AudioError as `egemaps.lld` does."""
    return _measure(egemaps.contours(sound))


def usual(voices: Sequence[Voice]) -> Voice:
    """The mean of a speaker's neutral utterances, the measure of his arousal."""
    if not voices:
        raise SettingError("no voice to take the mean of: got 0 utterances, expected some neutral ones; give them")
    return Voice(*np.mean([astuple(voice) for voice in voices], axis=0).tolist())


def arousal(voice: Voice, baseline: Voice) -> float:
    """How aroused a voice is against the same speaker's neutral one: 0 as calm, 1 as in full anger, below 0 subdued."""
    terms = zip(astuple(voice), astuple(baseline), astuple(_AROUSED), astuple(_WEIGHT), strict=True)
    return math.fsum(weight * (now - then) / span for now, then, span, weight in terms)


def expression(
    sound: Float32,
    emotion: str | None,
    times: Floats,
    baseline: Voice | None = None,
    question: bool | None = None,
) -> Float32:
    """Curves to add to those of the articulator.

    Args:
        sound: mono in [-1, 1] at 16 kHz, shape (S,).
        emotion: a key of `PROTOTYPES`; None if nobody says.
        times: of the frames, s, shape (T,).
        baseline: the speaker's neutral voice; without it an emotion has the strength of no arousal.
        question: whether the text asks; None: the voice alone tells.
    Returns:
        (T, 52) float32 in [0, 1], left = right.
    Raises:
        SettingError: the emotion has no prototype. AudioError: as `egemaps.lld`.
    """
    if emotion is not None and emotion not in PROTOTYPES:
        raise SettingError(f"no prototype of {emotion!r}: expected one of {', '.join(PROTOTYPES)}, or None")
    prototype = PROTOTYPES[emotion or "neutral"]
    rows = egemaps.contours(sound)
    curves = np.zeros((len(times), arkit.COUNT), dtype=np.float32)
    if not len(rows):
        return curves
    f0, loud = _sung(rows[:, F0].astype(np.float64)), _relative(rows[:, LOUDNESS].astype(np.float64))
    instants = (np.arange(len(rows)) + 3.0) / FRAME_RATE  # middles of the 60 ms frames

    def at_frames(curve: Floats) -> Float32:
        return np.asarray(np.interp(times, instants, curve, left=0.0, right=curve[-1]), dtype=np.float32)

    if prototype:
        strength = at_frames(_envelope(f0, loud) * _strength(emotion or "neutral", rows, baseline))
        for name, full in prototype.items():
            curves[:, columns(name)] = full * strength[:, None]
    lowered = curves[:, arkit.INDEX["browDownLeft"]]
    raised = at_frames(_raises(f0, loud, question)) * (1 - lowered)
    for name, full in RAISE.items():
        curves[:, columns(name)] += full * raised[:, None]
    return curves


def _measure(rows: Float32) -> Voice:
    table = egemaps.functionals(rows)
    return Voice(*(float(table[FUNCTIONAL_INDEX[name]]) for name in _FUNCTIONAL))


def _strength(emotion: str, rows: Float32, baseline: Voice | None) -> float:
    calm, slope, least, most = STRENGTH
    aroused = arousal(_measure(rows), baseline) if baseline else 0.0
    return float(np.clip(calm + slope * (-aroused if emotion in SUBDUED else aroused), least, most))


def _ramp(x: Floats, ends: tuple[float, float]) -> Floats:
    """0 below the first end, 1 above the second."""
    ramp: Floats = np.clip((x - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
    return ramp


def _recent(x: Floats, seconds: float) -> Floats:
    """Sum of each value and those before it, over the last `seconds`."""
    total = np.concatenate([[0.0], np.cumsum(x)])
    now = np.arange(1, len(total))
    sums: Floats = total[now] - total[np.maximum(now - round(seconds * FRAME_RATE), 0)]
    return sums


def _relative(loudness: Floats) -> Floats:
    """Loudness against the loudest of late, (T,) in [0, 1].

    Under `SILENCE` nothing is loud.
    """
    fall = FALL / FRAME_RATE * np.arange(len(loudness))
    peak: Floats = np.exp(np.maximum.accumulate(np.log(np.maximum(loudness, SILENCE)) + fall) - fall)
    return loudness / peak


def _sung(f0: Floats) -> Floats:
    """Pitch, without the short and the very high stretches that hissing sounds are mistaken for."""
    voiced = np.concatenate([[False], (f0 > 0.0) & (f0 < HIGHEST), [False]])
    edges = np.flatnonzero(voiced[1:] != voiced[:-1]).reshape(-1, 2)
    kept = np.zeros(len(f0), dtype=bool)
    for start, stop in edges[edges[:, 1] - edges[:, 0] >= SHORTEST].tolist():
        kept[start:stop] = True
    return np.where(kept, f0, 0.0)


def _envelope(f0: Floats, loud: Floats) -> Floats:
    """The time course of an expression, (T,) in [0, 1]: F0 0 where there is no voice, relative loudness."""
    spoken = np.minimum(_recent((f0 > 0.0).astype(np.float64), HEARD_S) / PROOF, 1.0)
    driven = spoken * (SHARE_FIRM + (1 - SHARE_FIRM) * loud)
    up, down = (1 - np.exp(-1 / (tau * FRAME_RATE)) for tau in (ATTACK_S, RELEASE_S))
    first = second = 0.0
    out = np.empty(len(loud))
    for t, aim in enumerate(driven.tolist()):
        first += (up if aim > first else down) * (aim - first)
        second += (up if first > second else down) * (first - second)
        out[t] = second
    return out


def _raises(f0: Floats, loud: Floats, question: bool | None) -> Floats:
    """Brow raises, (T,) in [0, 1]: f0 in semitones, 0 where there is no voice."""
    voiced = (f0 > 0.0).astype(np.float64)
    heard = np.maximum(_recent(voiced, REFERENCE_S), 1.0)
    reference = _recent(f0, REFERENCE_S) / heard
    above = (f0 - reference) * voiced
    spread = np.sqrt(_recent(above**2, SPREAD_S) / np.maximum(_recent(voiced, SPREAD_S), 1.0))
    drive = _ramp(above / np.clip(spread, *SPREAD), ACCENT) * _ramp(loud, STRESS)
    if question is not False:
        drive = np.maximum(drive, _endings(f0, ASKED_RISE if question else RISE))
    up, down = (round(part * FRAME_RATE) for part in RAISE_S)
    shape = np.concatenate([np.arange(up) / up, 1 - np.arange(down) / down])
    shape = 0.5 - 0.5 * np.cos(np.pi * shape)
    raised = np.zeros(len(f0))
    for step, height in enumerate(shape):  # each accent starts one raise; where they meet, the higher counts
        raised[step:] = np.maximum(raised[step:], height * drive[: len(drive) - step])
    return raised


def _endings(f0: Floats, rise: tuple[float, float]) -> Floats:
    """How far pitch rises before the voice ends, (T,): 0 but at the instant at which the end is known."""
    wait, span = round(PAUSE_S * FRAME_RATE), round(RISE_S * FRAME_RATE)
    out = np.zeros(len(f0))
    coming = np.lib.stride_tricks.sliding_window_view(np.pad(f0, (0, wait)), wait)[1:]  # (T, wait)
    for last in np.flatnonzero((f0 > 0.0) & ~coming.any(axis=1)).tolist():
        stretch = f0[max(0, last + 1 - span) : last + 1]
        stretch = stretch[stretch > 0.0]
        rising = stretch[stretch.argmin() :]
        if len(rising) >= LEAST_RISE and np.abs(np.diff(rising)).max() < JUMP:
            out[min(last + wait, len(f0) - 1)] = _ramp(rising[-3:].mean() - rising[:1], rise)[0]
    return out
