"""Audio2Face JSON: the weights that NVIDIA's Audio2Face exports, in its 46, 52 or 68 poses.

One promise: poses are found by name, and `source` says how many had no place among ours; what we write are the 52.

    {"exportFps": 30.0, "trackPath": "", "numPoses": 52, "numFrames": 2, "facsNames": ["eyeBlinkLeft", ...],
     "weightMat": [[...], [...]], "joints": [], "rotations": [], "translations": []}

52 poses are ARKit's. 68 are these and sixteen of the tongue, which ARKit lacks. 46 are named after muscles (jawDrop,
lipCornerPullerL): `FACS` says which ARKit shape does the same. The format knows no start: the first frame is time 0.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clip import Clip
from duomorph.clock import frame_rate
from duomorph.errors import FormatError, SettingError
from duomorph.formats import document
from duomorph.formats.columns import curves, find


def _pairs(**pairs: str) -> dict[str, dict[str, float]]:
    """A pose of each side to a shape of that side."""
    return {
        pose + side[0]: {shape + side: 1.0} for pose, shape in pairs.items() for side in ("Left", "Right")
    }  # fmt: skip


# The 46 poses are action units (Ekman, Friesen 1978), as ARKit's shapes mostly are: what moves the same muscle. ARKit
# has one shape where both sides of two poses meet (browInnerUp, cheekPuff): their mean.
FACS: Final[dict[str, dict[str, float]]] = {
    **_pairs(
        browLower="browDown", outerBrowRaiser="browOuterUp", eyesClose="eyeBlink", eyesUpperLidRaiser="eyeWide",
        squint="eyeSquint", cheekRaiser="cheekSquint", noseWrinkler="noseSneer", dimpler="mouthDimple",
        lipCornerPuller="mouthSmile", lipCornerDepressor="mouthFrown", lipStretcher="mouthStretch",
        upperLipRaiser="mouthUpperUp", lowerLipDepressor="mouthLowerDown",
    ),
    "innerBrowRaiserL": {"browInnerUp": 0.5}, "innerBrowRaiserR": {"browInnerUp": 0.5},
    "cheekPuffL": {"cheekPuff": 0.5}, "cheekPuffR": {"cheekPuff": 0.5},
    "eyesLookLeft": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "eyesLookRight": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    "eyesLookUp": {"eyeLookUpLeft": 1.0, "eyeLookUpRight": 1.0},
    "eyesLookDown": {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0},
    "jawDrop": {"jawOpen": 1.0},
    "jawDropLipTowards": {"jawOpen": 1.0, "mouthClose": 1.0},  # the jaw opens behind closed lips
    "jawThrust": {"jawForward": 1.0}, "jawSlideLeft": {"jawLeft": 1.0}, "jawSlideRight": {"jawRight": 1.0},
    "mouthSlideLeft": {"mouthLeft": 1.0}, "mouthSlideRight": {"mouthRight": 1.0},
    "chinRaiser": {"mouthShrugLower": 1.0, "mouthShrugUpper": 1.0},
    "lipPressor": {"mouthPressLeft": 1.0, "mouthPressRight": 1.0},
    "pucker": {"mouthPucker": 1.0}, "funneler": {"mouthFunnel": 1.0},
    "lipSuck": {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
}  # fmt: skip


def encode(clip: Clip) -> bytes:
    """The clip as a JSON file, a frame a line."""
    head = {"exportFps": float(clip.fps), "trackPath": "", "numPoses": arkit.COUNT, "numFrames": len(clip)}
    out = io.BytesIO()
    out.write(json.dumps({**head, "facsNames": arkit.NAMES})[:-1].encode("ascii") + b', "weightMat": [')
    for k, weights in enumerate(clip.weights):
        out.write(f"{',' if k else ''}\n{document.numbers(weights)}".encode("ascii"))
    out.write(b'\n], "joints": [], "rotations": [], "translations": []}\n')
    return out.getvalue()


def decode(data: bytes) -> Clip:
    """A clip from a JSON file.

    Raises:
        FormatError: not such a file, or damaged.
    """
    whole = document.read(data, "Audio2Face JSON")
    names = document.names(whole.get("facsNames"), "facsNames")
    values = document.matrix(whole.get("weightMat"), len(names))
    try:
        fps = frame_rate(whole.get("exportFps", ""))
    except SettingError as problem:
        raise FormatError(f"exportFps is none of ours: {problem}") from None
    if set(names) & FACS.keys():
        columns, values, left = _muscles(names, values)
    else:
        columns = find(names)
        left = len(names) - int((columns >= 0).sum())
    source = f"Audio2Face, {left} other pose{'s' * (left > 1)} left out" if left else "Audio2Face"
    return Clip(curves(values, columns, range(len(values)), float(fps)), fps, captured=columns >= 0, source=source)


def _muscles(names: Sequence[str], values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64], int]:
    """The 46 poses as ARKit shapes: `columns` and values as `curves` wants them, and how many poses had no place."""
    if len(set(names)) < len(names):
        raise FormatError("a pose is there twice: expected each once; remove one")
    mixed = np.zeros((len(values), arkit.COUNT))
    columns = np.full(arkit.COUNT, -1, dtype=np.intp)
    for pose, curve in zip(names, values.T, strict=True):
        for shape, share in FACS.get(pose, {}).items():
            place = arkit.INDEX[shape]
            mixed[:, place] += share * curve
            columns[place] = place
    return columns, mixed, sum(pose not in FACS for pose in names)
