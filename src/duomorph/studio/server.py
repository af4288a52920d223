"""The routes of the studio, and the server that holds them.

One promise: the page is there at once, the model comes after its face; what a request brings is capped, and what is
wrong with it is one sentence and a number from 400 to 499.

    GET  /, /page/...                    the page, and what it loads
    GET  /head.glb, /sample.flac         the head and the speech that came along
    GET  /api/facts                      what there is to choose, and what the model is
    POST /api/sound, /api/capture        any sound -> wav; any curve file -> frames
    POST /api/character                  a .glb or .vrm, its mapping -> what the curves move in it
    POST /api/export/glb, .../csv, ...   a take -> a file
    POST /api/scores, /api/mood, /api/looks    two takes; what the emotion stream hears; where the network looks
    POST /api/settings                   TOML -> settings or a mapping, settings (JSON) -> TOML
    WS   /voice                          see `voice`
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from duomorph.errors import DuomorphError, FormatError, LiveError, SettingError
from duomorph.studio.guard import LOOPBACK, Door, Guard

if TYPE_CHECKING:
    from duomorph.face import Face

PAGE: Final = Path(__file__).with_name("page")
ASSETS: Final = Path(__file__).parents[1] / "assets"
EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # to listen at: to go to
MOST_BYTES: Final = 128 << 20  # of a request
MOST_WORDS: Final = 1 << 16  # of one that is text
READ_S: Final = 60.0  # for a request to come in
MOST_VOICES: Final = 32
MOST_LINES: Final = 128  # connections of any kind
MOST_AT_ONCE: Final = 2  # requests that are read and worked on; the others wait
WAITING_S: Final = 60.0  # for the answer to a ping, behind sound that waits to be spoken
ALONE_S: Final = 2.0  # without a page: then the model is loaded all the same

Work = Callable[["Face", bytes, Request], Response]


class Studio:
    """The model, and who uses it."""

    def __init__(self, model: str | Path | None) -> None:
        self._model = model
        self.voices = 0
        self._face: asyncio.Future[Face] | None = None
        self.workers = ThreadPoolExecutor(os.cpu_count() or 1, "duomorph voice")
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)

    @asynccontextmanager
    async def awake(self, app: Starlette) -> AsyncIterator[None]:
        """While the server runs."""
        self._alone = asyncio.get_running_loop().call_later(ALONE_S, self.wake)
        try:
            yield
        finally:
            self._alone.cancel()
            self.workers.shutdown(wait=False, cancel_futures=True)

    def wake(self) -> asyncio.Future[Face]:
        """Begin to load the model, beside the server, if nobody has."""
        self._face = self._face or asyncio.get_running_loop().run_in_executor(self.workers, self._load)
        return self._face

    def _load(self) -> Face:
        from duomorph import load
        from duomorph.studio import voice, work  # noqa: F401  # they are slow to come too

        return load(self._model)

    async def face(self) -> Face:
        return await asyncio.shield(self.wake())

    async def page(self, request: Request) -> Response:
        """Where all begins. It asks for the model, which would be in its way, when it has drawn its face."""
        self._alone.cancel()
        return FileResponse(PAGE / "index.html")

    def route(self, path: str, work: Work, method: str = "POST", most: int = MOST_BYTES) -> Route:
        """A route that reads a request of at most so many bytes, and has it worked on in a thread."""

        async def answer(request: Request) -> Response:
            async with self._at_once if method == "POST" else nullcontext():
                try:
                    data = await _body(request, most)
                    face = await self.face()
                    return await asyncio.get_running_loop().run_in_executor(None, work, face, data, request)
                except TimeoutError:
                    return JSONResponse({"error": f"the request took over {READ_S:g} s to come: try again"}, 408)
                except _TooMuch:
                    return JSONResponse({"error": f"got over {most >> 10} kB: expected less; cut it"}, 413)
                except DuomorphError as problem:
                    return JSONResponse({"error": str(problem)}, 400)
                except ClientDisconnect:
                    return Response(status_code=400)

        return Route(path, answer, methods=[method])

    async def talk(self, socket: WebSocket) -> None:
        await socket.accept()
        if self.voices >= MOST_VOICES:
            await socket.close(1013, f"{MOST_VOICES} pages are here: try again later")
            return
        self.voices += 1
        try:
            face = await self.face()
            from duomorph.studio import voice

            await voice.talk(socket, face, self.workers)
        finally:
            self.voices -= 1


class _TooMuch(Exception):
    pass


async def _body(request: Request, most: int) -> bytes:
    data = bytearray()
    async with asyncio.timeout(READ_S):
        async for chunk in request.stream():
            data += chunk
            if len(data) > most:
                raise _TooMuch
    return bytes(data)


def app(door: Door, model: str | Path | None = None) -> Guard:
    """The whole of it, as ASGI knows it."""
    studio = Studio(model)
    routes = [
        studio.route("/api/facts", _facts, "GET"),
        studio.route("/api/sound", _sound),
        studio.route("/api/capture", _capture),
        studio.route("/api/character", _character),
        studio.route("/api/export/{kind}", _export),
        studio.route("/api/scores", _scores),
        studio.route("/api/mood", _mood),
        studio.route("/api/looks", _looks),
        studio.route("/api/settings", _settings, most=MOST_WORDS),
        WebSocketRoute("/voice", studio.talk),
        Route("/", studio.page),
        Route("/head.glb", _file(ASSETS / "head.glb", "model/gltf-binary")),
        Route("/sample.flac", _file(ASSETS / "sample.flac", "audio/flac")),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    return Guard(Starlette(routes=routes, lifespan=studio.awake), door)


def _file(path: Path, kind: str | None = None) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return FileResponse(path, media_type=kind)

    return answer


def _json(value: Any) -> Response:
    from duomorph.studio.work import as_json

    return Response(as_json(value), media_type="application/json")


def _bytes(data: bytes) -> Response:
    return Response(data, media_type="application/octet-stream")


def _facts(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import work

    return _json(work.facts(face))


def _character(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import parcel, work

    return _json(work.character(parcel.unpack(data)))


def _sound(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import work

    return Response(work.wav(data), media_type="audio/wav")


def _capture(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import work

    return _bytes(work.capture(data))


def _export(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import parcel, work

    kind = request.path_params["kind"]
    return Response(work.export(parcel.unpack(data), kind), media_type=work.MEDIA[kind][1])


def _scores(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import parcel, work

    return _json(work.scores(parcel.unpack(data)))


def _mood(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import work

    return _bytes(work.mood(face, data))


def _looks(face: Face, data: bytes, request: Request) -> Response:
    from duomorph.studio import parcel, work

    return _bytes(work.looks(face, parcel.unpack(data)))


def _settings(face: Face, data: bytes, request: Request) -> Response:
    """A JSON object is to be written, anything else read."""
    from duomorph.prototypes import EMOTIONS, emotion
    from duomorph.shaping import settings
    from duomorph.studio import work

    try:
        text = data.decode()
        if not text.lstrip().startswith("{"):
            if (names := work.mapping(text)) is not None:
                return _json({"mapping": names})
            given = settings.parse(text)
            if "emotion" in given:  # by the names that the page has
                given["emotion"] = {EMOTIONS[emotion(name)]: strength for name, strength in given["emotion"].items()}
            return _json(given)
        said = json.loads(text)
        return Response(settings.text(settings.Settings(**said)), media_type="application/toml")
    except (ValueError, TypeError, RecursionError):
        raise FormatError("got settings that are none: expected TOML, or a JSON object by the names of flags") from None


class _Server(uvicorn.Server):
    """Which says when it can be asked."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _spelled(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _outward(family: socket.AddressFamily) -> str | None:
    """The address by which this machine goes out, if there is one; nothing is sent."""
    nobody = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"  # of RFC 5737 and 3849
    with socket.socket(family, socket.SOCK_DGRAM) as out:
        try:
            out.connect((nobody, 9))
        except OSError:
            return None
        return str(out.getsockname()[0])


