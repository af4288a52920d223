"""A running voice whose frames are numbered, which can be cut off, and which can lose sound but never its clock.

One promise: frame k is the face at k / fps seconds of the sound since the first sample, whatever happened between.

    voice = Voice(face, fps=60, delay_ms=17)
    frames = voice.feed(sound)         # (S,) at 16 kHz -> the frames it completes
    voice.silence()                    # speech was cut off: the mouth is closed within CLOSE_S of frames
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import SAMPLE_RATE, frame_count
from duomorph.face import Face
from duomorph.shaping import OPENING, SHIPPED, Shaping, Turn
from duomorph.shaping.motion import ARTICULATION
from duomorph.wire import Frame

Float32 = NDArray[np.float32]

CLOSE_S: Final = Fraction(1, 20)  # a mouth that is cut off closes so fast, and opens so fast again
ECHO_S: Final = Fraction(3, 20)  # so long after the cut the network still speaks of what it heard before


class Voice:
    """One voice of a face. Not for several threads at once; voices of one face may run in a thread each."""

    def __init__(
        self,
        face: Face,
        fps: int | float | str | Fraction = 60,
        delay_ms: float = 17,
        style: str | None = None,
        shaping: Shaping = SHIPPED,
    ) -> None:
        """As `Face.stream`, and raises as it does."""
        self.stream = face.stream(fps, delay_ms, style, shaping)
        self.fps = self.stream.fps
        self._rest = self.stream.rest()
        self._rest[OPENING] = 0
        self.heard = 0  # samples
        self._next = 0  # frame to give
        self._made = 0  # frame that the stream makes next; behind `_next` they are made again, and not given again
        self._ready: list[Frame] = []  # made by a start, not yet given
        self._shut = self._open = -Fraction(1)  # moments of the sound between which the mouth is closed

    def feed(self, sound: Float32) -> list[Frame]:
        """The frames that (S,) samples at 16 kHz complete. Raises AudioError as `Stream.feed` does."""
        rows = self.stream.feed(sound)
        self.heard += len(sound)
        return self._given(rows)

    def turn(self, turn: Turn) -> None:
        """Turn knobs, from the next frame that is made on."""
        self.stream.turn(turn)

    def finish(self) -> list[Frame]:
        """The frames still due; in all there are exactly `frame_count(heard, fps)`, less those that were skipped."""
        return self._given(self.stream.finish())

    def silence(self) -> None:
        """Speech was cut off: from the next frame on the mouth closes; what is fed from now on opens it again."""
        self._close(ECHO_S)

    def reset(self) -> None:
        """Forget the voice and its mood as well: the next sample is the first that a new one speaks."""
        self._close(Fraction(0))
        self._begin(self._next)

    def skip(self, samples: int) -> None:
        """Lose so many samples at 16 kHz, and the frames that stand in them."""
        self.heard += samples
        self._next = max(self._next, int(self.heard * self.fps / SAMPLE_RATE) + 1)
        self._begin(self._next)

    def _begin(self, number: int) -> None:
        """Start the stream anew in the sample of that frame, or of the last one heard; silence until now."""
        self._made = min(number, int(self.heard * self.fps / SAMPLE_RATE))
        self.stream.reset(self._made / self.fps)
        silence = self.heard - int(self._made * SAMPLE_RATE / self.fps)
        self._make(self.stream.feed(np.zeros(silence, dtype=np.float32)))

    def _close(self, echo: Fraction) -> None:
        moment = self._next / self.fps
        if moment > self._open + CLOSE_S:  # else it is closing or closed: go on
            self._shut = moment
        self._open = Fraction(self.heard, SAMPLE_RATE) + echo

    def _given(self, rows: Float32) -> list[Frame]:
        """What is ready, these rows too, but no frame that stands behind the sound: a start in the midst of a sample or
        tick makes one a little sooner."""
        self._make(rows)
        count = frame_count(self.heard, self.fps)
        given = [frame for frame in self._ready if frame.number < count]
        self._ready = self._ready[len(given) :]
        return given

    def _make(self, rows: Float32) -> None:
        first, self._made = self._made, self._made + len(rows)
        self._ready += [
            Frame(number, self.fps, self._masked(number, row), angles)
            for number, (row, angles) in enumerate(zip(rows, self.stream.angles, strict=True), first)
            if number >= self._next
        ]
        self._next = max(self._next, self._made)

    def _masked(self, number: int, row: Float32) -> Float32:
        """A face as it is, or its mouth on the way to rest and back."""
        moment = number / self.fps
        if moment > self._open + CLOSE_S:
            return row
        closing = 1 - (moment + 1 / self.fps - self._shut) / CLOSE_S
        opening = (moment - self._open) / CLOSE_S
        free = np.float32(min(max(closing, opening, Fraction(0)), Fraction(1)))
        row = row.copy()
        row[ARTICULATION] = self._rest[ARTICULATION] + free * (row[ARTICULATION] - self._rest[ARTICULATION])
        return row
