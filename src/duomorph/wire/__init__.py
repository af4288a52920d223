"""What live faces send and hear: every protocol is a pair of pure functions between bytes and a frame.

One promise: no sockets, no clock, no state; whatever bytes come in, the answer is a value or our error.

    frame = Frame(number=0, fps=Fraction(60), weights=weights, angles=angles)
    packet = livelink.encode(frame, "Alice", livelink.device_id("Alice"))
    livelink.decode(packet).frame

`livelink` is Unreal's, `vmc` the avatars' (VSeeFace, Warudo), `osc` everybody's, `web` the browsers', `lines` a pipe's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """One face at one moment.

    Attributes:
        number: k, counted from the first sample of the stream.
        fps: the frame stands at k / fps seconds of the sound.
        weights: (52,) in [0, 1], in the order of `arkit.NAMES`.
        angles: (9,) radians, in the order of `arkit.ANGLES`; zeros where nothing drives the head.
    """

    number: int
    fps: Fraction
    weights: Float32
    angles: Float32

    @property
    def time_s(self) -> float:
        return float(self.number / self.fps)


class Command(Enum):
    """What a listener may ask of the voice; the value is its name in every protocol."""

    RESET = "reset"  # begin anew: forget all that was heard; the numbers of the frames go on
    SILENCE = "silence"  # close the mouth now: the speech was cut off
