"""The real way in: a sound server's null sink as the microphone, through PortAudio, into the real program."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from duomorph import audio, formats
from duomorph.dataset import manifest

pytestmark = pytest.mark.alone

NEEDED = ("pulseaudio", "pactl", "paplay", "parec")


class Server:
    """A PulseAudio of our own, whose only device is a null sink."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{folder}/native",
            "PULSE_SINK": "duomorph",
            "PULSE_SOURCE": "duomorph.monitor",
        }
        self.start()

    def start(self) -> None:
        socket = f"module-native-protocol-unix socket={self.folder}/native auth-anonymous=1"
        sink = "module-null-sink sink_name=duomorph rate=48000"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes"]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, f"--load={socket}", f"--load={sink}"], env=self.environment, stdout=log, stderr=log
            )
        self.there = until(self.answers, 5)
        # A null sink on which nobody asks for less works in blocks of two seconds.
        self.hurry = subprocess.Popen(
            ["parec", "--latency-msec=5", "--device=duomorph.monitor"],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def answers(self) -> bool:
        asked = subprocess.run(["pactl", "info"], env=self.environment, capture_output=True)
        return asked.returncode == 0

    def stop(self) -> None:
        for process in (self.hurry, self.process):
            process.terminate()
            process.wait(10)


def until(true: object, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing or not importlib.util.find_spec("sounddevice"):
        pytest.skip(f"needs {', '.join(missing) or 'sounddevice'}: apt install pulseaudio pulseaudio-utils")
    (tmp_path / "pulse").mkdir()
    server = Server(tmp_path)
    try:
        if not server.there:
            pytest.skip("needs a PulseAudio that starts: " + (tmp_path / "log").read_text()[-200:])
        seen = run(server, "live", "--list-devices")
        if "pulse" not in seen.stdout:
            pytest.skip(f"needs PortAudio and its way to PulseAudio: libportaudio2 libasound2-plugins; {seen.stderr}")
        yield server
    finally:
        server.stop()


def run(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "duomorph", *arguments]
    return subprocess.run(command, env=server.environment, capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def listening(server: Server, said: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program at work, its messages in a file; ended by Ctrl-C."""
    with said.open("w") as errors:
        command = [sys.executable, "-m", "duomorph", "live", "--mic", "pulse", *arguments]
        process = subprocess.Popen(command, env=server.environment, stderr=errors, stdout=subprocess.DEVNULL)
    try:
        assert until(lambda: "hearing" in said.read_text() or process.poll() is not None, 30)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()


def test_speech_through_the_sound_server_moves_the_mouth(server: Server, sample: Path, tmp_path: Path) -> None:
    said, takes = tmp_path / "said", tmp_path / "takes"
    with listening(server, said, "--record", str(takes), "--subject", "anna", "--sink", "jsonl://-") as process:
        time.sleep(1)  # of silence
        subprocess.run(["paplay", str(sample)], env=server.environment, check=True, timeout=60)
        time.sleep(1)
    assert process.returncode == 130
    assert said.read_text().splitlines()[-1] == "duomorph: stopped"
    (entry,) = manifest.read(takes)
    assert (entry.speaker, entry.fps) == ("anna", 60)
    heard, spoken = audio.read(takes / entry.audio), audio.read(sample)
    assert len(heard) / 16000 > 9
    size = 1 << 20
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(spoken, size)), size)
    assert match.max() > 0.5 * np.square(spoken).sum(), "what was played is what was heard"
    jaw = formats.read(takes / entry.curves)["jawOpen"]
    begin = int(match.argmax()) * 60 // 16000
    assert jaw[: begin - 6].max() < 0.08, "silence before"
    assert jaw[begin : begin + 8 * 60].max() > 0.2, "speech"


def test_a_lost_microphone_is_waited_for(server: Server, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with listening(server, said, "--sink", f"jsonl://{tmp_path}/frames.jsonl") as process:
        time.sleep(1)
        server.stop()
        assert until(lambda: "is lost" in said.read_text(), 10)
        time.sleep(1)
        server.start()
        assert until(lambda: "is back" in said.read_text(), 15)
        time.sleep(1)
        assert process.poll() is None
    assert process.returncode == 130
