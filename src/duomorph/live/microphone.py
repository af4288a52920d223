"""The microphone: PortAudio's callback copies into a ring, everything else happens elsewhere.

One promise: a device that is lost is waited for, in silence and on time; the caller need not know.

    microphone = Microphone("USB", tell=print)
    block = microphone.read(wait_s=0.02)
    microphone.close()

Needs the extra `live` (sounddevice) and, on Linux, the library libportaudio2.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph.errors import LiveError, MissingExtra
from duomorph.live.sources import BLOCK_S, NOTHING, Block

Float32 = NDArray[np.float32]

RATES: Final = (48_000, 44_100, 16_000)  # Hz, the device's own first
RING_S: Final = 4.0
LOST_S: Final = 0.5  # without a sample, after which a device is lost; nearly so long the machine may stall
AGAIN_S: Final = 1.0  # between attempts to have it back
FILL_S: Final = 0.1  # without a sample, after which silence stands in


class Ring:
    """The last samples of one writer for one reader, in memory taken once."""

    def __init__(self, size: int, channels: int) -> None:
        self._memory = np.zeros((size, channels), dtype=np.float32)
        self._read = 0
        self._mark = (0, 0.0)  # samples written so far, and the moment: put in place in one step
        self.lost = 0  # samples that were overwritten before they were read

    def write(self, block: Float32) -> None:
        """(n, channels), n at most the ring's size. Copies, nothing else."""
        start, size = self._mark[0], len(self._memory)
        first = min(len(block), size - start % size)
        self._memory[start % size : start % size + first] = block[:first]
        self._memory[: len(block) - first] = block[first:]
        self._mark = (start + len(block), time.monotonic())

    @property
    def written(self) -> int:
        """Samples so far."""
        return self._mark[0]

    @property
    def waiting(self) -> int:
        """Samples not yet read."""
        return self._mark[0] - self._read

    def read(self) -> tuple[Float32, float]:
        """(n, channels), and the moment at which the last of them came."""
        (written, at), size = self._mark, len(self._memory)
        keep = size * 3 // 4  # the writer must not reach what we copy
        if written - self._read > keep:
            self.lost += written - self._read - keep
            self._read = written - keep
        out = self._memory[np.arange(self._read, written) % size]
        self._read = written
        return out, at


@dataclass(frozen=True)
class Device:
    """An input of this machine."""

    index: int
    name: str
    system: str  # ALSA, Core Audio, WASAPI, ...
    channels: int
    rate: int  # its own
    latency_s: float  # what the driver says its buffers take
    default: bool


def devices() -> list[Device]:
    """The inputs there are. Raises MissingExtra, LiveError: sounddevice or PortAudio is not installed."""
    sounddevice = _sounddevice()
    standard = sounddevice.default.device[0]
    systems = [api["name"] for api in sounddevice.query_hostapis()]
    return [
        Device(
            index, facts["name"], systems[facts["hostapi"]], facts["max_input_channels"],
            round(facts["default_samplerate"]), facts["default_low_input_latency"], index == standard,
        )
        for index, facts in enumerate(sounddevice.query_devices())
        if facts["max_input_channels"] > 0
    ]  # fmt: skip


