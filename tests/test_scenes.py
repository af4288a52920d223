"""Curves on a character: what is played is what the clip says, whatever its shapes are called; what lacks is said."""

from __future__ import annotations

import json
import struct
import sys
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import characters
import duomorph as dm
from command import refused
from duomorph import arkit, scenes
from duomorph.cli import SCENES, main
from duomorph.clip import Clip
from duomorph.errors import FormatError, SettingError
from duomorph.footprint import peak_memory_mb
from duomorph.scenes import gltf
from duomorph.scenes.thin import kept
from duomorph.wire import vmc
from test_fuzz import damage
from test_head import Figure
from test_readme import example

INDEX = arkit.INDEX


@pytest.fixture(scope="module")
def spoken(face: dm.Face, sample: Path) -> Clip:
    """The sample at 30 fps."""
    return face.animate(sample, fps=30)


def only(frames: int = 4, **values: float) -> Clip:
    weights = np.zeros((frames, 52), np.float32)
    for name, value in values.items():
        weights[1:, INDEX[name]] = value
    return Clip(weights, Fraction(30))


def played(path: Path, times: np.ndarray, kind: str = "weights") -> dict[str, np.ndarray]:
    """What the animation shows at these times, by node; read as the specification says."""
    document, buffer = gltf.unpack(path.read_bytes())
    (animation,) = [found for found in document["animations"] if found["name"] == "Duomorph"]
    shown = {}
    for channel in animation["channels"]:
        if channel["target"]["path"] != kind:
            continue
        sampler = animation["samplers"][channel["sampler"]]
        assert sampler["interpolation"] == "LINEAR"
        keys = gltf.numbers(document, buffer, sampler["input"])[:, 0]
        assert all(one < two for one, two in pairwise(keys))
        values = gltf.numbers(document, buffer, sampler["output"]).reshape(len(keys), -1)
        node = document["nodes"][channel["target"]["node"]]["name"]
        shown[node] = np.stack([np.interp(times, keys, column) for column in values.T], 1)
    return shown


@given(
    st.integers(0, 60), st.integers(1, 4), st.sampled_from([0.0, 0.003, 0.01, 0.1]), st.booleans(), st.integers(0, 99)
)
def test_thinned_curves_stay_within_the_tolerance(
    frames: int, curves: int, tolerance: float, apart: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(0, 0.03, (frames, curves)), 0) * rng.integers(0, 2, curves)
    written = values + rng.uniform(-0.002, 0.002, values.shape) * (tolerance > 0.002)
    keys = kept(values, written, tolerance, apart)
    assert keys.shape == ((frames, curves) if apart else (frames,))
    for column in range(curves if frames else 0):
        own = np.flatnonzero(keys[:, column] if apart else keys)
        line = np.interp(np.arange(frames), own, written[own, column])
        assert np.abs(line - values[:, column]).max() <= tolerance + 1e-9
        assert {own[0], own[-1]} == {0, frames - 1}


def test_what_straight_lines_tell_is_left_out() -> None:
    ramp = np.linspace(0, 1, 100)[:, None]
    assert kept(ramp, ramp, 0.001).sum() == 2
    corner = np.minimum(ramp, 0.5)
    assert kept(corner, corner, 0.001).sum() <= 4


@pytest.mark.parametrize("tolerance", [0.0, 0.002, 0.01, 0.05])
def test_the_head_that_came_along_plays_the_clip(tmp_path: Path, spoken: Clip, tolerance: float) -> None:
    stage = scenes.Stage.of(tolerance=tolerance)
    assert stage.write(spoken, tmp_path / "take.glb") == []
    shown = played(tmp_path / "take.glb", spoken.times)["Face"]
    assert np.abs(shown - spoken.weights).max() <= tolerance + 1e-5  # times are float32


