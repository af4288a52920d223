"""The studio's server: who may talk to it, what it makes of sound and takes, and what nonsense gets."""

from __future__ import annotations

import http.client
import importlib.util
import io
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="needs starlette: pip install 'duomorph[studio]'")
pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'duomorph[studio]'")
pytest.importorskip("websockets", reason="needs websockets: pip install 'duomorph[studio]'")
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import characters
import duomorph as dm
from command import refused
from conftest import WEB
from duomorph import arkit, formats, scenes, shaping
from duomorph.cli import main
from duomorph.clip import Clip
from duomorph.errors import FormatError, SettingError
from duomorph.evaluate import metrics
from duomorph.evaluate.attention import NEEDS, attention
from duomorph.shaping.settings import Settings, parse, read, text
from duomorph.studio import guard
from duomorph.studio.parcel import pack, unpack
from duomorph.wire import web
from studio import Running, running

PAGE = Path(guard.__file__).with_name("page")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("studio") / "private") as one:
        one.ask("GET", "/api/facts")
        held = one.handles()
        yield one
        for _ in range(100):  # until it has noticed who has left
            if one.handles() <= held:
                break
            time.sleep(0.1)
        assert one.handles() <= held
        left = [path.name for path in one.folder.iterdir() if path.name != ".ses"]  # onnxruntime's own
        assert left == []  # what was sent is gone


@pytest.fixture(scope="module")
def take(face: dm.Face, speech: np.ndarray) -> Clip:
    return face.animate(speech, fps=60, shaping=Settings(idle="calm").shaping)


@contextmanager
def voice(studio: Running) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{studio.port}/voice", compression=None, max_size=None) as line:
        assert web.read_hello(str(line.recv(timeout=30))).names == arkit.NAMES
        yield line


def turned_away(address: str, **more: Any) -> None:
    with pytest.raises(InvalidStatus, match="403"), connect(address, **more):
        pass


def spoken(line: ClientConnection, blocks: list[bytes], **order: Any) -> tuple[np.ndarray, np.ndarray]:
    """Curves (n, 52) and angles (n, 9) of a take sent so."""
    line.send(json.dumps({"begin": 1, **order}))
    found: list[bytes] = []

    def hear(until: str) -> dict[str, Any]:
        while True:
            said = line.recv(timeout=30)
            if isinstance(said, str):
                assert until in said, said
                return dict(json.loads(said))
            found.extend(said[at : at + 260] for at in range(0, len(said), 260))

    assert hear("begun")["latency_ms"] > 0
    for block in blocks:
        line.send(block)
    line.send(json.dumps({"end": 1}))
    frames = hear("ended")["frames"]
    decoded = [web.decode(one, Fraction(60)) for one in found]
    assert [frame.number for frame in decoded] == list(range(frames))
    return np.stack([frame.weights for frame in decoded]), np.stack([frame.angles for frame in decoded])


def curves(clip: Clip) -> bytes:
    angles = np.zeros((len(clip), 9), np.float32) if clip.angles is None else clip.angles
    return np.concatenate([clip.weights, angles], axis=1).astype("<f4").tobytes()


