"""The studio's page in Chromium: what is dropped or said moves the face, in time with the sound, and survives."""

from __future__ import annotations

import io
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette", reason="needs starlette: pip install 'duomorph[studio]'")
pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'duomorph[studio]'")
pytest.importorskip("playwright", reason="needs playwright: pip install 'duomorph[dev]'")
pytest.importorskip("PIL", reason="needs pillow: pip install 'duomorph[plot]'")
from PIL import Image, ImageColor
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright

import characters
import duomorph as dm
from duomorph import arkit, formats, scenes
from duomorph.live.sinks import open_sink
from duomorph.shaping.settings import Settings, read
from duomorph.wire import Frame
from studio import Running, running

pytestmark = pytest.mark.alone

DRAW = (
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
NOISE = (
    "GPU stall",
    "WebSocket connection to",
    "ERR_CONNECTION",
    "Failed to load resource",
    "was preloaded using link preload",
)  # of servers that were ended, and of a head that nobody can draw
SMALL = {"width": 900, "height": 620}
LOOP_S = 0.065  # what `pressure` times, on a server's core of 2021 that nobody else disturbs
PATIENCE_S = 90  # with a machine that draws in software and works for others too


# Notes the audio device's clock beside ours, and what is drawn.
WATCH = """() => {
  const { player, head } = studio, draw = head.draw.bind(head);
  globalThis.watched = { clock: [], drawn: [] };
  head.draw = () => {
    const at = player.position;
    if (draw() && player.playing && studio.take.done / 60 > at + 0.05) watched.drawn.push([at, head.weight('jawOpen')]);
  };
  setInterval(() => {
    if (!player.playing) return;
    const { contextTime, performanceTime } = player.context.getOutputTimestamp();
    const heard = contextTime + (performance.now() - performanceTime) / 1000, at = player.position;
    if (contextTime > 0 && at > 0.1) watched.clock.push([heard, at]);
    watched.began = player.began;
  }, 5);
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("studio") / "private") as one:
        yield one


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium: on Debian  apt-get install chromium")
    with sync_playwright() as one:
        yield one


@contextmanager
def launched(playwright: Playwright, *more: str) -> Iterator[Browser]:
    with closing(playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*DRAW, *more])) as one:
        yield one


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright) as one:
        yield one


@pytest.fixture(scope="module")
def faceless(playwright: Playwright) -> Iterator[Browser]:
    """Without WebGL, for what needs no face: drawing in software takes all cores."""
    with launched(playwright, "--disable-gpu", "--disable-3d-apis") as one:
        yield one


def until(page: Page, expression: str, seconds: float = PATIENCE_S) -> Any:
    """Its value as soon as it is true. (Playwright's own waiting would need a page that allows eval.)"""
    ended = time.monotonic() + seconds
    while not (value := page.evaluate(expression)):
        assert time.monotonic() < ended, (expression, page.text_content("#state"))
        time.sleep(0.03)
    return value


@contextmanager
def opened(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """The page, ready; it may not complain."""
    wrong: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(word in message.text for word in NOISE):
            wrong.append(message.text)

    with closing(browser.new_context(viewport=context.pop("viewport", SMALL), **context)) as room:
        room.set_default_timeout(1000 * PATIENCE_S)
        page = room.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda problem: wrong.append(str(problem)))
        page.goto(url)
        until(page, "performance.getEntriesByName('ready').length && studio.link.open")
        yield page
    assert wrong == []


def speak(page: Page, sound: Path) -> None:
    page.set_input_files("#file", sound)
    until(page, "studio.take?.whole")


def pause(page: Page) -> None:
    page.evaluate("studio.player.stop()")


def curve(page: Page, shape: str = "jawOpen") -> np.ndarray:
    index = arkit.INDEX[shape]
    found = page.evaluate(f"Array.from({{length: studio.take.frames}}, (_, k) => studio.take.value({index}, k))")
    return np.array(found, np.float32)


@contextmanager
def our_work(browser: Browser, page: Page) -> Iterator[list[float]]:
    """How long the page's thread worked for each call of our code, in ms of its own time: a busy machine that lets it
    wait changes nothing. Known at the end."""
    found: list[float] = []
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    yield found
    for event in json.loads(browser.stop_tracing())["traceEvents"]:
        called = event["name"] in ("FunctionCall", "EvaluateScript") and event["ph"] == "X"
        if called and "/page/" in event["args"]["data"].get("url", ""):
            found.append(event["tdur"] / 1000)


def face_at(page: Page, seconds: float) -> np.ndarray:
    """Pixels of the lower half of the face at a moment."""
    page.evaluate(f"studio.player.seek({seconds})")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = page.locator("#face").bounding_box()
    assert box is not None
    clip = {"x": box["x"], "y": box["y"] + box["height"] / 2, "width": box["width"], "height": box["height"] / 2}
    picture = page.screenshot(clip=clip)  # type: ignore[arg-type]
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), np.float32)


