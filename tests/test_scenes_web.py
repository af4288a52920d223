"""Files for engines in the hands of others: Khronos' validator, three.js and three-vrm in a real browser."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import characters
import duomorph as dm
from conftest import WEB
from duomorph import arkit, scenes
from duomorph.clip import Clip
from duomorph.wire import vmc

pytestmark = pytest.mark.alone

Browser = tuple[str, str]


@pytest.fixture(scope="module")
def spoken(face: dm.Face, speech: np.ndarray) -> Clip:
    clip = face.animate(speech, fps=30)
    angles = np.zeros((len(clip), 9), np.float32)
    angles[:, :3] = 0.1 * np.sin(np.arange(len(clip)) / 10)[:, None]
    return replace(clip, angles=angles)


def node(browser: Browser, script: str, *arguments: str | Path) -> Any:
    command = [browser[0], str(WEB / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def seen(browser: Browser, clip: Clip, *files: Path) -> list[dict[str, Any]]:
    figure, *motion = files
    return list(node(browser, "play.mjs", browser[1], figure, json.dumps(clip.times[FRAMES].tolist()), *motion))


def shown(browser: Browser, clip: Clip, *files: Path) -> list[dict[str, list[float]]]:
    return [frame["shapes"] for frame in seen(browser, clip, *files)]


FRAMES = np.array([0, 7, 20, 33, 46, 59, 71, 80])


def test_the_validator_finds_nothing(browser: Browser, spoken: Clip, tmp_path: Path) -> None:
    avatar = characters.save(tmp_path / "me.vrm", ["jawOpen"], 1, {"jawOpen": {"jawOpen": 1.0}})
    scenes.Stage().write(spoken, tmp_path / "thin.glb")
    scenes.Stage.of(tolerance=0).write(spoken, tmp_path / "whole.glb")
    scenes.Stage.of(avatar).write(spoken, tmp_path / "mine.glb")
    scenes.Stage.of(tmp_path / "thin.glb").write(spoken, tmp_path / "again.glb")
    names = ("thin", "whole", "mine", "again")
    for path in (scenes.avatar.BUILT_IN, *(tmp_path / f"{name}.glb" for name in names)):
        issues = node(browser, "validate.mjs", path)
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
        assert "UNUSED_OBJECT" not in {message["code"] for message in issues["messages"]}


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_threejs_plays_the_curves(browser: Browser, spoken: Clip, tmp_path: Path, tolerance: float) -> None:
    scenes.Stage.of(tolerance=tolerance).write(spoken, tmp_path / "take.glb")
    frames = shown(browser, spoken, tmp_path / "take.glb")
    for k, frame in zip(FRAMES, frames, strict=True):
        assert set(frame) == set(arkit.NAMES)
        for name, values in frame.items():
            assert values == pytest.approx([spoken[name][k]] * 2, abs=max(tolerance, 1e-3)), name


@pytest.mark.parametrize("vrm", [0, 1])
def test_three_vrm_plays_a_vrma_on_an_avatar_with_the_52(
    browser: Browser, spoken: Clip, tmp_path: Path, vrm: int
) -> None:
    shapes = {name: {name: 1.0} for name in arkit.NAMES}
    avatar = characters.save(tmp_path / "me.vrm", arkit.NAMES, vrm, shapes)
    stage = scenes.Stage.of(avatar, tolerance=0.0005)
    assert stage.write(spoken, tmp_path / "take.vrma") == []
    issues = node(browser, "validate.mjs", tmp_path / "take.vrma")
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    for k, frame in zip(FRAMES, shown(browser, spoken, avatar, tmp_path / "take.vrma"), strict=True):
        for name in arkit.NAMES:
            assert frame[name] == pytest.approx([spoken[name][k]], abs=1e-3), name


def test_three_vrm_plays_a_vrma_on_an_avatar_with_vowels(browser: Browser, spoken: Clip, tmp_path: Path) -> None:
    avatar = characters.save(tmp_path / "me.vrm", ["m"], 1, {"aa": {"m": 1.0}})
    scenes.Stage.of(avatar, tolerance=0.0005).write(spoken, tmp_path / "take.vrma")
    vowel = vmc.PRESET_NAMES.index("A")
    for k, frame in zip(FRAMES, shown(browser, spoken, avatar, tmp_path / "take.vrma"), strict=True):
        assert frame["m"] == pytest.approx([vmc.presets(spoken.weights[k])[vowel]], abs=1e-3)


@pytest.mark.parametrize("vrm", [0, 1])
def test_three_vrm_plays_presets_that_a_mapping_names(browser: Browser, spoken: Clip, tmp_path: Path, vrm: int) -> None:
    """Two shapes on one preset, one on two, beside an expression of the avatar's own."""
    names = {"aa": "aa", "ou": "ou", "oh": "oh"} if vrm else {"aa": "A", "ou": "U", "oh": "O"}
    expressions = {name: {target: 1.0} for target, name in names.items()} | {"Grin": {"grin": 1.0}}
    avatar = characters.save(tmp_path / "me.vrm", [*names, "grin"], vrm, expressions)
    a, u, o = (name if vrm else name.lower() for name in names.values())
    (tmp_path / "map.toml").write_text(
        f"jawOpen = {{ {a} = 0.5 }}\nmouthLowerDownLeft = '{a}'\n"
        f"mouthPucker = {{ {u} = 0.75, {o} = 0.25 }}\nmouthSmileLeft = 'Grin'\n"
    )
    stage = scenes.Stage.of(avatar, tmp_path / "map.toml", tolerance=0)
    left_out = stage.write(spoken, tmp_path / "take.vrma")
    assert not {"jawOpen", "mouthLowerDownLeft", "mouthPucker", "mouthSmileLeft"} & set(left_out)
    issues = node(browser, "validate.mjs", tmp_path / "take.vrma")
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    for k, frame in zip(FRAMES, shown(browser, spoken, avatar, tmp_path / "take.vrma"), strict=True):
        pucker = spoken["mouthPucker"][k]
        opened = 0.5 * spoken["jawOpen"][k] + spoken["mouthLowerDownLeft"][k]
        wanted = {"aa": min(opened, 1), "ou": 0.75 * pucker, "oh": 0.25 * pucker, "grin": spoken["mouthSmileLeft"][k]}
        assert {name: values[0] for name, values in frame.items()} == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("vrm", [None, 0, 1])
