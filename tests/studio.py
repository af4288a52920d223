"""The studio in tests: the command as a user starts it, and requests made by hand."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SRC = Path(__file__).parents[1] / "src"


@dataclass(frozen=True)
class Running:
    """A studio that runs; `folder` is its folder for temporary files."""

    process: subprocess.Popen[str]
    url: str
    port: int
    folder: Path

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            line.putrequest(method, path, skip_host="Host" in (headers or {}))
            for name, value in (headers or {}).items():
                line.putheader(name, value)
            if body is not None:
                line.putheader("Content-Length", str(len(body)))
            line.endheaders(body)
            answer = line.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            line.close()

    def handles(self) -> int:
        """Files and sockets that it holds; -1 where nobody tells."""
        try:
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except FileNotFoundError:
            return -1

    def post(self, path: str, body: bytes) -> bytes:
        status, _, data = self.ask("POST", path, body)
        assert status == 200, data
        return data


@contextmanager
def running(folder: Path, *arguments: str, port: int = 0) -> Iterator[Running]:
    folder.mkdir(exist_ok=True)
    environment: dict[str, Any] = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(SRC), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "error", "-m", "duomorph", "studio", "--port", str(port), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://[^/]*:(\d+)/\S*", line)
        assert found, line + (process.communicate(timeout=10)[1] if process.poll() is not None else "")
        yield Running(process, found[0], int(found[1]), folder)
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert "Traceback" not in said, said