def differ(a: np.ndarray, b: np.ndarray) -> int:
    """How many pixels are another colour."""
    return int((np.abs(a - b).max(axis=2) > 24).sum())


@pytest.fixture(scope="module")
def word(tmp_path_factory: pytest.TempPathFactory, speech: np.ndarray) -> Path:
    """Half a second of silence, then a bit of speech, at 48 kHz."""
    path = tmp_path_factory.mktemp("sound") / "word.wav"
    soundfile.write(path, np.repeat(np.concatenate([np.zeros(8000, np.float32), speech[:27_000]]), 3), 48_000)
    return path


def pressure() -> float:
    """How many times longer work takes here now than where nobody else works, 1 to 2: what other programs take of this
    machine, and what its host takes of it, which no clock of its own shows."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        sum(k * k for k in range(1_000_000))
        took.append(time.perf_counter() - began)
    return min(2.0, max(1.0, sorted(took)[1] / LOOP_S))


def test_the_face_is_there_two_seconds_after_the_command(chromium: Browser, tmp_path: Path) -> None:
    took: list[float] = []
    while len(took) < 3 and min(took, default=9) > 2:  # the first warms the machine up
        before = pressure()
        with closing(chromium.new_context(viewport=SMALL)) as room:  # the user's browser is open
            page = room.new_page()
            began = time.time()
            with running(tmp_path / "private") as one:
                page.goto(one.url, wait_until="commit")
                until(page, "performance.getEntriesByName('face').length")
                seen = page.evaluate("performance.getEntriesByName('face')[0].startTime + performance.timeOrigin")
        took.append((seen / 1000 - began) / ((before + pressure()) / 2))
    assert min(took) <= 2, took


def test_a_file_moves_the_face_in_time(chromium: Browser, studio: Running, word: Path, face: dm.Face) -> None:
    with opened(chromium, studio.url) as page:
        page.evaluate(WATCH)
        with our_work(chromium, page) as took:
            page.set_input_files("#file", word)
            until(page, "studio.player.playing")  # by itself, as soon as there is something to be seen
            until(page, "!studio.player.playing && studio.take.whole")
        assert len(took) > 20
        assert max(took) < 100
        with our_work(chromium, page) as took:  # and a task that is too long is seen
            page.evaluate(
                """new Promise((done) => {
                  const { timeline } = studio, draw = timeline.draw;
                  timeline.draw = (at) => {
                    let sum = 0;
                    for (let k = 0; k < 4e8; k++) sum += Math.sqrt(k);
                    timeline.draw = draw;
                    done(sum);
                  };
                })"""
            )
        assert max(took) > 100
        jaw = curve(page)
        wanted = face.animate(word, fps=60, shaping=Settings(idle="calm").shaping)["jawOpen"]
        assert len(jaw) == len(wanted)
        assert np.abs(jaw - wanted).mean() < 0.01  # another resampler
        # What leaves the audio device, by the device's own clock, against what we take for it: both began at moments
        # of their own, so their difference is the same for ever.
        heard, position = np.array(page.evaluate("watched.clock")).T
        assert len(heard) > 100
        apart = heard - position
        assert np.percentile(np.abs(apart - np.median(apart)), 95) < 0.02
        assert np.median(apart) == pytest.approx(page.evaluate("watched.began"), abs=0.02)
        # What the face shows is the curve at that moment.
        position, shown = np.array(page.evaluate("watched.drawn")).T
        there = np.interp(position, np.arange(len(jaw)) / 60, jaw)
        late = np.interp(position - 0.02, np.arange(len(jaw)) / 60, jaw)
        assert np.all(np.abs(there - shown) <= np.abs(there - late) + 0.02)
        silence = face_at(page, 0.1)
        assert differ(silence, face_at(page, 0.2)) < 200
        vowel = face_at(page, float(np.argmax(jaw)) / 60)
        assert differ(silence, vowel) > 800


def test_knobs_speak_anew_and_are_kept(faceless: Browser, studio: Running, word: Path, tmp_path: Path) -> None:
    with opened(faceless, studio.url, accept_downloads=True) as page:
        speak(page, word)
        pause(page)
        before = curve(page).max()
        page.click("#tab-settings")
        page.locator("#knob-intensity-1").fill("2")
        until(page, "!studio.take.whole")
        until(page, "studio.take.whole")
        assert curve(page).max() > 1.3 * before
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save").click()
        saved.value.save_as(tmp_path / "studio.toml")
        assert read(tmp_path / "studio.toml") == {"intensity": 2, "idle": "calm"}
        (tmp_path / "mine.toml").write_text(
            'intensity = 0.5\nidle = "off"\nseed = 3\n[emotion]\njoy = 0.7\n[jaw]\ngain = 2\nmax = 0.9\n'
        )
        page.set_input_files("#settings input[type=file]", tmp_path / "mine.toml")
        until(page, "studio.settings.value.intensity === 0.5")
        with page.expect_download() as again:
            page.get_by_role("button", name="Save").click()
        again.value.save_as(tmp_path / "again.toml")
        wanted = {
            "intensity": 0.5,
            "idle": "off",
            "seed": 3,
            "emotion": {"happiness": 0.7},
            "shapes": {"jaw": {"gain": 2, "max": 0.9}},
        }
        assert Settings(**read(tmp_path / "again.toml")) == Settings(**wanted)


def test_exports_are_valid(faceless: Browser, studio: Running, word: Path, tmp_path: Path) -> None:
    sound, rate = soundfile.read(word)
    word = tmp_path / "word.wav"
    soundfile.write(word, sound[:rate], rate)
    with opened(faceless, studio.url, accept_downloads=True) as page:
        speak(page, word)
        pause(page)
        jaw = curve(page)
        kinds = json.loads(studio.ask("GET", "/api/facts")[2])["formats"]
        for kind, label in {"csv": "CSV", "jsonl": "JSONL", "json": "A2F", "glb": "GLB", "mp4": "MP4"}.items():
            if kind not in kinds:
                continue
            with page.expect_download() as saved:
                page.get_by_role("button", name=f"Export as {label}", exact=True).click()
            path = tmp_path / f"word.{kind}"
            assert saved.value.suggested_filename == path.name
            saved.value.save_as(path)
            if kind == "glb":
                assert scenes.gltf.unpack(path.read_bytes())[0]["animations"][0]["name"] == "Duomorph"
            elif kind == "mp4":
                assert path.read_bytes()[4:8] == b"ftyp"
            else:
                np.testing.assert_allclose(formats.read(path)["jawOpen"], jaw, atol=1e-5)


@pytest.mark.parametrize("presets", [False, True])
def test_a_character_of_ones_own(chromium: Browser, studio: Running, word: Path, tmp_path: Path, presets: bool) -> None:
    targets = ["m"] if presets else ["jawOpen"]
    expressions = {"aa": {"m": 1.0}} if presets else {"jawOpen": {"jawOpen": 1.0}}
    avatar = characters.save(tmp_path / "me.vrm", targets, 1, expressions)
    with opened(chromium, studio.url) as page:
        speak(page, word)
        pause(page)
        page.set_input_files("#file", avatar)
        until(page, "document.getElementById('caption').textContent === 'me.vrm'")
        at = float(np.argmax(curve(page))) / 60
        rest = face_at(page, 0.1)
        still = page.evaluate(f"studio.head.weight('{'A' if presets else 'jawOpen'}')")
        moved = face_at(page, at)
        shown = page.evaluate(f"studio.head.weight('{'A' if presets else 'jawOpen'}')")
        assert shown > still + 0.1
        if not presets:
            assert shown == pytest.approx(curve(page).max(), abs=1e-4)
        assert differ(rest, moved) > 20
        (tmp_path / "bad.glb").write_bytes(b"glTF" + bytes(99))
        page.set_input_files("#file", tmp_path / "bad.glb")
        until(page, "document.getElementById('state').classList.contains('bad')")


def test_a_character_of_other_names(chromium: Browser, studio: Running, word: Path, tmp_path: Path) -> None:
    avatar = characters.save(tmp_path / "me.glb", ["Mouth_Open", "Mouth_O"])
    (tmp_path / "map.toml").write_text('jawOpen = { "Mouth_Open" = 0.5 }\nmouthFunnel = "Mouth_O"\n')
    with opened(chromium, studio.url, accept_downloads=True) as page:
        speak(page, word)
        pause(page)
        page.set_input_files("#file", avatar)
        until(page, "document.getElementById('state').textContent.includes('drop its mapping')")
        page.set_input_files("#file", tmp_path / "map.toml")
        until(page, "document.getElementById('caption').textContent === 'me.glb'")
        assert "2 of the 52 shapes, not eyeBlinkLeft" in str(page.text_content("#state"))
        rest = face_at(page, 0.1)
        moved = face_at(page, float(np.argmax(curve(page))) / 60)
        assert page.evaluate("studio.head.weight('jawOpen')") == pytest.approx(0.5 * curve(page).max(), abs=1e-4)
        assert differ(rest, moved) > 20
        with page.expect_download() as saved:
            page.get_by_role("button", name="Export as GLB", exact=True).click()
        document, _ = scenes.gltf.unpack(saved.value.path().read_bytes())
        assert document["meshes"][0]["extras"]["targetNames"] == ["Mouth_Open", "Mouth_O"]
        page.get_by_role("button", name="Built-in head").click()
        until(page, "document.getElementById('caption').textContent === ''")
        assert page.evaluate("studio.head.weight('tongueOut')") is not None
        page.set_input_files("#file", tmp_path / "map.toml")  # before its character this time
        until(page, "document.getElementById('state').textContent.includes('the character that comes next')")
        page.set_input_files("#file", avatar)
        until(page, "document.getElementById('caption').textContent === 'me.glb'")


def lane(page: Page) -> np.ndarray:
    """Where in its lane of the timeline the curve of jawOpen's difference is seen: -1 is the foot, 1 the top."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    picture = Image.open(io.BytesIO(page.locator("#time").screenshot())).convert("RGB")
    hue = page.evaluate(f"studio.timeline.shapes.get({arkit.INDEX['jawOpen']})")
    seen = np.abs(np.asarray(picture, np.float32) - ImageColor.getrgb(hue)[:3]).max(axis=2) < 24
    foot = len(seen) - 16
    tall = round(0.38 * foot)
    rows = seen[foot - tall : foot].any(axis=1).nonzero()[0]
    return np.asarray(1 - 2 * rows / tall)