def find(name: str | None) -> Device:
    """The device of that number or name, or part of a name; None is the default.

    Raises:
        LiveError: none, or more than one.
    """
    there = devices()
    if not there:
        raise LiveError("there is no microphone: expected an input device; plug one in, or use --file or -")
    if name is None:
        return next((device for device in there if device.default), there[0])
    found = [device for device in there if name in (str(device.index), device.name)]
    found = found or [device for device in there if name.casefold() in device.name.casefold()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise LiveError(f"no microphone is called {name!r:.60}: expected one of duomorph live --list-devices")
    names = ", ".join(f"{device.index} ({device.name}, {device.system})" for device in found[:4])
    raise LiveError(f"{name!r:.60} means several microphones: expected one; write its number: {names}")


class Microphone:
    """An input device as a source; see `duomorph.live.sources.Source`."""

    def __init__(
        self, name: str | None = None, rate: int | None = None, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        """`name`: number, name or part of it, None for the default. `rate`: None for the device's own.
        `tell`: hears when the device is lost and when it is back.

        Raises:
            LiveError: no such device, or it cannot be opened. MissingExtra: sounddevice is not installed.
        """
        self._device = find(name)
        self._tell = tell
        self.name = self._device.name
        self.rate = rate or _rate(self._device)
        self._hop = round(self.rate * BLOCK_S)
        self.block_s = self._hop / self.rate
        self.xruns = 0
        self.idle_s = 0.0
        self._ring = Ring(round(RING_S * self.rate), min(self._device.channels, 2))
        self._news = threading.Event()
        self._stop = threading.Event()
        self._last: float | None = None  # moment up to which there is sound or silence
        self._stream = self._open()
        self._minder = threading.Thread(target=self._mind, name="duomorph microphone", daemon=True)
        self._minder.start()

    @property
    def device_s(self) -> float:
        """What the driver says its own buffers take; it stands outside `latency_s`."""
        return float(self._stream.latency)

    def read(self, wait_s: float) -> Block | None:
        """What has come in, or silence in its place; None once it is closed."""
        if self._stop.is_set():
            return None
        if not self._ring.waiting:
            self._news.clear()
            if not self._ring.waiting:
                self._news.wait(min(wait_s, FILL_S))
        now = time.monotonic()
        if self._last is None:
            self._last = now
        if self._ring.waiting:
            before = self._ring.lost
            sound, self._last = self._ring.read()
            lost = self._ring.lost - before  # we came too late for them: the clock counts them all the same
            self.idle_s += lost / self.rate
            return Block(np.concatenate([np.zeros(lost, dtype=np.float32), sound.mean(axis=1)]), self._last)
        gap = int((now - self._last) * self.rate)
        if gap < FILL_S * self.rate:
            return Block(NOTHING, None)
        self._last += gap / self.rate
        self.idle_s += gap / self.rate
        return Block(np.zeros(gap, dtype=np.float32), self._last)

    def discard(self) -> None:
        """Nothing worth it waits here: a block or two."""

    def close(self) -> None:
        """Give the device back."""
        self._stop.set()
        self._minder.join()

    def _hear(self, block: Float32, count: int, when: object, status: Any) -> None:
        """PortAudio's callback: copy, count, wake the reader."""
        self._ring.write(block)
        if status.input_overflow:
            self.xruns += 1
        self._news.set()

    def _open(self) -> Any:
        """A running stream. Raises LiveError."""
        sounddevice = _sounddevice()
        try:
            stream = sounddevice.InputStream(
                device=self._device.index, samplerate=self.rate, channels=min(self._device.channels, 2),
                dtype="float32", blocksize=self._hop, latency="low", callback=self._hear,
            )  # fmt: skip
        except (sounddevice.PortAudioError, ValueError) as problem:
            reason = " ".join(str(problem).split())
            raise LiveError(f"cannot open {self.name!r} at {self.rate} Hz ({reason}); try another rate") from None
        try:
            stream.start()
        except sounddevice.PortAudioError as problem:
            stream.close(ignore_errors=True)
            raise LiveError(f"cannot start {self.name!r} ({problem}): is another program using it?") from None
        return stream

    def _mind(self) -> None:
        """Watch the device; when it is lost, say so and have it back."""
        written, since = 0, time.monotonic()
        while not self._stop.wait(LOST_S / 5):
            if self._ring.written != written:
                written, since = self._ring.written, time.monotonic()
            elif time.monotonic() - since > LOST_S or not self._stream.active:
                self._tell(f"the microphone {self.name!r} is lost: waiting for it, the face is at rest")
                self._stream.close(ignore_errors=True)
                if self._reopen():
                    self._tell(f"the microphone {self.name!r} is back")
                since = time.monotonic()
        self._stream.close(ignore_errors=True)

    def _reopen(self) -> bool:
        """Try until it is there or nobody wants it any more."""
        while not self._stop.is_set():
            with contextlib.suppress(LiveError):
                _refresh()
                self._device = _again(self._device)
                self._stream = self._open()
                return True
            self._stop.wait(AGAIN_S)
        return False


def _again(device: Device) -> Device:
    """That device once more: its number may be another, and others may share its name. Raises LiveError: it is away."""
    alike = [each for each in devices() if (each.name, each.system) == (device.name, device.system)]
    if not alike:
        raise LiveError(f"the microphone {device.name!r} is away: expected it back; waiting")
    return min(alike, key=lambda each: abs(each.index - device.index))


def _rate(device: Device) -> int:
    """The device's own rate where we know it; else the first of ours that it takes. Raises LiveError: none."""
    sounddevice = _sounddevice()
    for rate in (device.rate, *RATES):
        with contextlib.suppress(sounddevice.PortAudioError, ValueError):
            if rate in RATES:
                sounddevice.check_input_settings(device.index, min(device.channels, 2), "float32", samplerate=rate)
                return rate
    raise LiveError(f"{device.name!r} takes none of {', '.join(map(str, RATES))} Hz: expected one; try another device")


def _refresh() -> None:
    """Have PortAudio look again: it lists devices once, when it starts."""
    sounddevice = _sounddevice()
    with contextlib.suppress(sounddevice.PortAudioError):
        sounddevice._terminate()
    try:
        sounddevice._initialize()
    except sounddevice.PortAudioError as problem:
        raise LiveError(f"the sound system does not answer ({problem}): expected it back; waiting") from None


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise MissingExtra("the microphone needs sounddevice: install it with  pip install 'duomorph[live]'") from None
    except OSError:
        need = "install PortAudio, on Debian and Ubuntu  apt install libportaudio2"
        raise LiveError(f"the microphone needs the library PortAudio, which is not there: {need}") from None
    return sounddevice
