"""Who may talk to the studio, and what its pages may do.

One promise: a page of another origin, a name that was made to point here, and a stranger without the token get 403 and
nothing else; what a page of ours loads comes from us.

    app = Guard(app, Door(hosts=frozenset({"127.0.0.1", "localhost"}), token=None))
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "duomorph-studio"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

# `connect-src` lets the monitor hear `duomorph live --sink ws://` on this machine; textures of characters are blobs.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self' blob: data: ws://127.0.0.1:* ws://localhost:*; media-src 'self' blob:; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Door:
    """Whose requests come in: names under which we may be called, and the token of an open house; None: this machine's
    alone."""

    hosts: frozenset[str]
    token: str | None = None

    def admits(self, host: str, origin: str | None) -> bool:
        """Do they call us by a name of ours, from a page of ours or from none? A name that is no number and not ours
        proves nothing: its owner may have it point here (DNS rebinding)."""
        try:
            called = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        ours = called in self.hosts or (self.token is not None and _number(called))
        return ours and origin in (None, f"http://{host}")

    def knows(self, token: str) -> bool:
        return self.token is None or hmac.compare_digest(token.encode(), self.token.encode())


def _number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Guard:
    """What stands before every route, the WebSocket's too."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        said: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            said.setdefault(name.lower(), []).append(value.decode("latin-1"))
        hosts, origins = said.get(b"host", []), said.get(b"origin", [])
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        admitted = len(hosts) == 1 and len(origins) < 2
        admitted = admitted and self._door.admits(hosts[0], origins[0] if origins else None)
        known = self._door.knows(offered) or self._door.knows(_cookie(said.get(b"cookie", [])))
        if not (admitted and known):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before it is accepted: 403
                return
            told = "this studio asks for its token: open the address that duomorph studio printed\n"
            refusal = PlainTextResponse(told if admitted else "pages of this origin are not admitted\n", 403)
            await refusal(scope, receive, sealed)
            return
        if offered and self._door.token is not None and scope["type"] == "http":
            welcome = RedirectResponse("/", 303)  # so that the token does not stay in the address
            welcome.set_cookie(COOKIE, self._door.token, httponly=True, samesite="strict")
            await welcome(scope, receive, sealed)
            return
        await self._app(scope, receive, sealed)


def _cookie(lines: list[str]) -> str:
    try:
        found = SimpleCookie("; ".join(lines)).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
