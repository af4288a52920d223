"""The head that comes along: a clay figure of our own, with all 52 shapes, out of formulas.

One promise: lips that touch at rest touch under every shape that keeps them closed, and under jawOpen and mouthClose
in equal amounts.

    python recipes/head.py -o src/duomorph/assets/head.glb

Drawn in head radii: x to the subject's left, y up, z to the front, the middle of the head at 0. The skin is a net of
confocal ellipses around the mouth: its first ring is the line between the lips, there twice, its last is the back of
the head. A shape is what it adds to each vertex at 1.0; where it is a function of the place alone, both lips get the
same and stay closed.
"""

from __future__ import annotations

import argparse
import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duomorph import arkit, files
from duomorph.scenes import gltf

Array = NDArray[np.float64]
Deltas = dict[str, Array]

METRES: Final = 0.11  # to a head radius
ROUND: Final = 84  # vertices around the mouth
LIP_RINGS, RINGS, BAG_RINGS = 9, 41, 6
LEAST: Final = 1e-3  # head radii; what moves less does not move
SIDES: Final = (("Left", 1.0), ("Right", -1.0))

MOUTH: Final = 0.47  # rad below the front, seen from the middle of the head
HALF: Final = 0.255  # half the mouth's width
LIP: Final = 0.36  # elliptic radius of the lips' outer edge
HINGE: Final = np.array([0.0, -0.05, 0.0])  # of the jaw
OPEN: Final = 0.33  # rad
PIVOT: Final = np.array([0.0, -0.78, -0.12])  # what the head turns about
EYE: Final = np.array([0.335, 0.12, 0.485])
EYE_RADIUS, LID_RADIUS = 0.26, 0.287
LIDS: Final = {"upper": 27.0, "lower": -27.0}  # degrees up from the eye's middle
MEET: Final = -15.0  # where they close
OUTWARD: Final = 0.10  # rad that the eyes point aside at rest; straight ahead looks like a squint from near
GAZE: Final = {"Up": 22.0, "Down": 24.0, "In": 27.0, "Out": 27.0}  # degrees

PALETTE: Final = {
    "skin": 0xF2B591, "lid": 0xE3987A, "ear": 0xEBA17F, "white": 0xFBF8F2, "rim": 0x1C5C66, "iris": 0x37A0A3,
    "pupil": 0x10191C, "glint": 0xFFFFFF, "lash": 0x3A241F, "brow": 0x5A3226, "teeth": 0xFAF4E8, "gum": 0x7C2632,
    "throat": 0x4A1119, "tongue": 0xD9606A, "hair": 0x6B3A2A, "shirt": 0x2F7F8C, "collar": 0xF3EFE6,
}  # fmt: skip
LIPS, BLUSH = 0xC95F5C, 0xEE8E78
TEXTURE: Final = (256, 128)  # wide, high; the lowest tenth holds the palette


@dataclass
class Part:
    """A mesh and what the shapes do to it. `seam` are pairs of vertices that are one, but for their colour."""

    base: Array
    faces: NDArray[np.intp]
    uv: Array
    deltas: Deltas = field(default_factory=dict)
    seam: NDArray[np.intp] = field(default_factory=lambda: np.zeros((0, 2), np.intp))

    def normals(self, shape: str = "") -> Array:
        points = self.base + self.deltas[shape] if shape else self.base
        a, b, c = (points[self.faces[:, k]] for k in range(3))
        across = np.cross(b - a, c - a)
        sums = np.zeros_like(points)
        for k in range(3):
            np.add.at(sums, self.faces[:, k], across)
        both = sums[self.seam[:, 0]] + sums[self.seam[:, 1]]
        sums[self.seam[:, 0]] = sums[self.seam[:, 1]] = both
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.divide(sums, length, out=np.tile([0.0, 0.0, 1.0], (len(sums), 1)), where=length > 1e-12)


