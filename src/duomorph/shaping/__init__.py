"""What is done to the network's curves before a face gets them, each part by itself, all off unless asked for.

One promise: shaping is causal and part of the stream, so any chunking gives the same frames; it is done on the ticks,
so 30 fps shows every second frame of 60 (with `smooth_hz` nearly); and what nobody asked for does not happen:
`Shaping()` changes no bit.

    face.animate("speech.wav", shaping=Shaping(gate=True, intensity=1.2))
    face.stream(fps=60, shaping=SHIPPED)      # what `duomorph animate` does by itself; evaluation never does
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from numbers import Real
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import TICK_RATE
from duomorph.errors import SettingError
from duomorph.hearing import Hearing
from duomorph.life import STILL, Life, Living
from duomorph.prototypes import strengths
from duomorph.shaping.direction import Director, Score, always
from duomorph.shaping.gate import Gate
from duomorph.shaping.motion import ARTICULATION, CORNERS, Glide, Hold, OneEuro
from duomorph.shaping.table import Table, read, table

__all__ = ["RAW", "SHIPPED", "Life", "Score", "Shaper", "Shaping", "Table", "Turn", "always", "read"]

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
    """What to do, in this order; emotion and life come after the gate.

    Attributes:
        smooth_hz: one-euro smoothing with this cutoff at rest, 0.5 to 30 Hz; 0 is off.
        intensity: how far speech moves the mouth, about the face at rest; 1 is as the network says.
        expressiveness: the same of brows, lids, cheeks, nose and the corners of the mouth; blinks and gaze stay.
        hold_ms: a closed mouth stays closed so long, 0 to 200; one frame's period makes each closure seen.
        gate: the mouth rests, closed, while nobody speaks.
        table: gain, offset and limits by shape; see `duomorph.shaping.table`.
        close_limit: mouthClose is never more than jawOpen + 0.02.
        emotion: what is asked for on top of what the voice tells; see `duomorph.shaping.direction`.
        life: blinks, gaze and head, of which no voice tells; see `duomorph.life`.
    """

    smooth_hz: float = 0.0
    intensity: float = 1.0
    expressiveness: float = 1.0
    hold_ms: float = 0.0
    gate: bool = False
    table: Table | None = None
    close_limit: bool = False
    emotion: Score | None = None
    life: Life = STILL

    def __post_init__(self) -> None:
        """Raises SettingError: a number is out of range, or something else stands where it belongs."""
        numbers = dict.fromkeys(("smooth_hz", "intensity", "expressiveness", "hold_ms"), (Real, "a number"))
        others = {"life": (Life, "a Life"), "table": (Table | None, "a Table"), "emotion": (Score | None, "a Score")}
        for name, (kind, told) in {**numbers, **others}.items():
            if not isinstance(value := getattr(self, name), kind):
                raise SettingError(f"got {name} {value!r:.40}: expected {told}; give one")
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
        return self.gate or bool(self.more.any())

    @property
    def more(self) -> Float32:
        """(52,) what intensity and expressiveness add, in ways from the face at rest."""
        more = np.zeros(arkit.COUNT, dtype=np.float32)
        more[ARTICULATION] = self.intensity - 1
        more[FEELING] = self.expressiveness - 1
        return more


RAW: Final = Shaping()
SHIPPED: Final = Shaping(gate=True, close_limit=True)  # what does no harm; the command line's default


@dataclass(frozen=True)
class Turn:
    """Knobs that are turned while a voice runs; what is not given stays.

    Attributes:
        intensity, expressiveness: as in `Shaping`. idle: as in `Life`.
        emotion: strengths by name, 0 to 1; a score that runs is over. gain: by shape or group, as in a table.
    """

    intensity: float | None = None
    expressiveness: float | None = None
    idle: str | None = None
    emotion: Mapping[str, float] = field(default_factory=dict)
    gain: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises SettingError: a number is out of range, or a name unknown."""
        for name in ("emotion", "gain"):
            if not isinstance(getattr(self, name), Mapping):
                raise SettingError(f"got {name} {getattr(self, name)!r:.40}: expected numbers by name; give a dict")
        self.of(RAW)
        strengths(self.emotion)

    def of(self, shaping: Shaping) -> Shaping:
        """The shaping after the turn, but for its emotion."""
        return replace(
            shaping,
            intensity=shaping.intensity if self.intensity is None else self.intensity,
            expressiveness=shaping.expressiveness if self.expressiveness is None else self.expressiveness,
            life=shaping.life if self.idle is None else replace(shaping.life, idle=self.idle),
            table=(shaping.table or table({})).turned(self.gain) if self.gain else shaping.table,
        )


