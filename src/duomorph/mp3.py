"""How long is an mp3? Count its frames, and tell the decoder.

One promise: all of an mp3 is heard. libsndfile believes the length in the VBR header, or multiplies out the first
frame's bit rate where there is none, and stops there: a recording that begins in silence loses most of itself.

    counted = count(data)     # None: no layer III in there
    sound = soundfile.SoundFile(Headed(file, counted.start, front(data, counted)))    # a header that tells the truth

Source: ISO/IEC 11172-3 section 2.4.1.3, 13818-3 section 2.4.2.3 (frame headers); Xing's VBR header.
"""

from __future__ import annotations

import io
import mmap
import os
from typing import BinaryIO, Final, NamedTuple

_KBPS: Final = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
}
_HERTZ: Final = {0b11: (44100, 48000, 32000), 0b10: (22050, 24000, 16000), 0b00: (11025, 12000, 8000)}
Data = bytes | mmap.mmap
SEARCH: Final = 1 << 16  # bytes of junk skipped at a time before giving up
FORGET: Final = 4096  # frames after which a mapped file gives back the memory of what has been read, 4 MB at most
TAGS: Final = (b"TAG", b"APE", b"LYR")  # what stands behind the last frame


class Frame(NamedTuple):
    """One frame header: length in bytes, where a VBR header would stand, and what never changes within a file."""

    length: int
    info: int
    kind: tuple[int, int]


class Counted(NamedTuple):
    """Where the first frame begins and how many there are; how many the VBR header promises, and how many bytes of
    file (None: it does not say)."""

    start: int
    frames: int
    promised: int | None
    promised_bytes: int | None


def may_begin(head: bytes) -> bool:
    """True if a file that begins so can be an mp3."""
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def frame_at(data: Data, at: int) -> Frame | None:
    """The layer III frame whose header stands at `at`, if one does."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2 or head[2] >> 4 in (0, 15):
        return None
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    if version == 0b01 or rate == 3:
        return None
    one = version == 0b11
    hertz = _HERTZ[version][rate]
    kbps = _KBPS[1 if one else 2][(head[2] >> 4) - 1]
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if one else (9 if mono else 17)
    return Frame((144_000 if one else 72_000) * kbps // hertz + (head[2] >> 1 & 1), 4 + side, (version, hertz))


def count(data: Data) -> Counted | None:
    """Walk from frame to frame over the bytes of a file (or an mmap of it); None if they hold no mp3."""
    at = _first(data, _behind_id3(data), None)
    if at is None:
        return None
    start, frames, covered = at, 0, 0
    head = frame_at(data, start)
    assert head is not None
    kind, info = head.kind, start + head.info
    while at is not None and at < len(data):
        frame = frame_at(data, at)
        if frame is None or frame.kind != kind:
            at = None if data[at : at + 3] in TAGS else _first(data, at, kind)
            continue
        frames += 1
        if frames % FORGET == 0 and isinstance(data, mmap.mmap) and hasattr(data, "madvise"):  # not on Windows
            data.madvise(mmap.MADV_DONTNEED, 0, at)
        covered += frame.length
        at += frame.length
    if 2 * covered < len(data) - start and frames < 100:  # chance likenesses in something else
        return None
    if data[info : info + 4] not in (b"Xing", b"Info") or len(data) < info + 16:
        return Counted(start, frames, None, None)
    flags, first, second = (int.from_bytes(data[at : at + 4], "big") for at in (info + 4, info + 8, info + 12))
    return Counted(
        start,
        frames - 1,  # the header's own frame is no sound
        first if flags & 1 else None,
        start + (second if flags & 1 else first) if flags & 2 else None,
    )


def front(data: Data, counted: Counted) -> bytes:
    """A frame with a VBR header that says how long the mp3 is, to be put before its first frame."""
    header = bytearray(data[counted.start : counted.start + 4])
    header[1] |= 1  # no checksum
    header[2] = header[2] & 0x0D | 0xE0  # the highest bit rate, for room; no padding
    frame = frame_at(bytes(header), 0)
    assert frame is not None
    out = bytearray(frame.length)
    out[:4] = header
    sound = counted.frames + 1  # that of a false header becomes silence
    fields = (3, sound, len(data) - counted.start + frame.length)  # flags: frames and bytes follow
    out[frame.info : frame.info + 16] = b"Xing" + b"".join(field.to_bytes(4, "big") for field in fields)
    return bytes(out)


class Headed(io.RawIOBase):
    """A file from `start` on, behind some other first bytes."""

    def __init__(self, file: BinaryIO, start: int, head: bytes) -> None:
        self._file, self._head, self._start = file, head, start
        self._size = file.seek(0, os.SEEK_END) - start + len(head)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at < len(self._head):
            data = self._head[self._at : self._at + len(buffer)]
        else:
            self._file.seek(self._at - len(self._head) + self._start)
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _behind_id3(data: Data) -> int:
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = data[at + 6 : at + 10]
        at += 10 + sum((byte & 127) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))
    return at


def _first(data: Data, at: int, kind: tuple[int, int] | None) -> int | None:
    """The first place from `at` on where one frame follows another (or the file ends behind one)."""
    end = min(len(data), at + SEARCH)
    while at < end:
        at = data.find(b"\xff", at, end)
        if at < 0:
            return None
        frame = frame_at(data, at)
        if frame is not None and kind in (None, frame.kind):
            after = frame_at(data, at + frame.length)
            if at + frame.length >= len(data) or (after is not None and after.kind == frame.kind):
                return at
        at += 1
    return None
