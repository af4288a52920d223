"""Where live sound comes from: blocks of mono samples, each with the moment it was complete.

One promise: `read` never waits longer than it is told to, and a source in real time never stops its clock: where
nothing comes in, silence does.

    source = File("talk.wav")                     # in real time
    source = Pipe(sys.stdin.fileno(), rate=24_000)
    source = Blocks(chunks, rate=48_000)          # an iterable, as quick as it is
    block = source.read(wait_s=0.02)              # None at the end

The microphone stands in `duomorph.live.microphone`.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from duomorph import audio
from duomorph.clock import SAMPLE_RATE
from duomorph.errors import AudioError, SettingError

Float32 = NDArray[np.float32]

BLOCK_S: Final = 0.008
NOTHING: Final = np.zeros(0, dtype=np.float32)
AT_ONCE_S: Final = 10.0  # most sound in a block, after the machine slept
PIPE_S: Final = 2.0  # of sound that a pipe may be ahead; then its writer waits
FIRST_S: Final = 0.25  # so long a pipe waits for its first sample before the clock starts without
QUIET_S: Final = 0.02  # a pipe from which nothing came for so long held no more of what is to be discarded,
DISCARD_S: Final = 0.25  # and no longer than this
POLLS: Final = hasattr(select, "poll")
LOOK_S: Final = 0.1  # so often a pipe from which nothing comes asks whether it is still wanted


@dataclass(frozen=True)
class Block:
    """(n,) float32 mono samples, and the moment (`time.monotonic`) at which the last was there; None where the source
    keeps no time and the frames may go as soon as they are made."""

    samples: Float32
    at: float | None


class Source(Protocol):
    """Live sound.

    Attributes:
        name: for messages. rate: samples a second. block_s: what a sample waits for the end of its block, at most.
        xruns: blocks that the sound system lost. idle_s: silence that was filled in.
    """

    name: str
    rate: int
    block_s: float
    xruns: int
    idle_s: float

    def read(self, wait_s: float) -> Block | None:
        """What has come in; an empty block if that is nothing within `wait_s`; None after the end."""

    def discard(self) -> None:
        """Forget what waits to be read: the speech that it belongs to was cut off."""

    def close(self) -> None:
        """Let go of the device; harmless when called again."""


class Blocks:
    """Blocks of samples from anything that can be iterated over, one a `read`, as quick as they come."""

    def __init__(self, blocks: Iterable[NDArray[np.generic]], rate: int = SAMPLE_RATE) -> None:
        """`blocks`: (n,) or (n, channels), float in [-1, 1] or int16, any n."""
        self.name, self.rate, self.block_s, self.xruns, self.idle_s = "blocks", rate, 0.0, 0, 0.0
        self._blocks = iter(blocks)

    def read(self, wait_s: float) -> Block | None:
        """The next block: it takes as long as the iterable takes."""
        block = next(self._blocks, None)
        return None if block is None else Block(mono(block), None)

    def discard(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to let go of."""


class Paced:
    """A sound in real time: each block of 8 ms is there when it would have been spoken, and late ones come together."""

    def __init__(self, blocks: Iterable[Float32], rate: int = SAMPLE_RATE, name: str = "sound") -> None:
        self.name, self.rate, self.xruns, self.idle_s = name, rate, 0, 0.0
        self._hop = round(rate * BLOCK_S)
        self.block_s = self._hop / rate
        self._blocks = iter(blocks)
        self._rest = NOTHING  # of the block last taken
        self._given = 0  # blocks
        self.began: float | None = None  # moment of the first sample

    def read(self, wait_s: float) -> Block | None:
        """The blocks that are due, in one."""
        if self.began is None:
            self._start()
            self.began = time.monotonic()
        due = self._due()
        if not due:
            left = self.began + (self._given + 1) * self.block_s - time.monotonic()
            time.sleep(max(0.0, min(left, wait_s)))
            due = self._due()
        if not due:
            return Block(NOTHING, None)
        self._given += due
        samples = self._take(due * self._hop)
        return None if samples is None else Block(samples, self.began + self._given * self.block_s)

    def _due(self) -> int:
        """Blocks that are complete by now and not yet given."""
        assert self.began is not None
        due = int((time.monotonic() - self.began) / self.block_s) - self._given
        return min(max(due, 0), round(AT_ONCE_S / self.block_s))

    def _start(self) -> None:
        """Before the clock starts."""

    def _take(self, count: int) -> Float32 | None:
        """The next `count` samples, fewer at the end, None after it."""
        parts = [self._rest]
        while sum(map(len, parts)) < count and (block := next(self._blocks, None)) is not None:
            parts.append(block)
        sound = np.concatenate(parts)
        self._rest = sound[count:]
        return sound[:count] if len(sound) else None

    def discard(self) -> None:
        """A recording goes on: it is not cut off."""

    def close(self) -> None:
        """Let go of the file."""
        self._blocks, self._rest = iter(()), NOTHING


