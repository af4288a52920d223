"""Where live frames go: Unreal, avatars, OSC, browsers, a pipe; one URL each.

One promise: `send` never blocks and never raises because somebody is away; what did not get out is counted.

    sink = open_sink("livelink://192.168.1.20", Fraction(60), "Alice", on_command=print)
    sink.send(frame)
    sink.close()
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from duomorph.errors import MissingExtra, SettingError
from duomorph.live.sinks_lines import LinesSink
from duomorph.live.sinks_udp import DayClock, UdpSink
from duomorph.wire import Frame, Order, livelink, osc, vmc, web

MAX_SUBJECT: Final = 64  # letters; every packet carries them
_KINDS: Final = "livelink://HOST, vmc://HOST, osc://HOST:PORT, ws://HOST:PORT or jsonl://PATH"

Tell = Callable[[Order], None]


class Sink(Protocol):
    """One place that gets every frame.

    Attributes:
        name: the URL as the user wrote it, for messages.
        dropped: frames that did not get out, so far; where several listen, each counts its own.
    """

    name: str
    dropped: int

    def send(self, frame: Frame) -> None:
        """Hand a frame over. Never blocks, never raises."""

    def close(self) -> None:
        """Free ports, files and threads; harmless when called again."""


@dataclass(frozen=True)
class Address:
    """What a URL says: host and port (None where it names none), and the settings behind the question mark."""

    host: str
    port: int | None
    settings: dict[str, str]


def open_sink(url: str, fps: Fraction, subject: str, on_command: Tell) -> Sink:
    """The sink that a URL names.

    - `livelink://HOST[:11111]`
    - `vmc://HOST[:39539][?shapes=all|arkit|vrm][&case=pascal|camel]`
    - `osc://HOST:PORT`
    - `ws://[HOST][:8765][?origin=https://PAGE,...]`; without a host it listens on 127.0.0.1 alone
    - `jsonl://PATH`, or `jsonl://-` for standard output

    Args:
        fps: of the frames to come.
        subject: name of the face, where the protocol has one.
        on_command: hears what listeners ask for, from any thread; must return at once and not raise.
    Raises:
        SettingError: no such URL or subject. LiveError: the host is unknown, or the port or file cannot be had.
        FormatError: the path of a file cannot be written. MissingExtra: ws needs the library websockets.
    """
    if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise SettingError(f"got the subject {subject[:80]!r}: expected 1 to {MAX_SUBJECT} printable letters")
    kind, colon, rest = url.partition("://")
    if not colon or kind not in ("livelink", "vmc", "osc", "ws", "jsonl"):
        raise SettingError(f"got the sink {url!r}: expected {_KINDS}")
    if kind == "jsonl":
        if not rest:
            raise SettingError(f"got the sink {url!r} without a path: write jsonl://take.jsonl, or jsonl://- to print")
        return LinesSink(url, rest, fps)
    if kind == "livelink":
        host, port = _listener(url, _address(url), livelink.PORT)
        device, clock = livelink.device_id(subject), DayClock(fps)
        return UdpSink(url, host, port, lambda frame: [livelink.encode(frame, subject, device, clock.first(frame))])
    if kind == "vmc":
        address = _address(url, shapes=vmc.SHAPES, case=vmc.CASES)
        host, port = _listener(url, address, vmc.PORT)
        return UdpSink(url, host, port, vmc.Encoder(**address.settings))
    if kind == "osc":
        host, port = _listener(url, _address(url), None)
        return UdpSink(url, host, port, osc.encode, osc.commands, on_command)
    address = _address(url, origin=())
    if importlib.util.find_spec("websockets") is None:
        raise MissingExtra("ws:// needs websockets: install it with  pip install 'duomorph[live]'")
    from duomorph.live.sinks_web import WebSink

    origins = tuple(filter(None, address.settings.get("origin", "").split(",")))
    port = web.PORT if address.port is None else address.port
    return WebSink(url, address.host or "127.0.0.1", port, origins, web.hello(fps, subject), on_command)


def _address(url: str, **known: tuple[str, ...]) -> Address:
    """A URL taken apart; `known` are the settings it may have and their values (any, where none are given)."""
    try:
        parts = urlsplit(url)
        settings = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        found = Address(parts.hostname or "", parts.port, settings)
    except ValueError as problem:
        raise SettingError(f"got the sink {url!r} ({problem}): expected {_KINDS}") from None
    if parts.path not in ("", "/") or parts.fragment or parts.username is not None:
        raise SettingError(f"got the sink {url!r} with more than host and port: expected {_KINDS}")
    for key, value in found.settings.items():
        if key not in known:
            raise SettingError(f"got {key!r} in the sink {url!r}: expected {' or '.join(known) or 'no settings'}")
        if known[key] and value not in known[key]:
            raise SettingError(f"got {key}={value} in the sink {url!r}: expected one of {', '.join(known[key])}")
    return found


def _listener(url: str, address: Address, port: int | None) -> tuple[str, int]:
    """Where datagrams go; 0 is no port that anybody listens on."""
    port = port if address.port is None else address.port
    if not address.host or not port:
        raise SettingError(f"got the sink {url!r}: expected a host and a port, such as 127.0.0.1:9000")
    return address.host, port