def run(
    host: str, port: int, say: Callable[[str], None], model: str | Path | None, opened: Callable[[str], object]
) -> None:
    """See `duomorph.studio.serve`."""
    if model is not None:  # the one that came along is there
        from duomorph import load

        load(model)
    if not 0 <= port <= 65_535:
        raise SettingError(f"got port {port}: expected 0 to 65535; choose another")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or what is small waits 40 ms
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise LiveError(f"cannot listen on {host}, port {port} ({reason}): choose another --host or --port") from None
    open_house = host not in LOOPBACK
    token = secrets.token_urlsafe(24) if open_house else None
    door = Door(LOOPBACK | {host.lower()}, token)
    place = f":{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    here = EVERYWHERE.get(host, host)
    url = f"http://{_spelled(here)}{place}"

    def ready() -> None:
        say(f"the studio is at {url}")
        if host in EVERYWHERE and (outward := _outward(family)):
            say(f"from other machines at http://{_spelled(outward)}{place}")
        opened(url)

    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())  # what strangers do is no news
    config = uvicorn.Config(
        app(door, model),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=1 << 20,
        ws_ping_timeout=WAITING_S,
        ws_per_message_deflate=False,
        limit_concurrency=MOST_LINES,
        timeout_graceful_shutdown=1,
    )
    _Server(config, ready).run(sockets=[listening])
