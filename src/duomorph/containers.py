"""Is a sound file whole? What wav and ogg/opus say about their own length (for mp3 see mp3.py).

One promise: nothing here decodes or guesses; a container that states no length promises nothing. Decoders play
the rest of a cut file without a word, and a half take that looks like a whole one costs its user hours.

    with open("take.wav", "rb") as file:
        promised_bytes(file)      # 320044, or None where the header does not say

Sources: RIFF (Microsoft/IBM 1991), RFC 3533 section 6 (Ogg pages).
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, Final

STREAMED: Final = 0x7FFF_0000  # recorders that write to a pipe put 0x7FFFFFFF or 0xFFFFFFFF for "until the end"
SLACK: Final = 64  # bytes; some writers count their own header


def promised_bytes(file: BinaryIO) -> int | None:
    """Length in bytes that the header promises; None if it promises none. Leaves the file position anywhere."""
    file.seek(0)
    magic = file.read(12)
    if magic[:4] == b"RIFF" and magic[8:] == b"WAVE":
        return _wav(file)
    if magic[:4] == b"OggS":
        return _ogg(file)
    return None


def cut(file: BinaryIO) -> tuple[int, int] | None:
    """(bytes there, bytes promised) if the file ends before the length that its header promises, else None."""
    promised = promised_bytes(file)
    size = file.seek(0, os.SEEK_END)
    return (size, promised) if promised is not None and size + SLACK < promised else None


def _wav(file: BinaryIO) -> int | None:
    position = 12
    while True:
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return None
        name, length = struct.unpack("<4sI", header)
        if name == b"data":
            return None if length >= STREAMED else position + 8 + length
        position += 8 + length + length % 2  # chunks are padded to even length


def _ogg(file: BinaryIO) -> int | None:
    end = file.seek(0, os.SEEK_END)
    position = 0
    while position < end:
        file.seek(position)
        page = file.read(27 + 255)
        if not page.startswith(b"OggS"[: len(page)]):
            return None  # something foreign behind the last page
        if len(page) < 27 or len(page) < 27 + page[26]:
            return position + 27 + 255 + SLACK  # not even its header is there
        position += 27 + page[26] + sum(page[27 : 27 + page[26]])
    return position + SLACK if position > end else None  # every byte counts in the last page