# -- who may talk


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 200),
        ({"Host": "[::1]:{port}"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:{port}"}, 403),
        ({"Host": "10.0.0.1:{port}"}, 403),
        ({"Host": "[bad"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
    ],
)
def test_who_may_talk(studio: Running, headers: dict[str, str], status: int) -> None:
    said = {name: value.format(port=studio.port) for name, value in headers.items()}
    for method, path in (("GET", "/"), ("GET", "/api/facts"), ("POST", "/api/settings")):
        assert studio.ask(method, path, b"" if method == "POST" else None, said)[0] == status
    if status == 403 and "Origin" in said:
        turned_away(f"ws://127.0.0.1:{studio.port}/voice", origin=said["Origin"])
    if status == 403 and "example" in said.get("Host", ""):
        with socket.create_connection(("127.0.0.1", studio.port)) as line:
            turned_away(f"ws://{said['Host']}/voice", sock=line)


def test_what_a_page_may_do(studio: Running) -> None:
    for path in ("/", "/page/main.js", "/api/facts", "/nothing"):
        _, headers, _ = studio.ask("GET", path)
        assert headers["content-security-policy"] == guard.HEADERS["Content-Security-Policy"]
        assert headers["x-content-type-options"] == "nosniff"
    policy = guard.HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert "http" not in page
    assert " style=" not in page
    assert " on" + "click=" not in page
    assert page.count("<script") == page.count('<script type="module" src="/page/')


def test_no_name_leaves_the_page(studio: Running) -> None:
    for path in (
        "/page/../server.py",
        "/page/..%2fserver.py",
        "/page/%2e%2e/server.py",
        "//etc/passwd",
        "/page//etc/passwd",
    ):
        status, _, data = studio.ask("GET", path)
        assert status == 404
        assert b"import" not in data
        assert b"root:" not in data


def test_an_open_house_asks_for_its_token(tmp_path: Path) -> None:
    with running(tmp_path / "private", "--host", "0.0.0.0") as house:
        token = house.url.partition("?token=")[2]
        assert len(token) >= 32
        for path in ("/", "/api/facts", "/page/main.js", "/?token=", f"/?token={token[:-1]}", "/?token=%C3%A9"):
            assert house.ask("GET", path)[0] == 403
        assert house.ask("GET", "/", headers={"Cookie": "duomorph-studio=wrong"})[0] == 403
        address, origin = f"ws://127.0.0.1:{house.port}/voice", f"http://127.0.0.1:{house.port}"
        turned_away(address, origin=origin)
        status, headers, _ = house.ask("GET", f"/?token={token}")
        assert (status, headers["location"]) == (303, "/")
        assert "HttpOnly" in headers["set-cookie"]
        assert "SameSite=strict" in headers["set-cookie"]
        cookie = {"Cookie": headers["set-cookie"].partition(";")[0]}
        assert house.ask("GET", "/", headers=cookie)[0] == 200
        assert house.ask("GET", "/", headers={**cookie, "Host": "evil.example"})[0] == 403
        assert house.ask("GET", "/", headers={**cookie, "Host": f"192.0.2.1:{house.port}"})[0] == 200
        with connect(address, origin=origin, additional_headers=cookie) as line:  # type: ignore[arg-type]
            web.read_hello(str(line.recv(timeout=30)))
        with connect(f"{address}?token={token}") as line:  # a program, which has no page and so no origin
            web.read_hello(str(line.recv(timeout=30)))
        turned_away(f"{address}?token={token[:-1]}")
        turned_away(address, origin="http://evil.example", additional_headers=cookie)


def test_a_request_is_capped(studio: Running) -> None:
    assert studio.ask("POST", "/api/settings", b"#" * (1 << 16))[0] == 200
    status, _, data = studio.ask("POST", "/api/settings", b"#" * ((1 << 16) + 1))
    assert (status, b"over 64 kB" in data) == (413, True)
    line = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=60)
    line.putrequest("POST", "/api/sound")
    line.putheader("Transfer-Encoding", "chunked")
    line.endheaders()
    block = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    try:
        for _ in range(160):  # MB: the studio stops listening at 128
            line.send(block)
    except OSError:
        pass
    else:
        assert line.getresponse().status == 413
    line.close()
    assert studio.ask("GET", "/api/facts")[0] == 200


def test_too_many_pages(studio: Running) -> None:
    with ExitStack() as lines:
        for _ in range(32):
            lines.enter_context(voice(studio))
        with connect(f"ws://127.0.0.1:{studio.port}/voice") as late, pytest.raises(ConnectionClosed, match="1013"):
            late.recv(timeout=10)
    for _ in range(50):  # until it has noticed
        with connect(f"ws://127.0.0.1:{studio.port}/voice") as again:
            try:
                assert web.read_hello(str(again.recv(timeout=10)))
                break
            except ConnectionClosed:
                time.sleep(0.1)
    else:
        pytest.fail("no room after the others have left")


def test_one_sentence_where_the_extra_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'duomorph[studio]'" in refused(capsys, "studio", "--port", "0")


def test_a_port_that_is_taken(studio: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert "choose another" in refused(capsys, "studio", "--port", str(studio.port))
    assert "choose another" in refused(capsys, "studio", "--port", "70000")
    assert "choose another" in refused(capsys, "studio", "--host", "no such host", "--port", "0")


# -- the voice


@pytest.mark.parametrize("kind", ["float32", "int16"])
def test_a_voice_gives_the_curves_of_animate(
    studio: Running, face: dm.Face, speech: np.ndarray, take: Clip, kind: str
) -> None:
    sound = speech if kind == "float32" else (speech * 32767).astype(np.int16)
    wanted = take if kind == "float32" else face.animate(sound, fps=60, shaping=Settings(idle="calm").shaping)
    data, width = sound.tobytes(), sound.itemsize
    blocks = [data[at : at + 3001 * width] for at in range(0, len(data), 3001 * width)]
    with voice(studio) as line:
        for live in (False, True):
            order = {"rate": 16_000, "fps": 60, "type": kind, "live": live, "settings": {"idle": "calm"}}
            weights, angles = spoken(line, blocks, **order)
            np.testing.assert_allclose(weights, wanted.weights, atol=1e-5)
            np.testing.assert_allclose(angles, wanted.angles, atol=1e-5)


def test_a_voice_at_48_khz(studio: Running, face: dm.Face, speech: np.ndarray) -> None:
    loud = np.repeat(speech, 3)  # coarse, and good enough to be resampled alike
    with voice(studio) as line:
        weights, _ = spoken(line, [loud.astype("<f4").tobytes()], rate=48_000, fps=30)
    np.testing.assert_allclose(
        weights, face.animate(loud, fps=30, rate=48_000, shaping=Settings().shaping).weights, atol=1e-5
    )


def test_knobs_are_turned_and_settings_meant(studio: Running, speech: np.ndarray) -> None:
    smile = arkit.INDEX["mouthSmileLeft"]
    order = {"rate": 16_000, "fps": 60}
    with voice(studio) as line:
        plain, _ = spoken(line, [speech.tobytes()], **order)
        joy, _ = spoken(line, [speech.tobytes()], **order, settings={"emotion": {"joy": 1.0}})
        assert joy[:, smile].mean() > plain[:, smile].mean() + 0.3
        line.send(json.dumps({"begin": 2, **order}))
        line.send(json.dumps({"turn": {"emotion": {"joy": 1.0}}}))
        line.send(speech.tobytes())
        line.send(json.dumps({"end": 2}))
        found = []
        while isinstance(said := line.recv(timeout=30), bytes) or "ended" not in said:
            if isinstance(said, bytes):
                found += [web.decode(said[at : at + 260], Fraction(60)) for at in range(0, len(said), 260)]
        assert np.mean([frame.weights[smile] for frame in found]) > plain[:, smile].mean() + 0.2
        for wrong in ({"rate": 1}, {"rate": 16_000, "settings": {"style": "nobody"}}, {"rate": 16_000, "fps": 7}):
            line.send(json.dumps({"begin": 3, **wrong}))
            assert "expected" in json.loads(line.recv(timeout=10))["error"]
        again, _ = spoken(line, [speech.tobytes()], **order)
        np.testing.assert_array_equal(again, plain)


ORDERS = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    st.builds(
        lambda key, value, more: json.dumps({key: value, **more}),
        st.sampled_from(["begin", "end", "turn", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
        st.fixed_dictionaries(
            {},
            optional={
                "rate": st.sampled_from([16_000, 48_000, 0, -1, 1e9, "x", None, 44_100]),
                "fps": st.sampled_from([60, 30, 0, 1e9, "x", None, float("nan")]),
                "type": st.sampled_from(["int16", "float32", 3, [], None]),
                "settings": st.one_of(
                    st.integers(),
                    st.dictionaries(
                        st.sampled_from(["intensity", "idle", "emotion", "shapes", "style", "seed", "gate", "nope"]),
                        st.one_of(
                            st.integers(), st.floats(), st.text(max_size=4), st.booleans(), st.just({"joy": 0.5})
                        ),
                        max_size=3,
                    ),
                ),
            },
        ),
    ),
)


@given(messages=st.lists(ORDERS, min_size=1, max_size=6))
@settings(max_examples=60)
def test_nonsense_closes_one_connection_or_is_told(studio: Running, messages: list[str | bytes]) -> None:
    with voice(studio) as line:
        with suppress(ConnectionClosed):
            for message in messages:
                line.send(message)
            line.send(json.dumps({"begin": 9, "rate": 16_000}))
            while isinstance(said := line.recv(timeout=20), bytes) or json.loads(said).get("begun") != 9:
                pass
            return
        assert line.close_code in (1007, 1008, 1009)
        assert "/" not in (line.close_reason or "")


# -- what the buttons do


def test_a_playlist_is_no_sound_behind_a_tag_either(studio: Running, speech: np.ndarray) -> None:
    tag = b"ID3\4\0\0" + bytes([0, 0, 0, 5]) + b"hello" + bytes(7)
    for playlist in (b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"):
        for body in (tag + playlist, tag + tag + playlist, tag * 9 + playlist):
            status, _, data = studio.ask("POST", "/api/sound", body)
            assert (status, b"is no sound" in data) == (400, True)
    song = io.BytesIO()
    soundfile.write(song, speech, 16_000, format="MP3")
    assert len(studio.post("/api/sound", tag + song.getvalue())) > 2 * 16_000


def test_any_sound_becomes_wav(studio: Running, sample: Path, speech: np.ndarray) -> None:
    rate, found = (lambda data, rate: (rate, data))(
        *soundfile.read(io.BytesIO(studio.post("/api/sound", sample.read_bytes())))
    )
    assert rate == 16_000
    np.testing.assert_allclose(found[: len(speech)], speech, atol=1e-4)
    for wrong in (
        b"",
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"RIFF",
        b"\xff\xfb" * 40,
    ):
        status, _, data = studio.ask("POST", "/api/sound", wrong)
        assert status == 400
        assert str(studio.folder) not in data.decode()
    long = io.BytesIO()
    soundfile.write(long, np.zeros(16_000 * 1201, np.int16), 16_000, format="FLAC")
    assert b"longer than 20 minutes" in studio.ask("POST", "/api/sound", long.getvalue())[2]


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_any_capture_is_read(studio: Running, take: Clip, name: str) -> None:
    found = unpack(studio.post("/api/capture", formats.FORMATS[name].encode(take)))
    wanted = formats.FORMATS[name].decode(formats.FORMATS[name].encode(take)).resampled(60)
    poses = np.frombuffer(found.parts["curves"], "<f4").reshape(-1, 61)
    assert found.said["fps"] == float(wanted.fps)
    np.testing.assert_allclose(poses[:, :52], wanted.weights, atol=1e-5)
    assert found.said["captured"] == wanted.captured.tolist()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "npz"])
def test_an_export_reads_back(studio: Running, take: Clip, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"take.{kind}"
    path.write_bytes(studio.post(f"/api/export/{kind}", pack({"fps": 60}, curves=curves(take))))
    found = formats.read(path)
    assert found.fps == 60
    np.testing.assert_allclose(found.weights, take.weights, atol=1e-5)


MAP = 'jawOpen = "Mouth_Open"\nmouthPucker = { "Mouth_U" = 0.7, "Mouth_O" = 0.3 }\n'


@pytest.mark.parametrize("mapped", [False, True])
def test_a_character_speaks(studio: Running, take: Clip, tmp_path: Path, mapped: bool) -> None:
    targets = ["Mouth_Open", "Mouth_U", "Mouth_O"] if mapped else ["jawOpen", "mouthPucker"]
    expressions = None if mapped else {"jawOpen": {"jawOpen": 1.0}}
    avatar = characters.save(tmp_path / "me.vrm", targets, None if mapped else 1, expressions).read_bytes()
    parts = {"avatar": avatar, **({"mapping": MAP.encode()} if mapped else {})}
    found = json.loads(studio.post("/api/character", pack({}, **parts)))
    assert found["vrm"] == (None if mapped else 1)
    binds = {"jawOpen": [[0, 0, 1.0]], "mouthPucker": [[0, 1, 1.0]]}
    assert found["binds"] == (binds | {"mouthPucker": [[0, 1, 0.7], [0, 2, 0.3]]} if mapped else binds)
    path = tmp_path / "take.glb"
    path.write_bytes(studio.post("/api/export/glb", pack({"fps": 60}, curves=curves(take), **parts)))
    document = scenes.gltf.unpack(path.read_bytes())[0]
    assert [one["name"] for one in document["animations"]] == ["Duomorph"]
    assert document["meshes"][0]["extras"]["targetNames"] == targets


def test_a_take_on_the_head_that_came_along(studio: Running, take: Clip, tmp_path: Path) -> None:
    path = tmp_path / "take.glb"
    path.write_bytes(studio.post("/api/export/glb", pack({"fps": 60}, curves=curves(take))))
    assert len(scenes.gltf.unpack(path.read_bytes())[0]["meshes"][0]["primitives"][0]["targets"]) == arkit.COUNT


def test_a_character_that_is_none_or_not_mapped(studio: Running, tmp_path: Path) -> None:
    avatar = characters.save(tmp_path / "me.glb", ["Mouth_Open"]).read_bytes()
    for parts, said in (
        ({}, "no character"),
        ({"avatar": b"glTF"}, "cannot read the file"),
        ({"avatar": b"glTF" + bytes(40)}, "cannot read the file"),
        ({"avatar": b"PK"}, "no character"),
        ({"avatar": avatar}, "use --mapping"),
        ({"avatar": avatar, "mapping": MAP.encode()}, "has no 'Mouth_U'"),
        ({"avatar": avatar, "mapping": b"jawOpen = 1"}, "the mapping is none"),
        ({"avatar": avatar, "mapping": b"\xff"}, "the mapping is none"),
        ({"avatar": avatar, "mapping": b'jawOpen = "x"\nJawOpen = "y"'}, "the mapping maps jawOpen twice"),
    ):
        status, _, data = studio.ask("POST", "/api/character", pack({}, **parts))
        assert (status, said in data.decode()) == (400, True), data
        assert str(studio.folder) not in data.decode()


def test_toml_is_told_apart(studio: Running) -> None:
    names = {"jawOpen": {"Mouth_Open": 1.0}, "mouthPucker": {"Mouth_U": 0.7, "Mouth_O": 0.3}}
    assert json.loads(studio.post("/api/settings", MAP.encode())) == {"mapping": names}
    assert json.loads(studio.post("/api/settings", b"[jawOpen]\ngain = 2")) == {"shapes": {"jawOpen": {"gain": 2}}}


def test_a_film(studio: Running, take: Clip, sample: Path, tmp_path: Path, ffmpeg: str) -> None:
    pytest.importorskip("skia", reason="needs skia: pip install 'duomorph[preview]'")
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(16_000), 16_000, format="WAV")
    short = Clip(take.weights[:30], take.fps)
    path = tmp_path / "take.mp4"
    path.write_bytes(studio.post("/api/export/mp4", pack({"fps": 60}, curves=curves(short), sound=sound.getvalue())))
    done = subprocess.run([ffmpeg, "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_two_takes_are_scored(studio: Running, take: Clip) -> None:
    late = np.concatenate([take.weights[:3], take.weights[:-3]])
    captured = [name != "tongueOut" for name in arkit.NAMES]

    def score(mine: Clip, truth: Clip, start: float = 0) -> dict[str, Any]:
        said = {"fps": float(mine.fps), "truth_fps": float(truth.fps), "captured": captured, "truth_start": start}
        return dict(json.loads(studio.post("/api/scores", pack(said, curves=curves(mine), truth=curves(truth)))))

    same = score(take, take)
    assert same["frames"] == len(take)
    assert same["mae"]["jawOpen"] == 0
    assert same["r"]["jawOpen"] == pytest.approx(1)
    assert same["mae"]["tongueOut"] is same["r"]["tongueOut"] is None
    off = score(Clip(late, take.fps), take)
    assert off["lag"] == 3
    jaw = arkit.INDEX["jawOpen"]
    assert off["mae"]["jawOpen"] == pytest.approx(np.abs(late - take.weights)[:, jaw].mean(), rel=1e-4)
    assert off["r"]["jawOpen"] == pytest.approx(np.corrcoef(late[:, jaw], take.weights[:, jaw])[0, 1], rel=1e-4)
    half = score(Clip(take.weights * np.float32(0.5), take.fps), take)
    assert half["size"]["jawOpen"] == pytest.approx(0.5, rel=1e-4)
    assert half["bias"]["jawOpen"] == pytest.approx(-take["jawOpen"].mean() / 2, rel=1e-4)
    top = int(take["jawOpen"].argmax())
    assert (half["worst"]["jawOpen"], half["at"]["jawOpen"]) == pytest.approx((-take["jawOpen"][top] / 2, top / 60))
    for score_ in ("bias", "size", "worst"):
        assert half[score_]["tongueOut"] is None
    lips = [k for k in metrics.GROUPS["mouth"] if captured[k]]
    assert half["groups"]["mouth"]["mae"] == pytest.approx((take.weights[:, lips] / 2).mean(), rel=1e-3)
    # A capture that begins later is compared where it is.
    later = score(take, Clip(take.weights[30:], take.fps), start=0.5)
    assert (later["frames"], later["mae"]["jawOpen"]) == (len(take) - 30, pytest.approx(0, abs=1e-6))
    assert later["lag"] == 0


def test_what_is_inside(studio: Running, face: dm.Face, speech: np.ndarray) -> None:
    facts = json.loads(studio.ask("GET", "/api/facts")[2])
    assert facts["names"] == list(arkit.NAMES)
    np.testing.assert_allclose(facts["streams"], face.info().provenance.streams)
    mood = unpack(studio.post("/api/mood", speech.tobytes()))
    values = np.frombuffer(mood.parts["values"], "<f4").reshape(-1, 88)
    assert len(values) == mood.said["count"] == 11
    np.testing.assert_allclose(values[0], face.info().provenance.neutral, rtol=1e-6)
    looks = pack({"at": 1.5, "style": None, "delay_ms": 100}, sound=speech.tobytes())
    if not facts["attention"]:
        status, _, data = studio.ask("POST", "/api/looks", looks)
        assert (status, b"duomorph[train]" in data) == (400, True)
        return
    assert all(importlib.util.find_spec(name) for name in NEEDS)
    found = np.frombuffer(studio.post("/api/looks", looks), "<f4").reshape(52, 80)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    weights = Path(face.info().path).with_suffix(".safetensors")
    wanted = attention(weights, speech, 6, face.info().provenance.default_style).at(1.5)
    np.testing.assert_allclose(found[arkit.INDEX["jawOpen"]], wanted["jawOpen"], atol=1e-5)


PARCELS = st.builds(
    lambda said, parts: pack(said, **parts),
    st.dictionaries(
        st.sampled_from(["fps", "truth_fps", "captured", "at", "style", "delay_ms"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([30, 60])),
    ),
    st.dictionaries(
        st.sampled_from(["curves", "truth", "avatar", "sound"]),
        st.one_of(
            st.binary(max_size=300), st.sampled_from([bytes(244), bytes(2440), np.full(61, np.nan, "<f4").tobytes()])
        ),
    ),
)
PATHS = (
    "sound", "capture", "character", "scores", "mood", "looks", "settings", "nothing",
    "export/glb", "export/csv", "export/json", "export/npz", "export/jsonl", "export/mp4", "export/%00",
)  # fmt: skip
STARTS = st.sampled_from(
    [b"", b"RIFF", b"fLaC", b"OggS", b"glTF", b"PK\3\4", b"{", b"timecode,blendshapecount", b"[jawOpen]\n"]
)


@given(
    path=st.sampled_from(PATHS),
    body=st.one_of(st.binary(max_size=200), PARCELS, st.builds(bytes.__add__, STARTS, st.binary(max_size=99))),
)
@settings(max_examples=250)
def test_no_request_is_too_much(studio: Running, path: str, body: bytes) -> None:
    status, headers, data = studio.ask("POST", f"/api/{path}", body)
    assert status < 500, (path, body, data)
    assert "content-security-policy" in headers
    if status >= 400:
        assert str(studio.folder).encode() not in data
        assert b"Traceback" not in data


HANDSHAKE = (
    b"GET /voice HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
HEAD = st.builds(
    lambda method, path, more: f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode("latin-1"),
    st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "GE T", ""]),
    st.one_of(
        st.sampled_from(["/", "/page/", "/page", "/page/main.js/", "/head.glb", "/sample.flac", "/voice", "/api", "*"]),
        st.sampled_from([f"/api/{path}" for path in PATHS]),
        st.text(st.characters(max_codepoint=255), max_size=12).map(lambda text: f"/page/{text}"),
    ),
    st.sampled_from(
        [
            "", "Content-Length: 9\r\n", "Content-Length: -1\r\n", "Content-Length: x\r\n", "Expect: 100-continue\r\n",
            "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: x\r\n", "Range: bytes=5-1\r\n", "Cookie: =;\xff\r\n",
            "Range: bytes=0-3,2-99999999\r\n", "If-None-Match: \xff\r\n", "Host: localhost\r\n",
            "Upgrade: websocket\r\n", "Upgrade: websocket\r\nConnection: upgrade\r\n", f"Cookie: {'a' * 9000}\r\n",
        ]
    ),
)  # fmt: skip
BYTES = st.one_of(
    st.binary(max_size=120),
    st.builds(bytes.__add__, HEAD, st.binary(max_size=60)),
    st.builds(bytes.__add__, st.just(HANDSHAKE), st.binary(max_size=60)),
    # Frames of a WebSocket: what they are, how long they say they are, a mask.
    st.builds(
        lambda kind, size, rest: HANDSHAKE + bytes([kind, size]) + rest,
        st.sampled_from([0x80, 0x00, 0x01, 0x81, 0x02, 0x82, 0x88, 0x89, 0x8A, 0x83, 0xC1, 0xF2]),
        st.sampled_from([0x80, 0x84, 0xFE, 0xFF, 0x04]),
        st.binary(max_size=80),
    ),
)


@given(sent=BYTES)
@settings(max_examples=200)
def test_no_bytes_are_too_much(studio: Running, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", studio.port), timeout=30) as line, suppress(ConnectionError):
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        heard = b""
        while data := line.recv(1 << 16):
            heard += data
        if heard:
            assert re.match(rb"HTTP/1\.1 [1234]\d\d", heard), heard[:200]
        assert b"Traceback" not in heard
        assert str(studio.folder).encode() not in heard


@pytest.mark.alone
def test_who_does_not_listen_waits(studio: Running, speech: np.ndarray) -> None:
    """Three that send as much as is taken and read nothing: the studio holds little of it, and others are heard."""
    status = Path(f"/proc/{studio.process.pid}/statm")
    if not status.exists():
        pytest.skip("needs /proc to see what memory a process has")

    def megabytes() -> float:
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    with voice(studio) as line:
        spoken(line, [speech.tobytes()], rate=16_000)
    before, sent, over = megabytes(), [0, 0, 0], threading.Event()
    block = np.resize(speech, 48_000).tobytes()

    def flood(k: int) -> None:
        with suppress(ConnectionClosed), voice(studio) as line:
            line.send(json.dumps({"begin": 1, "rate": 48_000}))
            while not over.is_set():
                line.send(block)
                sent[k] += len(block)

    floods = [threading.Thread(target=flood, args=(k,)) for k in range(3)]
    for one in floods:
        one.start()
    try:
        with voice(studio) as line:
            weights, _ = spoken(line, [speech.tobytes()], rate=16_000)
        assert len(weights) == 181
        assert all(sent)
        assert megabytes() - before < 60, sent
    finally:
        over.set()
        for one in floods:
            one.join()


@given(data=st.one_of(st.binary(max_size=200), PARCELS))
def test_a_parcel_is_one_or_our_error(data: bytes) -> None:
    try:
        found = unpack(data)
    except FormatError:
        return
    assert unpack(pack({key: found.said[key] for key in found.said}, **found.parts)).parts == found.parts


# -- settings

NUMBER = st.floats(0, 3, allow_subnormal=False)
SETTINGS = st.builds(
    Settings,
    style=st.none() | st.text(max_size=9).filter(lambda name: name.isprintable()),
    delay_ms=st.integers(0, 200).map(float),
    intensity=NUMBER,
    expressiveness=NUMBER,
    gate=st.booleans(),
    close_limit=st.booleans(),
    idle=st.sampled_from(["off", "calm", "lively"]),
    seed=st.integers(0, 1000),
    emotion=st.dictionaries(st.sampled_from(["joy", "sad", "anger"]), st.floats(0, 1), max_size=2),
    shapes=st.dictionaries(
        st.sampled_from(["jawOpen", "brows", "all"]), st.dictionaries(st.just("gain"), NUMBER, min_size=1), max_size=3
    ),
)


@given(wanted=SETTINGS)
def test_settings_read_back(wanted: Settings) -> None:
    assert Settings(**parse(text(wanted))) == wanted


def test_the_command_line_reads_what_the_studio_saves(
    studio: Running, sample: Path, tmp_path: Path, face: dm.Face, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {
        "intensity": 1.4,
        "idle": "calm",
        "gate": False,
        "emotion": {"joy": 0.5},
        "shapes": {"brows": {"gain": 0.5}},
    }
    saved = tmp_path / "studio.toml"
    saved.write_bytes(studio.post("/api/settings", json.dumps(said).encode()))
    assert read(saved) == said
    back = json.loads(studio.post("/api/settings", saved.read_bytes()))
    assert back == {**said, "emotion": {"happiness": 0.5}}
    out = tmp_path / "out.npz"
    assert main(["animate", str(sample), "-o", str(out), "--settings", str(saved), "--intensity", "1.2"]) == 0
    capsys.readouterr()
    wanted = Settings(**{**said, "intensity": 1.2})
    clip = face.animate(sample, shaping=wanted.shaping)
    np.testing.assert_array_equal(formats.read(out).weights, clip.weights)
    table = tmp_path / "avatar.toml"
    table.write_text("[jawOpen]\ngain = 1.2\n")
    assert Settings(**read(table)).shaping.table is not None
    np.testing.assert_array_equal(Settings(**read(table)).shaping.table.gain, shaping.read(table).gain)


@pytest.mark.parametrize(
    "line",
    [
        "intensity = 9", "intensity = true", "intensity = nan", "idle = 3", "gate = 1", "x = 1", "[nose]\ngain = 'a'",
        "[emotion]\njoy = 2", "[emotion]\nx = 1", "emotion = 3", "seed = -1", "style = 1", "delay_ms = 999", "=",
        "[jawOpen]\nx = 1", "no_gate = true",
    ],
)  # fmt: skip
def test_settings_that_are_none(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], sample: Path) -> None:
    with pytest.raises(SettingError):
        parse(line)
    path = tmp_path / "bad.toml"
    path.write_text(line)
    assert "bad.toml" in refused(capsys, "animate", sample, "-o", tmp_path / "a.csv", "--settings", path)


# -- what the wheel holds


def test_the_page_knows_the_shapes() -> None:
    listed = (PAGE / "names.js").read_text(encoding="utf-8").partition("[")[2].rpartition("]")[0]
    assert json.loads(f"[{listed.strip().rstrip(',')}]") == list(arkit.NAMES)


def test_the_wheel_is_light() -> None:
    package = PAGE.parents[1]
    sizes = [path.stat().st_size for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(sizes) < 20e6  # and a wheel packs them


def test_no_module_waits_for_another_to_name_it() -> None:
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    modules = {path.name for path in PAGE.glob("*.js")} - {"main.js", "worklet.js"}  # by itself; by the microphone
    assert set(re.findall(r'"modulepreload" href="/page/(\w+\.js)"', page)) == modules
    for needed in ("/page/vendor/three.js", "/head.glb"):
        assert f'href="{needed}"' in page


@pytest.mark.alone
def test_three_js_is_what_npm_gives(browser: tuple[str, str], tmp_path: Path) -> None:
    done = subprocess.run([browser[0], WEB / "vendor.mjs", tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in ("three.js", "three.LICENSE"):
        assert (PAGE / "vendor" / name).read_bytes() == (tmp_path / name).read_bytes(), "run  node tests/web/vendor.mjs"
    assert (PAGE / "vendor" / "three.js").stat().st_size < 1.3e6
