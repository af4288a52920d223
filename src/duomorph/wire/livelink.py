"""Live Link Face over UDP, version 6, as Epic's iPhone app sends it and Unreal's Live Link reads it on port 11111.

One promise: a packet holds the 52 shapes and nine angles of one frame exactly as float32, and its time exactly.

    packet = encode(frame, "Alice", device_id("Alice"))      # 306 bytes and the subject
    decode(packet).frame.weights[INDEX["jawOpen"]]

    u8 6 | i32 n, device id | i32 n, subject | i32 frame, f32 part of a frame | i32 rate, i32 rate's divisor |
    u8 61 | 52 f32 in the order of arkit.NAMES, 9 f32 in that of arkit.ANGLES; all of it big endian
"""

from __future__ import annotations

import math
import struct
import uuid
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from duomorph.arkit import ANGLES, COUNT
from duomorph.clock import frame_rate
from duomorph.errors import FormatError, SettingError
from duomorph.wire import Frame

PORT: Final = 11111
VERSION: Final = 6
DEVICE_BYTES: Final = 36  # a UUID; readers count on it
VALUES: Final = COUNT + len(ANGLES)  # 61
_TIME: Final = struct.Struct(">ifiiB")
_DAY_S: Final = 86_400


@dataclass(frozen=True, eq=False)
class Packet:
    """What a packet says: whose face, from which device, and the frame; `subframe` is a part of a frame, 0 from us."""

    subject: str
    device: str
    subframe: float
    frame: Frame


def device_id(subject: str) -> str:
    """The id of the phone that we play: 36 characters, the same for the same subject."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"duomorph:{subject}")).upper()


def encode(frame: Frame, subject: str, device: str, first: int = 0) -> bytes:
    """One packet.

    Args:
        device: 36 characters, see `device_id`.
        first: number of frame 0 in the day, where the receiver wants the time of day. Numbers begin anew after 24 h.
    """
    name, phone = subject.encode(), device.encode("ascii")
    number = (first + frame.number) % math.ceil(_DAY_S * frame.fps)
    rate, divisor = frame.fps.as_integer_ratio()
    return b"".join(
        (
            struct.pack(f">Bi{len(phone)}si{len(name)}s", VERSION, len(phone), phone, len(name), name),
            _TIME.pack(number, 0.0, rate, divisor, VALUES),
            frame.weights.astype(">f4").tobytes(),
            frame.angles.astype(">f4").tobytes(),
        )
    )


def decode(packet: bytes) -> Packet:
    """What is in a packet.

    Raises:
        FormatError: not such a packet, or damaged.
    """
    if packet[:1] != bytes([VERSION]):
        raise FormatError(f"got {packet[:4]!r}..., expected a Live Link Face packet of version {VERSION}")
    device, at = _text(packet, 1)
    subject, at = _text(packet, at)
    if len(packet) != at + _TIME.size + 4 * VALUES:
        raise FormatError(f"the packet is {len(packet)} bytes long: expected {at + _TIME.size + 4 * VALUES}")
    number, subframe, rate, divisor, count = _TIME.unpack_from(packet, at)
    if count != VALUES or number < 0 or divisor < 1 or not math.isfinite(subframe):
        raise FormatError(f"the packet holds {count} values at {number} + {subframe} of {rate}/{divisor}: expected 61")
    values = np.frombuffer(packet, ">f4", VALUES, at + _TIME.size).astype(np.float32)
    if not np.isfinite(values).all():
        raise FormatError("the packet holds values that are no numbers: expected 61 finite ones")
    try:
        fps = frame_rate(Fraction(rate, divisor))
    except SettingError as problem:
        raise FormatError(str(problem)) from None
    return Packet(subject, device, subframe, Frame(number, fps, values[:COUNT], values[COUNT:]))


def _text(packet: bytes, at: int) -> tuple[str, int]:
    """The text that begins with its length, and the place behind it."""
    size = int.from_bytes(packet[at : at + 4], "big", signed=True)
    text = packet[at + 4 : at + 4 + max(size, 0)]
    if len(packet) < at + 4 or len(text) != size:
        raise FormatError(f"a text of {size} bytes does not fit into a packet of {len(packet)}: it is cut or damaged")
    try:
        return text.decode(), at + 4 + size
    except UnicodeDecodeError:
        raise FormatError(f"got the text {text[:40]!r}: expected UTF-8") from None
