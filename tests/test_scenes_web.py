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


def shown(browser: Browser, clip: Clip, *files: Path) -> list[dict[str, list[float]]]:
    figure, *motion = files
    return list(node(browser, "play.mjs", browser[1], figure, json.dumps(clip.times[FRAMES].tolist()), *motion))


FRAMES = np.array([0, 7, 20, 33, 46, 59, 71, 80])


def test_the_validator_finds_nothing(browser: Browser, spoken: Clip, tmp_path: Path) -> None:
    avatar = characters.save(tmp_path / "me.vrm", ["jawOpen"], 1, {"jawOpen": {"jawOpen": 1.0}})
    scenes.Stage().write(spoken, tmp_path / "thin.glb")
    scenes.Stage.of(tolerance=0).write(spoken, tmp_path / "whole.glb")
    scenes.Stage.of(avatar).write(spoken, tmp_path / "mine.glb")
    for path in (scenes.avatar.BUILT_IN, *(tmp_path / f"{name}.glb" for name in ("thin", "whole", "mine"))):
        issues = node(browser, "validate.mjs", path)
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


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
