"""What of a character the 52 curves move: its morph targets and VRM expressions, found by name.

One promise: a shape is found under every common spelling of its name, or is in neither `binds` nor `expressions`.

    avatar = read("me.vrm", mapping("map.toml"))
    avatar.weights(clip)            # node -> (T, targets), as the animation wants them

Names are matched as everywhere: camelCase, PascalCase, `snake_case`, `_L`/`_R`; what stands before a dot is left out
(`Face.jawOpen`). A VRM without any of the 52 is moved by its vowels, moods and blinks, as over VMC. The rest is told in
a TOML file, a shape and what stands for it, or several with their share: `jawOpen = "Mouth_Open"`,
`mouthPucker = { "Mouth_U" = 0.7, "Mouth_O" = 0.3 }`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from duomorph import arkit, files
from duomorph.clip import Clip
from duomorph.errors import FormatError, SettingError
from duomorph.scenes import gltf
from duomorph.wire import vmc

Quaternion: TypeAlias = NDArray[np.float64]
Names: TypeAlias = Mapping[str, Mapping[str, float]]  # shape -> name -> share
Bind: TypeAlias = tuple[int, int, float]  # node, target, share

# VRM 1's names of what VRM 0 and VMC call so.
PRESETS: Final = {
    "A": "aa", "I": "ih", "U": "ou", "E": "ee", "O": "oh", "Joy": "happy", "Angry": "angry", "Sorrow": "sad",
    "Fun": "relaxed", "Blink": "blink", "Blink_L": "blinkLeft", "Blink_R": "blinkRight",
}  # fmt: skip
OTHERS: Final = {
    "neutral": "neutral",
    **{f"look{way.lower()}": f"look{way}" for way in ("Up", "Down", "Left", "Right")},
}
SIGNALS: Final = (*arkit.NAMES, *vmc.PRESET_NAMES)
NAME: Final = "Duomorph"  # of our animation; an older one of this name goes
BUILT_IN: Final = Path(__file__).parents[1] / "assets" / "head.glb"


@dataclass(frozen=True)
class Avatar:
    """A glTF file and what moves in it.

    Attributes:
        binds: for each of `SIGNALS` the morph targets that it moves; those without are not there.
        expressions: for each of `SIGNALS` the VRM expressions that stand for it, with their share.
        presets: for each VRM expression that is a preset what VRM 1 calls it.
        head: number of the node that turns with the head; None if there is none.
        parents: node -> the node that it hangs on.
        above, rest: how its parents are turned, and itself, as quaternions x y z w.
        vrm: 0 or 1 for a VRM file of that version, None for others.
    """

    name: str
    document: gltf.Document
    buffer: bytes
    binds: Mapping[str, list[Bind]]
    expressions: Names
    presets: Mapping[str, str]
    head: int | None
    parents: Mapping[int, int]
    above: Quaternion
    rest: Quaternion
    vrm: int | None
    targets: Mapping[int, int] = field(default_factory=dict)  # node -> how many morph targets

    @property
    def by_presets(self) -> bool:
        """It has none of the 52 shapes."""
        return not any(name in self.binds or name in self.expressions for name in arkit.NAMES)

    def path(self, node: int) -> str:
        """Names of the nodes from the root to this one, as importers show it."""
        nodes = self.document["nodes"]
        return "/".join(str(nodes[place].get("name", f"node{place}")) for place in self.way(node)[::-1])

    def way(self, node: int) -> list[int]:
        """The node and those above it."""
        found = [node]
        while found[-1] in self.parents and len(found) <= len(self.parents):  # which ends in a circle too
            found.append(self.parents[found[-1]])
        return found

    def label(self, node: int, target: int) -> str:
        """The name of a morph target."""
        labels = _labels(self.document["meshes"][self.document["nodes"][node]["mesh"]])
        return labels[target] if target < len(labels) else f"target{target}"

    def weights(self, clip: Clip) -> dict[int, NDArray[np.float32]]:
        """For each node that moves what its morph targets get, (T, targets) in [0, 1]."""
        source, names = signals(clip, self.by_presets)
        found: dict[int, NDArray[np.float32]] = {}
        for column, name in enumerate(names):
            for node, target, share in self.binds.get(name, ()):
                if node not in found:
                    found[node] = np.zeros((len(clip), self.targets[node]), np.float32)
                found[node][:, target] += np.float32(share) * source[:, column]
        for values in found.values():
            np.clip(values, 0, 1, out=values)
        return found


def signals(clip: Clip, presets: bool) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The curves, or what VRM's presets make of them, and their names."""
    if not presets:
        return clip.weights, arkit.NAMES
    rows = [vmc.presets(row) for row in clip.weights]
    return np.stack(rows) if rows else np.zeros((0, len(vmc.PRESET_NAMES)), np.float32), vmc.PRESET_NAMES