@pytest.mark.corpus
def test_thinning_shrinks_real_speech_threefold(tmp_path: Path, face: dm.Face, corpus: Path) -> None:
    for fps in (30, 60):
        whole = small = 0
        for sound in sorted((corpus / "speech" / "librispeech").glob("*.opus"))[:3]:
            clip = face.animate(sound, fps=fps)
            for tolerance in (0.0, scenes.TOLERANCE):
                scenes.Stage.of(tolerance=tolerance).write(clip, tmp_path / "take.glb")
                grown = (tmp_path / "take.glb").stat().st_size - scenes.avatar.BUILT_IN.stat().st_size
                whole, small = whole + grown * (tolerance == 0), small + grown * (tolerance > 0)
        assert whole > 3 * small


def test_the_head_turns(tmp_path: Path) -> None:
    """To the subject's right, down and to the left shoulder, as docs/video.md says; x is the subject's left."""
    for angle, axis, seen in (("HeadYaw", 2, (-1, 0, 0)), ("HeadPitch", 2, (0, -1, 0)), ("HeadRoll", 1, (1, 0, 0))):
        angles = np.zeros((3, 9), np.float32)
        angles[1, arkit.ANGLES.index(angle)] = np.pi / 2
        clip = replace(only(3, jawOpen=0.5), angles=angles)
        scenes.Stage.of(tolerance=0).write(clip, tmp_path / "take.glb")
        turned = played(tmp_path / "take.glb", clip.times, "rotation")["Head"][1]
        np.testing.assert_allclose(rotated(turned, np.eye(3)[axis]), seen, rtol=0, atol=1e-6)


def test_a_vrm_0_head_looks_the_other_way(tmp_path: Path) -> None:
    path = characters.save(tmp_path / "me.vrm", ["jawOpen"], 0, {"JawOpen": {"jawOpen": 1.0}})
    angles = np.zeros((3, 9), np.float32)
    angles[1, arkit.ANGLES.index("HeadPitch")] = np.pi / 2
    scenes.Stage.of(path, tolerance=0).write(replace(only(3, jawOpen=0.5), angles=angles), tmp_path / "take.glb")
    turned = played(tmp_path / "take.glb", np.array([1 / 30]), "rotation")["bone head"][0]
    np.testing.assert_allclose(rotated(turned, np.array([0, 0, -1.0])), [0, -1, 0], rtol=0, atol=1e-6)


