"""OSC 1.0: messages, and bundles that fit into one Ethernet packet.

One promise: what never changes is encoded once; a frame costs a copy and its numbers.

    templates = plan([Slot(message("/face/jawOpen", 0.0), 1)])
    packets = fill(templates, words([0.25]))              # [b"#bundle..."]
    parse(packets[0])                                     # [("/face/jawOpen", (0.25,))]

Source: https://opensoundcontrol.stanford.edu/spec-1_0.html
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duomorph.errors import FormatError

LIMIT: Final = 1472  # bytes: Ethernet's 1500 less the headers of IP and UDP
MAX_DEPTH: Final = 8  # of bundles within bundles
_HEAD: Final = b"#bundle\0" + struct.pack(">Q", 1)  # 1: show it at once
_NUMBERS: Final = {"i": ">i", "f": ">f", "h": ">q", "d": ">d", "t": ">Q"}
_CONSTANTS: Final = {"T": True, "F": False, "N": None}

Value = int | float | str | bytes | bool | None
Words = NDArray[np.uint32]  # four bytes each, big endian as they travel


@dataclass(frozen=True)
class Slot:
    """A message whose last `count` arguments (each of four bytes) change from frame to frame."""

    message: bytes
    count: int


@dataclass(frozen=True, eq=False)
class Template:
    """A bundle, and the places in it that change."""

    data: Words
    places: NDArray[np.intp]


def message(address: str, *arguments: str | int | float) -> bytes:
    """One message; int and float travel in four bytes."""
    tags, values = ",", b""
    for argument in arguments:
        if isinstance(argument, str):
            tags, values = tags + "s", values + _padded(argument)
        elif isinstance(argument, int):
            tags, values = tags + "i", values + struct.pack(">i", argument)
        else:
            tags, values = tags + "f", values + struct.pack(">f", argument)
    return _padded(address) + _padded(tags) + values


def plan(slots: Sequence[Slot], limit: int = LIMIT) -> tuple[Template, ...]:
    """These messages, in their order, in as few bundles of at most `limit` bytes as that takes."""
    bundles: list[bytearray] = []
    places: list[list[int]] = []
    for slot in slots:
        if not bundles or len(bundles[-1]) + 4 + len(slot.message) > limit:
            bundles.append(bytearray(_HEAD))
            places.append([])
        bundles[-1] += struct.pack(">i", len(slot.message)) + slot.message
        end = len(bundles[-1]) // 4
        places[-1] += range(end - slot.count, end)
    return tuple(
        Template(np.frombuffer(bytes(data), ">u4"), np.array(place, dtype=np.intp))
        for data, place in zip(bundles, places, strict=True)
    )


def words(floats: ArrayLike) -> Words:
    """Numbers as float32 that travel."""
    travelling: Words = np.asarray(floats, dtype=">f4").view(">u4")
    return travelling


def fill(templates: Sequence[Template], values: Words) -> list[bytes]:
    """The bundles with these values in their slots, in the order of the slots."""
    packets, at = [], 0
    for template in templates:
        data = template.data.copy()
        data[template.places] = values[at : at + len(template.places)]
        at += len(template.places)
        packets.append(data.tobytes())
    return packets


def parse(packet: bytes) -> list[tuple[str, tuple[Value, ...]]]:
    """Address and arguments of every message in a packet, bundles opened.

    Raises:
        FormatError: no OSC, damaged, or with an argument of a kind that we do not know.
    """
    try:
        return _opened(packet, MAX_DEPTH)
    except (struct.error, UnicodeDecodeError, ValueError, IndexError):
        raise FormatError(f"got {packet[:16]!r}...: expected an OSC message or bundle; it is cut or damaged") from None


def _padded(text: str) -> bytes:
    data = text.encode()
    return data + bytes(4 - len(data) % 4)


def _opened(packet: bytes, depth: int) -> list[tuple[str, tuple[Value, ...]]]:
    if not packet.startswith(b"#bundle\0"):
        return [_message(packet)]
    if depth == 0 or len(packet) < len(_HEAD):
        raise ValueError
    found, at = [], len(_HEAD)
    while at < len(packet):
        (size,) = struct.unpack_from(">i", packet, at)
        if not 0 < size <= len(packet) - at - 4:
            raise ValueError
        found += _opened(packet[at + 4 : at + 4 + size], depth - 1)
        at += 4 + size
    return found


def _message(packet: bytes) -> tuple[str, tuple[Value, ...]]:
    address, at = _text(packet, 0)
    if not address.startswith("/"):
        raise ValueError
    tags, at = _text(packet, at) if at < len(packet) else (",", at)
    values: list[Value] = []
    for tag in tags[1:]:
        if tag in _NUMBERS:
            (value,) = struct.unpack_from(_NUMBERS[tag], packet, at)
            at += struct.calcsize(_NUMBERS[tag])
        elif tag in _CONSTANTS:
            value = _CONSTANTS[tag]
        elif tag == "s":
            value, at = _text(packet, at)
        elif tag == "b":
            (size,) = struct.unpack_from(">i", packet, at)
            if not 0 <= size <= len(packet) - at - 4:
                raise ValueError
            value, at = packet[at + 4 : at + 4 + size], at + 4 + -(-size // 4) * 4
        else:
            raise ValueError
        values.append(value)
    if not tags.startswith(",") or at != len(packet):
        raise ValueError
    return address, tuple(values)


def _text(packet: bytes, at: int) -> tuple[str, int]:
    end = packet.index(b"\0", at)
    behind = at + ((end - at) // 4 + 1) * 4
    if behind > len(packet):
        raise ValueError
    return packet[at:end].decode(), behind