def test_a_capture_beside(chromium: Browser, studio: Running, word: Path, face: dm.Face, tmp_path: Path) -> None:
    captured = face.animate(word, fps=30)
    captured.save(tmp_path / "captured.csv")
    less = replace(captured, weights=captured.weights * np.float32(0.5))
    less.save(tmp_path / "less.csv")
    with opened(chromium, studio.url) as page:
        speak(page, word)
        pause(page)
        for name in ("mouthClose", "mouthPucker", "mouthSmileLeft"):
            page.get_by_role("button", name=name, exact=True).click()
        page.set_input_files("#file", tmp_path / "captured.csv")
        scores = until(page, "studio.compare.scores")
        assert scores["mae"]["jawOpen"] < 0.05
        assert scores["r"]["jawOpen"] > 0.9
        assert page.locator("#compare table tr").count() == 1 + 3 + 52
        until(page, "document.body.classList.contains('two')")
        page.set_input_files("#file", tmp_path / "less.csv")
        until(page, "studio.compare.truth.name === 'less.csv' && studio.compare.scores")
        # The curve is ours less the capture's, and it is seen.
        jaw, index = curve(page), arkit.INDEX["jawOpen"]
        found = page.evaluate(
            f"Array.from({{length: studio.take.frames}}, (_, k) => studio.timeline.difference({index}, k))"
        )
        apart = np.array([np.nan if value is None else value for value in found])
        times = np.arange(len(jaw)) / 60
        wanted = jaw - np.interp(times, less.times, less["jawOpen"])
        there = times <= less.times[-1]
        np.testing.assert_allclose(apart[there], wanted[there], atol=1e-4)
        rows, span = lane(page), page.evaluate("studio.timeline.span")
        assert rows.max() == pytest.approx(np.nanmax(apart) / span, abs=0.12)
        assert rows.min() == pytest.approx(np.nanmin(apart) / span, abs=0.12)
        # The table has the worst first, and goes there.
        assert page.locator("#compare tr th[scope=row]").nth(3).text_content() == arkit.NAMES[0]
        page.get_by_role("button", name="bias", exact=True).click()
        order = page.locator("#compare tr th[scope=row]").all_text_contents()[3:]
        bias = page.evaluate("studio.compare.scores.bias")
        assert order == sorted(arkit.NAMES, key=lambda name: -abs(bias[name]))
        page.get_by_role("button", name="jawOpen is farthest").click()
        at = page.evaluate("studio.compare.scores.at.jawOpen")
        assert page.evaluate("studio.player.position") == pytest.approx(at, abs=1e-6)


