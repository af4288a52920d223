"""Sinks on real sockets of this machine: everything arrives, nobody who is away, slow or mad is felt by the others."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylivelinkface import FaceBlendShape, PyLiveLinkFace
from pythonosc.osc_packet import OscPacket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from duomorph import arkit, formats
from duomorph.errors import DuomorphError, FormatError, LiveError, MissingExtra, SettingError
from duomorph.live import sinks_web
from duomorph.live.sinks import Sink, open_sink
from duomorph.live.sinks_udp import DayClock
from duomorph.live.sinks_web import WebSink
from duomorph.wire import Command, Frame, livelink, messages, osc, vmc, web

FPS = Fraction(60)
PATIENCE_S = 20.0  # a busy machine may take long; a working one never does


def frame(number: int = 0) -> Frame:
    random = np.random.default_rng(number)
    return Frame(number, FPS, random.random(52, np.float32), random.uniform(-1, 1, 9).astype(np.float32))


@contextmanager
def opened(url: str, heard: list[Command] | None = None, subject: str = "Alice") -> Iterator[Sink]:
    with closing(open_sink(url, FPS, subject, ([] if heard is None else heard).append)) as sink:
        yield sink


@contextmanager
def receiver(port: int = 0) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", port))
        line.settimeout(PATIENCE_S)
        yield line


def until(done: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def free_port() -> int:
    with receiver() as line:
        return int(line.getsockname()[1])


# datagrams


def test_livelink_through_a_socket() -> None:
    with receiver() as line, opened(f"livelink://127.0.0.1:{line.getsockname()[1]}") as sink:
        for k in range(5):
            sink.send(frame(k))
        numbers = []
        for k in range(5):
            packet = line.recv(2000)
            found, theirs = PyLiveLinkFace.decode(packet)
            assert found
            assert theirs.name == "Alice"
            ours = frame(k)
            for shape, value in zip(FaceBlendShape, [*ours.weights, *ours.angles], strict=True):
                assert theirs.get_blendshape(shape) == value
            numbers.append(livelink.decode(packet).frame.number)
        assert np.diff(numbers).tolist() == [1, 1, 1, 1]
        assert sink.dropped == 0


def test_livelink_tells_the_time_of_day() -> None:
    """At the first frame of a stream; from then on the sound counts, until a stream begins anew."""
    clock = DayClock(FPS)
    first = clock.first(frame(10))
    now = time.localtime()
    seconds = now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec + 1  # localtime rounds down
    assert (seconds - (first + 10) / 60) % 86_400 < 6
    assert [clock.first(frame(k)) for k in (11, 12, 500)] == [first] * 3
    time.sleep(0.05)
    assert clock.first(frame(0)) >= first + 10 + 3


def test_vmc_through_a_socket() -> None:
    with receiver() as line, opened(f"vmc://127.0.0.1:{line.getsockname()[1]}?shapes=all&case=camel") as sink:
        sink.send(frame(3))
        found: dict[str, float] = {}
        last = ""
        while last != "/VMC/Ext/Blend/Apply":
            for timed in OscPacket(line.recv(2000)).messages:
                last = timed.message.address
                if last == "/VMC/Ext/Blend/Val":
                    name, value = timed.message.params
                    found[name] = value
        assert [found[name] for name in arkit.NAMES] == frame(3).weights.tolist()
        assert set(vmc.PRESET_NAMES) < set(found)
        assert sink.dropped == 0


def test_osc_through_a_socket_and_back() -> None:
    heard: list[Command] = []
    with receiver() as line, opened(f"osc://localhost:{line.getsockname()[1]}", heard) as sink:
        sink.send(frame(9))
        packet, sender = line.recvfrom(2000)
        assert osc.decode(packet, FPS).weights.tolist() == frame(9).weights.tolist()
        for answer in (messages.message("/duomorph/silence"), b"noise", messages.message("/duomorph/reset")):
            line.sendto(answer, sender)
        with receiver() as stranger:  # only whom we talk to may answer
            stranger.sendto(messages.message("/duomorph/reset"), sender)
        sink.send(frame(10))
        assert heard == [Command.SILENCE, Command.RESET]
        assert sink.dropped == 0


def test_localhost_is_reached_where_others_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems name ::1 first; hardly any receiver listens there."""
    real = socket.getaddrinfo

    def sixth_first(host: str, port: int, **kind: int) -> list[object]:
        return [(socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", port, 0, 0)), *real(host, port, **kind)]

    monkeypatch.setattr(socket, "getaddrinfo", sixth_first)
    with receiver() as line, opened(f"osc://localhost:{line.getsockname()[1]}") as sink:
        sink.send(frame(1))
        assert osc.decode(line.recv(2000), FPS).number == 1


@pytest.mark.parametrize("url", ["livelink://127.0.0.1:{}", "vmc://127.0.0.1:{}", "osc://127.0.0.1:{}"])
def test_a_refused_port_is_counted_and_a_late_listener_found(url: str) -> None:
    port = free_port()
    with opened(url.format(port)) as sink:
        for k in range(20):
            sink.send(frame(k))
        if sys.platform == "linux":  # elsewhere nobody may say that the port is closed
            assert 15 <= sink.dropped <= 20
        with receiver(port) as line:
            before = sink.dropped
            for k in range(20, 40):
                sink.send(frame(k))
            assert line.recv(2000)
            assert sink.dropped <= before + 2
        for k in range(40, 50):  # it went away again
            sink.send(frame(k))
        if sys.platform == "linux":
            assert sink.dropped >= before + 8


def test_a_missing_network_is_counted_and_its_return_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as line, opened(f"osc://127.0.0.1:{line.getsockname()[1]}") as sink:
        with monkeypatch.context() as patch:

            def unreachable(*_: object) -> None:
                raise OSError(101, "Network is unreachable")

            patch.setattr(socket.socket, "connect", unreachable)
            for k in range(3):
                sink.send(frame(k))
        assert sink.dropped == 3
        sink.send(frame(3))
        assert osc.decode(line.recv(2000), FPS).number == 3
        assert sink.dropped == 3


def test_a_network_that_is_lost_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as line, opened(f"osc://127.0.0.1:{line.getsockname()[1]}") as sink:
        sink.send(frame(0))
        with monkeypatch.context() as patch:

            def down(*_: object) -> None:
                raise OSError(100, "Network is down")

            patch.setattr(socket.socket, "send", down)
            sink.send(frame(1))
        sink.send(frame(2))
        assert sink.dropped == 1
        line.settimeout(0.2)
        numbers = set()
        with suppress(TimeoutError):
            while True:
                packet = line.recv(2000)
                if b"/duomorph/frame" in packet:
                    numbers.add(osc.decode(packet, FPS).number)
        assert numbers == {0, 2}


@pytest.mark.parametrize("url", ["livelink://127.0.0.1", "vmc://127.0.0.1", "osc://127.0.0.1:9", "ws://:0"])
def test_closing_twice_and_sending_afterwards_harm_nothing(url: str) -> None:
    sink = open_sink(url, FPS, "Alice", print)
    sink.send(frame())
    sink.close()
    sink.send(frame())
    sink.close()


# URLs


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "livelink://HOST"),
        ("unreal://127.0.0.1", "livelink://HOST"),
        ("livelink:127.0.0.1", "livelink://HOST"),
        ("livelink://", "a host and a port"),
        ("osc://127.0.0.1", "a host and a port"),
        ("osc://127.0.0.1:0", "a host and a port"),
        ("vmc://127.0.0.1:99999", "livelink://HOST"),
        ("vmc://127.0.0.1:x", "livelink://HOST"),
        ("vmc://[::1", "livelink://HOST"),
        ("vmc://127.0.0.1/face", "more than host and port"),
        ("ws://me@127.0.0.1", "more than host and port"),
        ("vmc://127.0.0.1?case=upper", "pascal, camel"),
        ("vmc://127.0.0.1?case", "livelink://HOST"),
        ("vmc://127.0.0.1?origin=x", "shapes or case"),
        ("osc://127.0.0.1:9000?x=1", "no settings"),
        ("jsonl://", "jsonl://-"),
    ],
)
def test_bad_urls(url: str, word: str) -> None:
    with pytest.raises(SettingError) as said:
        open_sink(url, FPS, "Alice", print)
    assert word in str(said.value)
    assert "got" in str(said.value)


