"""Size and shape of the network, and the arithmetic that follows from it.

One promise: every published size (D_mel, D_emotion, their ratio, multiply-adds a tick) is computed here from the
configuration; there is no literal of it anywhere else.

    config = ModelConfig()
    config.d_mel(30) / config.d_emotion      # 80.9
    config.macs_per_tick()                   # multiply-adds of one live tick
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import MAX_DELAY, ROW_RATE, ROWS_PER_TICK, TICK_RATE
from duomorph.emotion import FUNCTIONALS, UPDATE_S, WINDOWS
from duomorph.errors import ModelError
from duomorph.mel import MelConfig

UPDATE_TICKS: Final = int(UPDATE_S * TICK_RATE)  # 18
TAP_TICKS: Final = 2  # between the taps of the temporal layer
MANY: Final = 40  # ticks of a call of the exported graph that is not for now,
LONG: Final = 120  # and of one in the midst of a file

Ticks = TypeVar("Ticks", int, NDArray[np.int64])


def held_update(tick: Ticks) -> Ticks:
    """The emotion update that a tick holds: u is made from the sound up to tick 18 u and held from the next tick on,
    so that no frame waits for it. The first tick holds the first."""
    return (tick - (tick > 0)) // UPDATE_TICKS


@dataclass(frozen=True)
class ModelConfig:
    """What ships is the default. `front = temporal = 0` and `history = "taps"` is the textbook form."""

    styles: tuple[str, ...] = ("grid", "facegood")
    bands: int = MelConfig.bands
    d: int = 64  # width of tokens, keys, values and queries
    heads: int = 2
    # mel stream
    context_frames: int = 256  # long-term context, frames of 1/30 s: 8.53 s
    detail_frames: int = 3  # short-term detail, frames of 1/30 s, kept row by row
    history: str = "boxes"  # log-spaced means over the context, or "taps": one weight a tick, as in the textbook
    front: int = 192  # channels of the causal front end; 0 leaves it out
    front_early: tuple[int, ...] = (1, 2, 4)  # dilations in ticks, before the moment n - delay is looked up
    front_ahead: tuple[int, ...] = (0, 3, 6, 9, 12)  # ticks about the moment that are looked up
    front_late: tuple[int, ...] = (1, 4, 16, 48)  # dilations after that: 2.7 s in all
    front_taps: int = 3
    front_smooth: int = 9  # most taps, a tick apart, of the smoothing at its end
    band_channels: int = 16  # what the front end hands to each band
    # emotion stream
    emotion: int = 256  # 264 functionals are compressed to this
    updates: int = 29  # emotion updates attended over: 8.5 s
    # fusion
    tau_start: float = 0.5  # temperature of the softmax over the two streams, annealed in training
    tau: float = 0.2  # to this
    # temporal layer
    temporal: int = 1  # blocks; 0 leaves it out
    temporal_taps: int = 5  # 1/30 s apart
    smoothing_s: float = 0.008  # start of the learned time constant of y = a x + (1 - a) y
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.d % self.heads:
            raise ModelError(f"got width d = {self.d} for {self.heads} heads: expected a multiple of them; change it")
        if self.bands != MelConfig.bands:
            raise ModelError(f"{self.bands} mel bands do not fit the features: expected {MelConfig.bands}")
        if self.temporal and self.temporal_taps < 2:
            raise ModelError(f"got temporal_taps {self.temporal_taps}: expected at least 2; temporal 0 leaves it out")
        if self.front_smooth < 1:
            raise ModelError(f"got front_smooth {self.front_smooth}: expected at least 1 tap; 1 leaves it out")
        if self.history not in ("boxes", "taps"):
            raise ModelError(f"history {self.history!r} is unknown: expected 'boxes' or 'taps'")
        if self.context_ticks & (self.context_ticks - 1):
            raise ModelError(f"got a context of {self.context_frames} frames: expected a power of two; try 256")

    @property
    def context_ticks(self) -> int:
        return self.context_frames * TICK_RATE // 30

    @property
    def detail_rows(self) -> int:
        return self.detail_frames * ROW_RATE // 30

    @property
    def boxes(self) -> int:
        """Octaves of the log-spaced history: [0, 1), [1, 2), [2, 4), ... ticks back."""
        return int(math.log2(self.context_ticks)) + 1

    @property
    def emotion_inputs(self) -> int:
        return FUNCTIONALS * WINDOWS

    def d_mel(self, fps: int | Fraction) -> int:
        """Values the mel stream sees: bands x (long-term frames + short-term frames)."""
        long_term = math.floor(self.context_frames * Fraction(fps) / 30)
        return self.bands * (long_term + self.detail_frames)

    @property
    def d_emotion(self) -> int:
        """Values the emotion stream is compressed to."""
        return self.emotion

    @property
    def front_past(self) -> int:
        """Ticks that the front end's convolutions keep, one beside the other."""
        blocks = (self.front_taps - 1) * sum(self.front_early + self.front_late)
        return blocks + self.front_smooth - 1 if self.front else 0

    @property
    def warm_up_ticks(self) -> int:
        """Ticks after which the convolutions' zero start is forgotten."""
        return self.front_past + MAX_DELAY + TAP_TICKS * (self.temporal_taps - 1) * self.temporal

    def macs_per_tick(self) -> dict[str, int]:
        """Multiply-adds of one live tick (a call with one tick and the held emotion update), part by part."""
        d, bands, shapes = self.d, self.bands, arkit.COUNT
        token_in = self.detail_rows + (self.boxes if self.history == "boxes" else 0)
        macs = {"mel history": bands * self.context_ticks * (1 if self.history == "boxes" else d)}
        if self.front:
            blocks = len(self.front_early + self.front_late) * (self.front_taps + 1) + len(self.front_ahead)
            enter = bands * (ROWS_PER_TICK + 1) * self.front  # rows of now, and the long-term mean
            macs["front end"] = enter + blocks * self.front**2 + self.front_smooth * self.front
            macs["front end to bands"] = self.front * bands * self.band_channels
            token_in += self.band_channels
        macs["band tokens"] = bands * token_in * d
        macs["mel keys and values"] = 2 * bands * d * d
        macs["mel attention"] = 2 * shapes * bands * d
        macs["queries"] = shapes * d * d
        macs["emotion encoder"] = self.emotion_inputs * self.emotion + 2 * self.emotion * d
        macs["emotion attention"] = 2 * shapes * self.updates * d
        macs["fusion"] = shapes * d * d
        macs["temporal layer"] = self.temporal * shapes * (self.temporal_taps * d + 2 * d * d)
        macs["output"] = shapes * (d + 1)
        return macs

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Strict: an unknown or missing field is a ModelError."""
        fields = {field.name for field in dataclasses.fields(cls)}
        if set(values) != fields:
            odd = ", ".join(sorted(set(values) ^ fields))
            raise ModelError(f"model configuration differs in fields {odd}: made by another version of Duomorph")
        plain: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in values.items()}
        return cls(**plain)
