"""How good the curves are, on takes that no training saw, beside what costs nothing.

One promise: every figure stands next to that of three trivial faces: all zero, the training mean, the median.

    report = evaluate(load(), "grid_s1", fps=30)
    report.mae, report.baselines["median"], report.r["jawOpen"]

The truth is the capture itself, unsmoothed, interpolated linearly to the frame times; each clip is animated alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import frame_rate
from duomorph.corpus import Take
from duomorph.dataset.takes import takes
from duomorph.errors import CorpusError
from duomorph.face import Face

Float32 = NDArray[np.float32]

SHOWN: Final = (
    "jawOpen", "mouthClose", "mouthPucker", "mouthFunnel", "mouthLowerDownLeft", "mouthUpperUpLeft",
    "mouthSmileLeft", "mouthPressLeft", "eyeBlinkLeft", "browDownLeft",
)  # fmt: skip
MAX_LAG: Final = 6  # frames searched either way
STILL: Final = 1e-3  # spread under which a captured shape is dead and has no r


@dataclass(frozen=True)
class Report:
    """Scores of one corpus at one frame rate. MAE over the captured shapes; r pooled over all frames.

    Attributes:
        lag_frames: the shift at which predicted and captured jawOpen agree best; positive: we are late.
        baselines: MAE of "zero", "mean" and "median".
        groups: MAE of the mouth and of the expression.
    """

    corpus: str
    fps: float
    delay_ms: float
    clips: int
    frames: int
    shapes: int
    mae: float
    baselines: dict[str, float]
    groups: dict[str, float]
    r: dict[str, float]
    lag_frames: int
    mae_by_shape: dict[str, float]


def correlation(a: Float32, b: Float32) -> float:
    """Pearson r; 0 if either does not move."""
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def best_lag(pairs: list[tuple[Float32, Float32]]) -> int:
    """Shift in frames at which predicted curves match captured ones best, over all (predicted, truth) pairs."""

    def score(lag: int) -> float:
        moved = [
            (p[lag:], t[: len(t) - lag]) if lag >= 0 else (p[:lag], t[-lag:]) for p, t in pairs if len(p) > MAX_LAG
        ]
        return correlation(np.concatenate([p for p, _ in moved]), np.concatenate([t for _, t in moved]))

    return max(range(-MAX_LAG, MAX_LAG + 1), key=score)


def predictions(
    face: Face, takes: list[Take], fps: Fraction, delay_ms: float, style: str | None = None
) -> list[tuple[Float32, Float32]]:
    """(predicted, truth) of each take, both (T, 52), at its captured frames; in the take's own style or in `style`."""
    pairs = []
    for take in takes:
        clip = face.animate(take.audio, fps=fps, delay_ms=delay_ms, style=style or take.style)
        times = clip.times
        known = take.known_at(times)
        pairs.append((clip.weights[known], take.curves_at(times[known])))
    return pairs


def evaluate(face: Face, name: str, fps: float = 30, delay_ms: float = 100) -> Report:
    """Score a model on the held-out takes of a corpus or data set, each in its own style.

    Raises:
        CorpusError: it is absent, or nothing of it is held out.
    """
    held_out = takes(name, "test")
    if not held_out:
        raise CorpusError(f"{name!r} holds out nothing: expected a split; make one with `duomorph data split`")
    return score(face, name, takes(name, "train"), held_out, fps, delay_ms)


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
    rate = frame_rate(fps)
    pairs = predictions(face, held_out, rate, delay_ms, style)
    predicted = np.concatenate([p for p, _ in pairs])
    truth = np.concatenate([t for _, t in pairs])
    error = np.abs(predicted - truth)
    captured = held_out[0].captured
    seen = np.concatenate([take.weights for take in learned])
    trivial = {"zero": 0 * seen[0], "mean": seen.mean(axis=0), "median": np.median(seen, axis=0)}
    jaw = arkit.INDEX["jawOpen"]

    def mean_error(shapes: NDArray[np.intp]) -> float:
        return float(error[:, shapes[captured[shapes]]].mean()) if captured[shapes].any() else 0.0

    return Report(
        corpus=name,
        fps=float(rate),
        delay_ms=delay_ms,
        clips=len(held_out),
        frames=len(truth),
        shapes=int(captured.sum()),
        mae=float(error[:, captured].mean()),
        baselines={key: float(np.abs(row - truth)[:, captured].mean()) for key, row in trivial.items()},
        groups={"mouth": mean_error(arkit.MOUTH), "expression": mean_error(arkit.EXPRESSION)},
        r={
            shape: correlation(predicted[:, index], truth[:, index])
            for shape, index in arkit.INDEX.items()
            if captured[index] and truth[:, index].std() > STILL
        },
        lag_frames=best_lag([(p[:, jaw], t[:, jaw]) for p, t in pairs]),
        mae_by_shape={shape: float(error[:, index].mean()) for shape, index in arkit.INDEX.items() if captured[index]},
    )


def even_frames_gap(face: Face, name: str, delay_ms: float = 100) -> float:
    """Greatest difference between the even frames at 60 fps and the frames at 30 fps, over the held-out takes."""
    gap = 0.0
    for take in takes(name, "test"):
        slow, fast = (face.animate(take.audio, fps=fps, delay_ms=delay_ms, style=take.style) for fps in (30, 60))
        count = min(len(slow), (len(fast) + 1) // 2)
        gap = max(gap, float(np.abs(slow.weights[:count] - fast.weights[::2][:count]).max()))
    return gap


def summary(face: Face, names: list[str], rates: list[float], delay_ms: float) -> dict[str, Any]:
    """Every corpus at every rate, and how far the two rates agree; plain data for JSON."""
    reports = {name: [evaluate(face, name, fps, delay_ms) for fps in rates] for name in names}
    return {
        "split": "held-out takes of duomorph/corpus/split.json, each animated alone, unsmoothed labels",
        "weights_sha256": face.info().weights_sha256,
        "reports": [asdict(report) for own in reports.values() for report in own],
        "rate_gap": {name: max(r.mae for r in own) - min(r.mae for r in own) for name, own in reports.items()},
        "even_frames_gap": {name: even_frames_gap(face, name, delay_ms) for name in names},
    }


def table(result: dict[str, Any]) -> str:
    """A summary for the screen."""
    lines = []
    for report in result["reports"]:
        base = report["baselines"]
        lines.append(
            f"{report['corpus']}  {report['fps']:g} fps  delay {report['delay_ms']:g} ms  "
            f"{report['clips']} clips, {report['frames']} frames, {report['shapes']} shapes"
        )
        lines.append(
            f"  MAE {report['mae']:.4f}   (zero {base['zero']:.4f}, train mean {base['mean']:.4f}, "
            f"train median {base['median']:.4f})   mouth {report['groups']['mouth']:.4f}, "
            f"expression {report['groups']['expression']:.4f}"
        )
        shown = [f"{name} {report['r'][name]:.3f}" for name in SHOWN if name in report["r"]]
        lines.append(f"  r   {'  '.join(shown)}")
        lines.append(f"  best lag {report['lag_frames']:+d} frames")
    for name, gap in result["rate_gap"].items():
        even = result["even_frames_gap"][name]
        lines.append(f"{name}: MAE differs by {gap:.5f} between the rates, even frames by at most {even:.5f}")
    return "\n".join(lines)
