"""The faces of the emotions, and emotions by name.

One promise: what a model learns of an emotion and what a director asks for are one face.

    PROTOTYPES["anger"]                        # {"browDown": 0.7, ...}
    strengths({"joy": 0.6, "sad": 0.2})        # (6,), in the order of EMOTIONS

Source: Friesen & Ekman 1983, EMFACS-7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.errors import SettingError

Float32 = NDArray[np.float32]

# At full strength, both sides alike; behind each its action units. What moves the jaw is the articulator's (26).
PROTOTYPES: Final[dict[str, dict[str, float]]] = {
    "neutral": {},
    "boredom": {},
    "happiness": {"mouthSmile": 0.75, "cheekSquint": 0.55, "eyeSquint": 0.2},  # 12, 6
    "sadness": {"browInnerUp": 0.6, "browDown": 0.3, "mouthFrown": 0.6},  # 1, 4, 15
    "anger": {"browDown": 0.7, "eyeWide": 0.3, "eyeSquint": 0.35, "mouthPress": 0.2, "noseSneer": 0.2},  # 4, 5, 7, 23
    "fear": {"browInnerUp": 0.6, "browOuterUp": 0.4, "browDown": 0.2, "eyeWide": 0.65, "mouthStretch": 0.35},  # 1-5, 20
    "surprise": {"browInnerUp": 0.7, "browOuterUp": 0.7, "eyeWide": 0.6},  # 1, 2, 5
    "disgust": {"noseSneer": 0.65, "mouthFrown": 0.3, "mouthUpperUp": 0.2, "browDown": 0.3, "eyeSquint": 0.2},  # 9, 15
}

EMOTIONS: Final = tuple(name for name, shapes in PROTOTYPES.items() if shapes)
_ALSO: Final = {
    "joy": "happiness", "happy": "happiness", "sad": "sadness", "angry": "anger", "afraid": "fear",
    "surprised": "surprise", "disgusted": "disgust",
}  # fmt: skip


def columns(name: str) -> list[int]:
    """Where a shape lies, or both sides of it."""
    return [arkit.INDEX[full] for full in (name, f"{name}Left", f"{name}Right") if full in arkit.INDEX]


def faces() -> Float32:
    """(6, 52): each emotion at full strength, in the order of `EMOTIONS`."""
    rows = np.zeros((len(EMOTIONS), arkit.COUNT), dtype=np.float32)
    for row, emotion in zip(rows, EMOTIONS, strict=True):
        for name, full in PROTOTYPES[emotion].items():
            row[columns(name)] = full
    return rows


def emotion(name: str) -> int:
    """Its place in `EMOTIONS`. Raises SettingError: it is none."""
    found = _ALSO.get(name.strip().lower(), name.strip().lower())
    if found not in EMOTIONS:
        short = ", ".join(short for short, long in _ALSO.items() if short != "happy")
        raise SettingError(f"got the emotion {name!r:.40}: expected one of {', '.join(EMOTIONS)} (or {short})")
    return EMOTIONS.index(found)


def strengths(named: Mapping[str, float], others: Float32 | None = None) -> Float32:
    """(6,): each emotion as named, 0 to 1; those that are not named as in `others`, or 0.

    Raises:
        SettingError: no such emotion, or a strength out of range.
    """
    found = np.zeros(len(EMOTIONS), dtype=np.float32) if others is None else others.copy()
    for name, strength in named.items():
        if not 0 <= strength <= 1:  # NaN too
            raise SettingError(f"got {name} = {strength!r:.40}: expected a strength from 0 to 1, such as 0.6")
        found[emotion(name)] = strength
    return found
