"""Duomorph for Blender: a curve file becomes keyframes of shape keys, its sound a strip in the sequencer.

Install: Edit > Preferences > Add-ons > Install from Disk, this file. Then select the meshes of a face and choose
File > Import > Duomorph curves: a .csv (Live Link Face, or with a column of seconds) or .json (Audio2Face). A sound of
the same name beside it is placed too. Names match in camelCase, PascalCase and with _L/_R; what finds no key is said.
"""

import csv
import json
import os

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

bl_info = {
    "name": "Duomorph curves",
    "author": "Duomorph",
    "version": (1, 0, 0),
    "blender": (3, 6, 0),
    "location": "File > Import > Duomorph curves",
    "category": "Import-Export",
}
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".m4a")


def key(name):
    for short, side in (("_L", "Left"), ("_R", "Right")):
        if name.endswith(short):
            name = name[: -len(short)] + side
    return name.rpartition(".")[2].replace("_", "").lower()


def seconds(stamp):
    """Of a plain number, or of HH:MM:SS:FF.sss, where FF counts sixtieths."""
    if ":" not in stamp:
        return float(stamp)
    hours, minutes, whole, frames = stamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + int(whole) + float(frames) / 60


def read(path):
    """(times from 0 on, {name: values})"""
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.lower().endswith(".json"):
            take = json.load(file)
            names, rows, fps = take["facsNames"], take["weightMat"], float(take["exportFps"])
            return [k / fps for k in range(len(rows))], dict(zip(names, zip(*rows, strict=True), strict=True))
        header, *rows = [row for row in csv.reader(file) if row]
    if header[0].lower() not in ("timecode", "time"):
        raise ValueError("expected a column Timecode or time first")
    times = [seconds(row[0]) for row in rows]
    start = times[0] if ":" in rows[0][0] else 0.0  # a wall clock
    columns = {
        name: [float(row[k]) for row in rows]
        for k, name in enumerate(header)
        if k and name.lower() != "blendshapecount"
    }
    return [(time - start) % 86400 for time in times], columns


def curve_of(keys, block):
    """The F-curve of a shape key, new and empty; Blender 4.4 moved them into slots."""
    path = block.path_from_id("value")
    keys.animation_data_create()
    block.keyframe_insert("value", frame=0)
    action = keys.animation_data.action
    if hasattr(action, "layers") and action.layers:
        curves = action.layers[0].strips[0].channelbag(keys.animation_data.action_slot).fcurves
    else:
        curves = action.fcurves
    curves.remove(curves.find(path))
    return curves.new(path)


class DUOMORPH_OT_load(bpy.types.Operator, ImportHelper):
    """Keyframes from a curve file on the shape keys of the selected meshes"""

    bl_idname = "import_anim.duomorph"
    bl_label = "Import Duomorph curves"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012  # as Blender wants it
    filter_glob: StringProperty(default="*.csv;*.json", options={"HIDDEN"})
    sound: BoolProperty(name="Sound", description="Place the sound of the same name too", default=True)

    def execute(self, context):
        try:
            times, columns = read(self.filepath)
        except (OSError, ValueError, KeyError, IndexError) as problem:
            self.report({"ERROR"}, f"cannot read {self.filepath}: {problem}")
            return {"CANCELLED"}
        scene = context.scene
        rate = scene.render.fps / scene.render.fps_base
        frames = [scene.frame_start + time * rate for time in times]
        curves, used = {key(name): values for name, values in columns.items()}, set()
        for thing in context.selected_objects:
            keys = getattr(thing.data, "shape_keys", None)
            for block in keys.key_blocks if keys else ():
                values = curves.get(key(block.name))
                if values is None:
                    continue
                used.add(key(block.name))
                points = curve_of(keys, block).keyframe_points
                points.add(len(frames))
                points.foreach_set("co", [number for pair in zip(frames, values, strict=True) for number in pair])
                for point in points:
                    point.interpolation = "LINEAR"
        if not used:
            self.report(
                {"ERROR"}, "no selected mesh has a shape key of that name: select the face; expected jawOpen, ..."
            )
            return {"CANCELLED"}
        lost = [name for name, values in columns.items() if key(name) not in used and any(values)]
        if lost:
            self.report({"WARNING"}, f"no shape key for {', '.join(lost)}")
        scene.frame_end = max(scene.frame_end, round(frames[-1]))
        stem = os.path.splitext(self.filepath)[0]
        sounds = [stem + suffix for suffix in SOUNDS if os.path.exists(stem + suffix)]
        if self.sound and sounds:
            editor = scene.sequence_editor_create()
            strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # before Blender 4.4
            strips.new_sound(os.path.basename(sounds[0]), sounds[0], 1, scene.frame_start)
        return {"FINISHED"}


def entry(menu, _):
    menu.layout.operator(DUOMORPH_OT_load.bl_idname, text="Duomorph curves (.csv, .json)")


def register():
    bpy.utils.register_class(DUOMORPH_OT_load)
    bpy.types.TOPBAR_MT_file_import.append(entry)


def unregister():
    bpy.types.TOPBAR_MT_file_import.remove(entry)
    bpy.utils.unregister_class(DUOMORPH_OT_load)
