"""A made-up mouth before a made-up camera: lips whose true measures a test knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duomorph import restore

Floats = NDArray[np.float64]
INDEX = np.array(sorted({number for group in restore.GROUPS for number in group}))
REST = {"opening": 0.0, "width": 5.0, "height": 2.0, "smile": 0.0, "upper": -4.1, "depth": 5.3}  # cm


def mouth(frames: int, **moved: Floats | float) -> Floats:
    """(T, n, 3) in the head's coordinates, cm: at rest but for what is `moved` from it.

    `opening` parts the lips, a third up and two thirds down; `width` and `smile` (corners up) are even on both sides,
    `left` adds to the subject's left corner alone; `height` is that of both lips together.
    """
    at = {name: REST[name] + np.broadcast_to(moved.get(name, 0.0), frames) for name in REST}
    left = np.broadcast_to(moved.get("left", 0.0), frames)
    upper, lower = at["upper"] + at["opening"] / 3, at["upper"] - at["opening"] * 2 / 3
    aside = {0: 0.0, 13: 0.0, 14: 0.0, 17: 0.0}  # of the middle, in mouth widths; left of the subject is +x
    aside |= dict.fromkeys((267, 311, 314, 402), 0.1) | dict.fromkeys((312, 317), 0.05)
    aside |= dict.fromkeys((37, 81, 84, 178), -0.1) | dict.fromkeys((82, 87), -0.05)
    places = np.zeros((frames, len(INDEX), 3))
    for column, number in enumerate(INDEX):
        x, y = aside.get(int(number), 0.0) * at["width"], upper
        if number in restore.UPPER_RIM:
            y = upper + at["height"] / 2
        elif number in (*restore.LOWER_EDGE["Left"], *restore.LOWER_EDGE["Right"]):
            y = lower
        elif number in restore.LOWER_RIM:
            y = lower - at["height"] / 2
        elif number == 291:
            x, y = at["width"] / 2 + left, REST["upper"] + at["smile"]
        elif number == 61:
            x, y = -at["width"] / 2, REST["upper"] + at["smile"]
        places[:, column] = np.stack([np.broadcast_to(x, frames), np.broadcast_to(y, frames), at["depth"]], axis=1)
    return places


def mirrored(places: Floats) -> Floats:
    """The same mouth in a mirror: left is right."""
    left, right = (291, 267, 311, 312, 314, 317, 402), (61, 37, 81, 82, 84, 87, 178)
    other = dict(zip(left + right, right + left, strict=True))
    order = [list(INDEX).index(other.get(number, number)) for number in INDEX]
    return places[:, order] * (-1, 1, 1)


def filmed(
    places: Floats,
    away: float = 35.0,
    turn: tuple[float, float, float] = (0, 0, 0),
    beside: float = 0.0,
    size: tuple[int, int] = (360, 288),
) -> restore.Lips:
    """What MediaPipe would say of these places: the head turned by (yaw, pitch, roll), `away` cm off the camera and
    `beside` its axis."""
    (sy, sp, sr), (cy, cp, cr) = np.sin(turn), np.cos(turn)
    rotation = (
        np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    )
    head = np.eye(4)
    head[:3, :3] = rotation
    head[:3, 3] = beside, -beside, -away
    seen = places @ rotation.T + head[:3, 3]  # before a camera at 0 that looks along -z
    wide, high = size
    focal = high / 2 / np.tan(np.deg2rad(31.5))
    marks = np.empty_like(seen)
    marks[..., 0] = 0.5 + focal * seen[..., 0] / -seen[..., 2] / wide
    marks[..., 1] = 0.5 - focal * seen[..., 1] / -seen[..., 2] / high
    marks[..., 2] = (4.3 - (seen[..., 2] + away)) * focal / away / wide
    return restore.Lips(marks, INDEX, np.broadcast_to(head, (len(places), 4, 4)), size)


def speech(frames: int, seed: int = 0) -> Floats:
    """A mouth that talks and rests in turns."""
    rng = np.random.default_rng(seed)
    knots = np.arange(0, frames + 6, 6)

    def curve(low: float, high: float) -> Floats:
        talks = np.arange(len(knots)) % 16 < 10
        return np.interp(np.arange(frames), knots, rng.uniform(low, high, len(knots)) * talks)

    return mouth(
        frames,
        opening=np.maximum(curve(-0.5, 2.0), 0),
        width=curve(-0.8, 0.4),
        height=curve(-0.2, 0.3),
        smile=curve(-0.2, 0.4),
        left=curve(-0.1, 0.1),
        depth=curve(-0.1, 0.1),
        upper=curve(-0.1, 0.2),
    )
