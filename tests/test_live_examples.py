"""The examples run: a text-to-speech program gets a face, and what the pages say is so."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from duomorph import arkit, audio, formats
from duomorph.live.sinks import open_sink
from duomorph.wire import vmc, web

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PROTOCOLS = (ROOT / "docs" / "live-protocols.md").read_text(encoding="utf-8")

SPEAKER = """
import sys
import numpy as np
from duomorph import audio
assert "Hello" in sys.stdin.read()
sys.stdout.buffer.write((audio.read(sys.argv[1])[:32000] * 32767).astype("<i2").tobytes())
"""


def speak(take: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "tts_pipe.py"), *options, "--sink", f"jsonl://{take}"]
    return subprocess.run(command, input="Hello there.\n", capture_output=True, text=True, timeout=100)


def test_any_program_that_writes_sound_gets_a_face(sample: Path, tmp_path: Path) -> None:
    done = speak(
        tmp_path / "take.jsonl",
        "--tts",
        shlex.join([sys.executable, "-c", SPEAKER, str(sample)]),
        "--rate",
        "16000",
    )
    assert done.returncode == 0, done.stderr
    clip = formats.read(tmp_path / "take.jsonl")
    seconds = min(2.0, len(audio.read(sample)) / 16_000)
    assert len(clip) > 30 * seconds  # a busy machine drops some at the end
    assert clip["jawOpen"].max() - clip["jawOpen"].min() > 0.1


def test_espeak_gets_a_face(tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng: on Debian  apt-get install espeak-ng")
    done = speak(tmp_path / "take.jsonl")
    assert done.returncode == 0, done.stderr
    clip = formats.read(tmp_path / "take.jsonl")
    assert clip["jawOpen"].max() - clip["jawOpen"].min() > 0.05


@pytest.mark.parametrize("program", ["false", "true"])
def test_a_program_that_says_nothing(program: str, tmp_path: Path) -> None:
    done = speak(tmp_path / "take.jsonl", "--tts", program)
    assert (done.returncode, "expected sound" in done.stderr) == ((1, True) if program == "false" else (0, False))
    assert "Traceback" not in done.stderr


def test_every_sink_that_examples_name_is_one() -> None:
    pages = [path.read_text(encoding="utf-8") for path in EXAMPLES.iterdir() if path.is_file()]
    urls = {url for page in pages for url in re.findall(r"(?:livelink|vmc|osc|ws)://[^\s`'\"<,]*", page)}
    assert len(urls) > 8
    for url in urls:
        here = re.sub("^ws://.*", "ws://:0", url)  # the port may be taken
        open_sink(here, Fraction(60), "Alice", print).close()


def test_the_table_of_presets_is_the_one_in_use() -> None:
    for name, terms in vmc.PRESETS.items():
        written = re.search(rf"^\| {name} \| (.*) \|$", PROTOCOLS, re.M)
        assert written is not None
        parts = re.findall(r"([+−]?) ?([\d.]+) ?([a-zA-Z]*)", written[1])
        assert {shape: float(f"{sign.replace('−', '-')}{gain}") for sign, gain, shape in parts} == terms


def test_the_layouts_of_the_browser_page() -> None:
    """The numbers that a browser counts on stand in the page as they stand in the codec's documentation."""
    page = (EXAMPLES / "threejs.html").read_text(encoding="utf-8")
    assert "getUint32(4, true)" in page
    assert "Float32Array(data, 16, 52)" in page
    assert f"ws://127.0.0.1:{web.PORT}" in page
    hello = json.loads(web.hello(Fraction(60), "Alice"))
    assert hello["names"] == list(arkit.NAMES)
