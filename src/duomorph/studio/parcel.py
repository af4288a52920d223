"""Several things in one request: a word about them in JSON, then their bytes.

One promise: whatever bytes come, the answer is a parcel or our error, and no name in it is ever a path.

    unpack(pack({"fps": 60}, curves=b"...", avatar=b"...")).parts["curves"]

    byte 0    u32  length n of the JSON, little endian
         4    n    JSON: an object; "parts" are names and lengths, in order
       4+n         the parts, one after the other
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from duomorph.errors import FormatError

MOST_SAID: Final = 65_536  # bytes of JSON


@dataclass(frozen=True)
class Parcel:
    said: Mapping[str, Any]
    parts: Mapping[str, bytes]


def pack(said: Mapping[str, Any], **parts: bytes) -> bytes:
    """The bytes of a parcel."""
    text = json.dumps({**said, "parts": {name: len(part) for name, part in parts.items()}}).encode()
    return b"".join((struct.pack("<I", len(text)), text, *parts.values()))


def unpack(data: bytes) -> Parcel:
    """What is in it.

    Raises:
        FormatError: damaged.
    """
    try:
        (length,) = struct.unpack_from("<I", data)
        if length > MOST_SAID:
            raise ValueError
        said = json.loads(data[4 : 4 + length])
        at, parts = 4 + length, {}
        for name, size in said.pop("parts").items():
            if type(size) is not int or not 0 <= size <= len(data) - at:
                raise ValueError
            parts[name] = bytes(memoryview(data)[at : at + size])
            at += size
        if at != len(data):
            raise ValueError
        return Parcel(said, parts)
    except (struct.error, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise FormatError(
            f"got {len(data)} bytes that are no parcel: expected JSON and its parts; reload the page"
        ) from None
