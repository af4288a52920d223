"""Where live frames go: Unreal, avatars, OSC, browsers, a pipe; one URL each.

One promise: `send` never blocks and never raises because somebody is away; what did not get out is counted.

    sink = open_sink("livelink://192.168.1.20", Fraction(60), "Alice", on_command=print)
    sink.send(frame)
    sink.close()
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from duomorph.errors import SettingError
from duomorph.wire import Command, Frame


class Sink(Protocol):
    """One place that gets every frame.

    Attributes:
        name: the URL as the user wrote it, for messages.
        dropped: frames that did not get out, so far.
    """

    name: str
    dropped: int

    def send(self, frame: Frame) -> None:
        """Hand a frame over. Never blocks, never raises."""

    def close(self) -> None:
        """Free ports, files and threads; harmless when called again."""


def open_sink(url: str, fps: Fraction, subject: str, on_command: Callable[[Command], None]) -> Sink:
    """The sink that a URL names: `livelink://HOST[:11111]`, `vmc://HOST[:39539]`, `osc://HOST:PORT`,
    `ws://[HOST][:8765]`, `jsonl://PATH` or `jsonl://-`.

    Args:
        fps: of the frames to come.
        subject: name of the face, where the protocol has one.
        on_command: hears what listeners ask for, from any thread; must return at once and not raise.
    Raises:
        SettingError: no such URL. LiveError: the host is unknown, or the port or file cannot be had.
    """
    raise SettingError(f"got the sink {url!r}: expected livelink, vmc, osc, ws or jsonl; see docs/live.md")
