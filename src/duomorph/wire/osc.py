"""Plain OSC, for Unity, TouchDesigner, Max, Resolume and whatever else listens to it.

One promise: a frame is the same numbers twice, packed and by name; take what suits you.

    packets = encode(frame)                    # three bundles, each in one Ethernet packet
    decode(packets[0], Fraction(60)).weights

    /duomorph/frame    i number, f seconds     first bundle, with the next two
    /duomorph/weights  52 f, order of arkit.NAMES
    /duomorph/angles   9 f, radians, order of arkit.ANGLES
    /duomorph/jawOpen  f                       and the other 51, in the bundles after it

A listener may answer, to the port that the frames come from: /duomorph/reset, /duomorph/silence, or turn a knob:

    /duomorph/intensity f      /duomorph/expressiveness f      /duomorph/idle s      off, calm, lively
    /duomorph/emotion/joy f    /duomorph/gain/jawOpen f        and the others
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from duomorph.arkit import ANGLES, COUNT, NAMES
from duomorph.errors import FormatError
from duomorph.wire import KNOBS, Command, Frame, Order, messages, turn
from duomorph.wire.messages import Slot, message

ROOT: Final = "/duomorph"
_PACKED: Final = messages.plan(
    [
        Slot(message(f"{ROOT}/frame", 0, 0.0), 2),
        Slot(message(f"{ROOT}/weights", *[0.0] * COUNT), COUNT),
        Slot(message(f"{ROOT}/angles", *[0.0] * len(ANGLES)), len(ANGLES)),
    ]
)
_NAMED: Final = messages.plan([Slot(message(f"{ROOT}/{name}", 0.0), 1) for name in NAMES])


def encode(frame: Frame) -> list[bytes]:
    """The packets of a frame; the first holds all of it, the others the shapes by name."""
    weights = messages.words(frame.weights)
    number = np.array([frame.number & 0x7FFF_FFFF], dtype=">u4")
    packed = (number, messages.words([frame.time_s]), weights, messages.words(frame.angles))
    return messages.fill(_PACKED, np.concatenate(packed)) + messages.fill(_NAMED, weights)


def decode(packet: bytes, fps: Fraction) -> Frame:
    """The frame in the first packet of `encode`.

    Raises:
        FormatError: not such a packet, or damaged.
    """
    found = dict(messages.parse(packet))
    number, weights, angles = (found.get(f"{ROOT}/{key}", ()) for key in ("frame", "weights", "angles"))
    if not (number and isinstance(number[0], int) and len(weights) == COUNT and len(angles) == len(ANGLES)):
        raise FormatError(f"got {list(found)[:3]}: expected {ROOT}/frame, 52 weights and 9 angles")
    try:
        rows = [np.array(row, dtype=np.float32) for row in (weights, angles)]
    except (ValueError, TypeError, OverflowError):
        raise FormatError("the packet holds something that is no number: expected 52 weights and 9 angles") from None
    if not all(np.isfinite(row).all() for row in rows):
        raise FormatError("the packet holds values that are no numbers: expected finite ones")
    return Frame(number[0], fps, rows[0], rows[1])


def commands(packet: bytes) -> list[Order]:
    """What a listener asks for; messages that are not ours are passed over.

    Raises:
        FormatError: no OSC, or a knob is turned to what it does not have.
    """
    known = {f"{ROOT}/{command.value}": command for command in Command}
    found: list[Order] = []
    for address, values in messages.parse(packet):
        _, root, knob, *inside = *address.split("/", 3), "", ""
        if address in known:
            found.append(known[address])
        elif f"/{root}" == ROOT and knob in KNOBS:
            value = values[0] if values else None
            found.append(turn({knob: {inside[0]: value} if inside[0] else value}))
    return found