def test_what_is_inside_is_seen(faceless: Browser, studio: Running, word: Path) -> None:
    with opened(faceless, studio.url) as page:
        speak(page, word)
        pause(page)
        page.click("#tab-inside")
        page.evaluate("studio.player.seek(1.0)")
        if json.loads(studio.ask("GET", "/api/facts")[2])["attention"]:
            assert until(page, "document.querySelector('#inside canvas').dataset.at") == "1"
        pixels = "document.querySelectorAll('#inside canvas')[1].getContext('2d').getImageData(0, 0, 300, 150).data"
        assert until(page, f"{pixels}.some(Boolean)")
        assert page.locator("#inside .split").count() == 52


def test_two_tabs_at_once(faceless: Browser, studio: Running, word: Path, sample: Path) -> None:
    with opened(faceless, studio.url) as one, opened(faceless, studio.url) as two:
        one.set_input_files("#file", word)
        two.set_input_files("#file", sample)
        for page in (one, two):
            until(page, "studio.take?.whole")
            pause(page)
        first = curve(one)
        assert len(first) != len(curve(two))
        two.set_input_files("#file", word)
        until(two, "studio.take.whole && studio.take.name === 'word.wav'")
        np.testing.assert_array_equal(curve(two), first)


def test_the_microphone(playwright: Playwright, studio: Running, word: Path) -> None:
    fake = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={word}",
    )
    with launched(playwright, *fake) as browser, opened(browser, studio.url, permissions=["microphone"]) as page:
        page.keyboard.press("r")
        until(page, "document.getElementById('record').getAttribute('aria-pressed') === 'true'")
        until(page, "studio.take.frames > 90")  # curves while it is recorded
        live = curve(page)
        page.keyboard.press("r")
        until(page, "studio.take.whole")
        assert live.max() > 0.1
        sound = page.evaluate("[studio.take.seconds, studio.take.frames]")
        assert sound[1] == pytest.approx(60 * sound[0], abs=1)
        page.keyboard.press(" ")
        until(page, "studio.player.playing && studio.player.position > 0.3")


