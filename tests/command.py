"""The command line in tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from duomorph.cli import main


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run what must fail; its one sentence: what was got, what was expected or what to do."""
    assert main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("duomorph: ")
    assert said.err.count("\n") == 1
    assert len(said.err) < 400
    return said.err
