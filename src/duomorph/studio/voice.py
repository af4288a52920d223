"""One page's voice: sound comes in by a WebSocket, frames go out of it as they are made.

One promise: frames of a take come after the word that it has begun and before the word that it has ended, none twice,
and nonsense closes this connection and only this one. A message is read when the one before it is spoken and its frames
are gone: who sends more than this machine can speak, or does not listen, waits at the other end.

    page                                               studio
                                                       {"duomorph": 1, "fps": 60.0, "names": [...], ...}
    {"begin": 7, "rate": 48000, "live": false,
     "fps": 60, "settings": {"intensity": 1.2}}        {"begun": 7, "latency_ms": 112.0}
    samples, float32 (or "type": "int16"), mono        frames, 260 bytes each (`wire.web`), one or several a message
    {"turn": {"emotion": {"joy": 0.6}}}
    {"end": 7}                                         the last frames, then {"ended": 7, "frames": 412}
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.websockets import WebSocket, WebSocketDisconnect

from duomorph.audio import Resampler
from duomorph.clock import frame_rate
from duomorph.errors import AudioError, DuomorphError, FormatError
from duomorph.face import Face
from duomorph.live.resample import MAX_RATE, MIN_RATE, LiveResampler
from duomorph.live.sources import mono
from duomorph.shaping.settings import Settings
from duomorph.wire import Frame, turn, web

MOST_TEXT: Final = 65_536  # characters of an order
AT_ONCE: Final = 1 << 16  # bytes of sound that are worked on before it is another voice's turn
TYPES: Final = ("float32", "int16")


@dataclass
class Take:
    """One sound on its way, and the stream that hears it."""

    number: int
    fps: Fraction
    kind: str
    resampler: Resampler | LiveResampler
    frames: int = 0


class Voice:
    """What a page says, in order; what is said back."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._take: Take | None = None

    def order(self, text: str) -> tuple[list[bytes], dict[str, Any] | None]:
        """Frames and the answer to a text message.

        Raises:
            FormatError: it is no order. SettingError, AudioError: it asks for what there is not.
        """
        try:
            said: Any = json.loads(text) if len(text) <= MOST_TEXT else None
        except (ValueError, RecursionError):
            said = None
        match said:
            case {"begin": int(number)} if type(number) is int and 0 <= number < 1 << 31:
                return [], self._begin(number, said)
            case {"end": int()} if self._take:
                return self._end(self._take)
            case {"turn": dict(knobs)}:
                if self._take:
                    self._stream.turn(turn(knobs))
                return [], None
            case {"end": int()}:
                return [], None
        raise FormatError(f"got {text[:20]!r}: expected begin, end or turn; reload the page")

    def _begin(self, number: int, said: dict[str, Any]) -> dict[str, Any]:
        self._take = None
        rate, kind, given = said.get("rate"), said.get("type", "float32"), said.get("settings", {})
        fps = said.get("fps", 60)
        if type(rate) is not int or not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(f"got a sample rate of {rate!r:.40} Hz: expected {MIN_RATE} to {MAX_RATE}")
        if kind not in TYPES:
            raise FormatError(f"got samples of type {kind!r:.40}: expected {' or '.join(TYPES)}")
        if not isinstance(fps, int | float) or isinstance(fps, bool):
            raise FormatError(f"got {fps!r:.40} frames a second: expected 24 to 120")
        exact = frame_rate(fps)
        try:
            settings = Settings(**given)
        except TypeError:
            raise FormatError(f"got settings {given!r:.40}: expected names of settings; reload the page") from None
        self._stream = self._face.stream(exact, settings.delay_ms, settings.style, settings.shaping)
        resampler = LiveResampler(rate) if said.get("live") is True else Resampler(rate)
        self._take = Take(number, exact, kind, resampler)
        return {"begun": number, "latency_ms": round(1e3 * self._stream.latency_s, 1)}

    def sound(self, data: bytes) -> list[bytes]:
        """The frames that a block completes, encoded; sound that belongs to no take is passed over.

        Raises:
            FormatError: it is cut. AudioError: values that are no sound.
        """
        if self._take is None:
            return []
        width = 4 if self._take.kind == "float32" else 2
        if len(data) % width:
            raise FormatError(f"got {len(data)} bytes: expected samples of {width} bytes")
        try:
            samples = mono(np.frombuffer(data, "<f4" if width == 4 else "<i2"))
        except AudioError:
            self._take = None
            raise
        return self._encoded(self._take, self._stream.feed(self._take.resampler.feed(samples)))

    def _end(self, take: Take) -> tuple[list[bytes], dict[str, Any]]:
        self._take = None
        found = []
        if isinstance(take.resampler, Resampler):
            found = self._encoded(take, self._stream.feed(take.resampler.finish()))
        found += self._encoded(take, self._stream.finish())
        return found, {"ended": take.number, "frames": take.frames}

    def _encoded(self, take: Take, weights: NDArray[np.float32]) -> list[bytes]:
        first, take.frames = take.frames, take.frames + len(weights)
        rows = zip(weights, self._stream.angles, strict=True)
        return [web.encode(Frame(first + k, take.fps, row, angles)) for k, (row, angles) in enumerate(rows)]


async def talk(socket: WebSocket, face: Face, workers: Executor) -> None:
    """One connection, from its welcome to its end."""
    loop, voice = asyncio.get_running_loop(), Voice(face)
    await socket.send_text(web.hello(Fraction(60), "studio"))
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            answer: dict[str, Any] | None = None
            try:
                if message.get("text") is not None:
                    frames, answer = await loop.run_in_executor(workers, voice.order, message["text"])
                else:
                    data, frames = message.get("bytes") or b"", []
                    for at in range(0, len(data), AT_ONCE):
                        if made := await loop.run_in_executor(workers, voice.sound, data[at : at + AT_ONCE]):
                            await socket.send_bytes(b"".join(made))
            except FormatError as problem:
                await socket.close(1008, str(problem).encode()[:123].decode(errors="ignore"))
                return
            except DuomorphError as problem:  # of this take: the next may be better
                frames, answer = [], {"error": str(problem)}
            if frames:
                await socket.send_bytes(b"".join(frames))
            if answer:
                await socket.send_text(json.dumps(answer))
    except (WebSocketDisconnect, RuntimeError):  # gone while we spoke
        return
