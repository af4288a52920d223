"""What live faces send and hear: every protocol is a pair of pure functions between bytes and a frame.

One promise: no sockets, no clock, no state; whatever bytes come in, the answer is a value or our error.

    frame = Frame(number=0, fps=Fraction(60), weights=weights, angles=angles)
    packet = livelink.encode(frame, "Alice", livelink.device_id("Alice"))
    livelink.decode(packet).frame

`livelink` is Unreal's, `vmc` the avatars' (VSeeFace, Warudo), `osc` everybody's, `web` the browsers', `lines` a pipe's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph.errors import FormatError, SettingError
from duomorph.shaping import Turn

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """One face at one moment.

    Attributes:
        number: k, counted from the first sample of the stream.
        fps: the frame stands at k / fps seconds of the sound.
        weights: (52,) in [0, 1], in the order of `arkit.NAMES`.
        angles: (9,) radians, in the order of `arkit.ANGLES`; zeros where nothing drives the head.
        heard: when its moment of the sound was there, in seconds since 1970 by this machine; None where nobody knows.
    """

    number: int
    fps: Fraction
    weights: Float32
    angles: Float32
    heard: float | None = None

    @property
    def time_s(self) -> float:
        return float(self.number / self.fps)


class Command(Enum):
    """What a listener may ask of the voice; the value is its name in every protocol."""

    RESET = "reset"  # begin anew: forget all that was heard; the numbers of the frames go on
    SILENCE = "silence"  # close the mouth now: the speech was cut off


Order = Command | Turn  # all that a listener may ask
KNOBS: Final = tuple(knob.name for knob in fields(Turn))


def turn(said: Mapping[str, Any]) -> Turn:
    """Knobs as a listener turns them, by the names of `Turn`.

    Raises:
        FormatError: no such knob, or it is turned to what it does not have.
    """
    kinds: dict[str, Any] = {"idle": str, "emotion": dict, "gain": dict}
    for knob, value in said.items():
        numbers = value.values() if isinstance(value, dict) else () if isinstance(value, str) else [value]
        plain = all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
        if knob not in KNOBS or not plain or not isinstance(value, kinds.get(knob, (int, float))):
            expected = f"expected one of {', '.join(KNOBS)}, at a number, names with numbers, or off, calm, lively"
            raise FormatError(f"got the knob {knob!r:.40} at {value!r:.40}: {expected}")
    try:
        return Turn(**said)
    except SettingError as problem:
        raise FormatError(str(problem)) from None