def step(low: float, high: float, x: ArrayLike) -> Array:
    """0 below `low`, 1 above `high`, smooth between; `low` may be the greater."""
    t = ((np.asarray(x) - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def bell(points: Array, x: float, y: float, wide: float, high: float) -> Array:
    """1 at (x, y) of the face, falling off; nothing on the back of the head. (N, 1)"""
    far = ((points[..., 0] - x) / wide) ** 2 + ((points[..., 1] - y) / high) ** 2
    return np.asarray((tail(np.exp(-far)) * step(-0.1, 0.25, points[..., 2]))[..., None])


def tail(x: Array) -> Array:
    """What falls off reaches 0, so that a shape ends somewhere."""
    return np.asarray((x - 0.03).clip(0) / 0.97)


def turn(points: Array, about: ArrayLike, axis: int, angle: float | Array) -> Array:
    """Points rotated by `angle` radians around an axis through `about`."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    moved = points - about
    cos, sin = np.cos(angle), np.sin(angle)
    out = moved.copy()
    out[..., a], out[..., b] = cos * moved[..., a] - sin * moved[..., b], sin * moved[..., a] + cos * moved[..., b]
    return out + about


def grid(rows: int, columns: int, closed: bool = False) -> NDArray[np.intp]:
    """Triangles of a net; seen from where columns run to the right and rows up, they face the viewer. `closed`: the
    last column is the first one again, which `Part.seam` says."""
    place = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = place[:-1, :-1], place[:-1, 1:], place[1:, 1:], place[1:, :-1]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def seam(rows: int, columns: int) -> NDArray[np.intp]:
    first = np.arange(rows) * columns
    return np.stack([first, first + columns - 1], -1)


def colour(name: str, count: int) -> Array:
    """The place of a colour of the palette, for `count` vertices."""
    u = (list(PALETTE).index(name) + 0.5) / len(PALETTE)
    return np.tile([u, 0.95], (count, 1))


def net(points: Array, name: str, closed: bool = False, flip: bool = False) -> Part:
    """A part of one colour from points (rows, columns, 3)."""
    rows, columns = points.shape[:2]
    faces = grid(rows, columns)
    return Part(
        points.reshape(-1, 3),
        faces[:, ::-1] if flip else faces,
        colour(name, rows * columns),
        seam=seam(rows, columns) if closed else np.zeros((0, 2), np.intp),
    )


# ---------------------------------------------------------------------------------------------------- the skin


def surface(direction: Array) -> Array:
    """Where the head's skin is in each direction (..., 3) from its middle; the lips come on top of it."""
    x, y, z = np.moveaxis(direction, -1, 0)
    jaw = step(0.05, -0.95, y)
    points = np.stack(
        [0.88 * x * (1 - 0.17 * jaw), np.where(y < 0, 0.98, 0.96) * y, np.where(z > 0, 0.86, 0.93) * z], -1
    )
    points[..., 2] += 0.06 * jaw * step(0, 0.8, z)
    out = np.zeros_like(points)
    for _, s in SIDES:
        out += bell(points, 0.42 * s, -0.26, 0.22, 0.20) * [0.045 * s, 0, 0.05]  # cheeks
        out += bell(points, 0.31 * s, EYE[1], 0.22, 0.20) * [0, 0, -0.10]  # sockets
        out += bell(points, 0.30 * s, 0.42, 0.22, 0.09) * [0, 0, 0.03]  # brows
        out += bell(points, 0.105 * s, -0.185, 0.055, 0.05) * [0.02 * s, 0, 0.06]  # wings of the nose
    out += bell(points, 0, -0.15, 0.125, 0.11) * [0, 0.01, 0.17]  # its tip
    out += bell(points, 0, 0.05, 0.08, 0.20) * [0, 0, 0.06]  # its bridge
    out += bell(points, 0, -0.46, 0.30, 0.16) * [0, 0, 0.05]  # what the lips sit on
    out += bell(points, 0, -0.62, 0.20, 0.05) * [0, 0, -0.025]  # below them
    out += bell(points, 0, -0.82, 0.22, 0.15) * [0, -0.01, 0.10]  # chin
    return points + out


def front(x: ArrayLike, y: ArrayLike) -> Array:
    """The skin's point that is seen at (x, y) from the front."""
    target = np.stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)), -1)
    flat = target / [0.88, 1.0]
    for _ in range(30):
        deep = np.sqrt((1 - (flat**2).sum(-1, keepdims=True)).clip(0.01))
        points = surface(np.concatenate([flat, deep], -1))
        flat = flat + 0.8 * (target - points[..., :2])
    return points