def mapping(path: str | Path) -> Names:
    """Shape -> names with their share, from a TOML file.

    Raises:
        SettingError: it cannot be read, a shape is unknown, or a share is no number.
    """
    try:
        table = tomllib.loads(files.text(path))
    except (OSError, ValueError, RecursionError) as problem:
        raise SettingError(f"cannot read {str(path)!r} ({problem}): expected TOML such as jawOpen = 'Open'") from None
    found: dict[str, dict[str, float]] = {}
    for key, value in table.items():
        shape = arkit.canonical(key)
        shares = {value: 1.0} if isinstance(value, str) else value
        if shape is None:
            raise SettingError(f"{str(path)!r} maps {key!r}: expected one of the 52 shapes; see duomorph info")
        if not isinstance(shares, dict) or not all(
            type(share) in (int, float) and abs(share) <= 10 for share in shares.values()
        ):
            raise SettingError(f"{str(path)!r} maps {key} to {value!r}: expected a name or {{ name = share }}; mend it")
        if shape in found:
            raise SettingError(f"{str(path)!r} maps {shape} twice: expected each shape once; leave one out")
        found[shape] = {name: float(share) for name, share in shares.items()}
    return found


def read(path: str | Path | None = None, mapped: Names | None = None) -> Avatar:
    """A character from a .glb or .vrm file; None for the head that came along.

    Raises:
        FormatError: no such file, or nothing in it that curves could move. SettingError: the mapping names what is not.
    """
    path = BUILT_IN if path is None else Path(path)
    try:
        document, buffer = gltf.unpack(path.read_bytes())
        return _found(path.name, *_still(document, buffer), mapped or {})
    except OSError as problem:
        raise FormatError(f"cannot read {str(path)!r} ({problem.strerror}): expected .glb or .vrm") from None
    except FormatError as problem:
        raise FormatError(f"cannot read {str(path)!r}: {problem}") from None
    except gltf.DAMAGE:
        raise FormatError(f"cannot read {str(path)!r}: its glTF is damaged; export the character again") from None


def _found(name: str, document: gltf.Document, buffer: bytes, mapped: Names) -> Avatar:
    if any("uri" in part for part in document.get("buffers", ())) or len(document.get("buffers", ())) > 1:
        raise FormatError("parts of it are in other files: expected all in one; export it as .glb again")
    nodes, meshes = document.get("nodes", []), document.get("meshes", [])
    users: dict[int, list[int]] = {}  # mesh -> nodes
    for place, node in enumerate(nodes):
        if "mesh" in node:
            users.setdefault(node["mesh"], []).append(place)
    counts: dict[int, int] = {}
    by_target: dict[str, list[Bind]] = {}
    for number, mesh in enumerate(meshes):
        count = len(mesh["primitives"][0].get("targets", ()))
        for node in users.get(number, ()) if count else ():
            counts[node] = count
            for target, label in enumerate(_labels(mesh)[:count]):
                by_target.setdefault(label, []).append((node, target, 1.0))
    vrm, expressions, presets = _expressions(document, users)
    binds: dict[str, list[Bind]] = {}
    names: dict[str, Mapping[str, float]] = {}
    for shape, shares in mapped.items():
        for label, share in shares.items():
            if label not in by_target and label not in expressions:
                raise SettingError(f"{name} has no {label!r}: expected a morph target or expression; mend the mapping")
            some = by_target.get(label) or expressions[label]
            binds.setdefault(shape, []).extend((node, target, share * part) for node, target, part in some)
        if shares and all(label in expressions for label in shares):
            names[shape] = shares
    for label, some in expressions.items():
        known = arkit.canonical(label)
        if some and known and known not in mapped and known not in names:
            names[known], binds[known] = {label: 1.0}, some
    for label, some in by_target.items():
        known = arkit.canonical(label.rpartition(".")[2])
        if known and known not in mapped and known not in names:
            binds.setdefault(known, []).extend(some)
    if not binds:
        own = {label.lower(): label for label in expressions}
        for preset, label in PRESETS.items():
            found = own.get(preset.lower(), own.get(label.lower()))
            if found is not None and expressions[found]:
                names[preset], binds[preset] = {found: 1.0}, expressions[found]
    if not binds:
        raise FormatError("it has no ARKit shape and no VRM expression: expected names such as jawOpen; use --mapping")
    for node, target, share in (bind for some in binds.values() for bind in some):
        if not abs(share) < 1e6:
            raise ValueError(share)
        _place(target, range(counts[node]))
    head = _head(document)
    parents = {_place(child, nodes): place for place, node in enumerate(nodes) for child in node.get("children", ())}
    for node in nodes:
        for key, width in (("translation", 3), ("rotation", 4), ("scale", 3), ("matrix", 16)):
            if not np.isfinite(np.array(node.get(key, [0] * width), float).reshape(width)).all():
                raise ValueError(key)
    above, rest = _axes(nodes, parents, head)
    gltf.Builder(document, buffer)  # it takes the lists as they are
    return Avatar(name, document, buffer, binds, names, presets, head, parents, above, rest, vrm, counts)


