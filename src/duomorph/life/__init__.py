"""A face that lives between the words: it blinks, looks about, moves its head and breathes.

One promise: for one seed and one voice it is always the same, in any chunks, and it touches LIVING, the lids and the
gaze, and the nine angles: whatever else the face says stays to the bit.

    living = Living(Life("calm", seed=7))
    curves, angles = living.feed(level, speech, curves)     # (n,), (n,), (n, 52) -> (n, 52), (n, 9)

All of it is counted in ticks and drawn by the number of the event, so a clock or a generator's state decide nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.errors import SettingError
from duomorph.life.eyes import Eyes
from duomorph.life.head import Head
from duomorph.life.lids import Blinks
from duomorph.life.manner import CALM, LIVELY
from duomorph.life.prosody import Prosody

__all__ = ["IDLE", "LIVING", "STILL", "Life", "Living"]

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]

IDLE: Final = ("off", "calm", "lively")
MOST_SEED: Final = 2**32 - 1
WAKE_TICKS: Final = 30  # from off to on and back, half a second
LID_FOLLOWS: Final = 0.35  # eyeBlink of a full look down; lids go with the eyes (Becker & Fuchs 1988)
LID_LIFTS: Final = 0.3  # eyeWide of a full look up

LIVING: Final = np.array(
    [index for name, index in arkit.INDEX.items() if name.startswith(("eyeBlink", "eyeLook", "eyeWide"))], dtype=np.intp
)
_MANNERS: Final = {"off": CALM, "calm": CALM, "lively": LIVELY}


@dataclass(frozen=True)
class Life:
    """How a face lives.

    Attributes:
        idle: one of IDLE. seed: another one lives otherwise.
    """

    idle: str = "off"
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises SettingError: no such idle or seed."""
        if self.idle not in IDLE:
            raise SettingError(f"got idle {self.idle!r:.40}: expected one of {', '.join(IDLE)}")
        if not isinstance(self.seed, int) or not 0 <= self.seed <= MOST_SEED:
            raise SettingError(f"got seed {self.seed!r:.40}: expected a whole number from 0 to {MOST_SEED}")


STILL: Final = Life()


class Living:
    """The running state of a life; what it hears and moves are the same ticks."""

    def __init__(self, life: Life) -> None:
        self._prosody = Prosody()
        self._blinks, self._eyes, self._head = Blinks(life.seed), Eyes(life.seed), Head(life.seed)
        self.turn(life.idle)
        self.reset()

    def reset(self) -> None:
        """Back to the start of a clip."""
        for part in (self._prosody, self._blinks, self._eyes, self._head):
            part.reset()
        self._awake, self._size = self._wanted  # how much of it shows, and of the head's motion

    def turn(self, idle: str) -> None:
        """From the next tick on live so, without a jump. Raises SettingError as `Life` does."""
        self._manner = _MANNERS[Life(idle).idle]
        self._wanted = (0.0, 0.0) if idle == "off" else (1.0, self._manner.head)

    def feed(self, level: Floats, speech: NDArray[np.bool_], curves: Float32) -> tuple[Float32, Float32]:
        """Level and speech of n ticks, and (n, 52) -> (n, 52), and (n, 9) radians in the order of `arkit.ANGLES`."""
        if not (len(curves) and (self._awake or self._wanted[0])):
            return curves, np.zeros((len(curves), len(arkit.ANGLES)), dtype=np.float32)
        steps = [self._step(*tick) for tick in zip(level.tolist(), speech.tolist(), strict=True)]
        keep, add, angles = np.split(np.array(steps, dtype=np.float32), (len(LIVING), 2 * len(LIVING)), axis=1)
        out = curves.copy()
        out[:, LIVING] = keep * curves[:, LIVING] + add
        return out, angles

    def _step(self, level: float, speech: bool) -> tuple[float, ...]:
        """One tick: what is kept of each of LIVING, what is added to it, and the angles."""
        moment = self._prosody.step(level, speech)
        self._awake, self._size = (
            now + min(max(wanted - now, -most / WAKE_TICKS), most / WAKE_TICKS)
            for now, wanted, most in zip((self._awake, self._size), self._wanted, (1.0, LIVELY.head), strict=True)
        )
        open_ = 1 - self._awake * self._blinks.step(self._manner, moment.ended)
        right, down = (self._awake * math.radians(each) for each in self._eyes.step(self._manner, moment.speaking))
        head = (self._size * math.radians(each) for each in self._head.step(self._manner, moment))
        left_eye, right_eye = (_eye(self._awake, open_, inward, down) for inward in (right, -right))
        return *left_eye[0], *right_eye[0], *left_eye[1], *right_eye[1], *head, right, down, 0.0, right, down, 0.0


def _eye(awake: float, open_: float, inward: float, down: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What is kept of one eye's blink, looks down, in, out and up, and its width; and what is added to them.

    A lid goes with its eye, and a wide one closes in a blink; radians.
    """
    aside, below, above = inward / arkit.LOOK_ASIDE, max(down / arkit.LOOK_DOWN, 0.0), max(-down / arkit.LOOK_UP, 0.0)
    lid, wide, own = open_ * (1 - LID_FOLLOWS * below), 1 - LID_LIFTS * above, 1 - awake
    return (lid, own, own, own, own, wide * open_), (
        1 - lid, below, max(aside, 0.0), max(-aside, 0.0), above, (1 - wide) * open_,
    )  # fmt: skip