@pytest.mark.parametrize("subject", ["", "x" * 65, "a\nb", "a\0b"])
def test_bad_subjects(subject: str) -> None:
    with pytest.raises(SettingError, match="subject"):
        open_sink("livelink://127.0.0.1", FPS, subject, print)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".invalid"])
def test_unknown_hosts(host: str) -> None:
    for url in (f"livelink://{host}", f"ws://{host}:0"):
        with pytest.raises(LiveError) as said:
            open_sink(url, FPS, "Alice", print)
        assert host in str(said.value)


@given(st.text(max_size=30), st.sampled_from(["", "livelink://", "vmc://", "osc://", "vmc://127.0.0.1"]))
def test_any_url_is_opened_or_refused(monkeypatch: pytest.MonkeyPatch, rest: str, kind: str) -> None:
    def unknown(*_: object, **__: object) -> None:  # names are not looked up here
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DuomorphError):
        open_sink(kind + rest, FPS, "Alice", print)


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LiveError, match=str(port)):
            open_sink(f"ws://127.0.0.1:{port}", FPS, "Alice", print)


def test_without_websockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other sinks need nothing."""
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'duomorph\[live\]'"):
        open_sink("ws://:0", FPS, "Alice", print)
    open_sink("vmc://127.0.0.1", FPS, "Alice", print).close()


def test_only_this_machine_unless_told_otherwise() -> None:
    with opened("ws://:0") as sink:
        assert sink._socket.getsockname()[0] == "127.0.0.1"  # type: ignore[attr-defined]


# JSON lines


def test_lines_to_a_file_are_a_take(tmp_path: Path) -> None:
    path = tmp_path / "take.jsonl"
    with opened(f"jsonl://{path}") as sink:
        for k in range(100):
            sink.send(frame(k))
    assert sink.dropped == 0
    clip = formats.read(path)
    assert (len(clip), clip.fps) == (100, FPS)
    np.testing.assert_array_equal(clip.weights[57], frame(57).weights)
    np.testing.assert_array_equal(clip.angles[57], frame(57).angles)


def test_a_file_is_written_anew_with_the_first_frame(tmp_path: Path) -> None:
    """Not before: another sink may not open, and the old take would be lost for nothing."""
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old.write_text("a take\n" * 100)
    for path in (old, new):
        open_sink(f"jsonl://{path}", FPS, "Alice", print).close()
    assert old.read_text() == "a take\n" * 100
    assert not new.exists()
    with opened(f"jsonl://{old}") as sink:
        sink.send(frame(0))
    assert len(formats.read(old)) == 1


@pytest.mark.parametrize("path", ["no/such/folder.jsonl", "a\0b.jsonl"])
def test_lines_to_nowhere(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match="cannot write"):
        open_sink(f"jsonl://{path}", FPS, "Alice", print)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without space")
def test_a_full_disk_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("duomorph.live.sinks_lines._STDOUT", full)
    with opened("jsonl://-") as sink:
        sink.send(frame(0))
        until(lambda: not sink._open, "the first line fails")  # type: ignore[attr-defined]
        for k in range(1, 10):
            sink.send(frame(k))
    os.close(full)
    assert sink.dropped >= 10


PRINTER = """
import sys
from fractions import Fraction
import numpy as np
from duomorph.live.sinks import open_sink
from duomorph.wire import Frame
sink = open_sink("jsonl://-", Fraction(60), "Alice", print)
for k in range(int(sys.argv[1])):
    sink.send(Frame(k, Fraction(60), np.full(52, 0.25, np.float32), np.zeros(9, np.float32)))