def test_the_head_turns_there_as_the_angles_say(
    browser: Browser, spoken: Clip, tmp_path: Path, vrm: int | None
) -> None:
    """To the subject's right, down and to the left shoulder, one and all; by matrices, for who looks along z or, VRM 0,
    against it."""
    angles = np.zeros((len(spoken), 9), np.float32)
    turns = np.vstack([np.zeros(3), np.diag([0.5, 0.4, 0.3]), -np.diag([0.5, 0.4, 0.3]), [0.6, -0.5, 0.4]])
    angles[FRAMES, :3] = turns
    clip = replace(spoken, angles=angles)
    if vrm is None:
        files = [tmp_path / "take.glb"]
        scenes.Stage.of(tolerance=0).write(clip, files[0])
    else:
        files = [characters.save(tmp_path / "me.vrm", ["jawOpen"], vrm, {"jawOpen": {"jawOpen": 1.0}})]
        files.append(tmp_path / "take.vrma")
        scenes.Stage.of(files[0], tolerance=0).write(clip, files[1])
    front = np.diag([-1.0, 1.0, -1.0]) if vrm == 0 else np.eye(3)
    for (yaw, pitch, roll), frame in zip(turns, seen(browser, clip, *files), strict=True):
        x, y, z, w = frame["head"]
        found = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        c, s = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
        about_y = np.array([[c[0], 0, -s[0]], [0, 1, 0], [s[0], 0, c[0]]])  # z goes to -x, the subject's right
        about_x = np.array([[1, 0, 0], [0, c[1], -s[1]], [0, s[1], c[1]]])  # z goes to -y, down
        about_z = np.array([[c[2], s[2], 0], [-s[2], c[2], 0], [0, 0, 1]])  # y goes to x, the left shoulder
        np.testing.assert_allclose(front @ found @ front, about_y @ about_x @ about_z, rtol=0, atol=1e-5)