class File(Paced):
    """A sound file of any kind that `duomorph.audio` reads, in real time."""

    def __init__(self, path: str | Path) -> None:
        """Raises AudioError, at once where the file is none and from `read` where it is damaged further on."""
        blocks = audio.blocks(path, seconds=1.0)
        super().__init__(chain([next(blocks)], blocks), SAMPLE_RATE, Path(path).name)


class Pipe(Paced):
    """Raw 16-bit sound from a pipe, in real time, however fast it is written: a writer that is ahead waits, one that
    pauses is heard as silence."""

    def __init__(self, descriptor: int, rate: int = SAMPLE_RATE, channels: int = 1) -> None:
        """Raises SettingError: no such number of channels, or a rate that is none."""
        if not 1 <= channels <= audio.MAX_CHANNELS:
            raise SettingError(f"got {channels} channels: expected 1 to {audio.MAX_CHANNELS}; 1 is best")
        if not audio.MIN_RATE <= rate <= audio.MAX_RATE:
            raise SettingError(
                f"got a sample rate of {rate} Hz: expected {audio.MIN_RATE} to {audio.MAX_RATE}; 16000 is best"
            )
        super().__init__((), rate, "standard input")
        self._descriptor, self._width = descriptor, 2 * channels
        self._limit = round(PIPE_S * rate) * self._width
        self._bytes = bytearray()
        self._ended = self._closed = False
        self._news = threading.Condition()
        self._reading = threading.Lock()  # held while bytes that are there are fetched
        self._drop_from = self._drop_until = 0.0  # moments between which what comes in is discarded
        threading.Thread(target=self._listen, name="duomorph pipe", daemon=True).start()

    def _listen(self) -> None:
        """Fetch what is written, until its end."""
        data = b"."
        while data and not self._closed:
            if not _written(self._descriptor):
                continue
            with self._reading:
                if self._closed:  # what comes now is the next reader's
                    return
                try:
                    data = os.read(self._descriptor, 1 << 14)
                except OSError:  # closed under us
                    data = b""
            with self._news:
                now = time.monotonic()
                self._bytes += data
                if now < self._drop_until:
                    self._drop_until = min(now + QUIET_S, self._drop_from + DISCARD_S)
                    self._drop()
                self._ended = not data
                self._news.notify_all()
                self._news.wait_for(lambda: len(self._bytes) < self._limit or self._closed)

    def _start(self) -> None:
        with self._news:
            self._news.wait_for(lambda: len(self._bytes) >= self._width or self._ended, FIRST_S)

    def _take(self, count: int) -> Float32 | None:
        with self._news:
            size = min(len(self._bytes) // self._width, count) * self._width
            data = bytes(self._bytes[:size])
            del self._bytes[:size]
            over = self._ended and len(self._bytes) < self._width
            self._news.notify_all()
        sound = mono(np.frombuffer(data, dtype="<i2").astype(np.int16).reshape(-1, self._width // 2))
        if over:
            return sound if len(sound) else None
        self.idle_s += (count - len(sound)) / self.rate
        return np.concatenate([sound, np.zeros(count - len(sound), dtype=np.float32)])

    def discard(self) -> None:
        """Forget what is written and not yet spoken, here and in the pipe."""
        with self._news:
            self._drop()
            self._drop_from = time.monotonic()
            self._drop_until = self._drop_from + QUIET_S
            self._news.notify_all()

    def _drop(self) -> None:
        """All but the first bytes of a sample whose others are still to come."""
        del self._bytes[: len(self._bytes) // self._width * self._width]

    def close(self) -> None:
        """Stop reading; the descriptor is its owner's."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        if POLLS:  # a read that has begun ends at once: what it takes is ours
            with self._reading:
                pass


def _written(descriptor: int) -> bool:
    """Whether a read would not wait, after at most LOOK_S; where nobody can tell (Windows), yes: it waits."""
    if not POLLS:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * LOOK_S))


def mono(block: NDArray[np.generic]) -> Float32:
    """A block of sound as (n,) float32.

    Raises:
        AudioError: not (n,) or (n, channels), neither float nor int16, or with values that are no numbers.
    """
    array = np.asarray(block)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= audio.MAX_CHANNELS):
        raise AudioError(
            f"got a block of shape {array.shape}, expected (n,) or (n, channels up to {audio.MAX_CHANNELS}); transpose "
            "it where channels come first"
        )
    if array.dtype == np.int16:
        array = array.astype(np.float32) / np.float32(32768)
    elif array.dtype.kind != "f":
        raise AudioError(f"got a block of type {array.dtype}, expected float or int16; scale it to [-1, 1]")
    if array.size and not np.abs(array).max() <= audio.MAX_LEVEL:  # NaN too
        raise AudioError("got a block with NaN, infinite or absurd values: expected samples in [-1, 1]; mend them")
    single: Float32 = (array if array.ndim == 1 else array.mean(axis=1)).astype(np.float32, copy=False)
    return single