sink.close()
print(sink.dropped, file=sys.stderr)
"""


def printer(frames: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRINTER, str(frames)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_lines_through_a_pipe() -> None:
    out, errors = printer(200).communicate(timeout=PATIENCE_S * 3)
    head, *rows = map(json.loads, out.splitlines())
    assert head["names"] == list(arkit.NAMES)
    assert [row["timestamp"] for row in rows] == [k / 60 for k in range(200)]
    assert errors.split() == [b"0"]


@pytest.mark.parametrize("how", ["gone", "asleep"])
def test_a_reader_of_the_pipe_that_leaves_or_sleeps_stops_nothing(how: str) -> None:
    with printer(3000) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        if how == "gone":
            program.stdout.close()
        assert program.wait(PATIENCE_S * 3) == 0
        assert int(program.stderr.read()) > 2000


# the WebSocket


@pytest.fixture
def heard() -> list[Command]:
    return []


@pytest.fixture
def server(heard: list[Command]) -> Iterator[WebSink]:
    with opened("ws://:0?origin=https://stage.example", heard) as sink:
        assert isinstance(sink, WebSink)
        yield sink


def client(server: WebSink, path: str = "", **options: object) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}/{path}", compression=None, open_timeout=PATIENCE_S, **options)  # type: ignore[arg-type]


def test_a_client_reads_hello_and_frames(server: WebSink) -> None:
    with client(server) as one, client(server) as two:
        until(lambda: server.clients == 2, "both are there")
        for each in (one, two):
            said = web.read_hello(str(each.recv(PATIENCE_S)))
            assert said == web.Hello("Alice", FPS, arkit.NAMES, arkit.ANGLES)
        for k in range(50):
            server.send(frame(k))
            for each in (one, two):
                found = web.decode(each.recv(PATIENCE_S), FPS)  # type: ignore[arg-type]
                assert found.number == k
                np.testing.assert_array_equal(found.weights, frame(k).weights)
    assert server.dropped == 0
    until(lambda: server.clients == 0, "both have left")


def test_who_asks_is_told_when_it_was_heard_and_nothing_waits_for_the_last_packet(server: WebSink) -> None:
    with client(server, "?heard") as one, client(server) as two:
        until(lambda: server.clients == 2, "both are there")
        one.recv(PATIENCE_S), two.recv(PATIENCE_S)
        server.send(dataclasses.replace(frame(), heard=1763892000.125))
        assert web.decode(one.recv(PATIENCE_S), FPS).heard == 1763892000.125  # type: ignore[arg-type]
        assert web.decode(two.recv(PATIENCE_S), FPS).heard is None  # type: ignore[arg-type]
    assert server._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_commands_arrive(server: WebSink, heard: list[Command]) -> None:
    with client(server) as one:
        one.send('{"command": "silence"}')
        one.send(b'{"command": "reset"}')
        until(lambda: len(heard) == 2, "both commands are heard")
    assert heard == [Command.SILENCE, Command.RESET]


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        (None, None, True),
        ("http://localhost:8000", None, True),
        ("http://127.0.0.1:3000", None, True),
        ("http://[::1]:3000", None, True),
        ("https://stage.example", None, True),
        ("http://192.168.7.7:8000", "192.168.7.7:8765", True),
        ("http://192.168.7.7:8000", None, False),
        ("https://evil.example", None, False),
        ("https://evil.example", "evil.example:8765", False),
        ("http://localhost.evil.example", None, False),
        ("http://127.0.0.1.evil.example", None, False),
        ("https://stage.example.evil.example", None, False),
        ("http://stage.example", None, False),
        ("null", None, False),
        ("file://", None, False),
        ("http://[", None, False),
        ("", None, False),
    ],
)
def test_origins(server: WebSink, origin: str | None, host: str | None, welcome: bool) -> None:
    """Pages from elsewhere are refused, also when their own name has been made to point to this machine."""
    headers = {} if origin is None else {"Origin": origin}
    answer = shake_hands(server, {"Host": host or f"127.0.0.1:{server.port}", **headers})
    assert answer.split()[1] == (b"101" if welcome else b"403")


def shake_hands(server: WebSink, headers: dict[str, str]) -> bytes:
    """The status line that answers a request to open a WebSocket."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as line:
        head = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        line.sendall(
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{head}\r\n".encode()
        )
        return line.recv(100).splitlines()[0]