class Shaper:
    """The running state of a shaping: sound and curves in, curves and angles out, tick by tick."""

    def __init__(self, shaping: Shaping, delay: int, rest: Float32) -> None:
        """`delay` of the network in ticks; `rest`: (52,) its curves in silence."""
        self._shaping, self._delay, self._rest = shaping, delay, _shut(rest)
        self._heard = 0  # samples
        self._gate = Gate(delay) if shaping.gate else None
        self._living = Living(shaping.life) if shaping.life.idle != "off" else None
        self._hearing = Hearing() if self._gate or self._living else None
        self._smooth = OneEuro(shaping.smooth_hz) if shaping.smooth_hz else None
        ticks = math.ceil(shaping.hold_ms * TICK_RATE / 1000 - 0.05)  # 33 and 17 ms are 2 and 1
        self._hold = Hold(ticks) if ticks > 1 else None
        self._director = Director(shaping.emotion, delay) if shaping.emotion else None
        self._more = Glide(shaping.more)
        self._gain = Glide(shaping.table.gain) if shaping.table else None

    def reset(self, at: Fraction | None = None) -> None:
        """Back to the start of a clip; or begin anew at second `at` of one, in which life goes on as it was."""
        self._heard = 0
        for part in (self._gate, self._hearing, self._smooth, self._hold):
            if part is not None:
                part.reset()
        if self._director:
            self._director.reset(at or Fraction(0))
        if self._living and at is None:
            self._living.reset()

    @property
    def latency_s(self) -> float:
        """What it adds: the group delay of the smoothing at rest; all else waits for nothing."""
        return self._smooth.latency_s if self._smooth else 0.0

    def turn(self, turn: Turn, rest: Callable[[], Float32]) -> None:
        """From the next tick on go to where the knobs are put; `rest` is asked for if it was not needed before."""
        before, after = self._shaping, turn.of(self._shaping)
        self._shaping = after
        if after.needs_rest and not before.needs_rest:
            self._rest = _shut(rest())
        self._more.aim(after.more)
        if after.table and turn.gain:
            self._gain = self._gain or Glide(np.ones(arkit.COUNT, dtype=np.float32))
            self._gain.aim(after.table.gain)
        if turn.emotion:
            self._director = self._director or Director(always({}), self._delay)
            self._director.turn(turn.emotion)
        if turn.idle:
            self._hearing = self._hearing or Hearing(self._heard)
            self._living = self._living or Living(before.life)
            self._living.turn(turn.idle)

    def feed(self, samples: Float32, curves: Float32) -> Float32:
        """(S,) samples, and the (n, 52) curves that the network makes of them -> (n, 61): curves, then angles."""
        self._heard += len(samples)
        level, speech = self._hearing.feed(samples) if self._hearing else (_NOTHING, _NOTHING.astype(bool))
        angles = np.zeros((len(curves), len(arkit.ANGLES)), dtype=np.float32)
        if not len(curves):
            return np.concatenate([curves, angles], axis=1)
        if self._smooth:
            curves = self._smooth.feed(curves)
        more = self._more.next(len(curves))
        if more.any():
            curves = (curves + more * (curves - self._rest)).clip(0, 1)
        if self._hold:
            curves = self._hold.feed(curves)
        if self._gate:
            openness, rest = self._gate.feed(speech).astype(np.float32), self._rest[ARTICULATION]
            curves = curves.copy()
            curves[:, ARTICULATION] = rest + openness[:, None] * (curves[:, ARTICULATION] - rest)
        if self._director:
            curves = self._director.feed(curves)
        if self._living:
            curves, angles = self._living.feed(level, speech, curves)
        if self._shaping.table and self._gain:
            curves = replace(self._shaping.table, gain=self._gain.next(len(curves))).apply(curves)
        if self._shaping.close_limit:
            jaw, close = arkit.INDEX["jawOpen"], arkit.INDEX["mouthClose"]
            curves = curves.copy()
            curves[:, close] = np.minimum(curves[:, close], curves[:, jaw] + np.float32(CLOSE_OVER))
        return np.concatenate([curves, angles], axis=1)


_NOTHING: Final = np.zeros(0)


def _shut(rest: Float32) -> Float32:
    """The face at rest with its mouth shut."""
    shut = rest.copy()
    shut[OPENING] = 0
    return shut
