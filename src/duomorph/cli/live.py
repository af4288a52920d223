"""`duomorph live`: a voice in, faces in other programs move.

One promise: however it is asked to end, the last frames go out and a take is kept whole.

    duomorph live --sink livelink://127.0.0.1
    duomorph live --mic USB --sink vmc://127.0.0.1 --sink ws:// --profile balanced
    tts | duomorph live - --rate 24000 --sink osc://127.0.0.1:9000
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from duomorph.cli import Verbs, _add_model, _add_shaping, _Progress, _shaping
from duomorph.clock import PROFILES
from duomorph.errors import SettingError

if TYPE_CHECKING:
    from duomorph.live import Live, Source
    from duomorph.live.sinks import Sink

METER_S: Final = 0.2
HANG_UP: Final = getattr(signal, "SIGHUP", None)  # Windows has none


def add_live(verbs: Verbs) -> None:
    """A voice, now."""
    about = "microphone, file or pipe to avatars, now (needs duomorph[live])"
    verb = verbs.add_parser("live", help=about, allow_abbrev=False)
    verb.add_argument("pipe", metavar="-", nargs="?", help="read raw 16-bit sound from standard input")
    verb.add_argument("--mic", metavar="NAME", help="microphone: number, name or part of it (default: the system's)")
    verb.add_argument("--file", metavar="FILE", type=Path, help="play a sound file in real time instead")
    verb.add_argument("--rate", type=int, metavar="HZ", help="of the pipe (default 16000) or the microphone (its own)")
    verb.add_argument("--channels", type=int, default=1, metavar="N", help="of the pipe (1)")
    verb.add_argument("--list-devices", action="store_true", help="print the microphones and stop")
    sinks = "where frames go, several allowed: livelink://HOST, vmc://HOST, osc://HOST:PORT, ws://, jsonl://FILE"
    verb.add_argument("--sink", metavar="URL", action="append", default=[], help=f"{sinks}; see docs/live.md")
    verb.add_argument("--subject", metavar="NAME", default="duomorph", help="name of the face (duomorph)")
    verb.add_argument("--fps", default="60", help="frames a second, 24 to 120 (60)")
    profiles = ", ".join(f"{name} {delay:g}" for name, delay in PROFILES.items())
    verb.add_argument("--profile", choices=PROFILES, default="live", help=f"ms of sound to wait for: {profiles} (live)")
    verb.add_argument("--delay-ms", type=float, metavar="MS", help="the same as a number, 0 to 200; more is better")
    verb.add_argument("--style", metavar="NAME", help="whose way of speaking; see duomorph info")
    verb.add_argument("--record", metavar="FOLDER", help="keep sound and curves as a take of this data set")
    _add_model(verb)
    _add_shaping(verb, "calm; off with --record")
    verb.set_defaults(run=_live, idle=None)


def _live(arguments: argparse.Namespace) -> int:
    from duomorph import clock, load
    from duomorph.live import Live
    from duomorph.live.record import Recorder
    from duomorph.live.sinks import open_sink
    from duomorph.memory import steady

    if arguments.list_devices:
        return _list_devices()
    fps = clock.frame_rate(arguments.fps)
    delay_ms = PROFILES[arguments.profile] if arguments.delay_ms is None else arguments.delay_ms
    clock.delay_ticks(delay_ms)  # before the slow part
    arguments.idle = arguments.idle or ("off" if arguments.record else "calm")  # a take is what was heard
    shaping = _shaping(arguments)
    if not arguments.sink and not arguments.record:
        raise SettingError("nobody would see the face: expected --sink or --record; try --sink livelink://127.0.0.1")
    steady()
    face = load(arguments.model)
    style = arguments.style or face.info().provenance.default_style
    face.stream(fps, delay_ms, style, shaping)  # only to have the style checked, before ports and devices are taken
    with ExitStack() as stack:
        progress = stack.enter_context(_Progress())
        signals = stack.enter_context(_Signals())  # first, for a take is kept last: nothing may end us before
        source = _source(arguments, progress)
        stack.callback(source.close)
        recorder = Recorder(arguments.record, arguments.subject, style, fps) if arguments.record else None
        take = stack.enter_context(recorder).add if recorder else _forget
        live = Live(source, fps, face=face, delay_ms=delay_ms, style=style, shaping=shaping, take=take)
        sinks = [
            stack.enter_context(closing(open_sink(url, fps, arguments.subject, live.command)))
            for url in arguments.sink
        ]  # fmt: skip
        signals.stop = live.stop
        _say(progress, f"hearing {source.name} at {source.rate} Hz, {1e3 * live.latency().total_s:.0f} ms behind it")
        _send(live, sinks, progress)
    stats = live.stats
    _say(progress, f"{stats.frames} frames, {_losses(live, sinks)}")
    if recorder and recorder.entry:
        told = f"{Path(arguments.record) / recorder.entry.curves}  {recorder.entry.frames} frames"
        print(told, file=sys.stderr if "jsonl://-" in arguments.sink else sys.stdout, flush=True)
    if signals.came:
        raise KeyboardInterrupt
    return 0


def _send(live: Live, sinks: list[Sink], progress: _Progress) -> None:
    """Every frame to every sink; now and then the meter."""
    gone: deque[float] = deque(maxlen=2 * round(live.fps))  # moments of the last frames
    shown = 0.0
    for frame in live:
        for sink in sinks:
            sink.send(frame)
        now = time.monotonic()
        gone.append(now)
        if now - shown < METER_S:
            continue
        shown, stats = now, live.stats
        rate = (len(gone) - 1) / max(gone[-1] - gone[0], 1e-3)
        late_ms = 1e3 * (live.latency().total_s + stats.late_s)
        bar = "#" * max(0, round((stats.level_db + 60) / 5))
        progress.show(
            f"{bar:12} {max(stats.level_db, -99):4.0f} dB  {rate:5.1f} fps  {late_ms:3.0f} ms  {_losses(live, sinks)}"
        )


def _losses(live: Live, sinks: list[Sink]) -> str:
    """What did not get through; each thing only where there is some of it."""
    stats, source = live.stats, live.source
    parts = [f"{stats.dropped} dropped"]
    parts += [f"{sink.dropped} lost by {sink.name}" for sink in sinks if sink.dropped]
    parts += [f"{source.xruns} lost by the sound card"] if source.xruns else []
    parts += [f"{stats.skipped_s:.1f} s skipped"] if stats.skipped_s else []
    parts += [f"{source.idle_s:.1f} s without sound"] if source.idle_s else []
    return ", ".join(parts)


def _source(arguments: argparse.Namespace, progress: _Progress) -> Source:
    from duomorph.clock import SAMPLE_RATE
    from duomorph.live import File, Pipe
    from duomorph.live.microphone import Microphone

    if (arguments.pipe or "-") != "-":
        raise SettingError(f"got {arguments.pipe!r}: expected - for standard input; for a file write --file FILE")
    if sum(given is not None for given in (arguments.pipe, arguments.mic, arguments.file)) > 1:
        raise SettingError("got several sources: expected one of --mic, --file and -; leave the others out")
    if arguments.file:
        for url in arguments.sink:
            if os.path.realpath(url.removeprefix("jsonl://")) == os.path.realpath(arguments.file):
                raise SettingError(f"the sink {url!r} is the input: expected another file; the sound would be lost")
        if arguments.rate is not None or arguments.channels != 1:
            raise SettingError("got --rate or --channels for a file: expected them with - alone; leave them out")
        return File(arguments.file)
    if arguments.pipe:
        if sys.stdin is None:
            raise SettingError("got - but standard input is closed: expected sound there; pipe a program's into it")
        return Pipe(sys.stdin.fileno(), SAMPLE_RATE if arguments.rate is None else arguments.rate, arguments.channels)
    return Microphone(arguments.mic, arguments.rate, lambda text: _say(progress, text))


def _list_devices() -> int:
    from duomorph.live.microphone import devices

    found = devices()
    if not found:
        print("duomorph: got no microphone: expected one; plug it in, or use --file or -", file=sys.stderr)
    for device in found:
        mark = "*" if device.default else " "
        print(f"{mark}{device.index:3}  {device.name}  ({device.system}, {device.channels} channels, {device.rate} Hz)")
    return 0


def _say(progress: _Progress, text: str) -> None:
    progress.clear()
    print(f"duomorph: {text}", file=sys.stderr, flush=True)


def _forget(sound: object, frames: object) -> None:
    """Where nothing is recorded."""


class _Signals:
    """Ctrl-C, the system's request to end and a terminal that is closed let the last frames out and the take be kept,
    however often they come. Who said `nohup` is obeyed."""

    def __init__(self) -> None:
        self.came = False
        self.stop: Callable[[], None] = _interrupt  # until there is something that can be stopped
        self._terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def __enter__(self) -> Self:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if HANG_UP and signal.getsignal(HANG_UP) != signal.SIG_IGN:
            numbers.append(HANG_UP)
        self._before = {number: signal.signal(number, self._heard) for number in numbers}
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, where: object) -> None:
        if number == HANG_UP:  # whatever we still say to a closed terminal would be an error
            for terminal in self._terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), terminal)
        self.came = True
        self.stop()


def _interrupt() -> None:
    raise KeyboardInterrupt
