"""Frames as datagrams: Live Link, VMC, OSC.

One promise: whoever does not listen, and whatever happens to the network, costs frames and nothing else; when they are
back, so are we.

    sink = UdpSink("osc://127.0.0.1:9000", "127.0.0.1", 9000, osc.encode)
    sink.send(frame)
"""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from duomorph.errors import FormatError, LiveError
from duomorph.wire import Frame, Order

MOST_ANSWERS: Final = 8  # read between two frames; the rest waits or is lost
ANSWER_BYTES: Final = 2048


def look_up(name: str, host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Where a host is. By IPv4 if it can be: who listens on this machine seldom does on ::1, which `localhost` may be.

    Raises:
        LiveError: it is unknown.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise LiveError(f"{name}: the host {host!r} is unknown ({reason}): check its name or its number") from None
    family, _, _, _, address = min(found, key=lambda way: way[0] != socket.AF_INET)
    return family, address


class DayClock:
    """The number in the day of a stream's frame 0, fixed when its first frame comes: from then on the sound's own
    clock counts. Live Link's time is the time of day, as phones send it and as Unreal's own time code runs."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._first = 0
        self._last: int | None = None

    def first(self, frame: Frame) -> int:
        if self._last is None or frame.number <= self._last:  # a stream begins
            now = datetime.now()
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            self._first = math.floor(Fraction((now - midnight).total_seconds()) * self._fps) - frame.number
        self._last = frame.number
        return self._first


class UdpSink:
    """One listener at an address that is looked up once."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        encode: Callable[[Frame], list[bytes]],
        commands: Callable[[bytes], list[Order]] | None = None,
        on_command: Callable[[Order], None] | None = None,
    ) -> None:
        """`commands` reads what the listener answers to our port; None where it says nothing.

        Raises:
            LiveError: the host is unknown.
        """
        self._family, self._address = look_up(name, host, port)
        self.name, self.dropped = name, 0
        self._encode, self._commands, self._on_command = encode, commands, on_command
        self._socket: socket.socket | None = None
        self._closed = False

    def send(self, frame: Frame) -> None:
        heard = self._hear()
        sent = [self._put(packet) for packet in self._encode(frame)]
        self.dropped += not (heard and all(sent))

    def close(self) -> None:
        self._closed = True
        self._hang_up()

    def _put(self, packet: bytes) -> bool:
        """Whether it left, and nobody told that an earlier one was refused."""
        try:
            line = self._line()
            try:
                line.send(packet)
            except ConnectionError:  # word of an earlier packet, said once: this one has not been tried
                line.send(packet)
                return False
            return True
        except (BlockingIOError, ConnectionError):
            return False
        except OSError:  # the network is gone, or has given us another address: begin anew with the next packet
            self._hang_up()
            return False

    def _hear(self) -> bool:
        """Take answers; False if the last packet was refused."""
        if self._socket is None or self._commands is None or self._on_command is None:
            return True
        for _ in range(MOST_ANSWERS):
            try:
                answer = self._socket.recv(ANSWER_BYTES)
            except ConnectionError:
                return False
            except OSError:
                return True
            with contextlib.suppress(FormatError):  # not for us
                for command in self._commands(answer):
                    self._on_command(command)
        return True

    def _line(self) -> socket.socket:
        if self._socket is None:
            if self._closed:
                raise OSError("closed")
            line = socket.socket(self._family, socket.SOCK_DGRAM)
            try:
                line.setblocking(False)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # 192.168.1.255: all who listen
                line.connect(self._address)  # hears of refused ports, and nobody else can answer
            except OSError:
                line.close()
                raise
            self._socket = line
        return self._socket

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
