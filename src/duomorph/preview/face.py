"""The drawn face: points of the rig, painted from back to front.

One promise: every picture is drawn from the 52 weights alone, so the same weights give the same pixels.

    painter = Painter(720)
    pixels = painter.draw(weights)     # (52,) -> (720, 720, 4) uint8, BGRA
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.preview.brush import Brush, Pixels
from duomorph.preview.rig import LIPS, SIDES, Points, Pose, pose

SKIN: Final = (0xFFF7D3B6, 0xFFEAB792)
SHADE: Final = 0xFFD9986F
LINE: Final = 0xFFA9694B
LIP_UPPER: Final = 0xFFCB6A66
LIP_LOWER: Final = 0xFFD97C76
SHINE: Final = 0xFFFFE9E2
SEAM: Final = 0xFF7E3338
INSIDE: Final = (0xFF6B1F28, 0xFF2B0A10)
TEETH_UPPER: Final = 0xFFFBF7F0
TEETH_LOWER: Final = 0xFFEFE8DE
TONGUE: Final = 0xFFD9727A
HAIR: Final = 0xFF4A3430
STRAND: Final = 0xFF6B4C43
LASH: Final = 0xFF35231F
WHITE: Final = 0xFFFDFBF8
IRIS: Final = (0xFF6FA6A0, 0xFF2F5F66)
PUPIL: Final = 0xFF14181B
BLUSH: Final = 0xFFE2807A
SHIRT: Final = 0xFF3F6C7A
WALL: Final = (0xFFF3F5F7, 0xFFD5DEE5)

BACK_HAIR: Final = (
    (204, 420), (218, 250), (300, 120), (420, 62), (500, 54), (580, 62), (700, 120), (782, 250), (796, 420), (806, 600),
    (822, 740), (800, 830), (700, 850), (500, 800), (300, 850), (200, 830), (178, 740), (194, 600),
)  # fmt: skip
FRINGE: Final = (
    ((228, 452), (200, 320), (246, 186), (350, 96), (480, 70), (600, 84), (560, 150), (440, 216), (320, 262),
     (256, 350)),
    ((772, 452), (800, 320), (754, 186), (658, 100), (540, 74), (520, 110), (580, 190), (668, 252), (738, 340)),
)  # fmt: skip
STRANDS: Final = (
    ((300, 240), (390, 176), (500, 116)), ((268, 290), (320, 206), (420, 128)), ((728, 270), (670, 190), (590, 126)),
)  # fmt: skip
SHOULDERS: Final = ((40, 1060), (96, 956), (290, 906), (400, 872), (600, 872), (710, 906), (904, 956), (960, 1060))
NECK: Final = ((394, 740), (396, 880), (376, 922), (500, 984), (624, 922), (604, 880), (606, 740))
CROWN: Final = ((764, 250), (700, 150), (500, 110), (300, 150), (236, 250))  # closes the outline, under the hair
EAR: Final = ((262, 440), (294, 432), (306, 480), (294, 545), (270, 568), (258, 520))  # away from the middle
EAR_RIM: Final = ((274, 468), (290, 470), (288, 520), (276, 540))


class Painter:
    """Draws faces of one size. What never moves is drawn once."""

    def __init__(self, size: int) -> None:
        """`size`: pixels, of width and height. Raises MissingExtra if skia-python is not installed."""
        self._brush = Brush(size)
        self._behind()
        self._still = self._brush.copy()

    def draw(self, weights: NDArray[np.floating]) -> Pixels:
        """(52,) -> (size, size, 4) uint8, BGRA; good until the next call."""
        weights = np.clip(weights, 0, 1)
        shape = dict(zip(arkit.NAMES, weights.tolist(), strict=True))
        points = pose(weights)
        self._brush.put_back(self._still)
        self._head(points)
        self._forehead(shape)
        self._nose(points, shape)
        for name, sign in SIDES.items():
            self._cheek(points, shape, name, sign)
            self._eye(points, name.lower())
            self._brow(points, shape, name, sign)
        self._mouth(points, shape)
        for lock in FRINGE:
            self._brush.area(self._brush.loop(lock), HAIR)
        for strand in STRANDS:
            self._brush.line(strand, STRAND, 6, 0.5)
        return self._brush.pixels

    def _behind(self) -> None:
        brush = self._brush
        brush.shaded(None, WALL, (500, 380), 760)
        brush.area(brush.loop(BACK_HAIR), HAIR)
        brush.area(brush.loop(SHOULDERS), SHIRT)
        brush.area(brush.loop(NECK), SHADE)
        for sign in SIDES.values():
            brush.area(brush.loop(_mirrored(EAR, sign)), SKIN[1])
            brush.line(_mirrored(EAR_RIM, sign), LINE, 4, 0.6)

    def _head(self, points: Pose) -> None:
        brush, outline = self._brush, np.concatenate([points["outline"], CROWN])
        with brush.inside(brush.loop(NECK)):
            brush.area(brush.loop(_by(outline, 0, 30)), LINE, 0.4)  # the chin's shadow
        brush.shaded(brush.loop(outline), SKIN, (470, 460), 0.55 * float(outline[:, 1].max()))
        brush.line(points["chin"], LINE, 5, 0.35)

    def _nose(self, points: Pose, shape: dict[str, float]) -> None:
        brush, tip = self._brush, points["nose"][0]
        brush.line([_by(tip, -17, -136), _by(tip, -24, -56), _by(tip, -34, 0)], LINE, 5, 0.22)
        brush.glow(_by(tip, -4, -10), 34, 0xFFF3E4, 0.7)
        brush.line([_by(tip, -18, 26), _by(tip, 0, 30), _by(tip, 18, 26)], LINE, 5, 0.55)
        for name, sign in SIDES.items():
            hole, wing = points[f"nostril_{name.lower()}"]
            brush.line([_by(wing, -4 * sign, -22), _by(wing, 5 * sign, 2), _by(hole, 2 * sign, 10)], LINE, 6, 0.8)
            brush.line([_by(hole, 4 * sign, 9), _by(hole, -10 * sign, 4), _by(hole, -24 * sign, 10)], SEAM, 6, 0.75)
            for up in (90, 112):  # wrinkled
                wrinkle = [_by(tip, 12 * sign, -up), _by(tip, 30 * sign, -up - 8), _by(tip, 42 * sign, -up + 2)]
                brush.line(wrinkle, LINE, 5, 0.6 * shape[f"noseSneer{name}"])

    def _cheek(self, points: Pose, shape: dict[str, float], name: str, sign: float) -> None:
        brush, side = self._brush, name.lower()
        smile, squint, sneer = (shape[f"{part}{name}"] for part in ("mouthSmile", "cheekSquint", "noseSneer"))
        warm = 0.16 + 0.22 * smile + 0.25 * squint + 0.3 * shape["cheekPuff"]
        brush.glow(points[f"blush_{side}"][0], 96, BLUSH, warm)
        brush.line(points[f"fold_{side}"], LINE, 5, 0.16 + 0.5 * max(smile, sneer, 0.7 * shape[f"mouthFrown{name}"]))
        brush.line(points[f"bag_{side}"], LINE, 4, 0.14 + 0.5 * max(squint, 0.7 * shape[f"eyeSquint{name}"]))
        corner = points["lip_upper_in"][-1 if sign > 0 else 0]
        dimple = [_by(corner, 14 * sign, -20), _by(corner, 24 * sign, -2), _by(corner, 17 * sign, 18)]
        brush.line(dimple, LINE, 6, 0.75 * shape[f"mouthDimple{name}"])

    def _eye(self, points: Pose, side: str) -> None:
        brush = self._brush
        upper, lower, iris = points[f"lid_upper_{side}"], points[f"lid_lower_{side}"], points[f"iris_{side}"][0]
        opening = brush.between(upper, lower)
        with brush.inside(opening):
            brush.area(opening, WHITE)
            brush.shaded(brush.disc(iris, 32), IRIS, _by(iris, 0, 8), 34)
            brush.ring(iris, 32, IRIS[1], 4)
            brush.area(brush.disc(iris, 15), PUPIL)
            brush.area(brush.disc(_by(iris, -10, -12), 8), WHITE, 0.95)
            brush.area(brush.disc(_by(iris, 11, 10), 4), WHITE, 0.6)
            brush.line(upper, LASH, 26, 0.18)  # the lid's shadow
        brush.line(lower, LINE, 4, 0.8)
        brush.line(upper, LASH, 10)
        outer, before = upper[-1], upper[-3]
        brush.line([before, outer, _by(outer + 0.28 * (outer - before), 0, -8)], LASH, 9)
        brush.line(np.minimum(points[f"crease_{side}"], _by(upper, 0, -10))[1:-1], LINE, 4, 0.55)

    def _brow(self, points: Pose, shape: dict[str, float], name: str, sign: float) -> None:
        brush, spine = self._brush, points[f"brow_{name.lower()}"]
        half = np.array([[0, 5], [0, 11], [0, 9], [0, 2]])
        brow = brush.between(spine - half, spine + half)
        brush.area(brow, HAIR)
        brush.line(spine, HAIR, 10)  # rounds its ends
        frown = _mirrored(((20, 352), (14, 378), (18, 404)), sign)
        brush.line(frown, LINE, 6, 0.7 * shape[f"browDown{name}"])

    def _forehead(self, shape: dict[str, float]) -> None:
        raised = max(shape["browInnerUp"], shape["browOuterUpLeft"], shape["browOuterUpRight"])
        for y, half in ((290, 110), (316, 130)):
            self._brush.line([(500 - half, y + 6), (500, y - 4 * raised), (500 + half, y + 6)], LINE, 5, 0.4 * raised)

    def _mouth(self, points: Pose, shape: dict[str, float]) -> None:
        brush = self._brush
        upper_out, upper_in, lower_in, lower_out = (points[lip] for lip in LIPS)
        brush.line(_by(lower_out[3:-3], 0, 12), LINE, 22, 0.07)  # the lower lip's shadow
        brush.line(_by(lower_out[4:-4], 0, 8), LINE, 12, 0.11)
        if (lower_in[:, 1] - upper_in[:, 1]).max() > 1:
            opening = brush.between(upper_in, lower_in)
            with brush.inside(opening):
                brush.shaded(opening, INSIDE, lower_in[6], 120)
                self._tongue(points)
                self._teeth(points)
        brush.area(brush.between(lower_in, lower_out), LIP_LOWER)
        brush.area(brush.between(upper_out, upper_in), LIP_UPPER)
        full = float(lower_out[6, 1] - lower_in[6, 1])
        if full > 14:
            brush.line((0.45 * lower_in + 0.55 * lower_out)[4:-4], SHINE, 0.2 * full, 0.3)
        tight = ("mouthPressLeft", "mouthPressRight", "mouthRollLower", "mouthRollUpper")
        brush.line(lower_in, SEAM, 5, 0.9)
        brush.line(upper_in, SEAM, 5 + 4 * max(shape[name] for name in tight))
        if shape["tongueOut"] > 0.03:
            self._tongue_out(points, shape["tongueOut"])

    def _teeth(self, points: Pose) -> None:
        brush, upper, lower = self._brush, points["teeth_upper"], points["teeth_lower"]
        brush.area(brush.between(lower, _by(lower, 0, 60)), TEETH_LOWER)
        brush.area(brush.between(_by(upper, 0, -60), upper), TEETH_UPPER)

    def _tongue(self, points: Pose) -> None:
        brush, (right, top, left) = self._brush, points["tongue"]
        brush.area(brush.loop([_by(right, -14, 60), right, top, left, _by(left, 14, 60)]), TONGUE)
        brush.line([_by(top, 0, 8), _by(top, 0, 60)], SEAM, 4, 0.3)

    def _tongue_out(self, points: Pose, much: float) -> None:
        brush, wide = self._brush, 30 + 26 * much
        x, root, tip = points["tongue"][1, 0], points["lip_upper_in"][6, 1], points["tongue_tip"][0, 1]
        half = [(wide, root + 2), (wide, (root + tip) / 2), (0.62 * wide, tip - 6)]
        body = [*((x - dx, y) for dx, y in half), (x, tip + 6), *((x + dx, y) for dx, y in reversed(half))]
        brush.area(brush.along(body), TONGUE, 4 * much)
        brush.line(body, SEAM, 4, 0.5 * much)
        brush.line([(x, root + 10), (x, tip - 18)], SEAM, 4, 0.35)


def _by(points: Points, dx: float, dy: float) -> Points:
    """Points moved."""
    moved: Points = points + np.array([dx, dy])
    return moved


def _mirrored(points: tuple[tuple[float, float], ...], sign: float) -> Points:
    """Points given by their distance from the middle, on one side of it."""
    return np.array([(500 + sign * x, y) for x, y in points])
