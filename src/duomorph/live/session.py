"""A live session: a source is heard, its frames leave when they are due.

One promise: a frame leaves `latency.total_s` after its moment of the sound, or it is late and the next ones are not:
what cannot be on time is dropped whole, and counted, while the clock of the samples goes on.

    with Live(Microphone(), fps=60) as live:
        for frame in live:
            sink.send(frame)

Nothing here runs by itself: whoever iterates does the work, in his own thread, so that sessions share only the model,
which keeps no state. `async for` over blocks that asyncio brings has as many threads as there are cores, for all such
sessions together: more would only fight over the interpreter. Over another source it has one of its own, which waits.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import SAMPLE_RATE
from duomorph.errors import SettingError
from duomorph.face import Face, load
from duomorph.live.resample import LiveResampler
from duomorph.live.sources import NOTHING, Block, Blocks, File, Source, mono
from duomorph.live.voice import Voice
from duomorph.shaping import SHIPPED, Shaping, Turn
from duomorph.stream import Latency
from duomorph.wire import Command, Frame, Order

Float32 = NDArray[np.float32]
Sound = str | Path | NDArray[np.generic] | Iterable[NDArray[np.generic]] | AsyncIterable[NDArray[np.generic]] | Source
Taker = Callable[[Float32, list[Frame]], None]

WAIT_S: Final = 0.02  # at most, for sound, before commands are looked at
LATE_S: Final = 0.05  # behind its time, a frame that others follow is dropped
BEHIND_S: Final = 1.0  # of sound waiting: all but the last KEEP_S of it is skipped
KEEP_S: Final = 0.1
_WORKERS: Final = ThreadPoolExecutor(os.cpu_count(), "duomorph live")  # of all that asyncio brings blocks for
_NONE: Final[Mapping[str, float]] = {}
ANCHOR_S: Final = 1.0  # over so much of sound, and at most twice that, its clock is compared with ours


@dataclass
class Stats:
    """What a session has done so far.

    Attributes:
        frames: that left. dropped: that were made and too late. skipped_s: sound that was never heard, for want of
            time. level_db: of the last block that was not empty, of full scale. late_s: of the last frame, behind its
            time. compute_s: of the last block that made a frame.
    """

    frames: int = 0
    dropped: int = 0
    skipped_s: float = 0.0
    level_db: float = -math.inf
    late_s: float = 0.0
    compute_s: float = 0.0


class Anchor:
    """When was sample 0? By the earliest of late: what comes in is never early, and device clocks drift."""

    def __init__(self) -> None:
        self._before = self._now = math.inf
        self._until = -math.inf

    def hear(self, heard_s: float, at: float) -> None:
        """So much sound was there at that moment."""
        if at > self._until:
            self._before, self._now, self._until = self._now, math.inf, at + ANCHOR_S
        self._now = min(self._now, at - heard_s)

    @property
    def moment(self) -> float:
        return min(self._before, self._now)


class Live:
    """Frames of a source, in time. Iterate over it once."""

    def __init__(
        self,
        source: Sound,
        fps: int | float | str | Fraction = 60,
        *,
        face: Face | None = None,
        delay_ms: float = 17,
        style: str | None = None,
        shaping: Shaping = SHIPPED,
        rate: int = SAMPLE_RATE,
        take: Taker = lambda sound, frames: None,
    ) -> None:
        """Make ready.

        Args:
            source: a sound file, played in real time; a `Source` (`Microphone`, `Pipe`, ...); or blocks of samples,
                (n,) or (n, channels), float or int16: one array, an iterable or an async iterable of them.
            face: a loaded model, to be shared by sessions; None loads the one that ships.
            fps, delay_ms, style, shaping: as in `Face.stream`.
            rate: Hz of blocks of samples.
            take: hears all sound at 16 kHz, with the frames that it made, the ones that will be late too.
        Raises:
            SettingError, AudioError, LiveError, ModelError: a setting, the sound, its device or the model.
        """
        self.source, self._blocks = _source(source, rate)
        self._resampler = LiveResampler(self.source.rate)
        self._voice = Voice(face or load(), fps, delay_ms, style, shaping)
        self._take = take
        self.fps = self._voice.fps
        self.stats = Stats()
        self._commands: deque[Order] = deque()
        self._due: deque[tuple[float, Frame]] = deque()  # made, and the moments at which they may leave
        self._anchor = Anchor()
        self._heard = 0  # samples of the source
        self._until_due_s = float(self._voice.stream.lookahead_s) + self.source.block_s
        self._stopped = self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def stop(self) -> None:
        """End as if the sound ended here: the frames of what was heard still come. From any thread, or a signal."""
        self._stopped = True

    def close(self) -> None:
        """Let go of the source; who iterates gets no more frames. From any thread."""
        self._stopped = self._closed = True
        self.source.close()

    def command(self, command: Order) -> None:
        """Obey before the next frame: close the mouth, begin anew, or turn knobs. From any thread.

        Raises:
            SettingError: no command.
        """
        if not isinstance(command, Order):
            raise SettingError(f"got {command!r:.40}: expected a duomorph.wire.Command or a Turn; give one")
        self._commands.append(command)

    def turn(
        self,
        *,
        intensity: float | None = None,
        expressiveness: float | None = None,
        idle: str | None = None,
        emotion: Mapping[str, float] = _NONE,
        gain: Mapping[str, float] = _NONE,
    ) -> None:
        """Turn knobs, as in `shaping.Turn`; what is not given stays. From any thread.

        Raises:
            SettingError: a number is out of range, or a name unknown.
        """
        self.command(Turn(intensity, expressiveness, idle, emotion, gain))

    def latency(self, compute_s: float = 0.0) -> Latency:
        """How late a frame is behind its sound, part by part; the buffers of the sound card stand apart."""
        return replace(self._voice.stream.latency(self.source.block_s, compute_s), filters_s=self._resampler.delay_s)

    def __iter__(self) -> Iterator[Frame]:
        try:
            while not self._stopped and (block := self.source.read(self._wait())) is not None:
                self._hear(block)
                yield from self._leave()
                if not self._due:
                    self._voice.stream.catch_up()
            self._finish()
            while self._due and not self._closed:
                yield from self._leave()
                time.sleep(self._wait())
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        loop = asyncio.get_running_loop()
        if self._blocks is None:
            worker = ThreadPoolExecutor(1, "duomorph live")
            try:
                frames = iter(self)
                while (frame := await loop.run_in_executor(worker, next, frames, None)) is not None:
                    yield frame
            finally:
                self.close()
                worker.shutdown(wait=False)
            return
        try:
            async for block in self._blocks:
                await loop.run_in_executor(_WORKERS, self._hear, Block(mono(block), None))
                for frame in self._leave():
                    yield frame
                if self._voice.stream.behind:
                    await loop.run_in_executor(_WORKERS, self._voice.stream.catch_up)
                if self._stopped:
                    break
            await loop.run_in_executor(_WORKERS, self._finish)
            for frame in self._leave():
                yield frame
        finally:
            self.close()

    def _wait(self) -> float:
        """Seconds until there is something to do, but for sound."""
        return min(max(self._due[0][0] - time.monotonic(), 0.0), WAIT_S) if self._due else WAIT_S

    def _hear(self, block: Block) -> None:
        """Obey, listen, and put the frames in the queue."""
        self._obey()
        if not len(block.samples):
            return
        self._heard += len(block.samples)
        if block.at is not None:
            self._anchor.hear(self._heard / self.source.rate, block.at)
        sound = self._resampler.feed(block.samples)
        self.stats.level_db = 10 * math.log10(np.square(sound).sum() / max(len(sound), 1) + 1e-12)
        over = len(sound) - round(KEEP_S * SAMPLE_RATE)
        if block.at is not None and len(sound) > BEHIND_S * SAMPLE_RATE:
            self.stats.skipped_s += over / SAMPLE_RATE
            self._take(sound[:over], [])
            self._voice.skip(over)
            sound = sound[over:]
        began = time.perf_counter()
        frames = self._voice.feed(sound)
        if frames:
            self.stats.compute_s = time.perf_counter() - began
        self._queue(sound, frames)

    def _queue(self, sound: Float32, frames: list[Frame]) -> None:
        self._take(sound, frames)
        began, today = self._anchor.moment, time.time() - time.monotonic()
        for frame in frames:
            if began == math.inf:
                self._due.append((-math.inf, frame))
            else:
                heard = began + frame.time_s
                self._due.append((heard + self._until_due_s, replace(frame, heard=heard + today)))

    def _finish(self) -> None:
        """Put the last frames in the queue."""
        self._queue(NOTHING, self._voice.finish())

    def _leave(self) -> Iterator[Frame]:
        """The frames whose time has come."""
        while self._due and not self._closed:
            now = time.monotonic()
            due, frame = self._due[0]
            if due > now:
                return
            self._due.popleft()
            late = now - due if due > -math.inf else 0.0
            if late > LATE_S and self._due and self._due[0][0] <= now:
                self.stats.dropped += 1
                continue
            self.stats.late_s = late
            self.stats.frames += 1
            yield frame

    def _obey(self) -> None:
        """Do what was asked for, however often: a listener that repeats itself costs no more. To begin anew is silence
        as well."""
        orders = [self._commands.popleft() for _ in range(len(self._commands))]
        for order in orders:
            if isinstance(order, Turn):
                self._voice.turn(order)
        asked = {order for order in orders if isinstance(order, Command)}
        if not asked:
            return
        self.source.discard()
        if Command.RESET in asked:
            self._voice.reset()
        else:
            self._voice.silence()


def _source(source: Sound, rate: int) -> tuple[Source, AsyncIterable[NDArray[np.generic]] | None]:
    """What is meant, as a source; what only asyncio can iterate over, beside an empty one."""
    if isinstance(source, str | Path):
        return File(source), None
    if hasattr(source, "read") and hasattr(source, "block_s"):
        return source, None  # type: ignore[return-value]
    if isinstance(source, np.ndarray):
        return Blocks([source], rate), None
    if isinstance(source, AsyncIterable):
        return Blocks((), rate), source
    if isinstance(source, Iterable):
        return Blocks(source, rate), None
    raise SettingError(f"got a source of type {type(source).__name__}: expected a file, a Source or blocks of samples")
