"""The 52 ARKit face shapes: names, order, groups, mirror pairs.

One promise: every shape is addressed by name. The order inside Duomorph is that of Apple's documentation page
(`ARFaceAnchor.BlendShapeLocation`); file formats with another order translate by name.

    weights[:, INDEX["jawOpen"]]
    weights[:, MOUTH]               # an index array, one per group

Source: https://developer.apple.com/documentation/arkit/arfaceanchor/blendshapelocation
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_EYE: Final = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")

NAMES: Final[tuple[str, ...]] = (
    *(f"{shape}Left" for shape in _EYE),
    *(f"{shape}Right" for shape in _EYE),
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight",
    "tongueOut",
)  # fmt: skip

COUNT: Final = len(NAMES)  # 52
INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(NAMES)}

# What Live Link Face captures beside the shapes, in radians, signed.
ANGLES: Final = (
    "HeadYaw", "HeadPitch", "HeadRoll",
    "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
    "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)  # fmt: skip

# Radians of the eyes per unit of a look shape, fitted to a real Live Link Face take (r > 0.99).
LOOK_ASIDE: Final = 0.60
LOOK_DOWN: Final = 0.61
LOOK_UP: Final = 0.44


def _group(*prefixes: str) -> NDArray[np.intp]:
    return np.array([INDEX[name] for name in NAMES if name.startswith(prefixes)], dtype=np.intp)


GROUPS: Final[dict[str, NDArray[np.intp]]] = {
    "jaw": _group("jaw"),
    "lips": _group("mouth"),
    "tongue": _group("tongue"),
    "eyes": _group("eye"),
    "brows": _group("brow"),
    "cheeks": _group("cheek", "nose"),
}
MOUTH: Final = _group("jaw", "mouth", "tongue")  # what articulates
EXPRESSION: Final = _group("eye", "brow", "cheek", "nose")  # what does not


def _aperture() -> NDArray[np.float32]:
    shares = {"jawOpen": 1.0, "mouthClose": -1.0, "mouthLowerDown": 0.25, "mouthUpperUp": 0.25}  # the jaw, the lips
    shares |= {"mouthPress": -0.5, "mouthRoll": -0.5}  # the seal
    weights = np.zeros(COUNT, dtype=np.float32)
    for prefix, share in shares.items():
        weights[_group(prefix)] += share / len(_group(prefix))
    return weights


APERTURE: Final = _aperture()  # how far the lips are apart is weights @ APERTURE, (52,)


def mirror(name: str) -> str:
    """The name of the same shape on the other side of the face; a middle shape is its own mirror."""
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    if name.endswith("Right"):
        return name.removesuffix("Right") + "Left"
    return name


MIRROR: Final = np.array([INDEX[mirror(name)] for name in NAMES], dtype=np.intp)


def _key(name: str) -> str:
    for short, side in (("_L", "Left"), ("_R", "Right")):
        if name.endswith(short):
            name = name.removesuffix(short) + side
    return name.replace("_", "").lower()


_BY_KEY: Final = {_key(name): name for name in NAMES}


def canonical(name: str) -> str | None:
    """Our name for a shape written in camelCase, PascalCase or with `_L`/`_R`; None if it is no ARKit shape."""
    return _BY_KEY.get(_key(name))
