"""What is known of every line, in one SQLite file: what it was made of, by which settings and weights, and what became
of it.

One promise: what is in it is true. A line is done after its files are whole and on the disk, never before; whatever is
lost by a crash is work that is done again, with the same result.

    with Ledger("curves/duomorph.sqlite") as ledger:
        ledger.plan(lines, settings, keep="times", there=lambda name: True)
        for task in ledger.tasks(): ...
        ledger.record(result)                       # on the disk within a second or with the next 256

Only one batch may be at work on a ledger; the system ends its lock with the process, however that ends.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from duomorph.dialogue.sources import Line, Own
from duomorph.dialogue.work import Result, Task
from duomorph.errors import BatchError, SettingError

VERSION: Final = 1
GROUP: Final = 256  # results in a commit
GROUP_S: Final = 1.0
PAGE: Final = 512  # lines read at a time
KEEPS: Final = ("", "times", "bytes")

SCHEMA: Final = """
CREATE TABLE settings (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE lines (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,      -- the name as a file system sees it that ignores case
    name TEXT NOT NULL, source TEXT NOT NULL, part TEXT NOT NULL, size INTEGER NOT NULL, stamp TEXT NOT NULL,
    own TEXT NOT NULL, settings INTEGER NOT NULL REFERENCES settings,
    run INTEGER NOT NULL,          -- the last that listed it
    state TEXT NOT NULL,           -- todo, check (done unless its sound changed), done, failed
    sha TEXT, error TEXT, tries INTEGER, finished REAL,
    heard_s REAL, cost_s REAL, level_db REAL, clipped REAL, jaw REAL, openness REAL, motion REAL
);
CREATE INDEX by_state ON lines (run, state, id);
CREATE TABLE runs (id INTEGER PRIMARY KEY, began REAL NOT NULL, worked_s REAL NOT NULL DEFAULT 0);
"""

# What is done stays done if its settings and its source are the same, and its stamp, or what is in it (state check).
_LIST: Final = """
INSERT INTO lines (key, name, source, part, size, stamp, own, settings, run, state)
VALUES (:key, :name, :source, :part, :size, :stamp, :own, :settings, :run, 'todo')
ON CONFLICT (key) DO UPDATE SET
    state = CASE
        WHEN :keep = '' OR state NOT IN ('done', 'check') OR settings <> :settings OR source <> :source THEN 'todo'
        WHEN :keep = 'times' AND state = 'done' AND stamp = :stamp AND stamp <> '' THEN 'done'
        ELSE 'check' END,
    name = :name, source = :source, part = :part, size = :size, stamp = :stamp, own = :own, settings = :settings,
    run = :run
WHERE run < :run
"""
_RESULT: Final = """
UPDATE lines SET state = :state, sha = :sha, error = :error, tries = :tries, finished = :finished, heard_s = :heard_s,
    cost_s = :cost_s, level_db = :level_db, clipped = :clipped, jaw = :jaw, openness = :openness, motion = :motion
WHERE id = :id
"""


class Ledger:
    """The file, held by this process until `close`."""

    def __init__(self, path: str | Path) -> None:
        """Open it, or begin one. Raises BatchError: it cannot be, or another batch is at work on it."""
        self.path = Path(path)
        self._waiting: list[Result] = []
        self._last = time.monotonic()
        with self._said():
            self._base = sqlite3.connect(self.path, isolation_level=None, timeout=1.0)
            try:
                self._open()
            except BaseException:
                self._base.close()
                raise

    def _open(self) -> None:
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        (tables,) = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            self._base.executescript(f"BEGIN EXCLUSIVE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        elif version != VERSION:
            raise BatchError(f"{str(self.path)!r} is no ledger of this version: expected {VERSION}; choose another OUT")
        self._base.execute("BEGIN EXCLUSIVE")  # which takes the lock
        self._base.execute("COMMIT")
        self.run: int = self._base.execute("SELECT coalesce(max(id), 0) FROM runs").fetchone()[0]

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; one in which nothing was ever listed leaves no trace."""
        try:
            self.flush()
            if self.run == 0:
                with suppress(sqlite3.Error, PermissionError):  # the latter on Windows, which keeps what is open
                    self._base.execute("PRAGMA journal_mode = DELETE")  # its file goes before the name is free
                    self.path.unlink(missing_ok=True)
        finally:
            self._base.close()

    def plan(
        self, lines: Iterable[Line], settings: Callable[[Own], str], keep: str, there: Callable[[str], bool]
    ) -> None:
        """Begin a run of these lines, all of them or none.

        Args:
            settings: of a line, as one text; it may raise. keep: "" to do all anew; "times": what is done stays so
                unless settings, size or time of the sound changed; "bytes": unless settings or the sound itself did.
            there: are the files of the line of that name there?
        Raises:
            SettingError: two lines have one name; whatever taking a line raises.
        """
        assert keep in KEEPS
        numbers: dict[str, int] = {}
        run = self.run + 1
        with self._said(), self._whole():
            self._base.execute("INSERT INTO runs (id, began) VALUES (?, ?)", (run, time.time()))
            for line in lines:
                text = settings(line.own)
                if text not in numbers:
                    self._base.execute("INSERT OR IGNORE INTO settings (text) VALUES (?)", (text,))
                    found = self._base.execute("SELECT id FROM settings WHERE text = ?", (text,))
                    numbers[text] = found.fetchone()[0]
                row = {
                    "key": line.name.casefold(), "name": line.name, "source": line.source, "part": line.group,
                    "size": line.size, "stamp": line.stamp, "own": json.dumps(asdict(line.own)),
                    "settings": numbers[text], "run": run, "keep": keep,
                }  # fmt: skip
                if self._base.execute(_LIST, row).rowcount == 0:
                    other = self._base.execute("SELECT source FROM lines WHERE key = :key", row).fetchone()[0]
                    raise SettingError(
                        f"{other!r} and {line.source!r} would both become {line.name!r}: expected one result each; "
                        "name the folder above both, or give them names in a manifest"
                    )
            for id, name in self._pages("SELECT id, name FROM lines WHERE run = ? AND state IN ('done', 'check')", run):
                if not there(name):
                    self._base.execute("UPDATE lines SET state = 'todo' WHERE id = ?", (id,))
        self.run = run

    def tasks(self) -> Iterator[Task]:
        """What is to do, in the order in which it was first listed; a page at a time is in memory."""
        ask = "SELECT id, source, name, own, state, sha FROM lines WHERE run = ? AND state IN ('todo', 'check')"
        for id, source, name, own, state, sha in self._pages(ask, self.run):
            yield Task(id, source, name, Own(**json.loads(own)), sha if state == "check" else None)

    def record(self, result: Result) -> None:
        """Keep what became of a line; it reaches the disk with others."""
        self._waiting.append(result)
        if len(self._waiting) >= GROUP or time.monotonic() - self._last >= GROUP_S:
            self.flush()

    def flush(self) -> None:
        """Bring to the disk what waits. Raises BatchError."""
        waiting, self._waiting = self._waiting, []
        self._last = time.monotonic()
        if not waiting:
            return
        with self._said(), self._whole():
            now = time.time()
            made = [{**asdict(one), "finished": now} for one in waiting if one.state != "same"]
            self._base.executemany(_RESULT, made)
            same = [(one.id,) for one in waiting if one.state == "same"]
            self._base.executemany("UPDATE lines SET state = 'done' WHERE id = ?", same)

    def worked(self, seconds: float) -> None:
        """Add to the time that this run has taken."""
        with self._said():
            self._base.execute("UPDATE runs SET worked_s = worked_s + ? WHERE id = ?", (seconds, self.run))

    def tally(self) -> dict[str, int]:
        """How many lines of each state there are in the last run's list."""
        with self._said():
            ask = "SELECT state, count(*) FROM lines WHERE run = ? GROUP BY state"
            return dict(self._base.execute(ask, (self.run,)).fetchall())

    def rows(self, columns: str, where: str = "1") -> Iterator[tuple[Any, ...]]:
        """Of the last run's list, by name; `columns` and `where` are SQL of ours."""
        with self._said():
            yield from self._base.execute(f"SELECT {columns} FROM lines WHERE run = ? AND {where} ORDER BY key",
                                          (self.run,))  # fmt: skip

    def runs(self) -> list[tuple[int, float, float]]:
        """Number, beginning and seconds of work of every run."""
        with self._said():
            return self._base.execute("SELECT id, began, worked_s FROM runs ORDER BY id").fetchall()

    def _pages(self, ask: str, run: int) -> Iterator[tuple[Any, ...]]:
        last = 0
        while True:
            with self._said():
                page = self._base.execute(f"{ask} AND id > ? ORDER BY id LIMIT {PAGE}", (run, last)).fetchall()
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1][0]

    @contextmanager
    def _whole(self) -> Iterator[None]:
        self._base.execute("BEGIN")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            busy = getattr(problem, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            reason = "another batch is at work on it; wait for its end" if busy else f"{problem}; see to its disk"
            raise BatchError(
                f"the ledger {str(self.path)!r} cannot be used: {reason}, then go on with --resume"
            ) from None
