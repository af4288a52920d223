"""Figures that need another run by their nature, or undo a part of the model.

One promise: each changes one thing only: where a window begins, the learned smoothing, one stream, the frame rate.

    played = predictions(face, takes, Fraction(60), delay_ms=100)
    strided(face, played, 100, None, stride=32)["mae"]
    silenced(face, played, one, 100, None)["emotion"]["mouth_loss"]
"""

from __future__ import annotations

from typing import Final

import numpy as np

from duomorph import arkit
from duomorph.clock import SAMPLE_RATE, TICK_RATE, end_sample
from duomorph.dataset.takes import sessions as chained
from duomorph.evaluate import metrics
from duomorph.evaluate.metrics import mean
from duomorph.evaluate.report import Played, Report, predictions
from duomorph.evaluate.silence import SILENCED
from duomorph.face import Face

WINDOW: Final = 256  # frames of 1/30 s, of a window that starts cold
STRIDE: Final = 32  # frames of 1/30 s from window to window
AHEAD: Final = SAMPLE_RATE // 4  # samples that a window may hear past its end: more than any delay


def strided(face: Face, played: list[Played], delay_ms: float, style: str | None, stride: int) -> dict[str, float]:
    """MAE over windows of 8.5 s, `stride` frames of 1/30 s apart, each from a cold start."""
    fps = played[0].clip.fps
    length, step = round(WINDOW * fps / 30), max(1, round(stride * fps / 30))
    coverages = []
    windows = 0
    for one in played:
        frames = len(one.clip)
        truth = np.full((frames, arkit.COUNT), np.nan, dtype=np.float32)
        truth[one.known] = one.truth
        coverage = metrics.Coverage(frames)
        for begin in metrics.window_begins(frames, length, step):
            curves = one.clip.weights
            if begin:  # the take's own beginning was cold already
                sound = one.take.audio[end_sample(begin, fps) : end_sample(begin + length, fps) + AHEAD]
                curves = face.animate(sound, fps=fps, delay_ms=delay_ms, style=style or one.take.style).weights
            part = truth[begin : begin + length]
            coverage.add(begin, np.abs(curves[: len(part)] - part))
            windows += 1
        coverages.append(coverage)
    even, plain = metrics.covered(coverages)
    return {"stride": stride, "window": WINDOW, "windows": windows, "mae": even, "plain": plain}


def smoothing(face: Face, played: list[Played]) -> dict[str, float | None] | None:
    """What the learned smoothing does: it is undone, tick by tick; None unless frames are ticks."""
    fps = played[0].clip.fps
    if fps != TICK_RATE:
        return None
    delay_s = np.array(face.info().provenance.smoothing_s)  # (1 - alpha) / alpha ticks
    alpha = 1 / (1 + TICK_RATE * delay_s)
    before, after = [], []
    for one in played:
        raw = metrics.unsmoothed(one.clip.weights, alpha)[one.known[2:]]
        truth = one.truth[len(one.truth) - len(raw) :]
        before.append((raw, truth))
        after.append((one.predicted[len(one.truth) - len(raw) :], truth))
    found: dict[str, float | None] = {}
    for when, pairs in (("", after), ("_without", before)):
        squares = metrics.jitter(pairs, float(fps))
        found["mae" + when] = mean(np.concatenate([np.abs(p - t) for p, t in pairs]))
        found["jitter" + when] = metrics.jitter_ratio(squares, metrics.GROUPS["all"])
    return found


def sessions(face: Face, played: list[Played], delay_ms: float, style: str | None) -> dict[str, float | None] | None:
    """The same takes, those of one recording chained into sessions of a minute, so that long windows hear the takes
    before and not silence; None where no take has another before it."""
    groups = chained(one.take for one in played)
    if len(groups) == len(played):
        return None
    fps = played[0].clip.fps
    predicted, truth = [], []
    for takes in groups:
        sound = np.concatenate([take.audio for take in takes])
        clip = face.animate(sound, fps=fps, delay_ms=delay_ms, style=style or takes[0].style)
        begin = 0
        for take in takes:
            times = clip.times - begin / SAMPLE_RATE
            own = (times >= 0) & (times < len(take.audio) / SAMPLE_RATE) & take.known_at(times)
            predicted.append(clip.weights[own])
            truth.append(metrics.masked(take.curves_at(times[own]), take.captured))
            begin += len(take.audio)
    curves, known = np.concatenate(predicted), np.concatenate(truth)
    jaw = arkit.INDEX["jawOpen"]
    there = ~np.isnan(known[:, jaw])
    error = np.abs(curves - known)
    return {
        "sessions": len(groups),
        **{"mae" if group == "all" else group: mean(error[:, shapes]) for group, shapes in metrics.GROUPS.items()},
        "r_jawOpen": metrics.correlation(curves[there, jaw], known[there, jaw]) if there.any() else float("nan"),
    }


def silenced(
    face: Face, played: list[Played], full: Report, delay_ms: float, style: str | None
) -> dict[str, dict[str, float | None]]:
    """Errors of the mouth and of the expression without one stream, and how much of them that is ("…_loss": share)."""
    found: dict[str, dict[str, float | None]] = {}
    for stream, deaf in SILENCED.items():
        other = Face(deaf.open(face.info().path))
        again = predictions(other, [one.take for one in played], played[0].clip.fps, delay_ms, style)
        error = np.concatenate([np.abs(one.predicted - one.truth) for one in again])
        whole = {"all": full.mae, **full.groups}
        now = {group: mean(error[:, shapes]) for group, shapes in metrics.GROUPS.items()}
        found[stream] = {group: None if np.isnan(mae) else mae for group, mae in now.items()}
        found[stream] |= {
            f"{group}_loss": now[group] / base - 1 if base else None for group, base in whole.items()
        }
    return found


def even_frames_gap(slow: list[Played], fast: list[Played]) -> float:
    """Greatest difference between the frames at one rate and the even ones at twice that."""
    gap = 0.0
    for one, two in zip(slow, fast, strict=True):
        count = min(len(one.clip), (len(two.clip) + 1) // 2)
        gap = max(gap, float(np.abs(one.clip.weights[:count] - two.clip.weights[::2][:count]).max(initial=0.0)))
    return gap
