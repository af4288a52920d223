"""The verb live: sources, takes, Ctrl-C, and one sentence for every mistake."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from command import refused
from duomorph import audio, formats
from duomorph.cli import main
from duomorph.cli.live import _Signals
from duomorph.dataset import manifest
from duomorph.live.record import Recorder
from duomorph.wire import Frame

pytestmark = pytest.mark.alone


@pytest.fixture
def second(tmp_path: Path, sample: Path) -> Path:
    """A second of speech."""
    soundfile.write(tmp_path / "second.wav", audio.read(sample)[16000:32000], 16000)
    return tmp_path / "second.wav"


@pytest.fixture(autouse=True)
def heard_hang_up() -> Iterator[None]:
    """What we start hears a terminal close: under nohup the signal is ignored, and children inherit that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL) if os.name == "posix" else None
    yield
    if os.name == "posix":
        signal.signal(signal.SIGHUP, before)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_to_lines_and_a_take(second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["live", "--file", str(second), "--sink", f"jsonl://{tmp_path}/out.jsonl", "--fps", "30"]
    assert main([*command, "--record", str(tmp_path / "takes"), "--subject", "anna", "--delay-ms", "33"]) == 0
    said = capsys.readouterr()
    assert "hearing second.wav at 16000 Hz" in said.err
    assert "frames" in said.err.splitlines()[-1]
    (entry,) = manifest.read(tmp_path / "takes")
    assert (entry.speaker, entry.frames, entry.duration_s, entry.fps) == ("anna", 30, 1.0, 30)
    assert said.out == f"{tmp_path / 'takes' / entry.curves}  30 frames\n"
    np.testing.assert_array_equal(audio.read(tmp_path / "takes" / entry.audio), audio.read(second))
    offline = tmp_path / "offline.npz"
    assert main(["animate", str(second), "-o", str(offline), "--delay-ms", "33", "--style", entry.style]) == 0
    taken, made = formats.read(tmp_path / "takes" / entry.curves), formats.read(offline)
    np.testing.assert_allclose(taken.weights, made.weights, atol=1e-5)
    sent = formats.read(tmp_path / "out.jsonl")
    assert len(sent) <= 30
    main(["data", "check", str(tmp_path / "takes")])
    assert "damaged" not in capsys.readouterr().out


def test_a_pipe(second: Path, tmp_path: Path) -> None:
    sound = np.stack([audio.read(second)] * 2, axis=1)
    command = [sys.executable, "-m", "duomorph", "live", "-", "--channels", "2", "--record", str(tmp_path / "takes")]
    data = (sound * 32767).astype("<i2").tobytes()
    done = subprocess.run(command, input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (entry,) = manifest.read(tmp_path / "takes")
    heard = audio.read(tmp_path / "takes" / entry.audio)
    begin = np.flatnonzero(heard)[0] - np.flatnonzero(audio.read(second))[0]
    np.testing.assert_allclose(heard[begin : begin + 16000], audio.read(second), atol=1e-4)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_end_comes_by_signal(sample: Path, tmp_path: Path, name: str) -> None:
    """And the take is kept whole."""
    command = [sys.executable, "-m", "duomorph", "live", "--file", str(sample), "--record", str(tmp_path / "takes")]
    process = subprocess.Popen([*command, "--sink", "jsonl://-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    while b"timestamp" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "duomorph: stopped"
    (entry,) = manifest.read(tmp_path / "takes")
    assert 0.3 < entry.duration_s < 8
    assert entry.frames == -(-round(entry.duration_s * 16000) * 60 // 16000)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_second_signal_does_not_cost_the_take(sample: Path, tmp_path: Path) -> None:
    """It comes while the take is put away, as long as that takes."""
    slow = (
        "import os, signal, sys; from duomorph.cli import main; from duomorph.live.record import Recorder;"
        "poses = Recorder._poses; Recorder._poses = lambda self:"
        " (os.kill(os.getpid(), signal.SIGINT), os.kill(os.getpid(), signal.SIGTERM), poses(self))[2];"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", slow, "live", "--file", str(sample), "--record", str(tmp_path / "takes")]
    process = subprocess.Popen([*command, "--sink", "jsonl://-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    while b"timestamp" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130
    (entry,) = manifest.read(tmp_path / "takes")
    assert entry.curves in said.decode(), "where it is; standard output has lines of JSON and nothing else"
    assert all(line.startswith(b"{") for line in out.splitlines()[1:])


@pytest.mark.skipif(os.name != "posix", reason="needs terminals")
def test_the_terminal_is_closed(sample: Path, tmp_path: Path) -> None:
    """Nothing can be said any more, and the take is kept."""
    program = (
        "import fcntl, sys, termios; from duomorph.cli import main; fcntl.ioctl(2, termios.TIOCSCTTY, 0);"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "live", "--file", str(sample), "--record", str(tmp_path / "takes")]
    master, terminal = os.openpty()
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    while b" fps " not in os.read(master, 1024):  # the meter runs
        assert process.poll() is None
    os.close(master)
    assert process.wait(30) == 130
    (entry,) = manifest.read(tmp_path / "takes")
    assert 0 < entry.duration_s < 8


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_who_said_nohup_is_not_ended() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with _Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
    assert not signals.came
    signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_writer_that_stays_keeps_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "duomorph", "live", "-", "--sink", "jsonl://-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(bytes(16000))
        process.stdin.flush()
        while b"timestamp" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130


@pytest.mark.skipif(os.name != "posix", reason="needs descriptors")
@pytest.mark.parametrize(("closed", "code"), [(0, 1), (1, 0)])
def test_standard_input_or_output_is_closed(second: Path, tmp_path: Path, closed: int, code: int) -> None:
    program = f"import os, sys; os.close({closed}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    source = ["--file", str(second)] if closed else ["-"]
    command = ["-m", "duomorph", "live", *source, "--sink", "jsonl://-", "--record", str(tmp_path / "takes")]
    done = subprocess.run([sys.executable, "-c", program, *command], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert closed or "standard input is closed" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a limit for files, which stands for a full disk")
def test_a_disk_that_is_full(sample: Path, tmp_path: Path) -> None:
    program = (
        "import resource, sys; from duomorph.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384)); sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "live", "--file", str(sample), "--record", str(tmp_path / "takes")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("duomorph: cannot keep the sound of the take")
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == []


def test_a_take_of_hours_is_small(tmp_path: Path) -> None:
    """The numbers of its frames and little else."""
    still = np.zeros(9, np.float32)
    with Recorder(tmp_path, "anna", "grid", Fraction(60)) as take:
        tracemalloc.start()
        for number in range(6000):
            rows = np.full((1, 52), 0.5, np.float32)
            take.add(np.zeros(0, np.float32), [Frame(number, Fraction(60), row, still) for row in rows])
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        take.add(np.zeros(1600000, np.float32), [])
    assert held < 1.3 * 6000 * 61 * 4


def recorded(folder: Path, ended_by: BaseException) -> None:
    """A tenth of a second of sound and two faces; those between them were skipped."""
    weights = np.full((2, 52), [[0.2], [0.6]], np.float32)
    with Recorder(folder, "anna", "grid", Fraction(60)) as take:
        still = np.zeros(9, np.float32)
        faces = [Frame(0, Fraction(60), weights[0], still), Frame(4, Fraction(60), weights[1], still)]
        take.add(np.zeros(1600, np.float32), faces)
        raise ended_by


def test_a_take_is_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        recorded(tmp_path, RuntimeError())
    assert names(tmp_path) == []
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path, KeyboardInterrupt())
    (entry,) = manifest.read(tmp_path)
    curves = formats.read(tmp_path / entry.curves)
    np.testing.assert_allclose(curves["jawOpen"], [0.2, 0.3, 0.4, 0.5, 0.6, 0.6], atol=1e-6)
    assert names(tmp_path) == sorted([entry.audio, entry.curves, manifest.NAME])


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--file", "SOUND"], "--sink"),
        (["--file", "missing.wav", "--sink", "vmc://127.0.0.1"], "missing.wav"),
        (["--file", "SOUND", "--sink", "carrier-pigeon://"], "carrier-pigeon"),
        (["--file", "SOUND", "-", "--sink", "vmc://127.0.0.1"], "several sources"),
        (["--file", "SOUND", "--sink", "vmc://127.0.0.1", "--fps", "5"], "24 to 120"),
        (["--file", "SOUND", "--sink", "vmc://127.0.0.1", "--delay-ms", "900"], "0 to 200"),
        (["--file", "SOUND", "--sink", "vmc://127.0.0.1", "--style", "pirate"], "expected one of"),
        (["--file", "SOUND", "--sink", "vmc://127.0.0.1", "--profile", "dead"], "live"),
        (["--file", "SOUND", "--sink", "vmc://127.0.0.1", "--intensity", "-1"], "0 to 3"),
        (["-", "--rate", "12", "--sink", "vmc://127.0.0.1"], "sample rate"),
        (["-", "--channels", "0", "--sink", "vmc://127.0.0.1"], "channels"),
        (["--file", "SOUND", "--sink", "jsonl://SOUND"], "is the input"),
        (["SOUND", "--sink", "vmc://127.0.0.1"], "--file"),
        (["--mic", "no such thing", "--sink", "vmc://127.0.0.1"], "microphone"),
    ],
)
def test_mistakes(
    second: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    word: str,
) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        said = refused(capsys, "live", *(flag.replace("SOUND", str(second)) for flag in flags))
    assert word in said


def test_a_taken_port_is_said_before_anything_moves(second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = second.with_name("old.jsonl")
    old.write_text("a take")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sinks = [f"jsonl://{old}", f"ws://127.0.0.1:{taken.getsockname()[1]}"]
        assert sinks[1] in refused(capsys, "live", "--file", second, "--sink", sinks[0], "--sink", sinks[1])
    assert old.read_text() == "a take"


def test_without_sounddevice(second: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "duomorph[live]" in refused(capsys, "live", "--sink", "vmc://127.0.0.1")
    assert "duomorph[live]" in refused(capsys, "live", "--list-devices")
