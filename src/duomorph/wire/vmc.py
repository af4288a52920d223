"""VMC, the protocol of VRM avatars (VSeeFace, Warudo, VMagicMirror, VNyan, EVMC4U), port 39539.

One promise: `Apply` comes last, no bundle exceeds 1500 bytes, and no two values open the same eye or mouth twice.

    packets = Encoder()(frame)                 # bundles of /VMC/Ext/Blend/Val, then /VMC/Ext/Blend/Apply
    values(packets)["A"]

Avatars with Perfect Sync have the 52 shapes, in PascalCase (`JawOpen`); the others have VRM 0's presets, which are
computed from the 52 by `PRESETS`. An avatar that has both would open its mouth twice: choose with `shapes`.

Source: https://protocol.vmc.info/english
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from duomorph.arkit import INDEX, NAMES
from duomorph.wire import Float32, Frame, messages
from duomorph.wire.messages import Slot, message

PORT: Final = 39539
SHAPES: Final = ("all", "arkit", "vrm")
CASES: Final = ("pascal", "camel")

# Preset -> what is added up for it, below 0 counting as 0. A shape without a side stands for left and right, each.
# Vowels: the jaw opens A unless the lips round (U, O), spread (I) or lift (E). Moods: strong signs only, faces at
# rest show a little of everything. Then each group is scaled down to a sum of 1: avatars add presets up.
PRESETS: Final[dict[str, dict[str, float]]] = {
    "A": {"jawOpen": 1.6, "mouthClose": -1.6, "mouthFunnel": -0.8, "mouthPucker": -1.2},
    "I": {"mouthStretch": 0.8, "mouthSmile": 0.25, "jawOpen": -0.5, "mouthPucker": -0.8},
    "U": {"mouthPucker": 1.6, "jawOpen": -0.5},
    "E": {"mouthLowerDown": 0.7, "mouthUpperUp": 0.5, "mouthFunnel": -0.8, "mouthPucker": -0.8},
    "O": {"mouthFunnel": 1.5, "mouthPucker": 0.4, "jawOpen": 0.3, "": -0.15},
    "Joy": {"mouthSmile": 0.7, "": -0.2},
    "Angry": {"browDown": 0.6, "noseSneer": 0.4, "": -0.4},
    "Sorrow": {"browInnerUp": 0.8, "mouthFrown": 0.6, "": -0.2},
    "Fun": {"cheekSquint": 0.5, "mouthDimple": 0.3, "": -0.2},
}
VOWELS: Final = ("A", "I", "U", "E", "O")
MOODS: Final = ("Joy", "Angry", "Sorrow", "Fun")
BLINKS: Final = ("Blink", "Blink_L", "Blink_R")
PRESET_NAMES: Final = (*VOWELS, *MOODS, *BLINKS)


def _row(terms: dict[str, float]) -> Float32:
    row = np.zeros(len(NAMES), np.float32)
    for shape, gain in terms.items():
        if shape:
            row[[INDEX[name] for name in (shape, f"{shape}Left", f"{shape}Right") if name in INDEX]] = gain
    return row


_GAINS: Final = np.stack([_row(PRESETS[name]) for name in (*VOWELS, *MOODS)])  # (9, 52)
_OFFSETS: Final = np.array([PRESETS[name].get("", 0.0) for name in (*VOWELS, *MOODS)], np.float32)
_EYES: Final = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]


def presets(weights: Float32) -> Float32:
    """(52,) -> (12,) in [0, 1], in the order of `PRESET_NAMES`. `Blink` is what both eyes do, `_L` and `_R` what one
    does beyond that."""
    level = (_GAINS @ weights + _OFFSETS).clip(0.0, 1.0)
    vowels, moods = level[: len(VOWELS)], level[len(VOWELS) :]
    eyes = weights[_EYES]
    both = eyes.min()
    parts = (vowels / max(1.0, vowels.sum()), moods / max(1.0, moods.sum()), [both], eyes - both)
    return np.concatenate(parts).astype(np.float32)


class Encoder:
    """Frames to packets, for one kind of avatar."""

    def __init__(self, shapes: str = "all", case: str = "pascal") -> None:
        """`shapes` is one of `SHAPES`: the 52, the presets or both; `case` one of `CASES`, of the 52 names."""
        own = [name if case == "camel" else name[0].upper() + name[1:] for name in NAMES]
        names = {"all": [*PRESET_NAMES, *own], "arkit": own, "vrm": list(PRESET_NAMES)}[shapes]
        self._shapes = shapes
        self._templates = messages.plan(
            [
                Slot(message("/VMC/Ext/OK", 1), 0),
                Slot(message("/VMC/Ext/T", 0.0), 1),
                *(Slot(message("/VMC/Ext/Blend/Val", name, 0.0), 1) for name in names),
                Slot(message("/VMC/Ext/Blend/Apply"), 0),
            ]
        )

    def __call__(self, frame: Frame) -> list[bytes]:
        parts: list[Float32] = [np.array([frame.time_s], np.float32)]
        if self._shapes != "arkit":
            parts.append(presets(frame.weights))
        if self._shapes != "vrm":
            parts.append(frame.weights)
        return messages.fill(self._templates, messages.words(np.concatenate(parts)))


def values(packets: Iterable[bytes]) -> dict[str, float]:
    """Name -> value of every /VMC/Ext/Blend/Val in these packets.

    Raises:
        FormatError: no OSC.
    """
    found: dict[str, float] = {}
    for packet in packets:
        for address, arguments in messages.parse(packet):
            match address, arguments:
                case "/VMC/Ext/Blend/Val", (str(name), float(value)):
                    found[name] = value
    return found
