"""Sound in: any file or array becomes 16 kHz mono float32, in blocks.

One promise: N frames at `rate` Hz give exactly N * 16000 / rate samples (to the nearest, halves up), however
they are cut into blocks, and no more than a block of the file is in memory at once.

    for block in blocks("talk.flac"):      # (n,) float32
        stream.feed(block)
    samples = prepare(array, 44_100)       # for sound that is in memory already

wav, flac, ogg, opus, mp3 (and what else libsndfile knows) are decoded in process; m4a, mp4, webm and other
containers by the program `ffmpeg` where it is installed. Channels are averaged.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from duomorph import ffmpeg, mp3
from duomorph.clock import SAMPLE_RATE
from duomorph.containers import SLACK, cut
from duomorph.errors import AudioError
from duomorph.ffmpeg import Ffmpeg

BLOCK_SECONDS: Final = 10.0
OGG_START_S: Final = 0.05
MIN_RATE: Final = 1_000  # Hz; outside these the header is damaged
MAX_RATE: Final = 768_000
MAX_CHANNELS: Final = 64
MAX_LEVEL: Final = 1e6  # full scale is 1; integers left in a float file reach 2**15, nothing sane goes further
NATIVE: Final = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".raw")
CANCELLED: Final = 1e-3  # of the channels' power in their mean: wired with opposite polarity
# of ffmpeg: the mean of all channels, and the first one, to see whether they cancel
BOTH: Final = "asplit[a][b];[a]aformat=channel_layouts=mono[mean];[b]pan=mono|c0=c0[first];[mean][first]amerge"
UNRECOGNISED: Final = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT
ONE_OF: Final = "wav, flac, ogg, opus or mp3"

Samples = NDArray[np.float32]


def read(path: str | Path) -> Samples:
    """A whole sound file as (S,) float32 at 16 kHz, mono. Raises AudioError as `blocks` does."""
    return np.concatenate(list(blocks(path)))


def blocks(path: str | Path, seconds: float = BLOCK_SECONDS) -> Iterator[Samples]:
    """A sound file as blocks (n,) float32 at 16 kHz, mono; together they are exactly the file's length.

    Args:
        path: a sound file of any rate and channel count.
        seconds: length of a block; the first and last may be shorter.
    Raises:
        AudioError: missing, a folder, empty, damaged, cut short, not sound, with values that are no numbers, or with
            channels that cancel each other.
    """
    path = Path(path)
    _check_file(path)
    silent = True
    with contextlib.closing(_decode(path, seconds)) as decoded:
        for block in decoded:
            if len(block):
                silent = False
                yield block
    if silent:
        raise AudioError(f"{str(path)!r} holds no sound: got 0 samples, expected at least one; record it again")


def prepare(samples: NDArray[np.generic], rate: float) -> Samples:
    """An array of sound as (S,) float32 at 16 kHz, mono.

    Args:
        samples: (S,) or (S, channels); float in [-1, 1] or int16.
        rate: Hz of `samples`.
    Raises:
        AudioError: another shape or type, empty, not finite, channels that cancel each other, or a rate that is none.
    """
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= MAX_CHANNELS):
        raise AudioError(
            f"got sound of shape {array.shape}, expected (samples,) or (samples, channels up to "
            f"{MAX_CHANNELS}); transpose it where channels come first"
        )
    if array.dtype == np.int16:
        array = array.astype(np.float32) / np.float32(32768)
    elif array.dtype.kind != "f":
        raise AudioError(f"got samples of type {array.dtype}, expected float or int16; scale them to [-1, 1]")
    with np.errstate(over="ignore"):  # absurd levels become infinite, and are refused
        array = array.astype(np.float32, copy=False)
    if len(array) == 0:
        raise AudioError("got 0 samples, expected at least one")
    if not (isinstance(rate, int | float | np.number) and MIN_RATE <= rate <= MAX_RATE):
        raise AudioError(f"got a sample rate of {rate!r} Hz, expected {MIN_RATE} to {MAX_RATE}; 16000 is best")
    _check_values(array, 0.0, rate, "the array")
    mono = _mono(array)
    if array.ndim == 2:
        _check_polarity(_loudness(array, mono), f"the {array.shape[1]} channels of the array")
    resampler = Resampler(rate)
    return np.concatenate([resampler.feed(mono), resampler.finish()])


class Resampler:
    """Mono sound of any rate to 16 kHz, chunk by chunk; N samples in give round(N * 16000 / rate) out.

    The total does not depend on the chunks. For files: the filter holds back 20 to 40 ms until `finish`.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new sound."""
        same = self._rate == SAMPLE_RATE
        self._stream = None if same else soxr.ResampleStream(self._rate, SAMPLE_RATE, 1, dtype="float32")
        self._taken = self._given = 0
        self._open = True

    def feed(self, samples: Samples) -> Samples:
        """What (n,) further samples at the source's rate complete at 16 kHz. Raises AudioError after `finish`."""
        if not self._open:
            raise AudioError("the stream is finished: got more samples, expected none; call reset() for a new sound")
        self._taken += len(samples)
        if self._stream is None:
            return samples
        ready: Samples = self._stream.resample_chunk(samples) if len(samples) else samples
        self._given += len(ready)
        return ready

    def finish(self) -> Samples:
        """The rest; then `reset` begins a new sound."""
        nothing = np.zeros(0, np.float32)
        done, self._open = not self._open, False
        if done or self._stream is None or not self._taken:
            return nothing
        rest: Samples = self._stream.resample_chunk(nothing, last=True)
        due = math.floor(self._taken * SAMPLE_RATE / self._rate + 0.5) - self._given
        if due <= len(rest):  # soxr counts as we do, to a sample at most
            return rest[: max(due, 0)]
        return np.concatenate([rest, np.zeros(due - len(rest), np.float32)])


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read from front to back. soundfile seeks to where it is after every read, which libsndfile's mp3
    decoder answers with an approximate place: blocks would overlap or leave holes."""

    def seekable(self) -> bool:
        return False


def _decode(path: Path, seconds: float) -> Generator[Samples]:
    """Blocks by libsndfile; by ffmpeg where it is installed and libsndfile does not know the container."""
    with contextlib.ExitStack() as stack:
        source = _open(path, stack)
        if source is not None:
            yield from _libsndfile(stack.enter_context(source), path, seconds)
            return
    if not ffmpeg.there():
        raise _unknown(path, "format not recognised")
    yield from _ffmpeg(path, seconds)


def _open(path: Path, stack: contextlib.ExitStack) -> soundfile.SoundFile | None:
    """A file for libsndfile, None if it does not know the container; an mp3 whose length is not told, or wrongly,
    gets a header that tells it."""
    file = stack.enter_context(path.open("rb"))
    source: Path | bytes | mp3.Headed = native(path)
    named_mp3 = path.suffix.lower() == ".mp3"
    if named_mp3 or mp3.may_begin(file.read(3)):
        data = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        counted = mp3.count(data)
        if counted is not None and (counted.promised_bytes or 0) > len(data) + SLACK:
            raise _short(path, len(data), counted.promised_bytes or 0)
        if counted is not None and counted.promised != counted.frames:
            source = mp3.Headed(file, counted.start, mp3.front(data, counted))
        if counted is None and named_mp3:  # the decoder would search, and complain, on and on
            return None
    try:
        return _Forward(source)
    except soundfile.LibsndfileError as problem:
        if problem.code == UNRECOGNISED or path.suffix.lower() not in NATIVE:
            return None
        raise _unknown(path, problem.error_string) from None
    except TypeError:
        raise _unknown(path, "raw samples without a header") from None


def native(path: Path) -> Path | bytes:
    """The name as libsndfile takes it: on POSIX bytes, which need not be text."""
    return os.fsencode(path) if os.name == "posix" else path


def _unknown(path: Path, reason: str) -> AudioError:
    if path.suffix.lower() in NATIVE:
        reason = reason.removeprefix("Error : ").strip().rstrip(".")
        return AudioError(f"cannot read {str(path)!r} as sound ({reason}): expected {ONE_OF}; convert it")
    kind = path.suffix or "other"
    return AudioError(f"cannot read {str(path)!r}: expected {ONE_OF}; for {kind} files install the program ffmpeg")


def _libsndfile(source: soundfile.SoundFile, path: Path, seconds: float) -> Generator[Samples]:
    rate, channels = source.samplerate, source.channels
    if not (MIN_RATE <= rate <= MAX_RATE and channels >= 1):
        raise AudioError(
            f"{str(path)!r} has a damaged header: got {rate} Hz and {channels} channels, "
            f"expected {MIN_RATE} to {MAX_RATE} Hz and at least one channel; record or convert it again"
        )
    frames = max(1, min(round(seconds * rate), (1 << 22) // channels))  # a block is 16 MiB at most
    resampler = Resampler(rate)
    got = 0
    loud = np.zeros(2)
    while True:
        try:
            chunk = source.read(frames, dtype="float32", always_2d=True)  # (n, channels)
        except soundfile.LibsndfileError as problem:
            if not got and ffmpeg.there():  # opus that was cut out of a longer stream: ffmpeg hears it whole
                yield from _ffmpeg(path, seconds)
                return
            reason = problem.error_string.removeprefix("Error : ").strip().rstrip(".")
            raise _cut(path, got / rate, source.frames / rate, f" ({reason})") from None
        if not len(chunk):
            break
        _check_values(chunk, got / rate, rate, repr(str(path)))
        got += len(chunk)
        mono = _mono(chunk)
        loud += _loudness(chunk, mono)
        yield resampler.feed(mono)
    # 2**63 - 1 frames: unknown; of an mp3: an estimate; ogg pages may count from a start of their own, and a cut page
    # is noticed before
    missing = source.frames - got if source.frames < 1 << 62 and source.format != "MP3" else 0
    if missing > (rate * OGG_START_S if source.format == "OGG" else 0):
        raise _cut(path, got / rate, source.frames / rate)
    _check_polarity(loud, f"the {channels} channels of {str(path)!r}")
    yield resampler.finish()


def _ffmpeg(path: Path, seconds: float) -> Generator[Samples]:
    arguments = ["-xerror", "-protocol_whitelist", "file", "-i", f"file:{path}"]
    arguments += ["-map", "0:a:0", "-af", BOTH, "-rematrix_maxval", "1"]  # a mean, not a sum
    arguments += ["-f", "f32le", "-ar", str(SAMPLE_RATE), "pipe:1"]
    size = 8 * max(1, round(seconds * SAMPLE_RATE))  # bytes
    heard = 0
    loud = np.zeros(2)
    with Ffmpeg(arguments) as program:
        while data := program.out.read(size):
            both = np.frombuffer(data[: len(data) // 8 * 8], "<f4").astype(np.float32).reshape(-1, 2)
            block = np.ascontiguousarray(both[:, 0])
            _check_values(block, heard / SAMPLE_RATE, SAMPLE_RATE, repr(str(path)))
            heard += len(block)
            loud += _loudness(both[:, 1:], block)
            yield block
        code = program.wait()
    said = program.said(path)
    if any("matches no streams" in line for line in program.lines):
        raise AudioError(f"{str(path)!r} has no sound track: expected {ONE_OF}, or a film that is not silent")
    if code:
        raise AudioError(f"cannot read {str(path)!r} as sound (ffmpeg: {said}): expected {ONE_OF}; convert it")
    if program.found_cut:
        raise AudioError(f"{str(path)!r} is cut short (ffmpeg: {said}): expected a whole file; copy it again")
    _check_polarity(loud, f"the channels of {str(path)!r}")


def _mono(frames: NDArray[np.generic]) -> Samples:
    """(n,) or (n, channels) of float -> (n,) float32, the mean of the channels."""
    mono = frames if frames.ndim == 1 else frames.mean(axis=1, dtype=np.float64)
    return np.ascontiguousarray(mono, dtype=np.float32)


def _loudness(frames: NDArray[np.floating], mono: Samples) -> NDArray[np.float64]:
    """(2,) mean energy of the channels of (n, channels), and the energy of their mean."""
    return np.array([np.vdot(frames, frames) / frames.shape[1], np.vdot(mono, mono)])


def _check_polarity(loud: NDArray[np.float64], name: str) -> None:
    """Refuse channels of `_loudness`, named as "the 2 channels of ...", whose mean is next to nothing."""
    if loud[1] < CANCELLED * loud[0]:
        raise AudioError(
            f"{name} cancel each other: expected a mean that is heard; "
            "keep one of them, or turn the polarity of one"
        )


def _check_file(path: Path) -> None:
    name = str(path)
    try:
        if path.is_dir():
            raise AudioError(f"{name!r} is a folder: expected a sound file; name the files inside it")
        if path.is_symlink() and not path.exists():
            raise AudioError(f"{name!r} is a link to nothing: expected a sound file; mend the link")
        if not path.exists():
            raise AudioError(f"{name!r} does not exist: expected a sound file; check the name")
        if not path.is_file():
            raise AudioError(f"{name!r} is no regular file: expected a sound file; save the sound first")
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioError(f"{name!r} is empty: got 0 bytes, expected a sound file; record or copy it again")
            if short := cut(file):
                raise _short(path, *short)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        reason = getattr(problem, "strerror", None) or problem
        raise AudioError(f"cannot open {name!r} ({reason}): expected a readable sound file; check it") from None


def _check_values(samples: NDArray[np.generic], start: float, rate: float, name: str) -> None:
    """Refuse NaN, infinities and absurd levels in (n,) or (n, channels) that begin at `start` s."""
    sane = np.abs(samples) <= MAX_LEVEL  # False for NaN
    if sane.all():
        return
    at = int(np.argmin(sane.reshape(len(sane), -1).all(axis=1)))
    value = samples.reshape(-1)[int(np.argmin(sane))]
    raise AudioError(
        f"{name} holds the value {value} at {start + at / rate:.3f} s: "
        "expected finite samples from -1 to 1; export the sound again"
    )


def _short(path: Path, got: int, promised: int) -> AudioError:
    return AudioError(f"{str(path)!r} is cut short: got {got} bytes, expected {promised}; copy it again")


def _cut(path: Path, got: float, promised: float, why: str = "") -> AudioError:
    return AudioError(
        f"{str(path)!r} is cut short or damaged{why}: "
        f"got {got:.2f} s, expected {promised:.2f} s; copy or record it again"
    )
