"""The command line and the recipes in tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from duomorph.cli import main

RECIPES = Path(__file__).parents[1] / "recipes"


def run_recipe(name: str, root: Path | None, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a recipe as a user does, on the corpus at `root`."""
    command = [sys.executable, "-W", "error", str(RECIPES / name), *map(str, arguments)]
    environment = {**os.environ, "DUOMORPH_CORPUS": str(root or "")}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run what must fail; its one sentence: what was got, what was expected or what to do."""
    assert main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("duomorph: ")
    assert said.err.count("\n") == 1
    assert len(said.err) < 400
    return said.err
