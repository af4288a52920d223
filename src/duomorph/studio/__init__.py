"""The studio: a page on this machine that speaks whatever sound is dropped on it, and shows what is inside.

One promise: the server keeps nothing. What a page sends is worked on, sent back and forgotten; sound goes in by a
WebSocket, frames come out of it as they are made.

    serve("127.0.0.1", 8640, say=print)      # http://127.0.0.1:8640; until Ctrl-C

`guard` says who may talk, `voice` is the WebSocket, `work` what the buttons do, `app` the routes; `page/` is what the
browser gets, modules of our own and three.js.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from duomorph.errors import MissingExtra

__all__ = ["PORT", "serve"]

PORT = 8640


def serve(
    host: str = "127.0.0.1",
    port: int = PORT,
    say: Callable[[str], None] = print,
    model: str | Path | None = None,
    opened: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until somebody ends it.

    Args:
        host: where to listen; another than a loopback address needs the token in the address that is said.
        say: hears the address. opened: gets it once the page can be asked for, as `webbrowser.open` does.
    Raises:
        MissingExtra: starlette, uvicorn or websockets is not installed. LiveError: the port cannot be had.
        ModelError: no model of ours.
    """
    for module in ("starlette", "uvicorn", "websockets"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(f"the studio needs {module}: install it with  pip install 'duomorph[studio]'")
    from duomorph.studio.server import run

    run(host, port, say, model, opened)
