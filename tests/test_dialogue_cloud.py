"""Sounds and curves that stand at URLs, and manifests in Parquet."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import duomorph as dm
from command import refused
from duomorph.dialogue import Here, Ledger, Work, listed, run, sources
from lines import batch, states, tree, voices


def has(*modules: str) -> pytest.MarkDecorator:
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(lacking), reason=f"needs {', '.join(lacking)}: pip install {' '.join(lacking)}")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, sample: Path, face: dm.Face) -> tuple[Path, dict[str, bytes]]:
    """Sounds in a folder, and what becomes of them there."""
    folder = tmp_path_factory.mktemp("calm")
    voices(folder / "voices", sample, 6)
    (folder / "curves").mkdir()
    with Ledger(folder / "curves" / "duomorph.sqlite") as ledger:
        run(listed([str(folder / "voices")]), Work(str(folder / "curves")), ledger, Here(face), face)
    return folder / "voices", tree(folder / "curves")


@has("fsspec")
def test_memory(calm: tuple[Path, dict[str, bytes]], tmp_path: Path, face: dm.Face) -> None:
    import fsspec

    sounds, expected = calm
    memory = fsspec.filesystem("memory")
    memory.put(f"{sounds}/", "/game/voices/", recursive=True)
    memory.pipe_file("/game/voices/bad.wav", b"no sound")

    def go(place: str, keep: str) -> tuple[int, int, int]:
        with Ledger(tmp_path / "game.sqlite") as ledger:
            outcome = run(listed([place]), Work("memory://game/curves"), ledger, Here(face), face, keep)
            errors = [error for (error,) in ledger.rows("error", "state = 'failed'")]
            assert all("'memory:///game/voices/bad.wav'" in str(error) for error in errors)
        return outcome.done, outcome.kept, outcome.failed

    try:
        assert go("memory://game/voices", "") == (6, 0, 1)
        made = {name.removeprefix("/game/curves/"): memory.cat(name) for name in memory.find("/game/curves")}
        assert made == expected
        assert go("memory://game/voices", "times") == (0, 6, 1)
        memory.pipe_file("/game/voices/de/intro/0000.wav", (sounds / "de" / "intro" / "0002.wav").read_bytes())
        assert go("memory://game/voices", "times") == (1, 5, 1)
        assert memory.cat("/game/curves/de/intro/0000.csv") == expected["de/intro/0002.csv"]
        pattern = [line.name for line in listed(["memory://game/voices/*/intro/*3.wav"])]
        assert pattern == ["en/intro/0003"]
        assert [line.name for line in listed(["memory://game/voices/de/intro/0002.wav"])] == ["0002"]
    finally:
        memory.rm("/game", recursive=True)


@has("fsspec")
def test_a_manifest_at_a_url(calm: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(f"{calm[0]}/", "/game/voices/", recursive=True)
    try:
        walked = list(listed(["memory://game/voices"]))
        rows = [f"voices/{line.name}.wav" for line in walked] + ["voices/de/none.wav"]
        memory.pipe_file("/game/lines.csv", "\n".join(["source", *rows]).encode())
        asked: list[str] = []
        info = type(memory).info
        with monkeypatch.context() as patch:
            patch.setattr(
                type(memory), "info", lambda self, path, **more: asked.append(path) or info(self, path, **more)
            )
            *found, lost = sources.manifest("memory://game/lines.csv")
        assert [path for path in asked if path.endswith("wav")] == [
            "/game/voices/de/none.wav"
        ]  # not in its folder's list
        assert [(one.source, one.size) for one in found] == [
            (f"memory://game/voices/{line.name}.wav", line.size) for line in walked
        ]
        assert [one.stamp for one in found] == [line.stamp for line in walked]
        assert (lost.size, lost.stamp) == (0, "")
    finally:
        memory.rm("/game", recursive=True)


@has("fsspec")
def test_files_as_urls(calm: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    sounds, expected = calm
    code, _, err = batch(f"file://{sounds}", "-o", f"file://{tmp_path}/curves", "--ledger", tmp_path / "a.sqlite")
    assert (code, err) == (0, "")
    assert tree(tmp_path / "curves") == expected


@has("fsspec")
def test_mistakes_at_urls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--ledger" in refused(capsys, "batch", tmp_path, "-o", "memory://curves")
    ledger = ("--ledger", tmp_path / "a.sqlite")
    assert "--jobs 0" in refused(capsys, "batch", "memory://voices", "-o", tmp_path / "curves", *ledger)
    said = refused(capsys, "batch", "memory://nowhere", "-o", tmp_path / "curves", "--jobs", "0", *ledger)
    assert "does not exist" in said
    said = refused(capsys, "batch", "odd://voices", "-o", tmp_path / "curves", "--jobs", "1", *ledger)
    assert "'odd://voices'" in said


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of our own that speaks S3."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    for name, value in (
        ("AWS_ENDPOINT_URL", url), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    try:
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{url}/moto-api/data.json"):
                    break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
        yield url
    finally:
        server.kill()
        server.wait()


@has("s3fs", "moto", "flask", "flask_cors")
def test_s3(calm: tuple[Path, dict[str, bytes]], tmp_path: Path, s3: str) -> None:
    sounds, expected = calm
    move = (
        "import sys, fsspec; f = fsspec.filesystem('s3'); f.makedirs('game', exist_ok=True); "
        "getattr(f, sys.argv[1])(sys.argv[2], sys.argv[3], recursive=True)"
    )
    subprocess.run([sys.executable, "-c", move, "put", f"{sounds}/", "game/voices/"], check=True)
    command = ["s3://game/voices", "-o", "s3://game/curves", "--ledger", tmp_path / "game.sqlite", "--jobs", "1"]
    code, out, err = batch(*command)
    assert (code, err) == (0, "")
    assert "6 done" in out
    code, out, err = batch(*command, "--resume")
    assert (code, err) == (0, "")
    assert "0 done, 6 unchanged" in out
    subprocess.run([sys.executable, "-c", move, "get", "game/curves/", f"{tmp_path}/got/"], check=True)
    assert tree(tmp_path / "got") == expected
    assert set(states(tmp_path / "game.sqlite").values()) == {"done"}


@has("pyarrow")
def test_parquet(calm: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow
    from pyarrow import parquet

    sounds, _ = calm
    path = tmp_path / "lines.parquet"
    table = {"source": [f"{sounds}/de/intro/0000.wav", f"{sounds}/en/intro/0001.wav"], "name": ["a", None],
             "gain": [-3.0, None], "emotion": ["joy=0.5", None]}  # fmt: skip
    parquet.write_table(pyarrow.table(table), path)
    first, second = sources.manifest(path)
    assert (first.name, first.own) == ("a", sources.Own(emotion="joy=0.5", gain=-3.0))
    assert (second.source, second.own) == (f"{sounds}/en/intro/0001.wav", sources.Own())
    path.write_bytes(b"no table")
    assert "cannot read the manifest" in refused(capsys, "batch", "--manifest", path, "-o", tmp_path, "--jobs", "0")
