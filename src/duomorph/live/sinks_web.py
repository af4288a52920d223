"""A WebSocket server: every browser that connects gets every frame, and may ask to begin anew or for silence.

One promise: a client that is slow loses frames, one that talks nonsense is closed, and neither is felt by the others.

    sink = WebSink("ws://", "127.0.0.1", 8765, (), web.hello(Fraction(60), "Alice"), on_command=print)
    sink.send(frame)

Pages of other origins are refused: a page served from this machine, or from the number under which it reaches us, may
connect, programs (which send no origin) may, and so may the origins named when the sink is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import ipaddress
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from duomorph.errors import FormatError, LiveError
from duomorph.live.sinks_udp import look_up
from duomorph.wire import Frame, Order, web

MOST_CLIENTS: Final = 32
MOST_LINES: Final = 64  # clients, and strangers who have not yet said what they want
MOST_WAITING: Final = 4  # frames for a client that is behind; older ones are dropped
MOST_UNDERWAY: Final = 32  # frames that a client has not yet confirmed: without it, buffers hold 12 s of old ones
COMMAND_S: Final = 0.01  # between two commands of one client; the rest waits at its end of the line
OPEN_S: Final = 5.0
CLOSE_S: Final = 1.0

_logger = logging.getLogger(__name__)
_logger.addHandler(logging.NullHandler())  # what strangers do to a server is no news on the terminal


@dataclass(eq=False)
class _Client:
    heard: bool  # it asked for that, too
    waiting: deque[bytes] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    news: asyncio.Event = field(default_factory=asyncio.Event)


class WebSink:
    """The server, on a thread and loop of its own."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        origins: tuple[str, ...],
        hello: str,
        on_command: Callable[[Order], None],
    ) -> None:
        """`origins` of pages elsewhere that may connect, such as https://example.org; `hello` is said to each client.

        Raises:
            LiveError: the host is unknown, or the port cannot be bound.
        """
        self.name, self.dropped = name, 0
        family, address = look_up(name, host, port)
        try:
            self._socket = socket.create_server(address[:2], family=family)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a frame waits up to 40 ms
        except OSError as problem:
            reason = problem.strerror or problem
            raise LiveError(f"{name}: cannot listen on {host}, port {port} ({reason}): choose another") from None
        self.port: int = self._socket.getsockname()[1]
        self._origins, self._hello, self._on_command = origins, hello, on_command
        self._clients: set[_Client] = set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, problem: _logger.error(problem["message"]))
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="duomorph web", daemon=True)
        self._thread.start()

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def send(self, frame: Frame) -> None:
        if self._clients:
            with contextlib.suppress(RuntimeError):  # closed
                self._loop.call_soon_threadsafe(self._spread, web.encode(frame), web.heard(frame))

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with serve(
            self._talk,
            sock=self._socket,
            create_connection=_counted(),
            process_request=self._admit,
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            max_size=web.MAX_COMMAND,
            max_queue=4,
            server_header=None,
            logger=_logger,
        ):
            await self._stop.wait()

    def _spread(self, message: bytes, heard: bytes) -> None:
        for client in self._clients:
            self.dropped += len(client.waiting) == MOST_WAITING
            client.waiting.append(message + heard if client.heard else message)
            client.news.set()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """None for a welcome."""
        origins, hosts = request.headers.get_all("Origin"), request.headers.get_all("Host")
        if origins and not (len(origins) == len(hosts) == 1 and self._trusts(origins[0], hosts[0])):
            return connection.respond(http.HTTPStatus.FORBIDDEN, "pages of this origin are not admitted\n")
        return None

    def _trusts(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may talk to us, whom it calls `host`. A name that is no number proves nothing: its
        owner may have it point here (DNS rebinding)."""
        if origin in self._origins:
            return True
        try:
            page, here = urlsplit(origin).hostname, urlsplit(f"//{host}").hostname
            if page == "localhost":
                return True
            number = ipaddress.ip_address(page or "")
        except ValueError:
            return False
        return number.is_loopback or page == here

    async def _talk(self, connection: ServerConnection) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            await connection.close(1013, f"{MOST_CLIENTS} clients are here: try again later")
            return
        client = _Client(connection.request is not None and urlsplit(connection.request.path).query == "heard")
        self._clients.add(client)
        sender = asyncio.create_task(self._feed(connection, client))
        try:
            async for message in connection:
                if self._stop.is_set():
                    break
                self._on_command(web.command(message))
                await asyncio.sleep(COMMAND_S)
        except FormatError as problem:
            await connection.close(1008, str(problem).encode()[:123].decode(errors="ignore"))
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)
            sender.cancel()

    async def _feed(self, connection: ServerConnection, client: _Client) -> None:
        with contextlib.suppress(ConnectionClosed):
            await connection.send(self._hello)
            earlier, sent = await connection.ping(), 0
            while await client.news.wait():
                client.news.clear()
                while client.waiting:
                    await connection.send(client.waiting.popleft())
                    sent += 1
                    if sent % (MOST_UNDERWAY // 2) == 0:
                        await earlier
                        earlier = await connection.ping()


def _counted() -> type[ServerConnection]:
    """Connections of one server, hung up at once where too many are open: a stranger may be silent for OPEN_S, and must
    not use up all sockets."""
    lines: set[ServerConnection] = set()

    class Counted(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            lines.add(self)
            if len(lines) > MOST_LINES:
                self.transport.abort()

        def connection_lost(self, problem: Exception | None) -> None:
            lines.discard(self)
            super().connection_lost(problem)

    return Counted
