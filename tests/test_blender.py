"""The Blender add-on, installed headless: shape keys evaluate to our curves, and the .glb plays them there too.

Needs bpy (pip install bpy, the very version of Python that it is built for) or the program blender.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import duomorph as dm
from duomorph import arkit, scenes

ADDON = Path(__file__).parents[1] / "examples" / "blender_duomorph.py"
SCRIPT = """
import json, sys
import bpy

addon, head, played, curves, frames, out = sys.argv[sys.argv.index("--") + 1:]


def shown():
    face = next(thing for thing in bpy.data.objects if thing.type == "MESH" and thing.data.shape_keys)
    rows = []
    for frame in json.loads(frames):
        bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
        keys = face.data.shape_keys.evaluated_get(bpy.context.evaluated_depsgraph_get())
        rows.append({block.name: block.value for block in keys.key_blocks})
    return rows


def fresh(path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = 30
    bpy.context.scene.frame_start = 0
    bpy.ops.import_scene.gltf(filepath=path)


fresh(played)
ours = shown()
fresh(head)
bpy.ops.preferences.addon_install(filepath=addon)
bpy.ops.preferences.addon_enable(module="blender_duomorph")
bpy.ops.object.select_all(action="SELECT")
done = bpy.ops.import_anim.duomorph(filepath=curves)
scene = bpy.context.scene
editor = scene.sequence_editor
strips = [strip.name for strip in (editor.strips if hasattr(editor, "strips") else editor.sequences)]
with open(out, "w") as file:
    json.dump({"done": list(done), "glb": ours, "addon": shown(), "strips": strips, "end": scene.frame_end}, file)
"""


@pytest.fixture(scope="module")
def blender() -> list[str]:
    if program := shutil.which("blender"):
        return [program, "--background", "--factory-startup", "--python"]
    if importlib.util.find_spec("bpy") is not None:
        return [sys.executable]
    pytest.skip("needs Blender: pip install bpy (Python 3.11), or the program blender")


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_shape_keys_get_the_curves(
    blender: list[str], face: dm.Face, speech: np.ndarray, tmp_path: Path, suffix: str
) -> None:
    clip = face.animate(speech, fps=30)
    clip.save(tmp_path / f"take.{suffix}")
    soundfile.write(tmp_path / "take.wav", speech, 16000)
    scenes.Stage.of(tolerance=0).write(clip, tmp_path / "take.glb")
    (tmp_path / "script.py").write_text(SCRIPT)
    frames, out = [5, 23, 41, 59, 80], tmp_path / "shown.json"
    files = [ADDON, scenes.avatar.BUILT_IN, tmp_path / "take.glb", tmp_path / f"take.{suffix}", json.dumps(frames), out]
    own = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "blender")}  # where add-ons are installed
    command = [*blender, tmp_path / "script.py", "--", *files]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, env=own)
    assert out.exists(), done.stdout + done.stderr
    seen: dict[str, Any] = json.loads(out.read_text())
    assert (seen["done"], seen["strips"], seen["end"] >= len(clip) - 1) == (["FINISHED"], ["take.wav"], True)
    for way in ("addon", "glb"):
        for frame, row in zip(frames, seen[way], strict=True):
            assert set(arkit.NAMES) <= set(row)
            for name in arkit.NAMES:
                assert row[name] == pytest.approx(clip[name][frame], abs=1e-3), (way, name)