def test_a_page_from_elsewhere_is_told(server: WebSink) -> None:
    with pytest.raises(InvalidStatus), client(server, origin="https://evil.example"):
        pass


def test_there_is_room_for_so_many(server: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks_web, "MOST_CLIENTS", 2)
    with client(server) as one, client(server) as two:
        until(lambda: server.clients == 2, "both are there")
        with client(server) as three, pytest.raises(ConnectionClosed) as said:
            three.recv(PATIENCE_S)
        assert said.value.rcvd is not None
        assert said.value.rcvd.code == 1013
        assert one.recv(PATIENCE_S)
        two.close()
        until(lambda: server.clients == 1, "one has left")
        with client(server) as three:
            assert web.read_hello(str(three.recv(PATIENCE_S)))


@pytest.mark.alone
def test_a_slow_client_loses_frames_and_nobody_else_does(server: WebSink) -> None:
    """One never reads: half a second is kept for it and no more; the other gets every frame."""
    with client(server) as good, socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(HANDSHAKE)
        until(lambda: server.clients == 2, "both are there")
        good.recv(PATIENCE_S)
        sent, slowest = 500, 0.0
        for k in range(sent):
            begun = time.thread_time()
            server.send(frame(k))
            slowest = max(slowest, time.thread_time() - begun)
            assert web.decode(good.recv(PATIENCE_S), FPS).number == k  # type: ignore[arg-type]
        kept = sinks_web.MOST_UNDERWAY + sinks_web.MOST_WAITING
        until(lambda: server.dropped >= sent - kept, "the rest is dropped")
        assert slowest < 0.05
    until(lambda: server.clients == 0, "both have left")


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.fixture(scope="module")
def crowded() -> Iterator[tuple[WebSink, ClientConnection]]:
    """A server, and a well-behaved client that is there all the time."""
    with opened("ws://:0") as sink:
        assert isinstance(sink, WebSink)
        with client(sink) as good:
            good.recv(PATIENCE_S)
            yield sink, good


