"""What the WebSocket carries: one hello in JSON, then a frame in each binary message; commands come back in JSON.

One promise: a browser reads a frame with two lines and without copying.

    hello(Fraction(60), "Alice")       # '{"duomorph": 1, "subject": "Alice", "fps": 60.0, "names": [...], ...}'
    encode(frame)                      # 260 bytes, little endian
    command('{"command": "silence"}')  # Command.SILENCE
    command('{"command": "turn", "emotion": {"joy": 0.6}, "intensity": 1.2}')

    byte 0    u32  kind of message: 1, a frame; others are to be passed over
         4    u32  number of the frame, from the first sample of the stream (after 2^32 anew)
         8    f64  seconds of the sound at which it stands
        16    f32  52 weights, order of `names` in the hello        new Float32Array(buffer, 16, 52)
       224    f32  9 angles in radians, order of `angles`           new Float32Array(buffer, 224, 9)
       260    f64  only for who connects with ?heard: when that second of the sound was heard, in seconds since 1970 by
                   the sender's machine, NaN where nobody knows
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from duomorph.arkit import ANGLES, COUNT, NAMES
from duomorph.clock import frame_rate
from duomorph.errors import FormatError, SettingError
from duomorph.wire import Command, Frame, Order, turn

PORT: Final = 8765
PROTOCOL: Final = 1
MAX_COMMAND: Final = 1024  # bytes
_FRAME: Final = 1
_TURN: Final = "turn"
_HEAD: Final = struct.Struct("<IId")
_SIZE: Final = _HEAD.size + 4 * (COUNT + len(ANGLES))  # 260
_HEARD: Final = struct.Struct("<d")


@dataclass(frozen=True)
class Hello:
    """What the first message says: whose face, how many frames a second, and the order of the numbers."""

    subject: str
    fps: Fraction
    names: tuple[str, ...]
    angles: tuple[str, ...]


def hello(fps: Fraction, subject: str) -> str:
    """The first message, a text."""
    said = {"duomorph": PROTOCOL, "subject": subject, "fps": float(fps), "names": NAMES, "angles": ANGLES}
    return json.dumps(said)


def read_hello(text: str) -> Hello:
    """What the first message says.

    Raises:
        FormatError: not such a message, or of another protocol.
    """
    try:
        said = json.loads(text)
        if said["duomorph"] != PROTOCOL:
            raise FormatError(f"the server speaks protocol {said['duomorph']!r:.20}: expected {PROTOCOL}; update one")
        names, angles = (tuple(str(name) for name in said[key]) for key in ("names", "angles"))
        return Hello(str(said["subject"]), frame_rate(said["fps"]), names, angles)
    except (ValueError, TypeError, KeyError, RecursionError, SettingError):
        raise FormatError(f"got {text[:40]!r}: expected the hello of a Duomorph server") from None


def encode(frame: Frame) -> bytes:
    """A binary message. Who connected with ?heard gets it and `heard(frame)`."""
    head = _HEAD.pack(_FRAME, frame.number & 0xFFFF_FFFF, frame.time_s)
    return b"".join((head, frame.weights.astype("<f4").tobytes(), frame.angles.astype("<f4").tobytes()))


def heard(frame: Frame) -> bytes:
    """8 bytes more."""
    return _HEARD.pack(math.nan if frame.heard is None else frame.heard)


def decode(data: bytes, fps: Fraction) -> Frame:
    """The frame in a binary message.

    Raises:
        FormatError: not such a message, or damaged.
    """
    if len(data) not in (_SIZE, _SIZE + _HEARD.size) or _HEAD.unpack_from(data)[0] != _FRAME:
        raise FormatError(f"got {len(data)} bytes, {data[:4]!r}...: expected a frame of {_SIZE}")
    values = np.frombuffer(data, "<f4", count=COUNT + len(ANGLES), offset=_HEAD.size).astype(np.float32)
    if not np.isfinite(values).all():
        raise FormatError("the frame holds values that are no numbers: expected 61 finite ones")
    moment = _HEARD.unpack_from(data, _SIZE)[0] if len(data) > _SIZE else math.nan
    known = moment if math.isfinite(moment) else None
    return Frame(_HEAD.unpack_from(data)[1], fps, values[:COUNT], values[COUNT:], known)


def command(message: str | bytes) -> Order:
    """What a client asks for: `{"command": NAME}`, or `{"command": "turn", KNOB: VALUE, ...}`.

    Raises:
        FormatError: anything else.
    """
    try:
        if len(message) > MAX_COMMAND:
            raise ValueError
        said = json.loads(message)
        name = said.pop("command")
        return turn(said) if name == _TURN else Command(name)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        known = ", ".join([*(each.value for each in Command), _TURN])
        raise FormatError(f'got {message[:20]!r}: expected {{"command": NAME}}, NAME one of {known}') from None
