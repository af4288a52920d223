"""The face: a loaded model that turns speech into clips and streams.

One promise: these two calls, `load` and what it returns, are all that a user needs.

    face = load()
    clip = face.animate("speech.wav", fps=60)
    stream = face.stream(fps=30, delay_ms=33)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duomorph import audio
from duomorph.clip import Clip, joined
from duomorph.clock import SAMPLE_RATE, delay_ticks, frame_rate, nominal_hop
from duomorph.errors import SettingError
from duomorph.model.card import Provenance
from duomorph.model.config import ModelConfig
from duomorph.model.engine import Engine
from duomorph.shaping import RAW, Shaping
from duomorph.stream import Stream


@dataclass(frozen=True)
class Info:
    """What a model is; see `Face.info`."""

    path: str
    megabytes: float
    weights_sha256: str
    config: ModelConfig
    provenance: Provenance

    def d_mel(self, fps: int) -> int:
        return self.config.d_mel(fps)

    def balance(self, fps: int) -> float:
        """D_mel / D_emotion: 80.9 at 30 fps."""
        return self.config.d_mel(fps) / self.config.d_emotion

    def hop(self, fps: int) -> int:
        """Nominal samples from frame to frame."""
        return nominal_hop(Fraction(fps))

    @property
    def macs_per_tick(self) -> int:
        return sum(self.config.macs_per_tick().values())


class Face:
    """A model ready to use. It keeps nothing of the sound it hears: streams do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def styles(self) -> tuple[str, ...]:
        """Names that `style=` takes."""
        return self._engine.config.styles

    def info(self) -> Info:
        """Sizes, streams, training data, licence."""
        path = self._engine.path
        size = sum(part.stat().st_size for part in (path, path.with_suffix(".safetensors")))
        engine = self._engine
        return Info(str(path), size / 1e6, engine.weights_sha256, engine.config, engine.provenance)

    def stream(
        self,
        fps: int | float | str | Fraction = 30,
        delay_ms: float = 33,
        style: str | None = None,
        shaping: Shaping = RAW,
    ) -> Stream:
        """A running voice: `feed(samples) -> frames`, `finish()`, `reset()`, `latency_s`.

        Args:
            fps: 24 to 120 frames a second. delay_ms: 0 to 200; what the network may listen ahead, rounded up to
                1/60 s: less is quicker, more is more exact.
            style: one of `styles`; None is the model's default.
            shaping: what is done to the curves; nothing unless asked for. See `duomorph.shaping`.
        Raises:
            SettingError: one of these is out of range.
        """
        name = self._engine.provenance.default_style if style is None else style
        if name not in self.styles:
            raise SettingError(f"style {name!r} is unknown: expected one of {', '.join(self.styles)}")
        if not isinstance(shaping, Shaping):
            raise SettingError(f"got the shaping {shaping!r:.40}: expected a duomorph.shaping.Shaping; RAW is none")
        return Stream(self._engine, frame_rate(fps), delay_ticks(delay_ms), self.styles.index(name), shaping)

    def animate(
        self,
        sound: str | Path | NDArray[np.generic],
        fps: int | float | str | Fraction = 30,
        delay_ms: float = 100,
        style: str | None = None,
        rate: int = SAMPLE_RATE,
        shaping: Shaping = RAW,
    ) -> Clip:
        """The curves of a whole sound.

        Args:
            sound: a file of any rate and channel count, or samples (S,) or (S, channels) at `rate` Hz.
            fps, delay_ms, style, shaping: as in `stream`; delay costs nothing here but the wait, the frames stand at
                their own times.
        Returns:
            A clip of exactly ceil(duration * fps) frames; frame k stands at k/fps s. It has angles if it lives.
        Raises:
            AudioError: the sound cannot be read. SettingError: a setting is out of range.
        """
        return joined(self.parts(sound, fps, delay_ms, style, rate, shaping))

    def parts(
        self,
        sound: str | Path | NDArray[np.generic] | Iterator[NDArray[np.float32]],
        fps: int | float | str | Fraction = 30,
        delay_ms: float = 100,
        style: str | None = None,
        rate: int = SAMPLE_RATE,
        shaping: Shaping = RAW,
    ) -> Iterator[Clip]:
        """`animate` for sounds of any length: the clip in parts of seconds, each with its own `start`.

        Args:
            sound: as in `animate`, or blocks as `audio.blocks` gives them.
        """
        stream = self.stream(fps, delay_ms, style, shaping)
        blocks: Iterable[NDArray[np.float32]]
        if isinstance(sound, Iterator):
            blocks = sound
        else:
            blocks = audio.blocks(sound) if isinstance(sound, str | Path) else [audio.prepare(sound, rate)]

        def frames() -> Iterator[NDArray[np.float32]]:
            for block in blocks:
                yield stream.feed(block)
            yield stream.finish()

        lives = shaping.life.idle != "off"
        done = 0
        for weights in frames():
            yield Clip(weights, stream.fps, done / stream.fps, stream.angles if lives else None)
            done += len(weights)


def load(path: str | Path | None = None, threads: int = 1) -> Face:
    """Load a model.

    Args:
        path: a .onnx file written by `duomorph export`, its .safetensors beside it; None is the one that ships.
        threads: of the network; one is real time many times over.
    Raises:
        ModelError: missing, damaged, or not ours.
    """
    if path is None:
        path = Path(os.fspath(resources.files("duomorph") / "weights" / "duomorph.onnx"))  # type: ignore[call-overload]
    return Face(Engine.open(path, threads))
