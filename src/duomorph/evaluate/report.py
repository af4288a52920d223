"""A model against captured takes that it never saw: the figures of one corpus at one frame rate.

One promise: each take is animated once, alone and in its own style, and every figure comes from those curves.

    one = evaluate(load(), "grid_s1", fps=60)
    one.skill["mouth"], one.jitter["all"], one.velocity["error"]

The truth is the capture itself, unsmoothed, interpolated linearly to the frame times.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.clock import frame_rate
from duomorph.corpus import Take
from duomorph.dataset.takes import takes
from duomorph.errors import CorpusError, SettingError
from duomorph.evaluate import metrics
from duomorph.evaluate.metrics import Float32, Floats, mean
from duomorph.face import Face


@dataclass(frozen=True)
class Report:
    """Scores of one corpus at one frame rate, over the captured shapes; None: this data cannot say.

    Attributes:
        mae: mean absolute error. baselines: that of the faces "zero", "mean" and "median" of the training takes.
        groups: MAE of the mouth and of the expression; so are group_baselines, and by shape.
        r: pooled over all frames, of the shapes that move.
        lag_frames: the shift at which predicted and captured jawOpen agree best; positive: we are late. lag_ms: the
            same between frames.
        skill: 1 - MAE / MAE of the median face, of all, mouth and expression.
        mouth_to_expression: MAE of the mouth over MAE of the expression.
        jitter: root mean square third difference against that of the truth without what is above 8 Hz.
        velocity: error of the speeds, 1/s, and that of a still face.
        consistency: frame-to-frame variation in a file against the truth's: mean and spread over files.
        strided: MAE over windows that start cold, each frame counted once, and "plain": each window counted.
        sessions: MAE and r(jawOpen) of the takes chained into sessions of a minute.
        smoothing: with and without the learned smoothing; at 60 fps, where frames are ticks.
        sounds: closures, silence and rounding, where phones are known.
        silenced: errors without the mel and without the emotion stream.
        files: what each take scores.
    """

    corpus: str
    fps: float
    delay_ms: float
    clips: int
    frames: int
    shapes: int
    mae: float
    baselines: dict[str, float]
    groups: dict[str, float | None]
    r: dict[str, float]
    lag_frames: int | None
    lag_ms: float | None
    mae_by_shape: dict[str, float]
    group_baselines: dict[str, dict[str, float | None]]
    baselines_by_shape: dict[str, dict[str, float]]
    skill: dict[str, float | None]
    skill_by_shape: dict[str, float | None]
    mouth_to_expression: float | None
    jitter: dict[str, float | None]
    jitter_by_shape: dict[str, float | None]
    velocity: dict[str, float | None]
    consistency: dict[str, float | None]
    files: list[dict[str, Any]]
    strided: dict[str, float] | None = None
    sessions: dict[str, float | None] | None = None
    smoothing: dict[str, float | None] | None = None
    sounds: dict[str, Any] | None = None
    silenced: dict[str, dict[str, float | None]] | None = None


@dataclass(frozen=True)
class Played:
    """A take, and what the model made of it.

    Attributes:
        clip: all frames. known: (T,) those that lie inside the capture.
        truth: (n, 52) captured curves at the known frames, NaN in shapes that were not captured.
    """

    take: Take
    clip: Clip
    known: NDArray[np.bool_]
    truth: Float32

    @property
    def predicted(self) -> Float32:
        """(n, 52) at the known frames."""
        return self.clip.weights[self.known]

    @property
    def times(self) -> NDArray[np.float64]:
        """(n,) seconds of the known frames."""
        return self.clip.times[self.known]


def predictions(
    face: Face, takes: list[Take], fps: Fraction, delay_ms: float, style: str | None = None
) -> list[Played]:
    """Each take animated alone, in its own style or in `style`. Raises SettingError: a style that the model lacks."""
    for take in takes if style is None else ():
        if take.style not in face.styles:
            raise SettingError(
                f"the take {take.name!r} is of style {take.style!r}: expected one of {', '.join(face.styles)}; say "
                "which of these it is to be compared with (--style), or fine-tune a model that knows its own"
            )
    played = []
    for take in takes:
        clip = face.animate(take.audio, fps=fps, delay_ms=delay_ms, style=style or take.style)
        times = clip.times
        known = take.known_at(times)
        played.append(Played(take, clip, known, metrics.masked(take.curves_at(times[known]), take.captured)))
    if all(np.isnan(one.truth).all() for one in played):
        raise CorpusError(f"got {len(takes)} held-out takes without a captured shape: expected curves beside the sound")
    return played


def evaluate(face: Face, name: str, fps: float = 30, delay_ms: float = 100, style: str | None = None) -> Report:
    """Score a model on the held-out takes of a corpus or data set, each in its own style or in `style`.

    Raises:
        CorpusError: it is absent, or nothing of it is held out.
    """
    return score(face, name, takes(name, "train"), held_out(name), fps, delay_ms, style)


def held_out(name: str) -> list[Take]:
    """The takes to evaluate on. Raises CorpusError if there are none."""
    test = takes(name, "test")
    if not test:
        raise CorpusError(f"{name!r} holds out nothing: expected a split; make one with `duomorph data split`")
    return test


def score(
    face: Face,
    name: str,
    learned: list[Take],
    held_out: list[Take],
    fps: float = 30,
    delay_ms: float = 100,
    style: str | None = None,
) -> Report:
    """Score a model on `held_out`, in each take's style or in `style`; the trivial faces are those of `learned`."""
    played = predictions(face, held_out, frame_rate(fps), delay_ms, style)
    return report(played, name, trivial(learned or held_out), delay_ms)


