"""What is done to the network's curves before a face gets them, each part by itself, all off unless asked for.

One promise: shaping is causal and part of the stream, so any chunking gives the same frames; it is done on the ticks,
so 30 fps shows every second frame of 60; and what nobody asked for does not happen: `Shaping()` changes no bit.

    face.animate("speech.wav", shaping=Shaping(gate=True, intensity=1.2))
    face.stream(fps=60, shaping=SHIPPED)      # what `duomorph animate` does by itself; evaluation never does
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import TICK_RATE
from duomorph.errors import SettingError
from duomorph.shaping.gate import Gate
from duomorph.shaping.motion import ARTICULATION, CORNERS, Hold, OneEuro
from duomorph.shaping.table import Table, read

__all__ = ["RAW", "SHIPPED", "Shaper", "Shaping", "Table", "read"]

Float32 = NDArray[np.float32]

CLOSE_OVER: Final = 0.02  # mouthClose takes back what jawOpen opened, and hardly more: real faces by 0.058 at most
MOST: Final = 3.0  # of intensity and expressiveness
LONGEST_MS: Final = 200.0
SLOWEST_HZ: Final = 0.5
FASTEST_HZ: Final = 30.0

# Feeling: all of the upper face but blinks and gaze, which stay whole, and the corners of the mouth.
_WHOLE: Final = [arkit.INDEX[name] for name in arkit.NAMES if name.startswith(("eyeBlink", "eyeLook"))]
FEELING: Final = np.concatenate([np.setdiff1d(arkit.EXPRESSION, _WHOLE), CORNERS])
_OPENING: Final = ("jawOpen", "mouthClose", "mouthFunnel", "mouthLowerDown", "mouthUpperUp", "tongueOut")
OPENING: Final = np.array([arkit.INDEX[name] for name in arkit.NAMES if name.startswith(_OPENING)], dtype=np.intp)


@dataclass(frozen=True)
class Shaping:
    """What to do, in this order.

    Attributes:
        smooth_hz: one-euro smoothing with this cutoff at rest, 0.5 to 30 Hz; 0 is off.
        intensity: how far speech moves the mouth, about the face at rest; 1 is as the network says.
        expressiveness: the same of brows, lids, cheeks, nose and the corners of the mouth; blinks and gaze stay.
        hold_ms: a closed mouth stays closed so long, 0 to 200; one frame's period makes each closure seen.
        gate: the mouth rests, closed, while nobody speaks.
        table: gain, offset and limits by shape; see `duomorph.shaping.table`.
        close_limit: mouthClose is never more than jawOpen + 0.02.
    """

    smooth_hz: float = 0.0
    intensity: float = 1.0
    expressiveness: float = 1.0
    hold_ms: float = 0.0
    gate: bool = False
    table: Table | None = None
    close_limit: bool = False

    def __post_init__(self) -> None:
        """Raises SettingError: a number is out of range."""
        if self.smooth_hz != 0 and not SLOWEST_HZ <= self.smooth_hz <= FASTEST_HZ:
            expected = f"{SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz, or 0 for none"
            raise SettingError(f"smoothing {self.smooth_hz!r} Hz is out of range: expected {expected}; try 3")
        if not 0 <= self.hold_ms <= LONGEST_MS:
            raise SettingError(f"hold {self.hold_ms!r} ms is out of range: expected 0 to {LONGEST_MS:g} ms; try 33")
        for name in ("intensity", "expressiveness"):
            value = getattr(self, name)
            if not 0 <= value <= MOST:
                raise SettingError(f"{name} {value!r} is out of range: expected 0 to {MOST:g}; 1 leaves it as it is")

    @property
    def needs_rest(self) -> bool:
        """Does any of it ask how the face looks when nobody speaks?"""
        return self.gate or self.intensity != 1 or self.expressiveness != 1


RAW: Final = Shaping()
SHIPPED: Final = Shaping(gate=True, close_limit=True)  # what does no harm; the command line's default


class Shaper:
    """The running state of a shaping: sound and curves in, curves out, tick by tick."""

    def __init__(self, shaping: Shaping, delay: int, rest: Float32) -> None:
        """`delay` of the network in ticks; `rest`: (52,) its curves in silence."""
        self._shaping = shaping
        self._gate = Gate(delay) if shaping.gate else None
        self._smooth = OneEuro(shaping.smooth_hz) if shaping.smooth_hz else None
        ticks = math.ceil(shaping.hold_ms * TICK_RATE / 1000 - 0.05)  # 33 and 17 ms are 2 and 1
        self._hold = Hold(ticks) if ticks > 1 else None
        self._rest = rest.copy()
        self._rest[OPENING] = 0
        self._more = np.zeros(arkit.COUNT, dtype=np.float32)  # of the way from the face at rest
        self._more[ARTICULATION] = shaping.intensity - 1
        self._more[FEELING] = shaping.expressiveness - 1

    def reset(self) -> None:
        """Back to the start of a clip."""
        for part in (self._gate, self._smooth, self._hold):
            if part is not None:
                part.reset()

    @property
    def latency_s(self) -> float:
        """What it adds: the group delay of the smoothing at rest; all else waits for nothing."""
        return self._smooth.latency_s if self._smooth else 0.0

    def feed(self, samples: Float32, curves: Float32) -> Float32:
        """(S,) samples, and the (n, 52) curves that the network makes of them -> (n, 52)."""
        openness = self._gate.feed(samples).astype(np.float32) if self._gate else None
        if self._shaping == RAW or not len(curves):
            return curves
        if self._smooth:
            curves = self._smooth.feed(curves)
        if self._more.any():
            curves = (curves + self._more * (curves - self._rest)).clip(0, 1)
        if self._hold:
            curves = self._hold.feed(curves)
        curves = curves.copy()
        if openness is not None:
            rest = self._rest[ARTICULATION]
            curves[:, ARTICULATION] = rest + openness[:, None] * (curves[:, ARTICULATION] - rest)
        if self._shaping.table:
            curves = self._shaping.table.apply(curves)
        if self._shaping.close_limit:
            jaw, close = arkit.INDEX["jawOpen"], arkit.INDEX["mouthClose"]
            curves[:, close] = np.minimum(curves[:, close], curves[:, jaw] + np.float32(CLOSE_OVER))
        return curves
