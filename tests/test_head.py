"""The head that comes along: its 52 shapes, its lips, and that the recipe makes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command import run_recipe
from duomorph import arkit
from duomorph.scenes import gltf

HEAD = Path(__file__).parents[1] / "src" / "duomorph" / "assets" / "head.glb"
INDEX = arkit.INDEX


class Figure:
    """Its vertices, (N, 3), and what each shape adds to them, (52, N, 3); of all parts that shapes move."""

    def __init__(self, path: Path) -> None:
        document, buffer = gltf.unpack(path.read_bytes())
        mesh = next(mesh for mesh in document["meshes"] if mesh["name"] == "Face")
        self.names = mesh["extras"]["targetNames"]
        self.upper, self.lower = mesh["extras"]["upperLip"], mesh["extras"]["lowerLip"]
        read = [
            [gltf.numbers(document, buffer, place) for place in places]
            for primitive in mesh["primitives"]
            for places in [[primitive["attributes"]["POSITION"], *(t["POSITION"] for t in primitive["targets"])]]
        ]
        self.base = np.concatenate([part[0] for part in read])
        self.deltas = np.stack([np.concatenate([part[k] for part in read]) for k in range(1, len(read[0]))])

    def posed(self, **weights: float) -> np.ndarray:
        return self.base + sum(weight * self.deltas[INDEX[name]] for name, weight in weights.items())

    def gap(self, **weights: float) -> float:
        """The widest distance between the lips, in widths of the closed mouth."""
        points = self.posed(**weights)
        wide = np.ptp(self.base[self.upper, 0])
        return float(np.linalg.norm(points[self.upper] - points[self.lower], axis=1).max() / wide)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return Figure(HEAD)


def test_the_recipe_makes_it(tmp_path: Path, figure: Figure) -> None:
    done = run_recipe("head.py", None, "-o", tmp_path / "head.glb")
    assert done.returncode == 0, done.stderr
    again = Figure(tmp_path / "head.glb")
    np.testing.assert_allclose(again.base, figure.base, rtol=0, atol=1e-6)
    np.testing.assert_allclose(again.deltas, figure.deltas, rtol=0, atol=1e-6)
    assert HEAD.stat().st_size <= 3_000_000


def test_every_shape_moves_something_and_its_mirror_the_same_on_the_other_side(figure: Figure) -> None:
    assert tuple(figure.names) == arkit.NAMES
    moved = np.abs(figure.deltas).max((1, 2))
    assert moved.min() > 0.002  # 2 mm
    assert moved.max() < 0.08
    for name in arkit.NAMES:
        one, other = figure.deltas[INDEX[name]], figure.deltas[INDEX[arkit.mirror(name)]]
        about = 0.1 * np.abs(one).sum(0).max()  # the glints of the eyes are on one side
        np.testing.assert_allclose(one.sum(0) * [-1, 1, 1], other.sum(0), rtol=0, atol=about, err_msg=name)
    left = figure.deltas[INDEX["mouthSmileLeft"]]
    assert (figure.base[np.abs(left).max(1) > 0.005, 0] > 0).all()  # the subject's own left


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
def test_lips_are_closed_at_rest_and_where_mouthclose_takes_back_jawopen(figure: Figure, amount: float) -> None:
    assert figure.gap(jawOpen=amount, mouthClose=amount) < 0.01


def test_shapes_that_keep_lips_closed(figure: Figure) -> None:
    opening = ("jawOpen", "mouthClose", "mouthFunnel", "mouthLowerDown", "mouthUpperUp", "tongueOut")
    closed = {name: 1.0 for name in arkit.NAMES if not name.startswith(opening)}
    for name in closed:
        assert figure.gap(**{name: 1.0}) < 0.01, name
    assert figure.gap(**closed) < 0.01


def test_the_mouth_opens(figure: Figure) -> None:
    assert figure.gap(jawOpen=1) > 0.4
    assert figure.gap(jawOpen=0.5, mouthClose=0.5) < 0.01 < figure.gap(jawOpen=0.5, mouthClose=0.4)
    for name in ("mouthFunnel", "mouthLowerDownLeft", "mouthUpperUpRight"):
        assert figure.gap(**{name: 1.0}) > 0.1, name
