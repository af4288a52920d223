"""Range restoration: the curves of a video tracker, given back the range that a phone measures.

One promise: what opens the lips here is zero where the video shows them closed, and every number is fitted once, on
the speaker's own clips; `restore` fits nothing.

    speaker = fit([(lips, fps), ...])          # of takes that are not the ones to judge by
    wide = restore(clip, lips, speaker)        # as long as `clip`, which stays as it is

MediaPipe's shapes are flat on funnel, upperUp, lowerDown, rollLower, stretch and smile, but its landmarks move. So the
lips are measured, in centimetres of the face model and in the head's coordinates, against the speaker's own neutral;
a shape follows its measure by one gain, which gives it the deviation of real takes. The other shapes, jawOpen and
mouthClose among them, have their range and stay as they are (docs/restoration.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.errors import CorpusError, FormatError

Floats = NDArray[np.float64]
Curves = dict[str, Floats]  # by the name of a measure or shape, (T,) each

FIELD_OF_VIEW: Final = np.deg2rad(63.0)  # vertical, of the camera that MediaPipe assumes for its head matrix
# Depths of landmarks count from the middle of the face, the head matrix from that of the head. With 4.3 cm between them
# the lips lie where the canonical face model has them, and nodding does not move them (docs/restoration.md).
FACE_DEPTH: Final = 4.3  # cm

# Landmarks by MediaPipe's number; sides are the subject's own.
UPPER_EDGE: Final = {"Left": (13, 311, 312), "Right": (13, 81, 82)}  # of the lip, towards the opening
LOWER_EDGE: Final = {"Left": (14, 317, 402), "Right": (14, 87, 178)}
UPPER_RIM: Final = (0, 37, 267)  # where lip meets skin
LOWER_RIM: Final = (17, 84, 314)
CORNER: Final = {"Left": (291,), "Right": (61,)}
GROUPS: Final = (UPPER_RIM, LOWER_RIM, *UPPER_EDGE.values(), *LOWER_EDGE.values(), *CORNER.values())

# Deviation in real iPhone speech, and the highest value of a real range-of-motion take, where a curve bends to. For
# stretch and rollLower no speech was at hand: half the deviation of that take, the median share of the others.
RANGES: Final[dict[str, tuple[float, float]]] = {
    "mouthFunnel": (0.10, 0.57),
    "mouthUpperUp": (0.10, 0.63),
    "mouthLowerDown": (0.10, 0.83),
    "mouthSmile": (0.10, 0.89),
    "mouthStretch": (0.065, 0.78),
    "mouthRollLower": (0.038, 0.46),
}
OPENERS: Final = ("mouthFunnel", "mouthUpperUp", "mouthLowerDown")
REST: Final = 0.2  # the share of frames, those with the smallest opening, that shows the neutral mouth
CLOSED: Final = 0.01  # an opening that is still closed, in neutral mouth widths
OPEN: Final = 0.05  # and one that is surely open
IDLE: Final = 0.85  # the share of rest in which a shape is zero
LENT: Final = 0.4  # of narrowing lips, what they lend to raise and drop (docs/restoration.md)
SMOOTH_S: Final = Fraction(7, 100)  # half of the window that measures are smoothed with
SMILE: Final = (0.8, 0.6)  # where a smile takes the corner of the mouth: out and up, length 1


@dataclass(frozen=True)
class Lips:
    """The lips of a take as MediaPipe's FaceLandmarker gives them.

    Attributes:
        marks: (T, n, 3), x and y as fractions of the image, z on the scale of x.
        index: (n,) MediaPipe's number of each.
        head: (T, 4, 4) facial transformation matrices, in cm.
        size: width and height of the image in pixels.
    """

    marks: NDArray[np.floating[Any]]
    index: NDArray[np.integer[Any]]
    head: NDArray[np.floating[Any]]
    size: tuple[int, int]


@dataclass(frozen=True)
class Speaker:
    """What is fitted on a speaker's clips.

    Attributes:
        neutral: every measure of the mouth at rest, cm.
        share: how much of a measure others explain; its slopes.
        idle: how far a mouth at rest goes the way of each shape, cm.
        gain: per cm, of the shapes in `RANGES`.
    """

    neutral: dict[str, float]
    share: dict[str, tuple[float, ...]]
    idle: dict[str, float]
    gain: dict[str, float]


def fit(takes: Iterable[tuple[Lips, Fraction]]) -> Speaker:
    """Learn a speaker from a few minutes of speech: lips, and their frames a second.

    Raises:
        FormatError: landmarks are damaged.
        CorpusError: no frame, or lips that do not move.
    """
    parts = [(measure(lips), fps) for lips, fps in takes if len(lips.marks)]
    if not parts:
        raise CorpusError("cannot fit a speaker on 0 frames: expected some minutes of speech; give clips")
    pooled = _pool(measured for measured, _ in parts)
    rest = pooled["opening"] <= np.quantile(pooled["opening"], REST)
    neutral = {name: float(np.median(curve[rest])) for name, curve in pooled.items()}
    moved = {name: curve - neutral[name] for name, curve in pooled.items()}
    share = {
        "lowerBack": _slopes(moved["lowerBack"], moved["drop"], moved["width"]),
        "upLeft": _slopes(moved["upLeft"], moved["opening"]),
        "upRight": _slopes(moved["upRight"], moved["opening"]),
    }
    speaker = Speaker(neutral, share, idle={}, gain={})
    ways = _pool(_ways(measured, speaker, fps) for measured, fps in parts)
    speaker = replace(speaker, idle={name: float(np.quantile(way[rest], IDLE)) for name, way in ways.items()})
    drivers = _pool(_drivers(measured, speaker, fps) for measured, fps in parts)
    return replace(speaker, gain={shape: _gain(shape, drivers) for shape in RANGES})


def restore(clip: Clip, lips: Lips, speaker: Speaker) -> Clip:
    """The clip with its flat shapes in the range of real takes.

    Raises:
        FormatError: landmarks are damaged or not those of this clip.
    """
    if len(clip) != len(lips.marks):
        raise FormatError(f"got {len(clip)} frames and {len(lips.marks)} of lips: expected those of one video")
    if not len(clip):
        return clip
    weights = clip.weights.copy()
    for name, driver in _drivers(measure(lips), speaker, clip.fps).items():
        shape = _stem(name)
        weights[:, arkit.INDEX[name]] = _limited(speaker.gain[shape] * driver, RANGES[shape][1])
    return replace(clip, weights=weights, source=f"{clip.source}; range restored from the lips".removeprefix("; "))


def measure(lips: Lips) -> Curves:
    """Places and distances of the lips in cm, in the head's coordinates.

    Raises:
        FormatError: landmarks are missing, not finite or of another shape.
    """
    place = _places(lips)
    left, right = place(CORNER["Left"]), place(CORNER["Right"])  # (T, 3): x to the subject's left, y up, z forward
    upper = place(UPPER_EDGE["Left"] + UPPER_EDGE["Right"])
    lower = place(LOWER_EDGE["Left"] + LOWER_EDGE["Right"])
    height = np.linalg.norm(place(UPPER_RIM) - upper, axis=1) + np.linalg.norm(place(LOWER_RIM) - lower, axis=1)
    measured = {
        "opening": upper[:, 1] - lower[:, 1],
        "width": np.linalg.norm(left - right, axis=1),
        "height": height,  # of both lips, as far as they show
        "drop": -lower[:, 1],
        "lowerBack": -lower[:, 2],
    }
    for side, outward in (("Left", 1.0), ("Right", -1.0)):
        measured |= {
            "raise" + side: place(UPPER_EDGE[side])[:, 1],
            "drop" + side: -place(LOWER_EDGE[side])[:, 1],
            "out" + side: outward * place(CORNER[side])[:, 0],
            "up" + side: place(CORNER[side])[:, 1],
        }
    return measured


def apart(measured: Curves, speaker: Speaker) -> Floats:
    """(T,) from 0 where the lips touch to 1 where they are surely open."""
    opening = (measured["opening"] - speaker.neutral["opening"]) / speaker.neutral["width"]
    way = np.clip((opening - CLOSED) / (OPEN - CLOSED), 0, 1)
    rising: Floats = way * way * (3 - 2 * way)
    return rising


def _ways(measured: Curves, speaker: Speaker, fps: Fraction) -> Curves:
    """How far the lips have gone the way of each shape, in cm, not below 0."""
    at = {name: _smooth(curve - speaker.neutral[name], fps) for name, curve in measured.items()}
    narrow, slopes = -at["width"], speaker.share["lowerBack"]
    ways = {
        "mouthFunnel": narrow + at["height"],
        "mouthRollLower": at["lowerBack"] - slopes[0] * at["drop"] - slopes[1] * at["width"],
    }
    for side in ("Left", "Right"):
        up = at["up" + side] - speaker.share["up" + side][0] * at["opening"]
        ways["mouthUpperUp" + side] = at["raise" + side] - LENT * narrow
        ways["mouthLowerDown" + side] = at["drop" + side] - LENT * narrow
        ways["mouthSmile" + side], ways["mouthStretch" + side] = _corner(at["out" + side], up)
    return {name: np.maximum(way, 0) for name, way in ways.items()}


def _drivers(measured: Curves, speaker: Speaker, fps: Fraction) -> Curves:
    """The ways beyond what a mouth at rest goes; of shapes that open the lips, while the lips are apart."""
    gate = _under(apart(measured, speaker), fps)
    return {
        name: np.maximum(way - speaker.idle[name], 0) * (gate if _stem(name) in OPENERS else 1)
        for name, way in _ways(measured, speaker, fps).items()
    }


def _corner(out: Floats, up: Floats) -> tuple[Floats, Floats]:
    """How far the corner of the mouth has gone along SMILE and straight out: least squares, neither below 0."""
    rise = up / SMILE[1]
    aside = out - SMILE[0] * rise
    smile = np.where(aside < 0, out * SMILE[0] + up * SMILE[1], rise)
    stretch = np.where(rise < 0, out, aside)
    return np.maximum(smile, 0), np.maximum(stretch, 0)


def _gain(shape: str, drivers: Curves) -> float:
    """By bisection, what brings a driver, both sides together, to its deviation."""
    deviation, ceiling = RANGES[shape]
    curve = np.concatenate([curve for name, curve in drivers.items() if _stem(name) == shape])
    low, high = 0.0, 1e3
    if _limited(high * curve, ceiling).std() < deviation:
        raise CorpusError(f"cannot fit {shape}: the lips hardly move, expected some minutes of speech; give more clips")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _limited(middle * curve, ceiling).std() < deviation else (low, middle)
    return high


def _limited(curve: Floats, ceiling: float) -> Floats:
    """Straight for most of the way, then bending so that `ceiling` is not passed."""
    bent: Floats = curve / (1 + (curve / ceiling) ** 4) ** 0.25
    return bent


def _window(fps: Fraction) -> Floats:
    """A Hann window, symmetric: no delay."""
    reach = max(math.ceil(SMOOTH_S * fps) - 1, 0)  # frames
    window: Floats = 1 + np.cos(np.pi * np.arange(-reach, reach + 1) / float(SMOOTH_S * fps))
    window /= window.sum()
    return window


def _smooth(curve: Floats, fps: Fraction) -> Floats:
    window = _window(fps)
    return np.convolve(np.pad(curve, len(window) // 2, mode="edge"), window, mode="valid")


def _under(curve: Floats, fps: Fraction) -> Floats:
    """Smooth and nowhere above `curve`: the smoothed lowest of each neighbourhood."""
    reach = len(_window(fps)) // 2
    near = np.lib.stride_tricks.sliding_window_view(np.pad(curve, reach, mode="edge"), 2 * reach + 1)
    return np.minimum(_smooth(near.min(axis=1), fps), curve)  # but for rounding


def _pool(parts: Iterable[Curves]) -> Curves:
    takes = list(parts)
    return {name: np.concatenate([take[name] for take in takes]) for name in takes[0]}


def _slopes(curve: Floats, *by: Floats) -> tuple[float, ...]:
    """Least squares through the neutral."""
    return tuple(float(slope) for slope in np.linalg.lstsq(np.stack(by, axis=1), curve, rcond=None)[0])


def _stem(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")


def _places(lips: Lips) -> Callable[[tuple[int, ...]], Floats]:
    """Where a group of landmarks is, (T, 3) in cm in the head's coordinates.

    Pixels are unprojected with the camera that the head matrix was estimated for, at the depth that it states.
    """
    marks, head = np.asarray(lips.marks, np.float64), np.asarray(lips.head, np.float64)
    row = {int(number): k for k, number in enumerate(lips.index)}
    wide, high = lips.size
    if marks.ndim != 3 or marks.shape[1:] != (len(row), 3) or head.shape != (len(marks), 4, 4):
        raise FormatError(
            f"lips have marks {marks.shape}, index {len(row)}, head {head.shape}: "
            "expected (T, n, 3), n and (T, 4, 4); capture the video again"
        )
    missing = {number for group in GROUPS for number in group} - set(row)
    if missing:
        raise FormatError(f"lips lack landmark {min(missing)}: expected MediaPipe's two rings; capture the video again")
    if not (np.isfinite(marks).all() and np.isfinite(head).all() and (head[:, 2, 3] < 0).all()):
        raise FormatError("lips are not in every frame: expected finite marks before the camera; cut the gaps out")
    focal = high / 2 / np.tan(FIELD_OF_VIEW / 2)  # pixels
    origin = head[:, None, :3, 3]  # (T, 1, 3) of the head, in the camera's space: x to its right, y up, z backward
    away = -origin[..., 2]
    depth = FACE_DEPTH - marks[..., 2] * wide * away / focal  # before the origin
    scale = (away - depth) / focal  # cm a pixel
    seen = np.stack([(marks[..., 0] - 0.5) * wide * scale, (0.5 - marks[..., 1]) * high * scale, depth], axis=-1)
    seen[..., :2] -= origin[..., :2]
    places = np.einsum("tji,tpj->tpi", head[:, :3, :3], seen)

    def place(numbers: tuple[int, ...]) -> Floats:
        mean: Floats = places[:, [row[number] for number in numbers]].mean(axis=1)
        return mean

    return place
