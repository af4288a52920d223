"""Small models, and models that take sound themselves: the curves of the one that ships, in every runtime we can get.

They are made from the graph that ships, which tests/test_network.py shows to be what an export anew gives.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import duomorph as dm
from command import refused
from conftest import WEB
from duomorph import arkit
from duomorph.cli import main
from duomorph.clock import MAX_DELAY, ROW_RATE, SAMPLE_RATE, TICK_RATE, end_sample
from duomorph.errors import ModelError
from duomorph.mel import MelConfig, log_mel
from duomorph.model import export
from duomorph.model.config import LONG, MANY
from duomorph.model.engine import Engine
from duomorph.model.network import Network

EXAMPLES = Path(__file__).parents[1] / "examples"
RESULT = Path(__file__).parents[1] / "benchmarks" / "results" / "int8.json"
WINDOW = MelConfig.window
NAMES = ("duomorph-int8", "duomorph-fp16", "duomorph-sound", "duomorph-sound-int8")


@pytest.fixture(scope="session")
def shipped(face: dm.Face) -> Path:
    return Path(face.info().path)


@pytest.fixture(scope="session")
def models(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NAMES, written by the command."""
    folder = tmp_path_factory.mktemp("models")
    for arguments in (["onnx-int8"], ["onnx-fp16"], ["onnx", "--sound"], ["onnx-int8", "--sound"]):
        command = ["export", str(shipped.with_suffix(".safetensors")), "-o", str(folder), "--format", *arguments]
        assert main(command) == 0
    return folder


# -- fewer bytes


@pytest.mark.parametrize(
    ("name", "most_bytes", "mean", "most"), [("int8", 2.5e6, 5e-4, 0.03), ("fp16", 4e6, 2e-5, 2e-3)]
)
def test_a_small_model_gives_the_same_face(
    models: Path, face: dm.Face, speech: np.ndarray, name: str, most_bytes: float, mean: float, most: float
) -> None:
    small = dm.load(models / f"duomorph-{name}.onnx")
    assert small.info().megabytes * 1e6 <= most_bytes
    off = np.abs(small.animate(speech, fps=60).weights - face.animate(speech, fps=60).weights)
    assert 0 < off.mean() <= mean
    assert off.max() <= most


def test_a_small_model_streams_as_it_animates(models: Path, speech: np.ndarray) -> None:
    small = dm.load(models / "duomorph-int8.onnx")
    stream = small.stream(fps=60, delay_ms=100)
    frames = [stream.feed(speech[at : at + 200]) for at in range(0, len(speech), 200)]
    whole = small.animate(speech, fps=60).weights
    np.testing.assert_allclose(np.concatenate([*frames, stream.finish()]), whole, atol=1e-5)


