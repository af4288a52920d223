"""What is measured is what is there: buffers are found, memory is a process's own and flat, the JSON is whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import duomorph as dm
from duomorph import bench, footprint
from duomorph.cli import main
from duomorph.errors import DuomorphError
from test_readme import example

pytestmark = pytest.mark.alone


def test_buffers_are_found_once_and_whole(face: dm.Face) -> None:
    stream = face.stream(60)
    kept = footprint.buffers(stream)
    assert kept["emotion.track.ring"] == stream._emotion._track._ring.nbytes
    assert {name.partition(".")[0] for name in kept} >= {"mel", "emotion", "state"}
    assert sum(size for name, size in kept.items() if name.startswith("state.sets.")) == 2 * sum(
        part.nbytes for part in face._engine.start().now.values()
    )
    block = np.zeros(1000)
    stream._unheard = block[:10]  # a view keeps all of it alive
    stream.extra = [block[10:20]]  # type: ignore[attr-defined]  # and it is there only once
    more = footprint.buffers(stream)
    assert more["unheard"] == block.nbytes
    assert "extra.0" not in more


def test_a_voice_stays_as_large_as_it_is(face: dm.Face, sample: Path) -> None:
    stream, sizes = face.stream(60, delay_ms=17), []
    room = sum(part.nbytes for part in stream._state.now.values())  # of the state's second set, for the next call
    sound = bench.speech(44, sample)
    for number, begin in enumerate(range(0, len(sound), 533)):
        stream.feed(sound[begin : begin + 533])
        if number % 7 == 0:
            sizes.append(sum(footprint.buffers(stream).values()))
    assert max(sizes) - room < 1_100_000
    assert max(sizes[len(sizes) // 2 :]) <= 1.02 * max(sizes[: len(sizes) // 2])


def test_memory_of_animate_does_not_grow(tmp_path: Path) -> None:
    peaks = []
    for seconds in (30, 120):
        soundfile.write(tmp_path / "in.wav", bench.speech(seconds, None), 16_000)
        command = ("animate", str(tmp_path / "in.wav"), "-o", str(tmp_path / "out.csv"), "--fps", "60")
        peaks.append(footprint.peak_memory_mb(*command))
    assert peaks[1] <= 160
    assert peaks[1] <= peaks[0] + 12  # 52 curves of 90 s are 1 MB, their text 4 MB, the sound 6 MB


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(DuomorphError, match="does not exist"):
        footprint.peak_memory_mb("animate", str(tmp_path / "no.wav"), "-o", str(tmp_path / "out.csv"))


def test_bench_writes_its_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--seconds", "5", "--json", str(tmp_path / "b.json")]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == json.loads((tmp_path / "b.json").read_text())
    assert last["cold_start"]["import_s"] < last["cold_start"]["least_s"] <= last["cold_start"]["first_frame_s"]
    stages = list(last["memory_stages_mb"].values())
    assert stages == sorted(stages)
    assert 5 < stages[0] < last["peak_memory_of_mb"]["live"] <= 160
    assert last["peak_memory_mb"] <= 160
    assert set(last["cost_by_length"]) == {"10", "60"}
    assert last["model_bytes"]["duomorph.safetensors"] > 4 * last["parameters"]
    assert 0 < last["rtf_30"] < 1
    assert 0 < last["all_threads"]["rtf_60"] < 1


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: dm.Face) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", bench.speech(1, None), 16_000)
    example("duomorph.footprint", face=face)
    assert (tmp_path / "talk.csv").is_file()