def trivial(learned: list[Take]) -> dict[str, Float32]:
    """The faces that cost nothing: of the training takes, or where all is held out, of those (which is stricter)."""
    return metrics.trivial_faces(np.concatenate([metrics.masked(take.weights, take.captured) for take in learned]))


def report(played: list[Played], name: str, faces: dict[str, Float32], delay_ms: float) -> Report:
    """All figures that need the curves alone."""
    fps = float(played[0].clip.fps)
    pairs = [(one.predicted, one.truth) for one in played]
    predicted, truth = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    error = np.abs(predicted - truth)
    captured = ~np.isnan(truth).all(axis=0)
    wrong = {face: np.abs(row - truth) for face, row in faces.items()}
    by_shape, still = metrics.by_shape(error), {face: metrics.by_shape(values) for face, values in wrong.items()}
    moves, squares = metrics.alive(truth), metrics.jitter(pairs, fps)
    mouth, expression = (mean(error[:, metrics.GROUPS[group]]) for group in ("mouth", "expression"))
    jaw = arkit.INDEX["jawOpen"]
    jaws = [(p[:, jaw], t[:, jaw]) for p, t in pairs if not np.isnan(t[:, jaw]).any()]
    files: list[dict[str, Any]] = [
        {
            "name": one.take.name,
            "frames": len(t),
            "mae": mean(np.abs(p - t)),
            "consistency": metrics.consistency(p, t),
        }
        for one, (p, t) in zip(played, pairs, strict=True)
        if len(t)
    ]
    variation = np.array([file["consistency"] for file in files if not np.isnan(file["consistency"])])
    return clean(Report(
        corpus=name,
        fps=fps,
        delay_ms=delay_ms,
        clips=len(played),
        frames=len(truth),
        shapes=int(captured.sum()),
        mae=mean(error),
        baselines={face: mean(values) for face, values in wrong.items()},
        groups={"mouth": mouth, "expression": expression},
        r={
            shape: metrics.correlation(predicted[there, index], truth[there, index])
            for shape, index in arkit.INDEX.items()
            if moves[index]
            for there in [~np.isnan(truth[:, index])]
        },
        lag_frames=metrics.best_lag(jaws) if jaws else None,
        lag_ms=1000 * metrics.fine_lag(jaws) / fps if jaws else None,
        mae_by_shape=named(by_shape, captured),
        group_baselines={
            group: {face: mean(values[:, metrics.GROUPS[group]]) for face, values in wrong.items()}
            for group in ("mouth", "expression")
        },
        baselines_by_shape={
            shape: {face: float(values[index]) for face, values in still.items()}
            for shape, index in arkit.INDEX.items() if captured[index]
        },
        skill={
            group: metrics.skill(mean(error[:, shapes]), mean(wrong["median"][:, shapes]))
            for group, shapes in metrics.GROUPS.items()
        },
        skill_by_shape={
            shape: metrics.skill(float(by_shape[index]), float(still["median"][index]))
            for shape, index in arkit.INDEX.items() if captured[index]
        },
        mouth_to_expression=mouth / expression if expression > 0 else float("nan"),
        jitter={group: metrics.jitter_ratio(squares, shapes) for group, shapes in metrics.GROUPS.items()},
        jitter_by_shape={
            shape: metrics.jitter_ratio(squares, np.array([index]))
            for shape, index in arkit.INDEX.items() if moves[index]
        },
        velocity={**metrics.velocity(pairs, fps)},
        consistency={
            "mean": float(variation.mean()) if len(variation) else float("nan"),
            "spread": float(variation.std()) if len(variation) else float("nan"),
        },
        files=files,
    ))  # fmt: skip


def named(values: Floats, which: NDArray[np.bool_]) -> dict[str, float]:
    """(52,) as a dictionary of those shapes."""
    return {shape: float(values[index]) for shape, index in arkit.INDEX.items() if which[index]}


def clean(report: Report) -> Report:
    """The same with None for NaN, which JSON does not know."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        if isinstance(value, list):
            return [plain(part) for part in value]
        return None if isinstance(value, float) and np.isnan(value) else value

    return Report(**{key: plain(value) for key, value in vars(report).items()})