def test_no_microphone_and_no_webgl_are_told(faceless: Browser, studio: Running, word: Path) -> None:
    with opened(faceless, studio.url) as page:
        assert "no WebGL" in str(page.text_content("#hint"))
        page.click("#record")
        until(page, "document.getElementById('state').textContent.startsWith('no microphone: ')")
        speak(page, word)
        assert curve(page).max() > 0.1


def test_a_studio_that_dies_comes_back(faceless: Browser, tmp_path: Path, word: Path) -> None:
    with running(tmp_path / "private") as first, opened(faceless, first.url) as page:
        first.process.send_signal(signal.SIGKILL)
        until(page, "document.getElementById('state').textContent.includes('gone')")
        page.set_input_files("#file", word)
        until(page, "studio.take && !studio.take.whole")
        with running(tmp_path / "private", port=first.port):
            until(page, "studio.take.whole")
            pause(page)
            assert curve(page).max() > 0.1


def test_the_monitor_counts_what_is_lost(chromium: Browser, studio: Running) -> None:
    sink: Any = open_sink("ws://:0", Fraction(60), "Alice", print)
    try:
        with opened(chromium, studio.url) as page:
            page.click("#tab-monitor")
            page.get_by_label("Address of the live sink").fill(f"ws://127.0.0.1:{sink.port}")
            page.get_by_role("button", name="Listen").click()
            until(page, "document.querySelector('#monitor [role=status]').textContent.startsWith('Alice')")
            weights, angles = np.zeros(52, np.float32), np.zeros(9, np.float32)
            weights[arkit.INDEX["jawOpen"]] = 0.7

            def sent(first: int, late_s: float | None) -> Any:
                """What the monitor shows after a second and a half of frames whose sound is so old; three are lost."""
                begun = time.monotonic()
                for number in range(first, first + 90):
                    time.sleep(max(0.0, begun + (number - first) / 60 - time.monotonic()))
                    if number - first not in (20, 21, 22):
                        heard = None if late_s is None else time.time() - late_s
                        sink.send(Frame(number, Fraction(60), weights, angles, heard))
                return until(page, f"studio.monitor.numbers?.frame === {first + 89} && studio.monitor.numbers")

            numbers = sent(0, 0.05)
            assert numbers["lost"] >= 3  # a busy machine loses some of its own
            assert 20 < numbers["fps"] <= 70
            assert 50 - 1 <= numbers["late"] <= numbers["worst"]  # the page's clock has whole ms
            assert numbers["late"] < 50 + 200
            shown = page.locator("#monitor .big div", has_text="ms from sound to page").locator("b")
            assert float(str(shown.text_content())) == pytest.approx(numbers["late"], abs=30)
            until(page, "Math.abs(studio.head.weight('jawOpen') - 0.7) < 1e-6")
            sent(90, None)
            until(page, "Number.isNaN(studio.monitor.numbers.late)")
            until(page, "document.querySelectorAll('#monitor .big b')[1].textContent === '–'")
            page.get_by_role("button", name="Stop").click()
            page.get_by_label("Address of the live sink").fill("ws://192.0.2.1:8765")
            page.get_by_role("button", name="Listen").click()
            told = page.locator("#monitor [role=status]")
            assert "no address on this machine" in str(told.text_content())
    finally:
        sink.close()


