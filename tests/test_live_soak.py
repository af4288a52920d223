"""A few minutes of `make soak`: memory flat and every frame there; stalls, killed listeners and commands survived."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import duomorph as dm

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "live_soak.py"
    spec = importlib.util.spec_from_file_location("live_soak", path)
    assert spec
    assert spec.loader
    module = sys.modules["live_soak"] = importlib.util.module_from_spec(spec)  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to see what memory is in use")
def test_top_speed(soak: ModuleType) -> None:
    assert soak.fast(dm.load(), 120).frames == 7200


def test_real_time(soak: ModuleType) -> None:
    result = soak.paced(dm.load(), 30, every_s=1.5, normal_s=0.1)  # a busy machine is late by itself
    assert result.stalls >= 3
    assert result.commands
    assert result.frames > 300
    assert result.frames + result.dropped <= 1800
