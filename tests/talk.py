"""Talk for tests: noise whose loudness follows a jaw that moves at random, as syllables do."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from duomorph import arkit
from duomorph.clip import Clip


def talk(seconds: float, seed: int, fps: Fraction = Fraction(30), late_ms: float = 0.0) -> tuple[np.ndarray, Clip]:
    """(S,) float32 at 16 kHz and a clip of all 52 shapes whose face is late."""
    random = np.random.default_rng(seed)
    knots = random.random(round(seconds * 5) + 8)  # five syllables a second
    grid = np.arange(len(knots)) / 5 - 0.7

    def opening(times: np.ndarray) -> np.ndarray:
        return np.interp(times, grid, knots) ** 2

    samples = round(seconds * 16000)
    sound = random.normal(0, 0.1, samples) * opening(np.arange(samples) / 16000)
    frames = round(seconds * fps)
    weights = random.uniform(0, 0.2, (frames, 52)).astype(np.float32)
    weights[:, arkit.INDEX["jawOpen"]] = opening(np.arange(frames) / float(fps) - late_ms / 1000)
    return sound.astype(np.float32).clip(-0.9, 0.9), Clip(weights, fps, source="a test")