@given(st.binary(max_size=300), st.sampled_from([b"", HANDSHAKE]))
@settings(max_examples=60)
def test_raw_noise_closes_that_client_only(
    crowded: tuple[WebSink, ClientConnection], noise: bytes, before: bytes
) -> None:
    server, good = crowded
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as mad, suppress(ConnectionError):
        mad.sendall(before + noise)
    still_served(server, good)


@given(st.text(max_size=1200) | st.binary(max_size=1200) | st.recursive(
    st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
).map(json.dumps))  # fmt: skip
@settings(max_examples=60)
def test_messages_that_are_no_commands_close_that_client_only(
    crowded: tuple[WebSink, ClientConnection], message: str | bytes
) -> None:
    server, good = crowded
    with client(server) as mad, suppress(ConnectionClosed):
        mad.recv(PATIENCE_S)
        mad.send(message)
        with pytest.raises(ConnectionClosed) as said:
            mad.recv(PATIENCE_S)
        assert said.value.rcvd is not None
        assert said.value.rcvd.code in (1007, 1008, 1009)
    still_served(server, good)


def still_served(server: WebSink, good: ClientConnection) -> None:
    server.send(frame(5))
    assert web.decode(good.recv(PATIENCE_S), FPS).number == 5  # type: ignore[arg-type]


