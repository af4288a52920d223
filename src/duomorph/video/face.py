"""One face in pictures, by MediaPipe's FaceLandmarker in IMAGE mode: every picture stands alone, nothing lags.

One promise: a block of pictures gives the same records wherever and whenever it is worked on.

    finder = Finder(Path("face_landmarker.task"))
    records = finder.block(pictures)          # RECORD, one each; None in `pictures` is one to pass over

The detector sees a picture at 128 x 128 pixels. Where the face is small in it, it is looked for in tiles, and the
block is cropped: one crop for all its pictures, on a coarse grid, so that a still head keeps its crop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit

# Both rings of the lips, in MediaPipe's numbers: the outer one below and above, the inner one below and above.
LIPS: Final = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
RECORD: Final = np.dtype(
    [("seen", "?"), ("weights", "<f4", arkit.COUNT), ("lips", "<f4", (len(LIPS), 3)), ("head", "<f4", (4, 4))]
)
ROOM: Final = 2.5  # a crop is at least that many faces wide; with less the landmarks get worse
GRID: Final = 8  # crops are moved in steps of 1/8 of their size
FIELD_OF_VIEW: Final = math.radians(63)  # top to bottom, of the camera that MediaPipe assumes

# By how much of the angle at which a head stands beside the axis MediaPipe turns it; the truth would be 1. Measured by
# moving windows over a still face: 0.24 from side to side, 0.28 up and down.
BESIDE: Final = 0.26

Picture = NDArray[np.uint8]


class Window(NamedTuple):
    """A part of a picture, in pixels."""

    x: int
    y: int
    width: int
    height: int


class Face(NamedTuple):
    """points (478, 3) as fractions of the whole picture, z in units of its width; weights (52,); head (4, 4)."""

    points: NDArray[np.float64]
    weights: NDArray[np.float32]
    head: NDArray[np.float64]


class Finder:
    """MediaPipe with a model file. Raises what MediaPipe raises if it cannot be loaded (see worker.py)."""

    def __init__(self, landmarker: Path) -> None:
        self._media: Any = import_module("mediapipe")
        tasks: Any = import_module("mediapipe.tasks.python.vision.face_landmarker")
        base: Any = import_module("mediapipe.tasks.python.core.base_options")
        self._landmarker = tasks.FaceLandmarker.create_from_options(
            tasks.FaceLandmarkerOptions(
                base_options=base.BaseOptions(model_asset_path=str(landmarker)),
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )  # one face, IMAGE mode: VIDEO mode smooths and lags

    def block(self, pictures: Sequence[Picture | None]) -> NDArray[np.void]:
        """A record for each picture, (n,) RECORD; `seen` is False where it is None or shows no face."""
        records = np.zeros(len(pictures), RECORD)
        window: Window | None = None
        for record, picture in zip(records, pictures, strict=True):
            if picture is None:
                continue
            face = self._detect(picture, window) if window else None
            if face is None:
                face, window = self._search(picture)
            if face is not None:
                record["seen"] = True
                record["weights"] = face.weights
                record["lips"] = face.points[list(LIPS)]
                record["head"] = face.head
        return records

    def _search(self, picture: Picture) -> tuple[Face | None, Window | None]:
        """The face wherever it is, and the crop for it."""
        for windows in _levels(*picture.shape[1::-1]):
            found = [face for window in windows if (face := self._detect(picture, window))]
            if found:
                face = max(found, key=lambda face: float(np.ptp(face.points[:, 1])))
                window = _crop(face, *picture.shape[1::-1])
                return self._detect(picture, window) or face, window
        return None, None

    def _detect(self, picture: Picture, window: Window) -> Face | None:
        x, y, width, height = window
        part = np.ascontiguousarray(picture[y : y + height, x : x + width])
        result = self._landmarker.detect(self._media.Image(image_format=self._media.ImageFormat.SRGB, data=part))
        if not result.face_landmarks:
            return None
        points = np.array([(point.x, point.y, point.z) for point in result.face_landmarks[0]])
        across, down = picture.shape[1], picture.shape[0]
        points = (points * (width, height, width) + (x, y, 0)) / (across, down, across)
        weights = np.zeros(arkit.COUNT, np.float32)
        for shape in result.face_blendshapes[0]:
            if shape.category_name in arkit.INDEX:  # "_neutral" is no shape
                weights[arkit.INDEX[shape.category_name]] = shape.score
        head = result.facial_transformation_matrixes[0].astype(np.float64)
        return Face(points, weights, whole_view(head, window, across, down))


def whole_view(head: NDArray[np.float64], window: Window, across: int, down: int) -> NDArray[np.float64]:
    """The head as MediaPipe would see it in the whole picture, from (4, 4) as it sees it in a window of that.

    It takes every image for the whole view of its camera: in the right view the head is as many times further away as
    the picture is higher than the window, and stands elsewhere beside the axis, which turns it a little.
    """
    focal = down / (2 * math.tan(FIELD_OF_VIEW / 2))  # pixels; of the window's camera, as much less as it is lower
    place, nearer = head[:3, 3], window.height / down
    aside = focal * nearer * place[:2] / -place[2]  # pixels right and up from the window's middle
    aside += (window.x + window.width / 2 - across / 2, down / 2 - window.y - window.height / 2)
    moved = np.array([*aside, -focal]) * (-place[2] / nearer / focal)
    whole = head.copy()
    whole[:3, :3] = _turn(place, moved) @ head[:3, :3]
    whole[:3, 3] = moved
    return whole


def _turn(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """BESIDE times the shortest rotation from the direction of `a` to that of `b`, (3, 3)."""
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine == 0:
        return np.eye(3)
    angle = BESIDE * math.atan2(sine, float(a @ b))
    x, y, z = axis / sine
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: NDArray[np.float64] = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return rotation


def _levels(across: int, down: int) -> Iterator[list[Window]]:
    """Where to look for a face: in the whole, then in overlapping squares, then in squares half as wide."""
    yield [Window(0, 0, across, down)]
    for side in (min(across, down), min(across, down) // 2):
        yield [Window(x, y, side, side) for y in _starts(down, side) for x in _starts(across, side)]


def _starts(length: int, side: int) -> list[int]:
    steps = math.ceil(2 * (length - side) / side)  # neighbours share half of themselves
    return [round(k * (length - side) / max(1, steps)) for k in range(steps + 1)]


def _crop(face: Face, across: int, down: int) -> Window:
    """The window for a face: the whole picture over a power of the root of 2, on a grid."""
    points = face.points[:, :2] * (across, down)
    low, high = points.min(axis=0), points.max(axis=0)
    longest = max(across, down)
    level = math.floor(2 * math.log2(longest / (ROOM * max(1.0, *(high - low)))))
    if level <= 0:
        return Window(0, 0, across, down)
    side = longest / 2 ** (level / 2)
    width, height = min(across, round(side)), min(down, round(side))
    step = side / GRID
    x, y = np.round(((low + high) / 2 - side / 2) / step) * step
    return Window(round(min(max(0, x), across - width)), round(min(max(0, y), down - height)), width, height)