def rotated(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    u, s = quaternion[:3], quaternion[3]
    return np.asarray(vector + 2 * np.cross(u, np.cross(u, vector) + s * vector))


@pytest.mark.parametrize(
    "names", [["jawOpen", "mouthSmileLeft"], ["JawOpen", "MouthSmile_L"], ["Face.jaw_open", "Face.mouthSmile_L"]]
)
@pytest.mark.parametrize("at_primitive", [False, True])
def test_morph_targets_by_name(tmp_path: Path, names: list[str], at_primitive: bool) -> None:
    path = characters.save(tmp_path / "me.glb", ["other", *names], at_primitive=at_primitive)
    clip = only(jawOpen=0.75, mouthSmileLeft=0.25, tongueOut=0.5)
    assert scenes.Stage.of(path).write(clip, tmp_path / "take.glb") == ["tongueOut"]
    shown = played(tmp_path / "take.glb", clip.times)["Body"]
    np.testing.assert_allclose(shown[2], [0, 0.75, 0.25], rtol=0, atol=0.01)


@pytest.mark.parametrize("vrm", [0, 1])
def test_perfect_sync_expressions(tmp_path: Path, vrm: int) -> None:
    shapes = {"jawOpen": {"m1": 0.5, "m2": 1.0}, "MouthSmileLeft": {"m3": 1.0}, "aa" if vrm else "A": {"m3": 1.0}}
    path = characters.save(tmp_path / "me.vrm", ["m1", "m2", "m3"], vrm, shapes)
    clip = only(jawOpen=0.8, mouthSmileLeft=0.5)
    assert scenes.Stage.of(path, tolerance=0).write(clip, tmp_path / "take.glb") == []
    np.testing.assert_allclose(played(tmp_path / "take.glb", clip.times)["Body"][2], [0.4, 0.8, 0.5], rtol=0, atol=1e-6)


@pytest.mark.parametrize("vrm", [0, 1])
def test_a_vrm_without_the_shapes_speaks_by_its_vowels(tmp_path: Path, vrm: int) -> None:
    names = {"A": "aa", "O": "oh"} if vrm else {"A": "A", "O": "O"}
    path = characters.save(tmp_path / "me.vrm", ["a", "o"], vrm, {names["A"]: {"a": 1.0}, names["O"]: {"o": 1.0}})
    clip = only(jawOpen=0.4, mouthFunnel=0.2)
    stage = scenes.Stage.of(path, tolerance=0)
    stage.write(clip, tmp_path / "take.glb")
    want = dict(zip(vmc.PRESET_NAMES, vmc.presets(clip.weights[2]), strict=True))
    assert want["A"] > 0.3
    np.testing.assert_allclose(played(tmp_path / "take.glb", clip.times)["Body"][2], [want["A"], want["O"]], atol=1e-6)


def test_a_mapping(tmp_path: Path) -> None:
    path = characters.save(tmp_path / "me.glb", ["Open", "U", "O", "jawOpen"])
    (tmp_path / "map.toml").write_text('jawOpen = "Open"\nmouthPucker = { U = 0.5, O = 0.25 }\n')
    clip = only(jawOpen=0.5, mouthPucker=0.8)
    scenes.Stage.of(path, tmp_path / "map.toml", 0).write(clip, tmp_path / "take.glb")
    np.testing.assert_allclose(played(tmp_path / "take.glb", clip.times)["Body"][2], [0.5, 0.4, 0.2, 0], atol=1e-6)
    texts = ("jawOpen = 3", "jawopne = 'Open'", "jawOpen = 'Opne'", "jawOpen = ", "jawOpen = { Open = 'x' }")
    texts += ("jawOpen = { Open = true }", "jawOpen = 'Open'\nJawOpen = 'U'", "jawOpen = " + "[" * 9999)
    for text in texts:
        (tmp_path / "map.toml").write_text(text)
        with pytest.raises(SettingError, match="expected"):
            scenes.Stage.of(path, tmp_path / "map.toml")


def test_the_character_stays_as_it_was(tmp_path: Path, spoken: Clip) -> None:
    scenes.Stage().write(spoken, tmp_path / "take.glb")
    before, buffer = gltf.unpack(scenes.avatar.BUILT_IN.read_bytes())
    after, grown = gltf.unpack((tmp_path / "take.glb").read_bytes())
    assert grown.startswith(buffer)
    count = len(before["accessors"])
    assert after["accessors"][:count] == before["accessors"]
    assert {**after, **{key: before[key] for key in ("accessors", "bufferViews", "buffers")}} == {
        **before, "animations": after["animations"]
    }  # fmt: skip


def test_an_animation_of_ours_makes_room_for_the_next(tmp_path: Path, spoken: Clip) -> None:
    scenes.Stage().write(spoken, tmp_path / "once.glb")
    once = (tmp_path / "once.glb").read_bytes()
    scenes.Stage().write(only(jawOpen=0.5), tmp_path / "short.glb")
    for first in ("once.glb", "short.glb"):
        scenes.Stage.of(tmp_path / first).write(spoken, tmp_path / "twice.glb")
        assert (tmp_path / "twice.glb").read_bytes() == once
    scenes.Stage.of(tmp_path / "once.glb").write(only(0), tmp_path / "none.glb")
    assert gltf.unpack((tmp_path / "none.glb").read_bytes())[1] == gltf.unpack(scenes.avatar.BUILT_IN.read_bytes())[1]


def test_what_others_still_use_stays(tmp_path: Path) -> None:
    """Another animation that plays numbers of ours keeps them."""
    scenes.Stage.of(tolerance=0).write(only(jawOpen=0.5), tmp_path / "take.glb")
    document, buffer = gltf.unpack((tmp_path / "take.glb").read_bytes())
    (ours,) = document["animations"]
    document["animations"].append({**ours, "name": "mine"})
    (tmp_path / "both.glb").write_bytes(packed(document, buffer))
    scenes.Stage.of(tmp_path / "both.glb", tolerance=0).write(only(jawOpen=0.75), tmp_path / "out.glb")
    after, grown = gltf.unpack((tmp_path / "out.glb").read_bytes())
    mine, ours = after["animations"]
    assert (mine["name"], ours["name"]) == ("mine", "Duomorph")
    for animation, value in ((mine, 0.5), (ours, 0.75)):
        weights = gltf.numbers(after, grown, animation["samplers"][0]["output"]).reshape(4, 52)
        assert weights[3, INDEX["jawOpen"]] == value


@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("suffix", ["npz", "jsonl"])
def test_an_hour_takes_less_than_200_megabytes(tmp_path: Path, spoken: Clip, suffix: str) -> None:
    """By command: Python, the file with curves and a head that sways, and all."""
    angles = np.random.default_rng(0).normal(0, 0.002, (3600 * 30, 9)).cumsum(0).astype(np.float32)
    Clip(np.resize(spoken.weights, (3600 * 30, 52)), Fraction(30), angles=angles).save(tmp_path / f"hour.{suffix}")
    peak_mb = peak_memory_mb("convert", str(tmp_path / f"hour.{suffix}"), "-o", str(tmp_path / "hour.glb"))
    assert peak_mb * 1024 < 200_000
    document, _ = gltf.unpack((tmp_path / "hour.glb").read_bytes())
    (end,) = document["accessors"][document["animations"][0]["samplers"][0]["input"]]["max"]
    assert end == pytest.approx(3600 - 1 / 30, abs=1e-3)


def test_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only(jawOpen=0.5, jawLeft=0.1, cheekPuff=0.2).save(tmp_path / "take.csv")
    avatar = characters.save(
        tmp_path / "me.glb", [name for name in arkit.NAMES if name not in ("cheekPuff", "jawLeft")]
    )
    arguments = [str(tmp_path / "take.csv"), "-o", str(tmp_path / "out.glb"), "--avatar", str(avatar)]
    assert main(["convert", *arguments]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'out.glb'}  4 frames at 30 fps\n"
    assert "without jawLeft, cheekPuff: me.glb has no such shape" in said.err
    assert main(["convert", str(tmp_path / "take.csv"), "-o", f"{tmp_path / 'folder'}/", "--format", "glb"]) == 0
    assert (tmp_path / "folder" / "take.glb").exists()
    assert tuple(scenes.FORMATS) == SCENES


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-o", "out.npz", "--tolerance", "0"], "leave them out"),
        (["-o", "out.glb", "--format", "livelink"], "expected them to agree"),
        (["-o", "out.json", "--format", "glb"], "expected"),
        (["-o", "out.gltf"], ".npz, .glb, .vrma, .usda, .usdc, .anim; rename it"),
        (["-o", "out.glb", "--tolerance", "2"], "0 to 0.1"),
        (["-o", "out.glb", "--avatar", "no.glb"], "expected .glb or .vrm"),
        (["-o", "out.glb", "--avatar", "take.csv"], "export it again"),
        (["-o", "out.glb", "--avatar", "plain.glb"], "--mapping"),
        (["-o", "out.glb", "--mapping", "no.toml"], "expected TOML"),
    ],
)
def test_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    only().save("take.csv")
    characters.save(Path("plain.glb"), ["a", "b"])
    before = sorted(Path().iterdir())
    assert word in refused(capsys, "convert", "take.csv", *arguments)
    assert sorted(Path().iterdir()) == before