def test_a_small_model_is_checked_like_any_other(
    models: Path, shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "small.onnx"
    shutil.copy(models / "duomorph-int8.onnx", copy)
    with pytest.raises(ModelError, match="lacks its weights"):
        Engine.open(copy)
    beside = tmp_path / "duomorph-int8.safetensors"  # the name inside
    copy = copy.rename(tmp_path / "duomorph-int8.onnx")
    data = bytearray((models / beside.name).read_bytes())
    data[-1] ^= 1
    beside.write_bytes(data)
    with pytest.raises(ModelError, match="does not belong"):
        Engine.open(copy)
    sound = models / "duomorph-sound.onnx"
    with pytest.raises(ModelError, match="exported without --sound"):
        Engine.open(sound)
    again = ["export", models / "duomorph-int8.safetensors", "-o", tmp_path / "again"]
    assert "expected those that they were made from" in refused(capsys, *again)
    assert not (tmp_path / "again").exists()


def test_bars_of_small_models(face: dm.Face) -> None:
    result = json.loads(RESULT.read_text())
    assert result["weights_sha256"] == face.info().weights_sha256
    shipped, small = result["models"]["fp32"], result["models"]["int8"]
    assert small["bytes"] <= 2.5e6
    assert small["mae"] - shipped["mae"] <= 0.0005
    assert shipped["r_jawOpen"] - small["r_jawOpen"] <= 0.005
    assert small["from_shipped_mean"] <= 0.01


# -- sound in


def held(model: Engine, sound: np.ndarray, delay: int, style: int) -> np.ndarray:
    """(n, 52) at 60 fps: Python's curves with the emotion vector held at its mean."""
    neutral = np.tile(np.array(model.provenance.neutral, np.float32), (1, 3))
    ticks = -(-len(sound) * TICK_RATE // SAMPLE_RATE) + delay
    silence = np.zeros(max(0, end_sample(ticks, TICK_RATE) - len(sound)), np.float32)
    mel = log_mel(np.concatenate([sound, silence]))[:ticks]
    weights = model.step(mel, neutral, np.zeros(ticks, np.int64), style, delay, model.start())
    return weights[delay:]


def windows(sound: np.ndarray, ticks: int) -> np.ndarray:
    """(N, 2, 400) what each row hears."""
    ends = np.array([end_sample(row, ROW_RATE) for row in range(-1, 2 * ticks - 1)])
    padded = np.pad(sound, (2 * WINDOW, max(0, ends[-1] - len(sound))))
    return padded[(2 * WINDOW + ends - WINDOW)[:, None] + np.arange(WINDOW)].reshape(ticks, 2, WINDOW)


class Ears:
    """A model with ears, called as a program in another language does."""

    def __init__(self, path: Path) -> None:
        self.session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.sizes = {one.name: one.shape[1:] for one in self.session.get_inputs() if one.name.startswith("state_")}
        self.outputs = ["weights", *(name.replace("state_", "next_") for name in self.sizes)]

    def __call__(
        self,
        sound: np.ndarray,
        delay: Sequence[int],
        style: Sequence[int],
        cuts: Sequence[int],
        functionals: np.ndarray,
        stride: int = 1,
    ) -> np.ndarray:
        """(B, N, 2, 400) -> (B, N / stride, 52), in calls of so many ticks; the functionals go into the first."""
        state = {name: np.zeros((len(sound), *size), np.float32) for name, size in self.sizes.items()}
        out, at = [], 0
        for cut in cuts:
            given = {
                "sound": sound[:, at : at + cut],
                "functionals": functionals[:, : None if at == 0 else 0],
                "style": np.array(style),
                "delay": np.array(delay),
                "stride": np.array([stride]),
            }
            weights, *after = self.session.run(self.outputs, given | state)
            state = dict(zip(state, after, strict=True))
            out.append(weights)
            at += cut
        assert at == sound.shape[1]
        return np.concatenate(out, axis=1)


@pytest.fixture(scope="session")
def ears(models: Path) -> Ears:
    return Ears(models / "duomorph-sound.onnx")


@pytest.fixture(scope="session")
def engine(shipped: Path) -> Engine:
    return Engine.open(shipped)


TICKS = 120
NOTHING = np.zeros((1, 0, 264), np.float32)


@given(big=st.lists(st.sampled_from([1, 2, MANY, LONG]), max_size=12), delay=st.integers(0, MAX_DELAY))
@settings(max_examples=12)
def test_sound_in_gives_the_curves_of_python(
    ears: Ears, engine: Engine, speech: np.ndarray, big: list[int], delay: int
) -> None:
    fitting, left = [], TICKS
    for cut in big:
        fitting += [cut] * (cut <= left)
        left -= cut * (cut <= left)
    given = windows(speech, TICKS)[None]
    found = ears(given, [delay], [1], [*fitting, *[1] * left], NOTHING)[0, delay:]
    np.testing.assert_allclose(found, held(engine, speech, delay, 1)[: TICKS - delay], atol=1e-5)


def test_every_second_tick_alone_is_the_same(ears: Ears, engine: Engine, speech: np.ndarray) -> None:
    """The last of every two, which is what 30 fps shows."""
    found = ears(windows(speech, TICKS)[None], [7], [1], [MANY, MANY, *[2] * (MANY // 2)], NOTHING, stride=2)[0]
    np.testing.assert_allclose(found[3:], held(engine, speech, 7, 1)[: TICKS - 7 : 2], atol=1e-5)


def test_int8_with_ears_is_int8_without(models: Path, speech: np.ndarray) -> None:
    assert (models / "duomorph-sound-int8.onnx").stat().st_size <= 2.5e6
    small = Engine.open(models / "duomorph-int8.onnx")
    given = windows(speech, TICKS)[None]
    found = Ears(models / "duomorph-sound-int8.onnx")(given, [6], [0], [MANY] * 3, NOTHING)
    np.testing.assert_allclose(found[0, 6:], held(small, speech, 6, 0)[: TICKS - 6], atol=1e-5)


def test_voices_in_a_batch_do_not_hear_each_other(ears: Ears, speech: np.ndarray) -> None:
    two = np.stack([windows(speech, MANY), windows(0.1 * speech[::-1], MANY)])
    both = ears(two, [2, 5], [0, 1], [MANY], np.repeat(NOTHING, 2, axis=0))
    for row, (delay, style) in enumerate(((2, 0), (5, 1))):
        alone = ears(two[row : row + 1], [delay], [style], [MANY], NOTHING)
        np.testing.assert_allclose(both[row : row + 1], alone, atol=1e-6)


def test_functionals_are_held_from_the_call_that_brings_them(ears: Ears, engine: Engine, speech: np.ndarray) -> None:
    voice = np.tile(np.array(engine.provenance.neutral, np.float32), (1, 3)) * 1.3
    found = ears(windows(speech, MANY + 1)[None], [2], [0], [MANY, 1], voice[None])
    mel = log_mel(speech)[: MANY + 1]
    wanted = engine.step(mel, voice, np.zeros(MANY + 1, np.int64), 0, 2, engine.start())
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)
    assert np.abs(wanted[2:] - held(engine, speech, 2, 0)[: MANY - 1]).max() > 1e-3


def test_a_caller_is_told_what_it_has_to_know(models: Path, ears: Ears, engine: Engine) -> None:
    told = json.loads((models / "duomorph-sound-int8.json").read_text())
    assert told["shapes"] == list(arkit.NAMES)
    assert told["styles"][told["styles"].index(told["style"])] == engine.provenance.default_style
    assert {f"state_{name}": size for name, size in told["state"].items()} == ears.sizes
    assert tuple(told["neutral"]) == engine.provenance.neutral


# -- in other languages


@pytest.fixture(scope="session")
def wav(speech: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """The speech as a plain wav file, and as it stands there."""
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    soundfile.write(path, speech, SAMPLE_RATE, subtype="PCM_16")
    return path, soundfile.read(path, dtype="float32")[0]


@pytest.mark.alone
def test_a_browser_gives_the_curves_of_python(
    browser: tuple[str, str], models: Path, wav: tuple[Path, np.ndarray]
) -> None:
    node, chromium = browser
    small, (path, sound) = Engine.open(models / "duomorph-int8.onnx"), wav
    model, style = models / "duomorph-sound-int8", small.config.styles.index(small.provenance.default_style)
    command = [node, WEB / "speak.mjs", chromium, EXAMPLES / "browser", model, path, "33", small.config.styles[0]]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["told"].startswith("181 frames")
    assert found["heard"] == "listening"
    np.testing.assert_allclose(found["page"], held(small, sound, 6, style), atol=1e-3)
    for size, frames in found["chunks"].items():
        np.testing.assert_allclose(frames, held(small, sound, 2, 0), atol=1e-3, err_msg=f"chunks of {size} samples")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C example, compiled."""
    if any(shutil.which(name) is None for name in ("cc", "make", "npm")):
        pytest.skip("needs a C compiler, make and npm: apt-get install gcc make npm")
    home = EXAMPLES / "c"
    if not (home / "ort").is_dir():
        fetch = ["make", "-C", str(home), "ort", f"PYTHON={sys.executable}"]
        done = subprocess.run(fetch, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"ONNX Runtime's headers and library were not to be had: {done.stderr.strip()[-200:]}")
    folder = tmp_path_factory.mktemp("c")
    for name in ("duomorph.c", "Makefile"):
        shutil.copy(home / name, folder)
    make = ["make", "-C", str(folder), f"ORT={home / 'ort'}"]
    done = subprocess.run(make, capture_output=True, text=True, env={**os.environ, "CFLAGS": "-Werror"}, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "duomorph"


def test_c_gives_the_curves_of_python(program: Path, models: Path, wav: tuple[Path, np.ndarray]) -> None:
    small, (path, sound) = Engine.open(models / "duomorph-int8.onnx"), wav
    style = small.config.styles.index(small.provenance.default_style)
    for ms, delay in ((0, 0), (33, 2), (200, 12)):
        command = [program, models / "duomorph-sound-int8.onnx", path, str(ms)]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        head, *rows = done.stdout.splitlines()
        assert head == ",".join(["time", *arkit.NAMES])
        found = np.array([row.split(",") for row in rows], dtype=np.float64)
        np.testing.assert_allclose(found[:, 0], np.arange(len(rows)) / TICK_RATE, atol=1e-6)
        np.testing.assert_allclose(found[:, 1:], held(small, sound, delay, style), atol=1e-3)


def test_c_says_what_it_cannot_use(program: Path, models: Path, wav: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    loud, model = tmp_path / "44k.wav", models / "duomorph-sound-int8.onnx"
    soundfile.write(loud, np.zeros(4410), 44_100, subtype="PCM_16")
    for arguments, sentence in (
        ([], "usage"),
        ([model, loud], "expected 16 kHz, mono, 16 bits"),
        ([model, model], "expected a wav file"),
        ([model, wav[0], "300"], "expected 0 to 200 ms"),
        ([models / "duomorph-fp16.onnx", wav[0]], "expected one written by  duomorph export --sound"),
    ):
        done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr


PTE = """
import json, sys
import numpy as np, torch
from executorch.runtime import Runtime
model, sound, delay, style, out = sys.argv[1:]
told = json.load(open(model.replace(".pte", ".json")))
program = Runtime.get().load_program(model)
known = {name: torch.zeros(1, *size) for name, size in told["state"].items()}
known |= {"style": torch.tensor([int(style)]), "delay": torch.tensor([int(delay)])}
known["functionals"] = torch.tensor(told["neutral"]).repeat(3)[None, None]
curves = []
methods = {name: program.load_method(name) for name in told["methods"]}
def call(name):
    names = told["methods"][name]
    given = [known[one] for one in names["inputs"]]
    known.update({one: part.clone() for one, part in zip(names["outputs"], methods[name].execute(given))})
call("mood")
for windows in torch.from_numpy(np.load(sound)):
    known["sound"] = windows[None, None]
    call("tick")
    curves.append(known["weights"][0, 0].numpy())
np.save(out, np.stack(curves))
"""


def test_executorch_gives_the_curves_of_python(
    shipped: Path, engine: Engine, speech: np.ndarray, tmp_path: Path
) -> None:
    pytest.importorskip("executorch", reason="needs executorch: pip install 'duomorph[mobile]'")
    weights = shipped.with_suffix(".safetensors")
    command = [sys.executable, "-m", "duomorph", "export", weights, "-o", tmp_path, "--format", "executorch"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    model, sound, out = tmp_path / "duomorph.pte", tmp_path / "sound.npy", tmp_path / "curves.npy"
    assert done.stdout.splitlines()[-1] == str(model)
    assert model.stat().st_size <= 8.2e6
    np.save(sound, windows(speech, TICKS))
    for delay, style in ((2, 0), (6, 1)):
        command = [sys.executable, "-c", PTE, model, sound, str(delay), str(style), out]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        found = np.load(out)[delay:]
        np.testing.assert_allclose(found, held(engine, speech, delay, style)[: TICKS - delay], atol=1e-3)


def test_a_form_of_ones_own_takes_the_graph_beside_its_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever kind is asked for: another form would be traced for minutes."""
    asked = []

    def known(network: Network, like: Path | None) -> None:
        asked.append(like)
        raise ModelError("enough")

    monkeypatch.setattr(export, "to_onnx", known)
    weights = Path(dm.load().info().path).with_suffix(".safetensors")
    for kind, sound in (("onnx", False), ("onnx-int8", False), ("onnx-fp16", True)):
        with pytest.raises(ModelError, match="enough"):
            export.write(*export.load_model(weights), tmp_path, kind, sound, weights)
    assert asked == [weights.with_suffix(".onnx")] * 3