class Skin:
    """The net around the mouth: (rings, ROUND + 1) points, and how the shapes move them."""

    def __init__(self) -> None:
        far = np.arccosh(np.pi / HALF)
        mu = np.concatenate([np.linspace(0, LIP, LIP_RINGS, endpoint=False), np.linspace(LIP, far, RINGS)])
        nu = np.linspace(0, 2 * np.pi, ROUND + 1)
        self.mu, self.nu = np.meshgrid(mu, nu, indexing="ij")
        self.up, self.down = np.sin(self.nu).clip(0), -np.sin(self.nu).clip(None, 0)
        self.base = self._base()
        self.middle = 0.5 * (self.base[0] + self.base[0, ::-1])  # of the lips' line, at each nu
        self.near = tail(np.exp(-((self.mu / 0.85) ** 2)))[..., None]
        self.jaw = self._jaw()[..., None]
        self.slide = step(-0.25, -0.70, self.base[..., 1])[..., None] * step(1.6, 0.6, self._angle())[..., None]
        self.slide *= step(0.72, 0.40, np.abs(self.base[..., :1]))
        self.deltas: Deltas = defaultdict(lambda: np.zeros_like(self.base))
        self._jaws()
        self._lips()
        self._rest()
        for name, delta in self.deltas.items():  # no shape but these opens the lips: what rounding did is undone
            if name not in OPENERS:
                delta[0] = 0.5 * (delta[0] + delta[0, ::-1])

    def _angle(self) -> Array:
        return np.hypot(HALF * np.cosh(self.mu) * np.cos(self.nu), HALF * np.sinh(self.mu) * np.sin(self.nu))

    def _base(self) -> Array:
        x = HALF * np.cosh(self.mu) * np.cos(self.nu)
        y = HALF * np.sinh(self.mu) * np.sin(self.nu)
        y = y + 0.035 * (x / HALF) ** 2 * np.exp(-((self.mu / 0.8) ** 2))  # a friendly line
        angle = np.hypot(x, y)
        along = np.sinc(angle / np.pi)  # sin(angle) / angle
        side, high, deep = x * along, y * along, np.cos(angle)
        cos, sin = np.cos(MOUTH), np.sin(MOUTH)
        points = surface(np.stack([side, cos * high - sin * deep, sin * high + cos * deep], -1))
        part = (self.mu / LIP).clip(0, 2)
        full = np.sin(np.pi * part.clip(0, 1)) ** 0.8 * np.abs(np.sin(self.nu)) ** 0.6
        bow = 1 - 0.25 * np.exp(-((x / 0.05) ** 2)) * self.up
        points[..., 2] += 0.042 * full * np.where(self.nu < np.pi, 0.85 * bow, 1.0)
        points[..., 2] -= 0.035 * np.exp(-((part / 0.30) ** 2)) * np.abs(np.sin(self.nu))  # where they meet
        points[..., 2] -= 0.006 * np.exp(-(((part - 1.15) / 0.25) ** 2))  # the crease around
        edge = np.abs(np.cos(self.nu)) ** 8
        points[..., 2] -= 0.030 * edge * np.exp(-((self.mu / 0.25) ** 2))  # the corners
        points[0, ROUND // 2 + 1 :] = points[0, : ROUND // 2][::-1]  # both lips, to the last bit
        points[:, -1] = points[:, 0]
        return points

    def _jaw(self) -> Array:
        """How far each vertex goes with the jaw."""
        corner = 0.36
        around = np.where(np.sin(self.nu) > 0, corner * (1 - self.up) ** 2, corner + (1 - corner) * self.down**0.95)
        broad = corner * (1 - self.up) ** 1.2 + (0.9 - corner) * step(-0.2, 0.9, self.down)
        mix = step(0.2, 1.2, self.mu)
        return ((1 - mix) * around + mix * broad) * step(1.75, 0.75, self._angle())

    def _jaws(self) -> None:
        down = turn(self.base, HINGE, 0, OPEN) - self.base
        opened = self.jaw * down
        narrow = -0.16 * self.near * np.abs(np.cos(self.nu))[..., None] ** 2 * self.base * [1, 0, 0]
        self.deltas["jawOpen"] = opened + narrow
        gap = self.deltas["jawOpen"][0] - self.deltas["jawOpen"][0, ::-1]  # of each lip to the other
        share = np.where(np.sin(nu := self.nu[0]) > 0, 0.34, 0.66)[:, None]
        spread = tail(np.exp(-((self.mu / 0.75) ** 2)))[..., None]
        self.deltas["mouthClose"] = -share * gap * spread * np.where(np.isclose(np.sin(nu), 0), 0, 1)[:, None]
        self.deltas["jawForward"] = self.slide * [0, 0, 0.10]
        for name, s in SIDES:
            self.deltas[f"jaw{name}"] = self.slide * [0.14 * s, 0, 0]

    def _lips(self) -> None:
        base, near, deltas = self.base, self.near, self.deltas
        from_line = base - self.middle
        part = (self.mu / LIP)[..., None]
        in_lip = step(1.5, 0.9, part)
        up, down = self.up[..., None], self.down[..., None]
        wide = np.abs(np.cos(self.nu))[..., None]
        deltas["mouthPucker"] = near * ([-0.46, 0, 0] * base + [0, 0, 0.12]) + in_lip * from_line * [0, 0.45, 0]
        deltas["mouthFunnel"] = (
            near * ([-0.34, 0, 0] * base + [0, 0, 0.13])
            + near * (up * [0, 0.045, 0.02] - down * [0, 0.10, 0])
        )  # fmt: skip
        deltas["mouthRollLower"] = in_lip * (down > 0) * (from_line * [0, -0.75, 0] - [0, 0, 0.045] * down**0.5) + (
            near * step(0.9, 1.6, part) * down * [0, 0.035, 0]
        )
        deltas["mouthRollUpper"] = in_lip * (up > 0) * (from_line * [0, -0.75, 0] - [0, 0, 0.04] * up**0.5) - (
            near * step(0.9, 1.6, part) * up * [0, 0.03, 0]
        )
        chin = bell(base, 0, -0.78, 0.22, 0.16)
        line = np.exp(-((part / 0.35) ** 2)) * (1 - wide**2) * [0, 0.045, 0.01]
        deltas["mouthShrugLower"] = np.maximum(near * down * 0.065, 0) * [0, 1, 0.6] + chin * [0, 0.06, 0.02] + line
        deltas["mouthShrugUpper"] = near * up * step(0, 1, part) * [0, 0.055, 0.045] + line * [0, 0.7, 3]
        for name, s in SIDES:
            half = step(-0.10, 0.12, s * base[..., 0])[..., None]
            x, y = s * base[0, 0, 0], base[0, 0, 1]
            corner = bell(base, x, y, 0.17, 0.15)
            tight = bell(base, x, y, 0.11, 0.10)
            fold = bell(base, 0.40 * s, -0.27, 0.20, 0.15)
            deltas[f"mouthSmile{name}"] = corner * [0.085 * s, 0.125, -0.045] + fold * [0.02 * s, 0.05, 0.045]
            deltas[f"mouthFrown{name}"] = corner * [0.0 * s, -0.12, -0.01] + bell(base, x, -0.62, 0.15, 0.12) * [
                0.02 * s, -0.02, 0.015]  # fmt: skip
            deltas[f"mouthDimple{name}"] = tight * [0.07 * s, 0.03, -0.085] + fold * [0.015 * s, 0.0, 0.02]
            deltas[f"mouthStretch{name}"] = corner * [0.125 * s, -0.055, -0.05]
            deltas[f"mouthPress{name}"] = half * (
                in_lip * (from_line * [0, -0.42, 0] - [0, 0, 0.035] * (1 - wide**4)) + tight * [0.02 * s, 0.01, -0.03]
            )
            deltas[f"mouth{name}"] = near * [0.13 * s, 0, 0] + corner * [0.02 * s, 0.02, 0]
            side = half * step(0, 0.5, s * np.cos(self.nu) + 0.5)[..., None]
            deltas[f"mouthLowerDown{name}"] = near * side * down * [0.01 * s, -0.125, 0.01]
            deltas[f"mouthUpperUp{name}"] = near * side * up * [0.01 * s, 0.10, 0.02] + fold * [0, 0.02, 0.01]
        deltas["tongueOut"] = near * (1 - wide**4) * (up * [0, 0.035, 0.01] - down * [0, 0.085, 0.0])

    def _rest(self) -> None:
        base, deltas = self.base, self.deltas
        for name, s in SIDES:
            puff = bell(base, 0.42 * s, -0.38, 0.19, 0.18)
            deltas["cheekPuff"] = deltas["cheekPuff"] + puff * [0.09 * s, 0, 0.11]
            lift = bell(base, 0.40 * s, -0.13, 0.20, 0.11)
            deltas[f"cheekSquint{name}"] = lift * [0.015 * s, 0.075, 0.055]
            wing = bell(base, 0.10 * s, -0.18, 0.085, 0.08)
            deltas[f"noseSneer{name}"] = (
                wing * [0.012 * s, 0.06, 0.0] + bell(base, 0.12 * s, 0.0, 0.08, 0.11) * [0, 0.03, 0.012]
                + bell(base, 0.24 * s, -0.28, 0.10, 0.10) * [0, 0.03, 0.015]
            )  # fmt: skip
            ridge = bell(base, 0.32 * s, 0.40, 0.26, 0.10)
            inner = bell(base, 0.14 * s, 0.40, 0.12, 0.10)
            outer = bell(base, 0.46 * s, 0.42, 0.16, 0.11)
            deltas[f"browDown{name}"] = (ridge + 0.5 * inner) * [-0.02 * s, -0.05, 0.015]
            deltas["browInnerUp"] = deltas["browInnerUp"] + inner * [0, 0.06, 0.012]
            deltas[f"browOuterUp{name}"] = outer * [0, 0.06, 0.012]

    def part(self) -> Part:
        rows, columns = self.base.shape[:2]
        ring = np.repeat(np.linspace(0, 0.88, rows), columns)
        uv = np.stack([np.tile(np.linspace(0, 1, columns), rows), ring], -1)
        flat = {name: delta.reshape(-1, 3) for name, delta in self.deltas.items()}
        return Part(self.base.reshape(-1, 3), grid(rows, columns)[:, ::-1], uv, flat, seam=seam(rows, columns))

    def bag(self) -> Part:
        """The inside of the mouth: from the lips' line backwards."""
        rows = []
        inward = np.linspace(0, 1, BAG_RINGS)[1:]
        side = np.sign(np.sin(self.nu[0])) * np.abs(np.sin(self.nu[0])) ** 0.4
        for t in inward:
            high = side * 0.26 * t**0.7 * (1 - t**4) - 0.12 * t
            rows.append(self.base[0] * [1 - 0.25 * t**2, 1, 1] + np.stack([0 * side, high, 0 * side - 0.5 * t], -1))
        points = np.stack([self.base[0], *rows])
        points[-1] = points[-1].mean(0)
        part = net(points, "throat", closed=True)
        part.uv[: 2 * (ROUND + 1)] = colour("gum", 2 * (ROUND + 1))
        fade = np.concatenate([[1.0], 1 - inward])[:, None, None]
        for name, delta in self.deltas.items():
            part.deltas[name] = (fade * delta[0]).reshape(-1, 3)
        down = turn(points, HINGE, 0, OPEN) - points
        opened = np.concatenate([self.deltas["jawOpen"][:1], (self.jaw[0] * down)[1:]])
        opened[-1] = opened[-1].mean(0)  # one point
        part.deltas["jawOpen"] = opened.reshape(-1, 3)
        return part


OPENERS: Final = {
    "jawOpen", "mouthClose", "mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "tongueOut",
}  # fmt: skip


# ------------------------------------------------------------------------------------------ eyes, brows, teeth


def eyeball(s: float) -> list[Part]:
    """White, iris, pupil and a glint: rings of one sphere, each of its colour."""
    middle = EYE * [s, 1, 1]
    bands = (("white", 0.50, 2.0, 9), ("rim", 0.43, 0.51, 2), ("iris", 0.21, 0.44, 4), ("pupil", 0.0, 0.22, 3))
    around = np.linspace(0, 2 * np.pi, 37)
    parts = []
    for lift, (name, low, high, rows) in enumerate(bands):
        polar, turned = np.meshgrid(np.linspace(low, high, rows), around, indexing="ij")
        radius = EYE_RADIUS + 0.0012 * lift
        points = np.stack([np.sin(polar) * np.cos(turned), np.sin(polar) * np.sin(turned), np.cos(polar)], -1)
        points = middle + radius * turn(points, 0, 1, s * OUTWARD)
        parts.append(net(points, name, closed=True, flip=True))
    polar, turned = np.meshgrid(np.linspace(0, 0.10, 3), around[::2], indexing="ij")
    spot = np.stack([np.sin(polar) * np.cos(turned), np.sin(polar) * np.sin(turned), np.cos(polar)], -1)
    spot = turn(turn(spot, 0, 0, -0.22), 0, 1, s * OUTWARD + 0.20)
    parts.append(net(middle + (EYE_RADIUS + 0.006) * spot, "glint", closed=True, flip=True))
    side = "Left" if s > 0 else "Right"
    for part in parts:
        for way, angle in (("Up", -1), ("Down", 1)):
            moved = turn(part.base, middle, 0, np.radians(angle * GAZE[way]))
            part.deltas[f"eyeLook{way}{side}"] = moved - part.base
        for way, angle in (("Out", s), ("In", -s)):
            moved = turn(part.base, middle, 1, np.radians(angle * GAZE[way]))
            part.deltas[f"eyeLook{way}{side}"] = moved - part.base
    return parts


LID_MOVES: Final = {  # degrees that the edge of the upper and of the lower lid goes up
    "eyeBlink": (MEET - LIDS["upper"], MEET - LIDS["lower"]),
    "eyeSquint": (-9.0, 13.0),
    "eyeWide": (13.0, -6.0),
    "eyeLookUp": (8.0, 2.0),
    "eyeLookDown": (-16.0, -4.0),
    "cheekSquint": (0.0, 6.0),
}


def lid(s: float, which: str) -> list[Part]:
    """A piece of a sphere around the eyeball, with a rounded edge; lashes on the upper one."""
    side, upper = ("Left" if s > 0 else "Right"), which == "upper"
    sign = 1.0 if upper else -1.0
    across = np.radians(np.linspace(-88, 88, 37))
    rest = LIDS[which] - 3 * sign * np.sin(across * s) * (-1 if upper else 0.3)  # the outer corner is higher
    rows = np.array([0.0, 0.0, 0.0, 0.06, 0.16, 0.35, 0.6, 0.8, 1.0])  # from the edge to where the head begins
    radii = np.array([0.93, 0.985, 1.0, 1.004, 1.0, 1.0, 0.96, 0.90, 0.82]) * LID_RADIUS
    radii[0] = EYE_RADIUS * 0.99
    behind = np.array([2.0, 0.5, 1.2, 0, 0, 0, 0, 0, 0])  # degrees: the edge is round

    def placed(move: float) -> Array:
        edge = rest + move
        high = edge + (sign * 108 - edge) * rows[:, None] + sign * behind[:, None]
        return ball(np.radians(high), across, radii[:, None])

    def ball(high: Array, wide: Array, radius: ArrayLike) -> Array:
        flat = np.stack([np.sin(wide) + 0 * high, np.cos(wide) * np.sin(high), np.cos(wide) * np.cos(high)], -1)
        return np.asarray(EYE * [s, 1, 1] + np.asarray(radius)[..., None] * flat)

    parts = [net(placed(0.0), "lid", flip=not upper)]
    if upper:
        thick = np.sin(np.linspace(0, np.pi, 37)) ** 0.5

        def lashes(move: float) -> Array:
            edge = np.radians(rest + move)
            out = step(-0.2, 1.3, across * s) * 0.02
            ring = []
            for turned in np.linspace(0, 2 * np.pi, 7):
                high = edge + 0.055 * thick * np.sin(turned) - 0.01
                ring.append(ball(high, across, LID_RADIUS * (1.0 + 0.035 * thick * np.cos(turned)) + out))
            return np.stack(ring)

        parts.append(net(lashes(0.0), "lash", flip=True))
    for shape, moves in LID_MOVES.items():
        move = moves[0 if upper else 1]
        places = (placed, lashes) if upper else (placed,)
        for part, place in zip(parts, places, strict=True):
            part.deltas[f"{shape}{side}"] = place(move).reshape(-1, 3) - part.base
    return parts


def tube(path: Array, across: Array, out: Array, name: str, sides: int = 10) -> Part:
    """A closed tube along a path (n, 3), as thick as the two half axes say at each point."""
    turned = np.linspace(0, 2 * np.pi, sides + 1)[:, None, None]
    return net(path + np.cos(turned) * across + np.sin(turned) * out, name)


def oriented(part: Part) -> Part:
    """A closed part with its faces to the outside, and its vertices at one place made one."""
    a, b, c = ((part.base - part.base.mean(0))[part.faces[:, k]] for k in range(3))
    if (a * np.cross(b, c)).sum() < 0:  # its volume
        part.faces = part.faces[:, ::-1]
    rows = np.unique(np.round(part.base, 9), axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(rows, kind="stable")
    same = np.flatnonzero(np.diff(rows[order]) == 0)
    part.seam = np.stack([order[same], order[same + 1]], -1)
    return part


def brow(s: float) -> Part:
    """A soft bar on the forehead that stays on it wherever it goes."""
    side = "Left" if s > 0 else "Right"
    t = np.linspace(0, 1, 25)
    thick = (0.010 + 0.036 * np.sin(np.pi * t**0.7) ** 0.6 * (1 - 0.45 * t))[:, None]

    def placed(dx: ArrayLike = 0.0, dy: ArrayLike = 0.0) -> Array:
        x = s * (0.135 + 0.42 * t) + dx
        y = 0.425 + 0.10 * np.sin(np.pi * (0.12 + 0.78 * t)) - 0.045 * t + dy
        on = front(x, y) + np.array([0, 0, 0.012])
        part = tube(on, thick * [0, 1, 0], 0.7 * thick * [0.3 * s, 0, 1], "brow")
        return part.base

    part = tube(placed()[:25], 0 * thick, 0 * thick, "brow")
    part.base = placed()
    part = oriented(part)
    inner, outer = step(0.75, 0.0, t), step(0.2, 0.85, t)
    part.deltas[f"browDown{side}"] = placed(-0.035 * s * inner, -0.045 - 0.065 * inner) - part.base
    part.deltas["browInnerUp"] = placed(-0.012 * s * inner, 0.10 * inner) - part.base
    part.deltas[f"browOuterUp{side}"] = placed(0, 0.085 * outer + 0.02) - part.base
    part.deltas[f"noseSneer{side}"] = placed(0, -0.03 * inner) - part.base
    return part


def rigid(part: Part, jaw: float) -> Part:
    """A part inside the mouth, moved by the jaw as a whole."""
    part.deltas["jawOpen"] = jaw * (turn(part.base, HINGE, 0, OPEN) - part.base)
    part.deltas["jawForward"] = np.tile([0, 0, 0.08 * jaw], (len(part.base), 1))
    for name, s in SIDES:
        part.deltas[f"jaw{name}"] = np.tile([0.12 * s * jaw, 0, 0], (len(part.base), 1))
    return part


def inside(lips: Array) -> list[Part]:
    """Teeth and tongue, behind the middle of the lips' line."""
    t = np.linspace(-1.25, 1.25, 49)
    arch = np.stack([0.225 * np.sin(t), 0 * t, 0.20 * (np.cos(t) - 1)], -1)
    notch = 0.85 + 0.15 * np.abs(np.sin(t * 8)) ** 0.5
    end = (step(1.26, 0.95, np.abs(t)) ** 0.5)[:, None]
    out = np.stack([np.sin(t) * 0.7, 0 * t, np.cos(t)], -1)
    parts = []
    for jaw, place, high in ((0.0, [0, 0.004, -0.125], 0.054), (1.0, [0, -0.105, -0.165], 0.048)):
        path = lips + place + arch * ([1, 1, 1] if not jaw else [0.94, 1, 0.94])
        tall = high * (notch if not jaw else 0.5 + 0.5 * notch)[:, None] * [0, 1, 0]
        parts.append(rigid(oriented(tube(path, end * tall, 0.025 * end * out, "teeth", 12)), jaw))
    polar, turned = np.meshgrid(np.linspace(0, np.pi, 17), np.linspace(0, 2 * np.pi, 25), indexing="ij")
    ball = np.stack([np.sin(polar) * np.cos(turned), np.sin(polar) * np.sin(turned), np.cos(polar)], -1)
    ball[..., 1] -= 0.35 * np.exp(-((ball[..., 0] / 0.35) ** 2)) * (ball[..., 1] > 0) * ball[..., 1]  # its furrow
    tongue = oriented(net(lips + [0, -0.125, -0.33] + ball * [0.145, 0.055, 0.21], "tongue"))
    tongue = rigid(tongue, 0.93)
    tip = step(-0.6, 1.0, ball[..., 2]).reshape(-1, 1)
    tongue.deltas["tongueOut"] = tip * [0, 0.07, 0.34] + tip**3 * [0, -0.14, 0.03]
    return [*parts, tongue]


# ------------------------------------------------------------------------------------------- what never moves


def ear(s: float) -> Part:
    polar, turned = np.meshgrid(np.linspace(0, np.pi, 17), np.linspace(0, 2 * np.pi, 25), indexing="ij")
    ball = np.stack([np.cos(polar), np.sin(polar) * np.cos(turned), np.sin(polar) * np.sin(turned)], -1)
    hollow = np.exp(-((ball[..., 1:] - [0.05, 0.1]) ** 2).sum(-1) / 0.22) * step(0.1, 0.8, ball[..., 0])
    ball[..., 0] -= 1.1 * hollow
    points = ball * [0.07, 0.19 * 1.0, 0.125]
    points[..., 2] *= 1 - 0.25 * step(0, -0.2, points[..., 1])
    points = turn(points, 0, 1, 0.45)
    points = turn(points, 0, 0, 0.12) * [s, 1, 1] + np.array([0.885 * s, 0.0, -0.04])
    return oriented(Part(points.reshape(-1, 3), grid(17, 25), colour("ear", 17 * 25)))


def hair() -> Part:
    """A cap that comes out of the skin at the hairline, with a lock swept to one side."""
    rows, columns = 48, 91
    polar, turned = np.meshgrid(np.linspace(0, 2.6, rows), np.linspace(-np.pi, np.pi, columns), indexing="ij")
    toward = np.stack([np.sin(polar) * np.sin(turned), np.cos(polar), np.sin(polar) * np.cos(turned)], -1)
    toward = turn(toward, 0, 0, -0.25)  # the whirl is behind the top
    around = np.arctan2(toward[..., 0], toward[..., 2])
    line = np.interp(
        np.abs(np.degrees(around)), [0, 25, 45, 62, 80, 92, 108, 125, 180],
        [0.74, 0.73, 0.64, 0.44, 0.12, -0.10, -0.22, -0.52, -0.60],
    )  # fmt: skip
    line = line - 0.05 * np.exp(-(((around + 0.35) / 0.30) ** 2)) * step(0, 0.5, toward[..., 2])
    above = toward[..., 1] - line
    thick = 0.15 * step(0.0, 0.22, above) - 0.07 * step(0.02, -0.10, above) - 0.35 * step(-0.1, -0.5, above) - 0.008
    thick = thick + 0.12 * np.exp(-(((around - 0.25) / 0.75) ** 2)) * step(0.0, 0.22, above) * step(
        0.0, 0.75, toward[..., 2]) * np.exp(-(((toward[..., 1] - 0.80) / 0.20) ** 2))  # fmt: skip
    flow = 13 * (around + 0.8 * toward[..., 1] * step(-0.2, 0.6, toward[..., 2])) + 1.5 * toward[..., 0]
    thick = thick + 0.012 * np.cos(flow) * step(0.05, 0.30, above) * step(0.05, 0.6, np.sin(polar))
    part = net(surface(toward) * (1 + thick)[..., None], "hair", closed=True)
    return oriented(part)


def bust() -> list[Part]:
    """Neck, shirt and collar."""
    around = np.linspace(0, 2 * np.pi, 65)

    def lathe(rows: list[tuple[float, float, float, float]], name: str) -> Part:
        table = np.array(rows)
        t = np.linspace(0, len(rows) - 1, 5 * len(rows))
        high, wide, deep, back = (np.interp(t, range(len(rows)), table[:, k])[:, None] for k in range(4))
        soft = np.array([1, 4, 6, 4, 1]) / 16
        high, wide, deep, back = (
            np.convolve(np.pad(v[:, 0], 2, "edge"), soft, "valid")[:, None] for v in (high, wide, deep, back)
        )
        points = np.stack(np.broadcast_arrays(wide * np.sin(around), high, back + deep * np.cos(around)), -1)
        return oriented(net(points, name, closed=True))

    return [
        lathe([(-0.55, 0.31, 0.33, -0.14), (-0.85, 0.30, 0.32, -0.15), (-1.05, 0.30, 0.31, -0.17),
               (-1.30, 0.38, 0.34, -0.19)], "ear"),
        lathe([(-1.07, 0.33, 0.33, -0.17), (-1.12, 0.42, 0.39, -0.18), (-1.20, 0.68, 0.46, -0.20),
               (-1.32, 0.95, 0.53, -0.21), (-1.52, 1.10, 0.57, -0.22), (-1.75, 1.14, 0.58, -0.22),
               (-1.77, 0.6, 0.3, -0.22), (-1.77, 0.0, 0.0, -0.22)], "shirt"),
        lathe([(-1.01, 0.32, 0.33, -0.16), (-1.00, 0.38, 0.38, -0.16), (-1.05, 0.42, 0.41, -0.165),
               (-1.14, 0.44, 0.43, -0.17), (-1.16, 0.36, 0.36, -0.17)], "collar"),
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------------------- the file


def texture(skin: Skin) -> bytes:
    """The skin's colours, a row for each ring and a column for each direction; below them the palette. A PNG."""
    wide, high = TEXTURE
    rows = np.linspace(0, 1, high) / 0.88 * (len(skin.base) - 1)
    columns = np.linspace(0, ROUND, wide)

    def at(values: Array) -> Array:
        part = np.stack([np.interp(columns, range(ROUND + 1), row) for row in values])
        return np.stack([np.interp(rows, range(len(values)), column) for column in part.T], -1)

    points = np.stack([at(skin.base[..., k]) for k in range(3)], -1)
    mu, nu = at(skin.mu), at(np.broadcast_to(skin.nu, skin.mu.shape))
    pixels = np.broadcast_to(linear(PALETTE["skin"]), (high, wide, 3)).copy()

    def paint(hue: int, amount: Array) -> None:
        pixels[:] += amount.reshape(high, wide, 1) * (linear(hue) - pixels)

    for _, s in SIDES:
        paint(BLUSH, 0.55 * bell(points, 0.43 * s, -0.25, 0.17, 0.13))
        paint(PALETTE["lid"], 0.55 * bell(points, EYE[0] * s, EYE[1], 0.20, 0.19))
    paint(BLUSH, 0.35 * bell(points, 0, -0.15, 0.12, 0.08))
    paint(BLUSH, 0.18 * bell(points, 0, -0.85, 0.18, 0.10))
    bow = 1 - 0.16 * np.exp(-((points[..., 0] / 0.045) ** 2)) * (nu < np.pi)
    edge = LIP * np.where(nu < np.pi, 0.94 * bow, 1.0)
    paint(LIPS, 0.9 * step(edge + 0.03, edge - 0.05, mu) * (mu < 1))
    paint(PALETTE["gum"], 0.75 * step(0.05, 0.0, mu))
    for place, hue in enumerate(PALETTE.values()):
        pixels[int(0.91 * high) :, place * wide // len(PALETTE) : -(-(place + 1) * wide // len(PALETTE))] = linear(hue)
    return png(pixels)


def linear(hue: int) -> Array:
    return np.array([hue >> 16 & 255, hue >> 8 & 255, hue & 255]) / 255


def png(pixels: Array) -> bytes:
    high, wide, _ = pixels.shape
    rows = np.concatenate([np.zeros((high, 1), np.uint8), np.round(255 * pixels).astype(np.uint8).reshape(high, -1)], 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def joined(parts: list[Part]) -> Part:
    """Parts as one, with normals of their own."""
    ends = np.cumsum([0, *(len(part.base) for part in parts)])
    names = {name for part in parts for name in part.deltas}
    deltas = {
        name: np.concatenate([part.deltas.get(name, np.zeros_like(part.base)) for part in parts]) for name in names
    }
    return Part(
        np.concatenate([part.base for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, ends, strict=False)]),
        np.concatenate([part.uv for part in parts]),
        deltas,
        seam=np.concatenate([part.seam + start for part, start in zip(parts, ends, strict=False)]),
    )


def primitive(out: gltf.Builder, part: Part, material: int, morphs: bool, centre: Array) -> dict[str, Any]:
    """A glTF primitive; what a shape does to few vertices is written for those alone."""
    normals = part.normals()
    attributes = {
        "POSITION": out.accessor(((part.base - centre) * METRES).astype(np.float32), "VEC3", target=34962, bounds=True),
        "NORMAL": out.accessor(normals.astype(np.float32), "VEC3", target=34962),
        "TEXCOORD_0": out.accessor(part.uv.astype(np.float32), "VEC2", target=34962),
    }
    solid = part.faces[(np.ptp(part.base[part.faces], axis=1) > 1e-9).any(-1)]
    result: dict[str, Any] = {
        "attributes": attributes,
        "indices": out.accessor(solid.astype(np.uint16).reshape(-1), "SCALAR", target=34963),
        "material": material,
    }
    if not morphs:
        return result
    still = {"POSITION": out.zeros(len(part.base), bounds=True), "NORMAL": out.zeros(len(part.base))}
    result["targets"] = []
    for name in arkit.NAMES:
        delta = part.deltas.get(name)
        moved = np.zeros(0, np.intp)
        if delta is not None:
            bend = part.normals(name) - normals
            moved = np.flatnonzero((np.abs(delta).max(1) > LEAST) | (np.abs(bend).max(1) > 0.05))
        if not len(moved):
            result["targets"].append(still)
            continue
        steps, bends = (delta[moved] * METRES).astype(np.float32), bend[moved].astype(np.float32)
        result["targets"].append(out.sparse(len(part.base), moved, POSITION=steps, NORMAL=bends))
    return result


def head() -> bytes:
    """The whole figure as a .glb file."""
    skin = Skin()
    matte, glossy = [skin.part(), skin.bag()], []
    for _, s in SIDES:
        matte += [*lid(s, "upper"), *lid(s, "lower"), brow(s), ear(s)]
        glossy += eyeball(s)
    glossy += inside(skin.base[0, ROUND // 4])
    out = gltf.Builder()
    meshes = [
        {
            "name": "Face",
            "primitives": [
                primitive(out, joined(matte), 0, True, PIVOT), primitive(out, joined(glossy), 1, True, PIVOT)
            ],
            "weights": [0.0] * arkit.COUNT,
            "extras": {
                "targetNames": list(arkit.NAMES),
                # vertices of the first primitive along the lips' line, from one corner to the other
                "upperLip": list(range(ROUND // 2 + 1)),
                "lowerLip": list(range(ROUND, ROUND // 2 - 1, -1)),
            },
        },
        {"name": "Hair", "primitives": [primitive(out, hair(), 0, False, PIVOT)]},
        {"name": "Bust", "primitives": [primitive(out, joined(bust()), 0, False, np.zeros(3))]},
    ]  # fmt: skip
    image = out.view(texture(skin))
    document = {
        "asset": {"version": "2.0", "generator": "Duomorph, recipes/head.py"},
        "scene": 0,
        "scenes": [{"name": "Duomorph", "nodes": [0]}],
        "nodes": [
            {"name": "Duomorph", "children": [1, 4]},
            {"name": "Head", "translation": (PIVOT * METRES).tolist(), "children": [2, 3]},
            {"name": "Face", "mesh": 0},
            {"name": "Hair", "mesh": 1},
            {"name": "Bust", "mesh": 2},
        ],
        "meshes": meshes,
        "materials": [
            {"name": name, "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0,
                                                    "roughnessFactor": rough}}
            for name, rough in (("Matte", 0.62), ("Glossy", 0.18))
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "images": [{"name": "Colours", "mimeType": "image/png", "bufferView": image}],
        "samplers": [{"magFilter": 9729, "minFilter": 9729, "wrapS": 33071, "wrapT": 33071}],
    }  # fmt: skip
    return out.pack(document)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", required=True, type=Path, help="file (.glb)")
    files.write(parser.parse_args().output, head())


if __name__ == "__main__":
    main()
