"""A drawn face as points that the 52 shapes move: a blend-shape rig in two dimensions.

One promise: pose is base + sum of weight * delta, each shape by its name, and lips and lids that meet stop there.

    points = pose(weights)             # (52,) -> {"lip_upper_out": (11, 2), "iris_left": (1, 2), ...}

Units are thousandths of the picture, y down. Left is the subject's own: on the viewer's right, x > 500.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duomorph import arkit

Points = NDArray[np.float64]  # (n, 2)
Pose = dict[str, Points]

SIDES: Final = {"Left": 1.0, "Right": -1.0}
MOUTH_Y: Final = 690.0
MOUTH_HALF: Final = 110.0
JAW: Final = 138.0  # how far jawOpen drops the middle of the lower lip
LIPS: Final = ("lip_upper_out", "lip_upper_in", "lip_lower_in", "lip_lower_out")
EYE_X: Final = 128.0
EYE_Y: Final = 452.0
EYE_HALF: Final = 66.0
THIN: Final = 5.0  # least thickness of a lip

_ACROSS: Final = np.sin(np.linspace(-1, 1, 13) * np.pi / 2)  # places across the mouth, right to left corner
_LID: Final = np.sin(np.linspace(-1, 1, 9) * np.pi / 2)
_MIDDLE: Final = 1 - _ACROSS**2
_ROLLS: Final = [arkit.INDEX[name] for name in ("mouthRollLower", "mouthRollUpper")]


class _Builder:
    """Named points, and what each shape does to them."""

    def __init__(self) -> None:
        self.base: Pose = {}
        self.deltas: dict[tuple[str, str], Points] = {}

    def put(self, part: str, x: ArrayLike, y: ArrayLike) -> None:
        self.base[part] = np.stack([np.asarray(x, float), np.asarray(y, float)], axis=-1)

    def move(self, shape: str, part: str, dx: ArrayLike = 0.0, dy: ArrayLike = 0.0) -> None:
        """Add to what `shape` does to the points of `part`."""
        before = self.deltas.setdefault((shape, part), np.zeros_like(self.base[part]))
        before[:, 0] += np.asarray(dx, float)
        before[:, 1] += np.asarray(dy, float)


def _side(sign: float) -> NDArray[np.float64]:
    """How much each place of the mouth belongs to one side; both sides together give 1."""
    return np.clip(0.5 + sign * _ACROSS * 1.4, 0, 1)


def _mouth(rig: _Builder) -> None:
    u, middle = _ACROSS, _MIDDLE
    seam = MOUTH_Y + 4 * np.exp(-((u / 0.25) ** 2)) + 5 * (u**2 - u**4) - 5 * u**6
    bow = 27 * middle**0.75 - 6 * np.exp(-((u / 0.16) ** 2))
    x = 500 + MOUTH_HALF * u
    for part, y in zip(LIPS, (seam - bow, seam, seam, seam + 36 * middle**0.62), strict=True):
        rig.put(part, x, y)
    rig.put("teeth_upper", [400, 424, 460, 500, 540, 576, 600], MOUTH_Y + np.array([-12, 2, 11, 14, 11, 2, -12]))
    rig.put("teeth_lower", [420, 440, 470, 500, 530, 560, 580], MOUTH_Y + np.array([36, 24, 16, 14, 16, 24, 36]))
    rig.put("tongue", [446, 500, 554], MOUTH_Y + np.array([40, 22, 40]))
    rig.put("tongue_tip", [500], [MOUTH_Y + 20])

    upper, lower = LIPS[:2], LIPS[2:]
    corner = 0.24 * JAW
    drop = corner + (JAW - corner) * middle**0.6  # of the lower lip, by jawOpen
    lift = corner * np.abs(u) ** 3 - 5 * middle  # of the upper
    gap = drop - lift
    for part in upper:
        rig.move("jawOpen", part, -11 * u, lift)
        rig.move("mouthClose", part, 8 * u, 0.3 * gap)
    for part in lower:
        rig.move("jawOpen", part, -11 * u, drop)
        rig.move("mouthClose", part, 8 * u, -0.7 * gap)
    for part, share in (("teeth_lower", 0.86), ("tongue", 0.64), ("tongue_tip", 0.86)):
        rig.move("jawOpen", part, dy=share * JAW)
    rig.move("mouthClose", "tongue_tip", dy=-0.5 * JAW)

    narrow = MOUTH_HALF * u
    for part, dy in zip(LIPS, (-21, -8, 14, 27), strict=True):  # flared, a trumpet
        rig.move("mouthFunnel", part, -0.36 * narrow, dy * middle**0.7)
    for part, dy in zip(LIPS, (-9, 0, 0, 9), strict=True):  # drawn together, fuller
        rig.move("mouthPucker", part, -0.50 * narrow, dy * middle**0.5 - 3 * middle)
    rig.move("mouthRollLower", "lip_lower_out", dy=-27 * middle**0.62)
    rig.move("mouthRollLower", "lip_lower_in", dy=-5 * middle)
    rig.move("mouthRollUpper", "lip_upper_out", dy=19 * middle**0.75)
    rig.move("mouthRollUpper", "lip_upper_in", dy=4 * middle)
    for part, dy in zip(LIPS, (-15, -15, -15, -12), strict=True):
        rig.move("mouthShrugLower", part, dy=dy * middle + 5 * u**4)
    for part, dy in zip(LIPS, (-19, -6, -6, -3), strict=True):
        rig.move("mouthShrugUpper", part, dy=dy * middle**0.7)
    for part, dx in zip(LIPS, (4, 6, 34, 38), strict=True):
        for name, sign in SIDES.items():
            rig.move(f"mouth{name}", part, sign * 44, -6 * _side(sign))
            rig.move(f"jaw{name}", part, sign * (dx * middle + 8), 3)
    for part in ("teeth_lower", "tongue", "tongue_tip"):
        for name, sign in SIDES.items():
            rig.move(f"jaw{name}", part, sign * 38)
    for part in lower:
        rig.move("jawForward", part, dy=-3 * middle)
    rig.move("jawForward", "lip_lower_out", dy=7 * middle)
    rig.move("tongueOut", "lip_lower_in", dy=20 * middle**2)
    rig.move("tongueOut", "lip_lower_out", dy=14 * middle**2)
    rig.move("tongueOut", "tongue_tip", dy=78)
    rig.move("cheekPuff", "lip_upper_out", -0.06 * narrow, 5 * middle)
    rig.move("cheekPuff", "lip_lower_out", -0.06 * narrow, -5 * middle)

    for name, sign in SIDES.items():
        side = _side(sign)
        far = side * np.abs(u) ** 1.6  # strongest at the corner
        here = side * middle**0.6
        for part in LIPS:
            rig.move(f"mouthSmile{name}", part, sign * 30 * far, -40 * far + 5 * here)
            rig.move(f"mouthFrown{name}", part, -sign * 4 * far, 34 * far - 6 * here)
            rig.move(f"mouthDimple{name}", part, sign * 20 * far, -5 * far)
            rig.move(f"mouthStretch{name}", part, sign * 36 * far, 20 * far)
        for shape, upper_dy, lower_dy in (("Smile", 5, -9), ("Dimple", 5, -7), ("Stretch", 5, -8), ("Press", 12, -17)):
            rig.move(f"mouth{shape}{name}", "lip_upper_out", dy=upper_dy * here)
            rig.move(f"mouth{shape}{name}", "lip_lower_out", dy=lower_dy * here)
        for part in LIPS:
            rig.move(f"mouthPress{name}", part, sign * 7 * far)
        for part, dy in zip(lower, (10, 6), strict=True):
            rig.move(f"mouthStretch{name}", part, dy=dy * here)
        for part in lower:
            rig.move(f"mouthLowerDown{name}", part, sign * 3 * far, 40 * side * middle)
        for part in upper:
            rig.move(f"mouthUpperUp{name}", part, dy=-32 * side * middle)
            rig.move(f"noseSneer{name}", part, dy=-13 * side * middle)


def _eyes(rig: _Builder) -> None:
    arch = 1 - np.abs(_LID) ** 2.2
    for name, sign in SIDES.items():
        low = name.lower()
        x = 500 + sign * EYE_X + sign * EYE_HALF * _LID  # from the inner corner outwards
        tilt = -7 * _LID
        rig.put(f"lid_upper_{low}", x, EYE_Y + tilt - 38 * arch)
        rig.put(f"lid_lower_{low}", x, EYE_Y + tilt + 24 * arch)
        rig.put(f"crease_{low}", x, EYE_Y + tilt - 2 - 56 * arch)
        rig.put(f"bag_{low}", x[1:-1], EYE_Y + (tilt + 14 + 32 * arch)[1:-1])
        rig.put(f"iris_{low}", [500 + sign * EYE_X], [EYE_Y - 5])
        brow_x = np.array([62, 108, 168, 222])
        rig.put(f"brow_{low}", 500 + sign * brow_x, [362, 346, 342, 366])
        rig.put(f"blush_{low}", [500 + sign * 178], [600])
        rig.put(f"nostril_{low}", [500 + sign * 36, 500 + sign * 46], [592, 580])
        rig.put(f"fold_{low}", 500 + sign * np.array([58, 92, 122, 136]), [590, 616, 656, 700])

        for part, amount in (("lid_upper", 60), ("crease", 34), ("lid_lower", -2)):
            rig.move(f"eyeBlink{name}", f"{part}_{low}", dy=amount * arch)
        for part, amount in (("lid_upper", 9), ("crease", 7), ("lid_lower", -19), ("bag", -10)):
            rig.move(f"eyeSquint{name}", f"{part}_{low}", dy=amount * (arch if part != "bag" else arch[1:-1]))
        for part, amount in (("lid_upper", -15), ("crease", -9), ("lid_lower", 6)):
            rig.move(f"eyeWide{name}", f"{part}_{low}", dy=amount * arch)
        for shape, dx, dy in (("In", -27, 0), ("Out", 27, 0), ("Up", 0, -21), ("Down", 0, 21)):
            rig.move(f"eyeLook{shape}{name}", f"iris_{low}", sign * dx, dy)
        for part, up, down in (("lid_upper", -8, 17), ("crease", -5, 9), ("lid_lower", -2, 5)):
            rig.move(f"eyeLookUp{name}", f"{part}_{low}", dy=up * arch)
            rig.move(f"eyeLookDown{name}", f"{part}_{low}", dy=down * arch)
        rig.move(f"browDown{name}", f"brow_{low}", -sign * np.array([13, 10, 5, 0]), [30, 30, 20, 6])
        rig.move("browInnerUp", f"brow_{low}", 0, [-36, -25, -8, 0])
        rig.move(f"browOuterUp{name}", f"brow_{low}", 0, [-2, -16, -33, -30])
        rig.move(f"browDown{name}", f"crease_{low}", dy=6 * arch)

        rig.move(f"cheekSquint{name}", f"lid_lower_{low}", dy=-15 * arch)
        rig.move(f"cheekSquint{name}", f"bag_{low}", dy=-12)
        rig.move(f"cheekSquint{name}", f"blush_{low}", dy=-22)
        rig.move(f"mouthSmile{name}", f"blush_{low}", sign * 4, -16)
        rig.move(f"mouthSmile{name}", f"bag_{low}", dy=-4)
        rig.move(f"mouthSmile{name}", f"fold_{low}", sign * np.array([2, 8, 16, 20]), [-4, -10, -16, -20])
        rig.move(f"mouthFrown{name}", f"fold_{low}", 0, [0, 4, 10, 16])
        rig.move(f"noseSneer{name}", f"nostril_{low}", sign * 5, -15)
        rig.move(f"noseSneer{name}", f"fold_{low}", sign * np.array([0, 6, 4, 0]), [-18, -14, -6, 0])
        rig.move(f"noseSneer{name}", f"brow_{low}", 0, [9, 5, 0, 0])
        rig.move("jawOpen", f"fold_{low}", -sign * np.array([0, 2, 6, 8]), [0, 6, 26, 40])
        rig.move("cheekPuff", f"blush_{low}", sign * 16, 34)
        rig.move("cheekPuff", f"fold_{low}", sign * np.array([2, 10, 18, 20]), 4)


def _head(rig: _Builder) -> None:
    """The outline from the right temple over the chin to the left one, and what hangs on the jaw."""
    half_x = np.array([264, 268, 262, 244, 206, 150, 80])
    half_y = np.array([330, 420, 510, 610, 710, 800, 858])
    jaw = np.array([0, 0, 0.04, 0.25, 0.6, 0.9, 1])
    puff = np.array([0, 0.1, 0.4, 1, 0.85, 0.3, 0])
    x = np.concatenate([500 - half_x, [500], 500 + half_x[::-1]])
    y = np.concatenate([half_y, [874], half_y[::-1]])
    jaw = np.concatenate([jaw, [1.03], jaw[::-1]])
    puff = np.concatenate([puff, [0], puff[::-1]])
    outward = np.sign(x - 500)
    rig.put("outline", x, y)
    rig.put("chin", [452, 500, 548], [796, 788, 796])  # the crease under the lower lip
    rig.put("nose", [500], [576])
    rig.move("jawOpen", "outline", -outward * 12 * jaw * (np.abs(x - 500) > 100), 0.72 * JAW * jaw)
    rig.move("jawOpen", "chin", dy=0.8 * JAW)
    rig.move("jawForward", "outline", outward * 7 * jaw, 16 * jaw)
    rig.move("jawForward", "chin", dy=-8)
    rig.move("mouthShrugLower", "chin", dy=-15)
    rig.move("mouthShrugLower", "outline", dy=-8 * jaw)
    rig.move("mouthClose", "chin", dy=-14)
    rig.move("cheekPuff", "outline", outward * 34 * puff)
    for name, sign in SIDES.items():
        rig.move(f"jaw{name}", "outline", sign * 42 * jaw)
        rig.move(f"jaw{name}", "chin", sign * 40)
        rig.move(f"mouth{name}", "chin", sign * 10)
        rig.move(f"mouth{name}", "nose", sign * 4)
        rig.move(f"noseSneer{name}", "nose", sign * 2, -6)
        rig.move(f"mouthSmile{name}", "outline", sign * 5 * puff * (outward == sign), -5 * puff * (outward == sign))


@cache
def _built() -> tuple[dict[str, slice], Points, NDArray[np.float64]]:
    """Where each part lies, base (N, 2), deltas (52, N, 2)."""
    rig = _Builder()
    for add in (_mouth, _eyes, _head):
        add(rig)
    ends = np.cumsum([0, *(len(points) for points in rig.base.values())])
    where = {part: slice(a, b) for part, a, b in zip(rig.base, ends[:-1], ends[1:], strict=True)}
    deltas = np.zeros((arkit.COUNT, ends[-1], 2))
    for (shape, part), delta in rig.deltas.items():
        deltas[arkit.INDEX[shape], where[part]] += delta
    return where, np.concatenate(list(rig.base.values())), deltas


def pose(weights: NDArray[np.floating]) -> Pose:
    """The points of a face with these (52,) weights."""
    where, base, deltas = _built()
    weights = np.array(weights, dtype=float)
    jaw, close = arkit.INDEX["jawOpen"], arkit.INDEX["mouthClose"]
    beyond = max(0.0, weights[close] - weights[jaw])  # lips that met already are pressed inwards
    weights[close] -= beyond
    weights[_ROLLS] += 0.7 * beyond
    moved = base + np.tensordot(weights, deltas, 1)
    points = {part: moved[place] for part, place in where.items()}
    _meet(points["lip_upper_in"], points["lip_lower_in"], 0.4)
    upper, lower = points["lip_upper_in"][:, 1], points["lip_lower_in"][:, 1]
    thin = THIN * _MIDDLE**0.5
    points["lip_upper_out"][:, 1] = np.minimum(points["lip_upper_out"][:, 1], upper - thin)
    points["lip_lower_out"][:, 1] = np.maximum(points["lip_lower_out"][:, 1], lower + thin)
    for side in ("left", "right"):
        _meet(points[f"lid_upper_{side}"], points[f"lid_lower_{side}"], 0.0)
    return points


def _meet(above: Points, below: Points, share: float) -> None:
    """Where two edges have crossed, both stand between, `share` of the way up from the lower one's place."""
    crossed = above[:, 1] > below[:, 1]
    meeting = below[:, 1] + share * (above[:, 1] - below[:, 1])
    above[crossed, 1] = below[crossed, 1] = meeting[crossed]
