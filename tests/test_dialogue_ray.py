"""A Ray cluster: the same curves as one machine makes, also when a node of it dies or somebody stops it."""

from __future__ import annotations

import importlib.util
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from duomorph.dialogue import Ray, Work
from duomorph.dialogue.work import Task
from duomorph.errors import BatchError, MissingExtra, SettingError
from lines import batch, begun, states, tree, voices

ROOT = Path(__file__).parents[1]
BENCH = runpy.run_path(str(ROOT / "benchmarks" / "dialogue.py"))
LINES = 24


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="at least 1"):
        Ray(jobs=0)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"duomorph\[ray\]"):
        Ray()


pytestmark = pytest.mark.alone
needs_ray = pytest.mark.skipif(
    sys.platform != "linux" or importlib.util.find_spec("ray") is None,
    reason="needs Linux and ray: pip install 'duomorph[ray]'",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, Any]]:
    """An address, and the node that is not its head."""
    with BENCH["cluster"]() as both:
        yield both


@needs_ray
def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    for address in (None, "ray://127.0.0.1:1"):
        with pytest.raises(BatchError, match=r"no Ray cluster at .*127\.0\.0\.1:1 .*refused"):
            next(Ray(address).run(Work("curves"), iter([Task(1, "a.wav", "a")])))


@needs_ray
@pytest.mark.alone
def test_two_nodes(tmp_path: Path, sample: Path, cluster: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Undisturbed; stopped by Ctrl-C and gone on with, while a node is killed."""
    _, node = cluster
    voices(tmp_path / "voices", sample, LINES)
    monkeypatch.chdir(tmp_path)  # names are told from here, on all nodes
    assert batch("voices", "-o", "calm", "--format", "csv,jsonl", "--jobs", "2")[0] == 0
    calm = tree(tmp_path / "calm")
    command = ("voices", "--format", "csv,jsonl", "--engine", "ray")
    code, out, err = batch(*command, "-o", "both")
    assert (code, err) == (0, "")
    assert f"{LINES} done" in out
    assert tree(tmp_path / "both") == calm

    def made() -> int:
        return len(list(tmp_path.glob("curves/**/*.jsonl")))

    stopped = begun(*command, "-o", "curves")
    BENCH["until"](lambda: (node.works() and made() >= 4) or stopped.poll() is not None)
    os.killpg(stopped.pid, signal.SIGINT)
    _, err = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "--resume does the rest" in err
    assert set(tree(tmp_path / "curves")) <= set(calm)
    done = list(states(tmp_path / "curves" / "duomorph.sqlite").values()).count("done")
    before = made()
    assert done <= before < LINES

    killed = begun(*command, "-o", "curves", "--resume")
    BENCH["until"](lambda: (node.works() and made() >= before + 2) or killed.poll() is not None)
    os.kill(node.raylet(), signal.SIGKILL)
    out, err = killed.communicate(timeout=300)
    assert (killed.returncode, err) == (0, "")
    assert f"{LINES - done} done, {done} unchanged, 0 failed" in out
    assert tree(tmp_path / "curves") == calm
    assert list(states(tmp_path / "curves" / "duomorph.sqlite").values()) == ["done"] * LINES


@needs_ray
def test_the_cluster_file_is_one() -> None:
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / "examples" / "ray_cluster.yaml").read_text(encoding="utf-8"))
    validate_config(prepare_config(config))
    assert config["head_node_type"] in config["available_node_types"]
