"""The example page in a real browser: frames of real speech come through the real socket, and its mouth moves."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import duomorph as dm
from duomorph import arkit
from duomorph.clip import Clip
from duomorph.live.sinks import open_sink
from duomorph.live.sinks_web import WebSink
from duomorph.wire import Frame

Image = pytest.importorskip("PIL.Image", reason="needs pillow: pip install 'duomorph[plot]'")

pytestmark = pytest.mark.alone

WEB = Path(__file__).parent / "web"
PAGE = Path(__file__).parents[1] / "examples" / "threejs.html"
THREE = "https://cdn.jsdelivr.net/npm/three@0.187.0/build/"
FPS = Fraction(60)
NO_ANGLES = np.zeros(9, np.float32)


@pytest.fixture
def site() -> Iterator[str]:
    """The page as it is shipped, but for three.js: a copy on this machine instead of the CDN's."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].rpartition("/")[2]
            if name == PAGE.name:
                text = PAGE.read_text(encoding="utf-8")
                assert text.count(THREE) == 1
                kind, data = "text/html", text.replace(THREE, "./").encode()
            elif name in ("three.module.js", "three.core.js"):
                kind, data = "text/javascript", (WEB / "node_modules" / "three" / "build" / name).read_bytes()
            else:
                kind, data = "text/plain", b""
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}/{PAGE.name}"
    server.shutdown()
    thread.join()
    server.server_close()


class Looker:
    """The page, seen."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program
        self.seen = self._read()

    def do(self, order: str) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(order + "\n")
        self._program.stdin.flush()
        self.seen = self._read()
        assert self.seen["errors"] == []

    def _read(self) -> dict[str, object]:
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        assert line, self._program.communicate()[1]
        return dict(json.loads(line))


@contextmanager
def looking(browser: tuple[str, str], profile: Path, url: str) -> Iterator[Looker]:
    node, chromium = browser
    command = [node, str(WEB / "look.mjs"), chromium, str(profile), url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=WEB) as program:
        try:
            yield Looker(program)
            program.communicate("quit\n", timeout=60)
        finally:
            program.kill()


def test_the_mouth_moves_when_somebody_speaks(
    browser: tuple[str, str], site: str, sample: Path, tmp_path: Path
) -> None:
    face = dm.load()
    rest = face.animate(np.zeros(16_000, np.float32), fps=FPS)
    speech = face.animate(sample, fps=FPS)
    widest = int(np.argmax(speech["jawOpen"]))
    with closing(open_sink("ws://:0", FPS, "Alice", print)) as sink:
        assert isinstance(sink, WebSink)
        with looking(browser, tmp_path / "profile", f"{site}?ws=ws://127.0.0.1:{sink.port}") as page:
            until_there(sink)
            show(sink, rest, 59)
            page.do("wait Alice, frame 59")
            page.do(f"shot {tmp_path / 'silence.png'}")
            for k in range(widest):  # live, as it is spoken
                show(sink, speech, k)
                time.sleep(1 / 60)
            show(sink, speech, widest)
            page.do(f"wait frame {widest}")
            page.do(f"shot {tmp_path / 'speech.png'}")
            show(sink, rest, 58)
            page.do("wait Alice, frame 58")
            page.do(f"shot {tmp_path / 'again.png'}")
            assert page.seen["texts"] == 1
            assert page.seen["frames"] + sink.dropped == widest + 3  # type: ignore[operator]
            assert sink.dropped < widest / 10
    silence, spoken, again = (picture(tmp_path / f"{name}.png") for name in ("silence", "speech", "again"))
    assert np.abs(silence - again)[MOUTH].mean() < 1
    assert np.abs(silence - spoken)[MOUTH].mean() > 5
    assert dark(spoken) > 2 * dark(silence)


MOUTH = np.s_[220:400, 60:340]


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)


def dark(image: np.ndarray) -> int:
    """Pixels of the inside of the mouth."""
    return int((image[MOUTH].sum(axis=-1) < 180).sum())


def show(sink: WebSink, clip: Clip, number: int) -> None:
    assert clip.weights.shape[1] == arkit.COUNT
    sink.send(Frame(number, FPS, clip.weights[number], NO_ANGLES))


def until_there(sink: WebSink) -> None:
    end = time.monotonic() + 30
    while not sink.clients:
        assert time.monotonic() < end, "the page connects"
        time.sleep(0.01)