def _still(document: gltf.Document, buffer: bytes) -> tuple[gltf.Document, bytes]:
    """Without an animation of ours, whose numbers stand at the end where nobody else came after us."""
    own = [found for found in document.get("animations", ()) if found.get("name") == NAME]
    others = [found for found in document.get("animations", ()) if found.get("name") != NAME]
    if not own:
        return document, buffer
    document = {key: part for key, part in document.items() if key != "animations"}
    document |= {"animations": others} if others else {}
    gone = _read(own) - _read(others) - {skin.get("inverseBindMatrices") for skin in document.get("skins", ())}
    for mesh in document.get("meshes", ()):
        for primitive in mesh["primitives"]:
            gone -= {primitive.get("indices"), *primitive["attributes"].values()}
            gone -= {place for target in primitive.get("targets", ()) for place in target.values()}
    return gltf.cut(document, buffer, gone)


def _read(animations: Sequence[Mapping[str, Any]]) -> set[int]:
    """The accessors that these animations play."""
    samplers = [sampler for animation in animations for sampler in animation["samplers"]]
    return {sampler[end] for sampler in samplers for end in ("input", "output")}


def _labels(mesh: Mapping[str, Any]) -> list[str]:
    """Names of the morph targets, where one of the tools put them."""
    for place in (mesh, *mesh["primitives"]):
        if names := place.get("extras", {}).get("targetNames"):
            return [str(name) for name in names]
    return []


def _expressions(
    document: gltf.Document, users: Mapping[int, list[int]]
) -> tuple[int | None, dict[str, list[Bind]], dict[str, str]]:
    """VRM's version, its expressions by name, and what VRM 1 calls those that are presets: VRM 1 binds nodes from 0 to
    1, VRM 0 meshes from 0 to 100."""
    extensions = document.get("extensions", {})
    found: dict[str, list[Bind]] = {}
    presets: dict[str, str] = {}
    if one := extensions.get("VRMC_vrm"):
        groups = one.get("expressions", {})
        presets = {name: name for name in groups.get("preset", ())}
        for name, entry in (*groups.get("preset", {}).items(), *groups.get("custom", {}).items()):
            binds = entry.get("morphTargetBinds", ())
            found[name] = [(bind["node"], bind["index"], float(bind["weight"])) for bind in binds]
        return 1, found, presets
    if zero := extensions.get("VRM"):
        known = OTHERS | {preset.lower(): name for preset, name in PRESETS.items()}
        for group in zero.get("blendShapeMaster", {}).get("blendShapeGroups", ()):
            preset = group.get("presetName", "unknown")
            name = group["name"] if preset in ("unknown", "") else preset
            if name == preset and name in known:
                presets[name] = known[name]
            found[name] = [
                (node, bind["index"], bind["weight"] / 100)
                for bind in group.get("binds", ())
                for node in users.get(bind["mesh"], ())
            ]
        return 0, found, presets
    return None, found, presets


def _axes(
    nodes: Sequence[Mapping[str, Any]], parents: Mapping[int, int], place: int | None
) -> tuple[Quaternion, Quaternion]:
    """How the parents of a node are turned, and itself."""
    above = rest = np.array([0.0, 0.0, 0.0, 1.0])
    if place is None:
        return above, rest
    rest = np.array(nodes[place].get("rotation", above), float)
    for _ in nodes:  # no deeper than that, even in a circle
        if (place := parents.get(place)) is None:
            break
        above = product(np.array(nodes[place].get("rotation", (0, 0, 0, 1)), float), above)
    return above, rest


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    """Quaternions (..., 4), x y z w: first `b`, then `a`."""
    u, s, v, t = a[..., :3], a[..., 3:], b[..., :3], b[..., 3:]
    vector = s * v + t * u + np.cross(u, v)
    return np.concatenate([vector, s * t - (u * v).sum(-1, keepdims=True)], -1)


def head_turns(angles: NDArray[np.float32]) -> Quaternion:
    """(T, 4) of (T, 9) angles, for a figure that looks along z with y up: yaw to the subject's right, pitch down, roll
    to the left shoulder, yaw last."""
    yaw, pitch, roll = (angles[:, arkit.ANGLES.index(name)] for name in ("HeadYaw", "HeadPitch", "HeadRoll"))
    return product(product(_about(1, -yaw), _about(0, pitch)), _about(2, -roll))


def _about(axis: int, angle: NDArray[np.floating]) -> Quaternion:
    found = np.zeros((len(angle), 4))
    found[:, axis], found[:, 3] = np.sin(angle / 2), np.cos(angle / 2)
    return found


def _head(document: gltf.Document) -> int | None:
    extensions = document.get("extensions", {})
    bones = extensions.get("VRMC_vrm", {}).get("humanoid", {}).get("humanBones", {})
    if "head" in bones:
        return _place(bones["head"]["node"], document["nodes"])
    for bone in extensions.get("VRM", {}).get("humanoid", {}).get("humanBones", ()):
        if bone["bone"] == "head":
            return _place(bone["node"], document["nodes"])
    for place, node in enumerate(document.get("nodes", ())):
        if node.get("name", "").rpartition(":")[2].lower() == "head" and "matrix" not in node:
            return place
    return None


def _place(number: Any, things: Sequence[Any]) -> int:
    if type(number) is not int or not 0 <= number < len(things):
        raise IndexError(number)
    return number