HERE = [suffix for suffix in scenes.FORMATS if not suffix.startswith("usd") or find_spec("pxr")]


@pytest.mark.parametrize("vrm", [None, 0, 1])
@given(data=st.data())
def test_damaged_characters_are_taken_or_refused_in_our_words(
    tmp_path: Path, vrm: int | None, data: st.DataObject
) -> None:
    """Whatever is written, on a file that has an animation of ours already."""
    expressions = {"jawOpen": {"m1": 1.0}, "aa" if vrm else "A": {"m1": 0.5}}
    path = characters.save(tmp_path / "me.glb", ["m1", "jawOpen"], vrm, expressions)
    clip = replace(only(jawOpen=0.5), angles=np.zeros((4, 9), np.float32))
    scenes.Stage.of(path).write(clip, path)
    document, buffer = gltf.unpack(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        hurt(document, data)
    path.write_bytes(data.draw(damage(packed(document, buffer), 2000)))
    with suppress(FormatError):
        scenes.Stage.of(path).write(clip, tmp_path / f"out.{data.draw(st.sampled_from(HERE))}")


def hurt(thing: Any, data: st.DataObject) -> None:
    """One value somewhere inside becomes another, or goes."""
    while True:
        keys = list(thing) if isinstance(thing, dict) else list(range(len(thing)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(thing[key], dict | list) and thing[key] and data.draw(st.integers(0, 9)):
            thing = thing[key]
            continue
        thing[key] = data.draw(st.sampled_from([None, -1, 10**9, 0.5, "x", [], {}, [[0]], True]))
        return


def test_a_character_in_several_files_is_refused(tmp_path: Path) -> None:
    path = characters.save(tmp_path / "me.glb", ["jawOpen"])
    document, buffer = gltf.unpack(path.read_bytes())
    document["buffers"][0]["uri"] = "me.bin"
    path.write_bytes(packed(document, buffer))
    with pytest.raises(FormatError, match="other files"):
        scenes.Stage.of(path)


def packed(document: gltf.Document, buffer: bytes) -> bytes:
    """A .glb file of any document."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    sizes = (20 + len(text) + 8 + len(buffer), len(text), gltf.JSON)
    return struct.pack("<4sIIII", b"glTF", 2, *sizes) + text + struct.pack("<II", len(buffer), gltf.BIN) + buffer


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    characters.save(Path("me.vrm"), ["jawOpen", "Open"], 1, {"aa": {"Open": 1.0}})
    characters.save(Path("me.glb"), ["jawOpen"])
    Path("map.toml").write_text('jawOpen = "Open"\n')
    clip = only(jawOpen=0.5, tongueOut=0.5)
    assert example("duomorph.scenes", clip=clip)["left_out"] == ["tongueOut"]
    example("duomorph.scenes.avatar", clip=clip)
    example("duomorph.scenes.gltf", seconds=np.arange(3, dtype=np.float32))
    example("duomorph.scenes.thin", weights=clip.weights)
    for name in ("glb", "vrma", "unity"):
        example(f"duomorph.scenes.{name}", clip=clip, avatar=scenes.avatar, encode=getattr(scenes, name).encode)


def test_a_vrma_names_what_an_avatar_has(tmp_path: Path) -> None:
    shapes = {"JawOpen": {"m1": 1.0}, "MouthSmileLeft": {"m1": 1.0}, "aa": {"m1": 1.0}}
    path = characters.save(tmp_path / "me.vrm", ["m1", "tongueOut"], 1, shapes)
    left_out = scenes.Stage.of(path).write(only(jawOpen=0.5, tongueOut=0.5), tmp_path / "take.vrma")
    assert left_out == ["tongueOut"]  # a morph target without an expression
    expressions = gltf.unpack((tmp_path / "take.vrma").read_bytes())[0]["extensions"]["VRMC_vrm_animation"][
        "expressions"
    ]
    assert (set(expressions["preset"]), set(expressions["custom"])) == (set(), {"JawOpen", "MouthSmileLeft"})
    scenes.Stage().write(only(jawOpen=0.5), tmp_path / "take.vrma")
    expressions = gltf.unpack((tmp_path / "take.vrma").read_bytes())[0]["extensions"]["VRMC_vrm_animation"][
        "expressions"
    ]
    assert set(expressions["custom"]) == set(arkit.NAMES)


def test_a_unity_clip(tmp_path: Path, spoken: Clip) -> None:
    """Unity's YAML, read as YAML; each curve straight between keys, in percent, within the tolerance."""
    yaml = pytest.importorskip("yaml", reason="needs PyYAML: pip install pyyaml")
    scenes.Stage().write(spoken, tmp_path / "take.anim")
    head, _, body = (tmp_path / "take.anim").read_text().partition("--- !u!74 &7400000\n")
    assert head == "%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n"
    clip = yaml.safe_load(body)["AnimationClip"]
    assert [curve["attribute"] for curve in clip["m_FloatCurves"]] == [f"blendShape.{name}" for name in arkit.NAMES]
    for curve, name in zip(clip["m_FloatCurves"], arkit.NAMES, strict=True):
        assert (curve["path"], curve["classID"]) == ("Duomorph/Head/Face", 137)
        keys = curve["curve"]["m_Curve"]
        times, values = (np.array([key[field] for key in keys]) for field in ("time", "value"))
        assert np.abs(np.interp(spoken.times, times, values) - 100 * spoken[name]).max() <= 1.01
        slopes = np.diff(values) / np.diff(times)
        np.testing.assert_allclose([key["outSlope"] for key in keys[:-1]], slopes, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose([key["inSlope"] for key in keys[1:]], slopes, rtol=1e-3, atol=1e-3)
    assert clip["m_SampleRate"] == 30
    assert clip["m_AnimationClipSettings"]["m_StopTime"] == pytest.approx(255 / 30)


@pytest.mark.parametrize("suffix", ["usda", "usdc"])
def test_usd_reads_the_weights_and_moves_the_points(tmp_path: Path, spoken: Clip, suffix: str) -> None:
    usd = pytest.importorskip("pxr.Usd", reason="needs usd-core: pip install 'duomorph[usd]'")
    from pxr import Gf, UsdSkel

    scenes.Stage.of(tolerance=0.0005).write(spoken, tmp_path / f"take.{suffix}")
    stage = usd.Stage.Open(str(tmp_path / f"take.{suffix}"))
    assert (stage.GetTimeCodesPerSecond(), stage.GetEndTimeCode()) == (30, 255)
    action = UsdSkel.Animation.Get(stage, "/Character/Duomorph")
    assert list(action.GetBlendShapesAttr().Get()) == list(arkit.NAMES)
    weights = np.array([action.GetBlendShapeWeightsAttr().Get(k) for k in range(256)])
    assert np.abs(weights - spoken.weights).max() <= 1e-3
    widest = int(spoken["jawOpen"].argmax())
    mesh = stage.GetPrimAtPath("/Character/Duomorph_Head_Face")
    figure = Figure(scenes.avatar.BUILT_IN)
    rest = np.array(mesh.GetAttribute("points").Get())
    np.testing.assert_allclose(rest, figure.base, rtol=0, atol=1e-6)
    assert UsdSkel.BakeSkinning(UsdSkel.Root.Get(stage, "/Character"), Gf.Interval(widest, widest))
    moved = np.array(mesh.GetAttribute("points").Get(widest))
    wanted = figure.posed(**{name: float(weights[widest][k]) for k, name in enumerate(arkit.NAMES)})
    np.testing.assert_allclose(moved, wanted, rtol=0, atol=1e-5)


def test_usd_says_what_it_needs_before_work_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pxr", None)
    for name in [name for name in sys.modules if name.startswith("pxr.")]:
        monkeypatch.delitem(sys.modules, name)
    said = refused(capsys, "animate", tmp_path / "no.wav", "-o", tmp_path / "take.usda")
    assert "pip install 'duomorph[usd]'" in said


@pytest.mark.parametrize("suffix", scenes.FORMATS)
def test_an_empty_take_and_one_frame(tmp_path: Path, suffix: str) -> None:
    if suffix.startswith("usd"):
        pytest.importorskip("pxr", reason="needs usd-core: pip install 'duomorph[usd]'")
    for frames in (0, 1):
        scenes.Stage().write(only(frames, jawOpen=0.5), tmp_path / f"take.{suffix}")
        assert (tmp_path / f"take.{suffix}").stat().st_size > 500


def test_a_character_or_mood_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    only(jawOpen=0.5).save("take.csv")
    characters.save(Path("me.glb"), ["jawOpen"])
    Path("mood.csv").write_text("time,joy\n0,0.5\n")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert "would destroy an input" in refused(capsys, "convert", "take.csv", "-o", "me.glb", "--avatar", "me.glb")
    assert "would destroy an input" in refused(capsys, "animate", "a.wav", "-o", "mood.csv", "--emotion", "mood.csv")
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_an_expression_that_moves_nothing_hides_no_shape(tmp_path: Path) -> None:
    path = characters.save(tmp_path / "me.vrm", ["jawOpen"], 1, {"jawOpen": {}})
    scenes.Stage.of(path).write(only(jawOpen=0.5), tmp_path / "out.glb")
    assert gltf.unpack((tmp_path / "out.glb").read_bytes())[0]["animations"]
    nobody = characters.save(tmp_path / "nobody.vrm", ["m1"], 1, {"aa": {}})
    with pytest.raises(FormatError, match="no ARKit shape"):
        scenes.Stage.of(nobody)


@pytest.mark.parametrize("vrm", [0, 1])
def test_a_vrma_names_presets_as_vrm_1_does_however_they_are_reached(tmp_path: Path, vrm: int) -> None:
    names = ("aa", "happy") if vrm else ("A", "joy")
    path = characters.save(tmp_path / "me.vrm", ["m"], vrm, {name: {"m": 1.0} for name in (*names, "Own", "lookUp")})
    if vrm == 0:  # which calls its presets in another way
        document, buffer = gltf.unpack(path.read_bytes())
        for group in document["extensions"]["VRM"]["blendShapeMaster"]["blendShapeGroups"]:
            group["presetName"] = {"joy": "joy", "lookUp": "lookup"}.get(group["name"], group["presetName"])
        path.write_bytes(packed(document, buffer))
    else:
        document, buffer = gltf.unpack(path.read_bytes())
        groups = document["extensions"]["VRMC_vrm"]["expressions"]
        groups["preset"]["lookUp"] = groups["custom"].pop("lookUp")
        path.write_bytes(packed(document, buffer))
    first, second, up = ("aa", "happy", "lookUp") if vrm else ("a", "joy", "lookup")
    shares = {"jawOpen": first, "mouthSmileLeft": second, "cheekPuff": "Own", "eyeLookUpLeft": up}
    (tmp_path / "map.toml").write_text("".join(f"{shape} = '{name}'\n" for shape, name in shares.items()))
    stage = scenes.Stage.of(path, tmp_path / "map.toml")
    assert stage.write(only(**dict.fromkeys(shares, 0.5)), tmp_path / "take.vrma") == ["eyeLookUpLeft"]
    extension = gltf.unpack((tmp_path / "take.vrma").read_bytes())[0]["extensions"]["VRMC_vrm_animation"]
    assert {kind: set(some) for kind, some in extension["expressions"].items()} == {
        "preset": {"aa", "happy"}, "custom": {"Own"},
    }  # fmt: skip
    assert set(extension["humanoid"]["humanBones"]) == set(characters.HUMAN) - {"chest", "neck"}, "all it requires"