def test_a_message_too_long_closes_that_client(server: WebSink) -> None:
    with client(server) as mad:
        mad.recv(PATIENCE_S)
        with suppress(ConnectionClosed):
            mad.send('{"command": "reset", "padding": "' + "x" * 100_000 + '"}')
        with pytest.raises(ConnectionClosed) as said:
            mad.recv(PATIENCE_S)
        assert said.value.rcvd is not None
        assert said.value.rcvd.code == 1009


def test_strangers_without_number_are_hung_up(server: WebSink, capfd: pytest.CaptureFixture[str]) -> None:
    """Who says nothing may stay for a while, but only so many, and a client is served beside them."""
    with ExitStack() as stack:
        one = stack.enter_context(client(server))
        assert one.recv(PATIENCE_S)  # hello
        strangers = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(100)]

        def hung_up(line: socket.socket) -> bool:
            try:
                return line.recv(1, socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        until(lambda: sum(map(hung_up, strangers)) >= 101 - sinks_web.MOST_LINES, "too many are open")
        assert not all(map(hung_up, strangers))
        server.send(frame(7))
        assert web.decode(one.recv(PATIENCE_S), FPS).number == 7  # type: ignore[arg-type]
    assert capfd.readouterr().err == ""


def test_killed_clients_are_forgotten(server: WebSink) -> None:
    script = (
        "import sys, time\nfrom websockets.sync.client import connect\n"
        f"line = connect('ws://127.0.0.1:{server.port}')\nline.recv()\nprint('here', flush=True)\ntime.sleep(99)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as program, client(server) as good:
        assert program.stdout is not None
        assert program.stdout.readline() == b"here\n"
        until(lambda: server.clients == 2, "both are there")
        good.recv(PATIENCE_S)
        program.kill()
        for k in range(200):
            server.send(frame(k))
            assert web.decode(good.recv(PATIENCE_S), FPS).number == k  # type: ignore[arg-type]
        until(lambda: server.clients == 1, "the killed one is forgotten")


@pytest.mark.alone
def test_a_flood_of_commands_is_heard_at_its_pace(server: WebSink, heard: list[Command]) -> None:
    stop = threading.Event()

    def flood(line: ClientConnection) -> None:
        with suppress(ConnectionClosed, TimeoutError):
            while not stop.is_set():
                line.send('{"command": "silence"}')

    with client(server, close_timeout=1) as mad, client(server) as good:
        thread = threading.Thread(target=flood, args=(mad,))
        thread.start()
        good.recv(PATIENCE_S)
        begun = time.monotonic()
        for k in range(30):
            server.send(frame(k))
            assert web.decode(good.recv(PATIENCE_S), FPS).number == k  # type: ignore[arg-type]
            time.sleep(0.01)
        assert 0 < len(heard) <= (time.monotonic() - begun) / sinks_web.COMMAND_S + 10
        stop.set()
        mad.socket.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_closing_takes_leave() -> None:
    before = threading.active_count()
    with opened("ws://:0") as sink:
        assert isinstance(sink, WebSink)
        with client(sink) as one:
            one.recv(PATIENCE_S)
            sink.close()
            with pytest.raises(ConnectionClosed) as said:
                one.recv(PATIENCE_S)
    assert said.value.rcvd is not None
    assert said.value.rcvd.code == 1001
    assert threading.active_count() == before


@pytest.mark.alone
def test_closing_waits_for_no_client(server: WebSink) -> None:
    """Neither for one that does not read nor for one that has much to say."""
    with socket.create_connection(("127.0.0.1", server.port)) as slow, client(server) as talkative:
        slow.sendall(HANDSHAKE)
        until(lambda: server.clients == 2, "both are there")
        talkative.recv(PATIENCE_S)
        with suppress(ConnectionClosed):
            for _ in range(2000):
                talkative.send('{"command": "silence"}')
        begun = time.monotonic()
        server.close()
        assert time.monotonic() - begun < 5
