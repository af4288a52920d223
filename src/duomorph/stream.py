"""Sound in, frames out, as it comes.

One promise: any chunking of the same sound gives the same frames, and `animate` is nothing but this stream.

    stream = Stream(engine, fps=Fraction(60), delay=2, style=0)
    frames = stream.feed(samples)      # (S,) at 16 kHz -> (n, 52), as soon as they are due
    frames = stream.finish()           # the rest; then `reset()` begins a new clip

The network ticks at 60 Hz. A frame at k/fps lies on a tick (30, 60 fps) or between two (others: interpolated). Sound
waits until it completes a frame, then its ticks are done in one; at 30 fps the network gives every second of them, at
little more than half the work. The voice features of sound that no tick waits for are put off: `catch_up()` does what
is left, between frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.audio import MAX_LEVEL
from duomorph.clock import SAMPLE_RATE, TICK_RATE, end_sample, frame_count, index_at
from duomorph.emotion import EmotionTrack
from duomorph.errors import AudioError
from duomorph.mel import MelStream
from duomorph.model.config import held_update
from duomorph.model.engine import Engine
from duomorph.shaping import RAW, Shaper, Shaping, Turn

Float32 = NDArray[np.float32]

POSE: Final = arkit.COUNT + len(arkit.ANGLES)  # 61
BLOCK: Final = 2 * SAMPLE_RATE  # most samples at once: bounds memory, no result depends on it
PATIENCE: Final = SAMPLE_RATE * 3 // 20  # samples that are worth a step of the emotion stream: twice an update


@dataclass(frozen=True)
class Latency:
    """From the moment of a frame until it is there, in seconds. The frame's own period and the sound card's buffers
    stand apart, and so does the emotion stream's hold of 300 ms.

    Attributes:
        lookahead_s: the last sample needed less the frame's own time. block_s: length of an input block.
        filters_s: of the features; none, their windows end at the tick. smoothing_s: group delay of the learned
            smoothing, mean of the shapes, and of the shaping's own. compute_s: time of computing a block.
    """

    lookahead_s: float
    block_s: float
    filters_s: float
    smoothing_s: float
    compute_s: float

    @property
    def total_s(self) -> float:
        return self.lookahead_s + self.block_s + self.filters_s + self.smoothing_s + self.compute_s


class Stream:
    """One running voice. Streams share an engine; each keeps its own state.

    Attributes:
        angles: (n, 9) float32 radians, in the order of `arkit.ANGLES`, of the frames that the last call gave; zeros
            where nothing drives the head.
    """

    def __init__(self, engine: Engine, fps: Fraction, delay: int, style: int, shaping: Shaping = RAW) -> None:
        """`delay` in ticks of 1/60 s; `style` an index into the model's styles: `Face.stream` checks and fills them."""
        self.fps, self.delay = fps, delay
        self._engine, self._style = engine, style
        self._up, self._down = TICK_RATE * fps.denominator, fps.numerator  # frame k stands at tick k up / down
        self._stride = 2 if 2 * fps == TICK_RATE else 1  # ticks from curve to curve
        self._mel = MelStream()
        self._emotion = EmotionTrack(np.array(engine.provenance.neutral, dtype=np.float32))
        self._shaping = shaping
        self._shaper = self._new_shaper()
        self.reset()

    def reset(self, at: Fraction | None = None) -> None:
        """Forget everything: the next sample is the first of a new clip. Knobs stay as they were turned.

        Args:
            at: second of a clip at which this one begins in its place: the same face, so its blinks, gaze and head go
                on; None for another clip.
        """
        self._shaper.reset(at)
        self._mel.reset()
        self._emotion.reset()
        self._state = self._engine.start()
        self._updates = np.zeros((0, self._engine.config.emotion_inputs), dtype=np.float32)  # from the held one on
        self._held = 0  # number of the update in row 0
        self._waiting = np.zeros(0, dtype=np.float32)  # for the rest of a frame
        self._unheard = np.zeros(0, dtype=np.float32)  # by the emotion stream
        self._ticks = 0  # given to the network so far
        self._poses = np.zeros((0, POSE), dtype=np.float32)  # curves and angles of ticks not yet all used
        self._first = -self.delay  # the tick of row 0; rows before tick 0 are what no frame asks for
        self._samples = 0
        self._frames = 0
        self._open = True
        self.angles = self._poses[:, arkit.COUNT :]

    @property
    def lookahead_s(self) -> Fraction:
        """How far past a frame's own time the network listens, exact: the delay, and for rates other than 30 and
        60 the most that a frame waits for the tick after it."""
        grid = Fraction(TICK_RATE) / self.fps
        between = 1 - Fraction(1, grid.denominator) if grid.denominator > 1 else Fraction(0)
        return (self.delay + between) / TICK_RATE

    def latency(self, block_s: float = 0.0, compute_s: float = 0.0) -> Latency:
        """How late a frame is, part by part; the caller knows the length of his input blocks and his machine."""
        smoothing_s = float(np.mean(self._engine.provenance.smoothing_s)) + self._shaper.latency_s
        return Latency(float(self.lookahead_s), block_s, 0.0, smoothing_s, compute_s)

    @property
    def latency_s(self) -> float:
        """`latency()` in all, for input sample by sample and computing in no time."""
        return self.latency().total_s

    def feed(self, samples: Float32) -> Float32:
        """The frames that these samples complete; `angles` holds their angles until the next call.

        Args:
            samples: (S,) float32 in [-1, 1], 16 kHz mono; any length, 0 too.
        Returns:
            (n, 52) float32 in [0, 1].
        Raises:
            AudioError: another shape or type, values that are no numbers, or the stream is finished.
        """
        if not self._open:
            raise AudioError("the stream is finished: got more samples, expected none; call reset() for a new clip")
        if not (isinstance(samples, np.ndarray) and samples.ndim == 1 and samples.dtype == np.float32):
            kind = f"{getattr(samples, 'dtype', type(samples).__name__)} of shape {getattr(samples, 'shape', '?')}"
            raise AudioError(f"cannot feed {kind}: expected (S,) float32 at 16 kHz; see duomorph.audio.prepare")
        if len(samples) and not np.abs(samples).max() <= MAX_LEVEL:  # NaN too
            raise AudioError("cannot feed NaN, infinity or absurd values: expected samples in [-1, 1]; mend them")
        self.catch_up()
        self._samples += len(samples)
        return self._advance(samples, frame_count(self._samples, self.fps))

    @property
    def behind(self) -> bool:
        """Is there work that no frame has waited for?"""
        return held_update(self._ticks) >= self._held + len(self._updates) or len(self._unheard) >= PATIENCE

    def catch_up(self) -> None:
        """Do that work, so that the next frame does not wait for it either. `feed` begins with it: who calls it between
        one frame and the next sound gets the same frames sooner."""
        if self.behind:
            self._listen()

    def finish(self) -> Float32:
        """The frames still due, as if silence followed: (n, 52). In all there are exactly `frame_count` of them."""
        if not self._open:
            return self._given(np.zeros((0, POSE), dtype=np.float32))
        self._open = False
        total = frame_count(self._samples, self.fps)
        needed = end_sample(self._last_tick(total - 1), TICK_RATE)
        silence = np.zeros(max(0, needed - self._samples), dtype=np.float32)
        return self._advance(silence, total)

    def turn(self, turn: Turn) -> None:
        """Turn knobs: from the next tick on, and within 0.3 s, without a jump."""
        self._shaper.turn(turn, lambda: self._engine.rest(self._style, self.delay))

    def rest(self) -> Float32:
        """(52,) the face, shaped as at the start, after a second of silence."""
        silent = np.tile(self._engine.rest(self._style, self.delay), (TICK_RATE + 1, 1))
        pose: Float32 = self._new_shaper().feed(np.zeros(SAMPLE_RATE, dtype=np.float32), silent)[-1]
        return pose[: arkit.COUNT]

    def _new_shaper(self) -> Shaper:
        needed = self._shaping.needs_rest
        rest = self._engine.rest(self._style, self.delay) if needed else np.zeros(arkit.COUNT, dtype=np.float32)
        return Shaper(self._shaping, self.delay, rest)

    def _advance(self, samples: Float32, limit: int) -> Float32:
        """Feed everything downstream; give the frames that are complete, up to number `limit`."""
        blocks = [samples[begin : begin + BLOCK] for begin in range(0, len(samples), BLOCK)] or [samples]
        self._poses = np.concatenate([self._poses, *map(self._wait, blocks)])
        return self._collect(limit)

    def _wait(self, samples: Float32) -> Float32:
        """Hear what completes frames, and keep the rest: (S,) -> the poses (n, 61) of their ticks."""
        begin = max(0, end_sample(self._ticks - 1, TICK_RATE))  # sample number of _waiting[0]
        self._waiting = np.concatenate([self._waiting, samples])
        known = index_at(begin + len(self._waiting), TICK_RATE)
        last = self._last_tick((known - self.delay) * self._down // self._up)
        if last < self._ticks:
            return self._poses[:0]
        whole = end_sample(last, TICK_RATE) - begin
        heard, self._waiting = self._waiting[:whole], self._waiting[whole:]
        return self._hear(heard)

    def _last_tick(self, frame: int) -> int:
        """That the frame needs; before the clip too."""
        return -(-frame * self._up // self._down) + self.delay

    def _hear(self, samples: Float32) -> Float32:
        """One block through features and network: (S,) -> the poses (n, 61) of the ticks it completes."""
        mel = self._mel.feed(samples)  # (n, 2, 80)
        self._unheard = np.concatenate([self._unheard, samples])
        update = held_update(self._ticks + np.arange(len(mel)))
        if update[-1] >= self._held + len(self._updates):  # an update within the block
            self._listen()
        rows = self._updates[: update[-1] - self._held + 1]
        slot = update - self._held
        weights = self._engine.step(mel, rows, slot, self._style, self.delay, self._state, self._stride)
        self._ticks += len(mel)
        self._updates = self._updates[update[-1] - self._held :]
        self._held = int(update[-1])
        return self._shaper.feed(samples, weights.repeat(self._stride, axis=0)[-len(mel) :])

    def _listen(self) -> None:
        """What was put off, to the emotion stream."""
        self._updates = np.concatenate([self._updates, self._emotion.feed(self._unheard)])
        self._unheard = self._unheard[:0]

    def _collect(self, limit: int) -> Float32:
        """Frames between the ticks at hand."""
        up, down = self._up, self._down
        ready = self._first + len(self._poses) - 1  # last tick known
        upto = min(limit, ready * down // up + 1) if ready >= 0 else 0
        if upto <= self._frames:
            return self._given(self._poses[:0])
        left, rest = np.divmod(np.arange(self._frames, upto) * up, down)
        right = left + (rest > 0) - self._first
        share = (rest / down).astype(np.float32)[:, None]
        frames: Float32 = self._poses[left - self._first] * (1 - share) + self._poses[right] * share
        self._frames = upto
        keep = upto * up // down - self._first
        keep = min(max(keep, 0), len(self._poses))
        self._poses = self._poses[keep:]
        self._first += keep
        return self._given(frames)

    def _given(self, poses: Float32) -> Float32:
        """The curves (n, 52) of poses (n, 61), whose angles are kept."""
        self.angles = poses[:, arkit.COUNT :].copy()
        return poses[:, : arkit.COUNT].copy()
