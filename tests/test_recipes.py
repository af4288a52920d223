"""Recipes, run as a user runs them: a corpus becomes a data set of ours, and a second run changes nothing."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

import duomorph as dm
from command import RECIPES, run_recipe
from duomorph import arkit, corpus, formats
from duomorph.dataset import check, manifest, split
from duomorph.train import config
from lips import filmed, speech


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpora in the forms of GRID and FACEGOOD, two takes of each held out in GRID, one in FACEGOOD."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    grid, facegood = root / "grid_s1", root / "facegood"
    for folder in (grid, facegood):
        (folder / "audio").mkdir(parents=True)
    clips = [*corpus.held_out()["grid_s1"][:2], "toy1", "toy2", "toy3"]
    for clip in clips:
        soundfile.write(grid / "audio" / f"{clip}.opus", rng.normal(0, 0.1, 48000), 16000, format="OGG", subtype="OPUS")
    lips = [filmed(speech(75, seed)) for seed in range(len(clips))]
    marks = np.stack([take.marks for take in lips]) + np.array([0, 0, 0.5])
    shapes = ["_neutral", *(name for name in sorted(arkit.NAMES) if name != "tongueOut")]
    np.savez(
        grid / "faces.npz",
        clip=np.array(clips),
        shape=np.array(shapes),
        weights=rng.random((len(clips), 75, len(shapes))).astype(np.float16) * 0.01,
        lips_u16=np.round(marks * 65535).astype(np.uint16),
        lips_index=lips[0].index,
        head=np.stack([take.head for take in lips]).astype(np.float32),
        size=np.array([360, 288]),
        fps=np.array(25.0),
    )
    for take in (corpus.held_out()["facegood"][0], "1114_9_01"):
        soundfile.write(facegood / "audio" / f"{take}.flac", rng.normal(0, 0.1, 32000), 16000)
        np.savez(
            facegood / f"{take}.npz",
            weights=rng.random((60, 2)).astype(np.float32) * 0.1,
            shape=np.array(["jawOpen", "mouthFunnel"]),
            extra=np.full((60, 2), 0.5, np.float32),
            extra_shape=np.array(["mouth_oh_c", "mouth_oo_c"]),
            fps=np.array(30.0),
        )
    return root


def test_grid_becomes_two_styles(toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    done = run_recipe("grid.py", toy, "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "5 clips in two styles, 2 of them held out (split.json)\n"
    entries = {entry.id: entry for entry in manifest.read(out)}
    assert len(entries) == 10
    held = corpus.held_out()["grid_s1"][:2]
    assert split.held_out(out) == {f"s1_{name}{style}" for name in held for style in ("", ".restored")}
    raw, wide = entries["s1_toy1"], entries["s1_toy1.restored"]
    assert (raw.style, wide.style) == ("grid", "grid_restored")
    assert raw.audio == wide.audio
    assert raw.licence == wide.licence == "CC BY 4.0"
    assert {entry.speaker for entry in entries.values()} == {"grid_s1"}
    assert raw.fps == Fraction(25)
    assert "tongueOut" not in raw.captured
    assert len(raw.captured) == 51
    assert "Cooke" in raw.source
    assert "talker s1" in raw.source
    assert wide.source.endswith("range restored from the lips")
    before, after = formats.read(out / raw.curves), formats.read(out / wide.curves)
    take = next(take for take in _takes(toy) if take.name == "toy1")
    np.testing.assert_allclose(before.weights, take.weights, atol=1e-6)
    np.testing.assert_allclose(after["jawOpen"], before["jawOpen"], atol=1e-6)
    assert before["mouthFunnel"].std() < 0.01 < after["mouthFunnel"].std()
    manifest_before = (out / "manifest.jsonl").read_bytes()
    assert run_recipe("grid.py", toy, "-o", out).returncode == 0
    assert (out / "manifest.jsonl").read_bytes() == manifest_before


def _takes(toy: Path) -> list[corpus.Take]:
    return list(corpus.SOURCES["grid_s1"].read(toy / "grid_s1"))


def test_what_is_held_out_is_not_fitted_on(toy: Path, tmp_path: Path) -> None:
    """Held-out lips that are torn about leave every other clip as it was."""
    assert run_recipe("grid.py", toy, "-o", tmp_path / "one").returncode == 0
    torn = tmp_path / "corpus" / "grid_s1"
    torn.mkdir(parents=True)
    (torn / "audio").symlink_to(toy / "grid_s1" / "audio")
    with np.load(toy / "grid_s1" / "faces.npz") as faces:
        arrays = dict(faces)
    for row, clip in enumerate(arrays["clip"]):
        if clip in corpus.held_out()["grid_s1"]:
            arrays["lips_u16"][row] = arrays["lips_u16"][row][::-1] // 2 + 16384
    np.savez(torn / "faces.npz", **arrays)
    assert run_recipe("grid.py", tmp_path / "corpus", "-o", tmp_path / "two").returncode == 0
    one, two = (
        {entry.id: entry.checksum["curves"] for entry in manifest.read(tmp_path / name)} for name in ("one", "two")
    )
    changed = {id for id in one if one[id] != two[id]}
    assert changed == {f"s1_{name}.restored" for name in corpus.held_out()["grid_s1"][:2]}


def test_facegood_comes_with_its_fold(toy: Path, tmp_path: Path) -> None:
    done = run_recipe("facegood.py", toy, "-o", tmp_path / "facegood")
    assert done.returncode == 0, done.stderr
    entries = {entry.id: entry for entry in manifest.read(tmp_path / "facegood")}
    take = entries["1114_9_01"]
    assert (take.speaker, take.session, take.style, take.licence) == ("facegood", "1114_9", "facegood", "MIT")
    assert take.captured == ("jawOpen", "mouthFunnel")
    assert take.fps == Fraction(30)
    clip = formats.read(tmp_path / "facegood" / take.curves)
    with np.load(toy / "facegood" / "1114_9_01.npz") as solve:
        np.testing.assert_allclose(clip["jawOpen"], solve["weights"][:, 0], atol=1e-6)
        np.testing.assert_allclose(clip["mouthFunnel"], solve["weights"][:, 1] + 0.35, atol=1e-6)
    assert split.held_out(tmp_path / "facegood") == {corpus.held_out()["facegood"][0]}


def test_one_data_set_of_both(toy: Path, tmp_path: Path) -> None:
    for recipe in ("grid.py", "facegood.py"):
        assert run_recipe(recipe, toy, "-o", tmp_path / "both").returncode == 0
    assert {entry.style for entry in manifest.read(tmp_path / "both")} == {"grid", "grid_restored", "facegood"}
    assert len(split.held_out(tmp_path / "both")) == 5
    assert check.check(tmp_path / "both").fatal == 0


@pytest.mark.parametrize("recipe", ["grid.py", "facegood.py"])
def test_without_a_corpus_one_sentence(recipe: str, tmp_path: Path) -> None:
    done = run_recipe(recipe, None, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{recipe}: no corpus")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.corpus
def test_videos_become_the_same_two_styles(corpus: Path, ffmpeg: str, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    model = corpus / "models" / "face_landmarker.task"
    done = run_recipe("grid.py", None, "-o", tmp_path / "out", "--videos", corpus / "fixtures", "--landmarker", model)
    assert done.returncode == 0, done.stderr
    entries = {entry.id: entry for entry in manifest.read(tmp_path / "out")}
    assert sorted(entries) == ["s1_bbaf2n", "s1_bbaf2n.restored", "s1_lwik9s", "s1_lwik9s.restored"]
    with np.load(corpus / "grid_s1" / "faces.npz") as faces:
        row = [str(name) for name in faces["clip"]].index("bbaf2n")
        jaw = faces["weights"][row, :, [str(name) for name in faces["shape"]].index("jawOpen")]
    clip = formats.read(tmp_path / "out" / entries["s1_bbaf2n.restored"].curves)
    assert np.corrcoef(clip["jawOpen"], jaw)[0, 1] > 0.95
    both = [formats.read(tmp_path / "out" / entries[f"s1_{name}.restored"].curves) for name in ("bbaf2n", "lwik9s")]
    assert np.concatenate([clip["mouthFunnel"] for clip in both]).std() == pytest.approx(0.1, rel=0.01)


def test_what_nobody_speaks_rests(tmp_path: Path) -> None:
    noise = tmp_path / "corpus" / "noise"
    noise.mkdir(parents=True)
    for k, name in enumerate(["rain_1-2-A", "sea_waves_1-3-A", "hall", "wind"]):
        sound = np.random.default_rng(k).normal(0, 0.1, 24000)
        soundfile.write(noise / f"{name}.opus", sound, 16000, format="OGG", subtype="OPUS")
    (noise / "torn.opus").write_bytes(b"OggS")
    done = run_recipe("unspoken.py", noise.parent, "-o", tmp_path / "made", "--pieces", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "5 sounds, 1 of them held out (split.json)\n"
    assert "left out" in done.stderr
    assert "torn.opus" in done.stderr
    entries = {entry.id: entry for entry in manifest.read(tmp_path / "made")}
    assert {name: entry.licence for name, entry in entries.items()} == {
        "rain_1-2-A": "CC BY 3.0", "sea_waves_1-3-A": "CC BY 3.0", "hall": "CC BY 4.0", "wind": "CC BY 4.0",
        "music-0": "CC0 1.0",
    }  # fmt: skip
    tune, _ = soundfile.read(tmp_path / "made" / entries["music-0"].audio)
    assert 0.05 < np.abs(tune).max() <= 1
    clip = formats.read(tmp_path / "made" / entries["music-0"].curves)
    assert len(clip) == 15 * 60
    assert clip.weights.max() == 0
    assert split.held_out(tmp_path / "made") == {"music-0"}


def test_the_settings_of_the_shipped_weights_are_settings() -> None:
    settings = config.read(RECIPES / "shipped.toml", [])
    assert settings.data[:2] == ("grid_s1", "facegood")
    assert settings.train.epochs == 8


def test_the_mean_of_two_trainings(tmp_path: Path) -> None:
    """Of the weights that ship and of the same with an output twice as large, at a share of one half: 1.5 times."""
    torch = pytest.importorskip("torch")
    from duomorph.model.export import export, load_model

    shipped = Path(dm.load().info().path).with_suffix(".safetensors")
    network, told = load_model(shipped)
    one = {name: value.clone() for name, value in network.named_parameters()}
    with torch.no_grad():
        network.out.mul_(2)
    export(network, told, tmp_path / "b" / "duomorph.onnx")
    other = tmp_path / "b" / "duomorph.safetensors"
    ran = run_recipe("mean.py", None, shipped, other, "--share", "0.5", "-o", tmp_path)
    assert ran.returncode == 0, ran.stderr
    mean, said = load_model(tmp_path / "duomorph.safetensors")
    for name, value in mean.named_parameters():
        torch.testing.assert_close(value, one[name] * (1.5 if name == "out" else 1))
    assert said.runs[:-1] == told.runs
    assert json.loads(said.runs[-1])["mean"]["share"] == 0.5
    ran = run_recipe("mean.py", None, shipped, other, "--share", "0.5", "--seldom", "-o", tmp_path / "c")
    assert ran.returncode == 0, ran.stderr
    outputs = load_model(tmp_path / "c" / "duomorph.safetensors")[0].out / one["out"]
    for shape, times in (("jawOpen", 1.5), ("mouthPucker", 1.5), ("tongueOut", 2), ("mouthFrownLeft", 2)):
        torch.testing.assert_close(outputs[dm.arkit.INDEX[shape]], torch.full((64,), float(times)))
    for bad in ((shipped, other, "--share", "1.5"), (shipped, tmp_path / "none.safetensors", "--share", "0.5")):
        refused = run_recipe("mean.py", None, *bad, "-o", tmp_path / "bad")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "expected" in refused.stderr
        assert not (tmp_path / "bad").exists()
    assert dm.load(tmp_path / "duomorph.onnx").animate(np.zeros(16000, np.float32)).weights.shape == (30, 52)
