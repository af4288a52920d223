"""Engines that are deaf in one stream, to learn what each stream is worth.

One promise: nothing else differs; the deaf stream hears what it hears when nobody speaks.

    Face(WithoutEmotion.open(face.info().path)).animate("speech.wav")
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.emotion import WINDOWS
from duomorph.mel import MelConfig
from duomorph.model.engine import Engine, Float32, State

Slots = NDArray[np.int64]


class WithoutMel(Engine):
    """Mel rows are those of silence, the bottom of their range."""

    def step(
        self, mel: Float32, emotion: Float32, slot: Slots, style: int, delay: int, state: State, stride: int = 1
    ) -> Float32:
        return super().step(np.full_like(mel, -MelConfig.depth), emotion, slot, style, delay, state, stride)


class WithoutEmotion(Engine):
    """All three windows hold the neutral voice, the mean of the training data."""

    def step(
        self, mel: Float32, emotion: Float32, slot: Slots, style: int, delay: int, state: State, stride: int = 1
    ) -> Float32:
        neutral = np.tile(np.array(self.provenance.neutral, dtype=np.float32), WINDOWS)
        return super().step(mel, np.broadcast_to(neutral, emotion.shape).copy(), slot, style, delay, state, stride)


SILENCED: Final[dict[str, type[Engine]]] = {"mel": WithoutMel, "emotion": WithoutEmotion}