@pytest.mark.parametrize(("width", "height"), [(320, 640), (3840, 2160)])
def test_from_a_phone_to_4k(faceless: Browser, studio: Running, width: int, height: int) -> None:
    with opened(faceless, studio.url, viewport={"width": width, "height": height}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#hint").is_visible()  # there is no face, and it says why
        for name in ("settings", "compare", "inside", "monitor", "bars"):
            page.click(f"#tab-{name}")
            assert page.locator(f"#{name}").is_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        for name in ("#record", "#play", "#time", "#face"):
            box = page.locator(name).bounding_box()
            assert box is not None
            assert box["width"] > 20
            assert 0 <= box["x"] <= width - box["width"] + 1


def test_keys_and_names(faceless: Browser, studio: Running, word: Path) -> None:
    with opened(faceless, studio.url) as page:
        unnamed = """Array.from(document.querySelectorAll('button, select, canvas, input')).filter((one) => !(
          one.textContent.trim() || one.ariaLabel || one.labels?.length || one.closest('[hidden]')))
          .map((one) => one.outerHTML)"""
        assert page.evaluate(unnamed) == []
        speak(page, word)
        pause(page)
        page.locator("#time").focus()
        at: Callable[[], float] = lambda: float(page.evaluate("studio.player.position"))  # noqa: E731
        for key, wanted in (
            ("Home", 0),
            ("ArrowRight", 1 / 60),
            ("Shift+ArrowRight", 1 + 1 / 60),
            ("ArrowLeft", 1),
            ("End", None),
        ):
            page.keyboard.press(key)
            assert at() == pytest.approx(page.evaluate("studio.take.seconds") if wanted is None else wanted, abs=1e-3)
        page.keyboard.press("Home")
        for _ in range(3):
            page.keyboard.press("+")
        page.keyboard.press("l")
        begin, end = page.evaluate("studio.player.loop")
        assert end - begin == pytest.approx(page.evaluate("studio.take.seconds") / 8, rel=0.01)
        page.keyboard.press(" ")
        until(page, "studio.player.playing")
        time.sleep(end - begin + 0.2)
        assert page.evaluate("studio.player.playing")
        assert begin <= at() <= end
        until(page, "document.getElementById('time').getAttribute('aria-valuemax') > 0")


def test_a_sound_that_is_dropped(faceless: Browser, studio: Running) -> None:
    with opened(faceless, studio.url) as page:
        page.evaluate(
            """async () => {
              const data = new DataTransfer();
              data.items.add(new File([await (await fetch('/sample.flac')).arrayBuffer()], 'dropped.flac'));
              const drop = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
              document.body.dispatchEvent(drop);
            }"""
        )
        until(page, "studio.take?.whole && studio.take.name === 'dropped.flac'")
