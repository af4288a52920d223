"""glTF's binary container: a JSON document and one buffer, as bytes and back.

One promise: what is packed is aligned as the specification asks, and unpacks to the same document and buffer.

    out = Builder()
    times = out.accessor(seconds, "SCALAR", bounds=True)     # (T,) float32
    data = out.pack({"asset": {"version": "2.0"}})
    document, buffer = unpack(data)

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import json
import struct
from collections.abc import Container
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duomorph.errors import FormatError

Document = dict[str, Any]
Numbers = NDArray[np.generic]

MAGIC: Final = b"glTF"
JSON: Final = 0x4E4F534A
BIN: Final = 0x004E4942
TYPES: Final = {"u1": 5121, "i1": 5120, "u2": 5123, "i2": 5122, "u4": 5125, "f4": 5126}  # numpy's kind -> glTF's
DAMAGE: Final = (
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ValueError,
    OverflowError,
)  # what a damaged one raises
KINDS: Final = {number: kind for kind, number in TYPES.items()}
MOST: Final = 1 << 24  # zeros that take no room in the file
WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class Builder:
    """Collects accessors over one buffer."""

    def __init__(self, document: Document | None = None, buffer: bytes = b"") -> None:
        """What is there already, to add to."""
        document = document or {}
        self._views: list[Document] = list(document.get("bufferViews", ()))
        self._accessors: list[Document] = list(document.get("accessors", ()))
        self._pieces: list[bytes] = []
        self._length = 0
        if buffer:
            self._append(buffer)

    def view(self, data: bytes, target: int | None = None) -> int:
        """Bytes as a buffer view; its number."""
        offset = self._append(data)
        self._views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(data)})
        if target is not None:
            self._views[-1]["target"] = target
        return len(self._views) - 1

    def accessor(
        self, values: Numbers, kind: str, target: int | None = None, bounds: bool = False, normalized: bool = False
    ) -> int:
        """Numbers as an accessor of type `kind`; its number. `bounds`: say the least and the greatest."""
        rows = values.reshape(-1, WIDTHS[kind])
        accessor: Document = {
            "bufferView": self.view(np.ascontiguousarray(values).tobytes(), target),
            "componentType": TYPES[values.dtype.str[1:]],
            "count": len(rows),
            "type": kind,
        }
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor.update(_bounds(rows))
        return self._add(accessor)

    def zeros(self, count: int, bounds: bool = False) -> int:
        """`count` vectors of three zeros, which take no room."""
        accessor: Document = {"componentType": TYPES["f4"], "count": count, "type": "VEC3"}
        return self._add(accessor | ({"min": [0.0] * 3, "max": [0.0] * 3} if bounds else {}))

    def sparse(self, count: int, places: NDArray[np.intp], **values: NDArray[np.float32]) -> dict[str, int]:
        """`count` vectors of three that are 0 but at rising `places`: an accessor for each attribute."""
        kind = "u2" if count <= 0xFFFF else "u4"
        indices = {"bufferView": self.view(places.astype(f"<{kind}").tobytes()), "componentType": TYPES[kind]}
        found = {}
        for name, rows in values.items():
            accessor: Document = {"componentType": TYPES["f4"], "count": count, "type": "VEC3"}
            if name == "POSITION":
                accessor |= _bounds(rows if len(rows) == count else np.concatenate([rows, np.zeros((1, 3), "f4")]))
            data = {"bufferView": self.view(np.ascontiguousarray(rows, "<f4").tobytes())}
            accessor["sparse"] = {"count": len(places), "indices": indices, "values": data}
            found[name] = self._add(accessor)
        return found

    def pack(self, document: Document) -> bytes:
        """The file: `document` with what was collected."""
        buffer = b"".join(self._pieces)
        parts = {"buffers": buffer and [{"byteLength": len(buffer)}], "bufferViews": self._views,
                 "accessors": self._accessors}  # fmt: skip
        document = {name: part for name, part in document.items() if name not in parts}
        document |= {name: part for name, part in parts.items() if part}  # empty lists are no glTF
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = [struct.pack("<II", len(text), JSON), text]
        chunks += [struct.pack("<II", len(buffer), BIN), buffer] if buffer else []
        return b"".join([struct.pack("<4sII", MAGIC, 2, 12 + sum(map(len, chunks))), *chunks])

    def _add(self, accessor: Document) -> int:
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def _append(self, data: bytes) -> int:
        """Put bytes at the end, which stays a multiple of 4; where they begin."""
        offset = self._length
        self._pieces += [data, b"\0" * (-len(data) % 4)]
        self._length += len(data) + -len(data) % 4
        return offset


def _bounds(rows: Numbers) -> Document:
    return {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}


def unpack(data: bytes) -> tuple[Document, bytes]:
    """Document and buffer of a .glb file.

    Raises:
        FormatError: it is none, or it is cut.
    """
    try:
        magic, version, length = struct.unpack_from("<4sII", data)
        size, kind = struct.unpack_from("<II", data, 12)
        document = json.loads(data[20 : 20 + size])
        if (magic, version, kind) != (MAGIC, 2, JSON) or length > len(data) or not isinstance(document, dict):
            raise ValueError
        rest = data[20 + size : length]
        if not rest:
            return document, b""
        size, kind = struct.unpack_from("<II", rest)
        if kind != BIN or size > len(rest) - 8:
            raise ValueError
    except (struct.error, ValueError, RecursionError):
        raise FormatError("this is no glTF 2 in one file: expected .glb; export it again") from None
    return document, rest[8 : 8 + size]


def cut(document: Document, buffer: bytes, gone: Container[int]) -> tuple[Document, bytes]:
    """Without the last accessors, as far as they are among `gone`, and without what they alone hold at the end."""
    accessors, views = list(document.get("accessors", ())), list(document.get("bufferViews", ()))
    free = set()
    while accessors and len(accessors) - 1 in gone:
        free.add(accessors.pop().get("bufferView"))
    for accessor in accessors:
        sparse = accessor.get("sparse", {"indices": {}, "values": {}})
        free -= {part.get("bufferView") for part in (accessor, sparse["indices"], sparse["values"])}
    free -= {image.get("bufferView") for image in document.get("images", ())}
    while views and len(views) - 1 in free:
        begin = views.pop().get("byteOffset", 0)
        if all(view.get("byteOffset", 0) + view["byteLength"] <= begin for view in views):
            buffer = buffer[:begin]
    return document | {"accessors": accessors, "bufferViews": views}, buffer


def numbers(document: Document, buffer: bytes, place: int) -> NDArray[np.float64]:
    """What accessor `place` holds, (rows, columns), sparse ones and normalized integers too.

    Raises:
        FormatError: it is damaged, or of a kind that animations do not use.
    """
    try:
        accessor = document["accessors"][place]
        kind, width, count = KINDS[accessor["componentType"]], WIDTHS[accessor["type"]], accessor["count"]
        if "bufferView" in accessor:
            values = _cells(document, buffer, accessor, kind, count, width).astype(np.float64)
        elif count <= MOST:
            values = np.zeros((count, width))
        else:
            raise ValueError(f"{count} zeros")
        if sparse := accessor.get("sparse"):
            indices, some = sparse["indices"], sparse["count"]
            rows = _cells(document, buffer, indices, KINDS[indices["componentType"]], some, 1)[:, 0]
            values[rows] = _cells(document, buffer, sparse["values"], kind, some, width)
        return np.maximum(values / np.iinfo(kind).max, -1) if accessor.get("normalized") else values
    except DAMAGE as problem:
        raise FormatError(f"accessor {place} is damaged ({problem}): expected numbers; export the file again") from None


def _cells(document: Document, buffer: bytes, part: Document, kind: str, count: int, width: int) -> NDArray[np.generic]:
    """`count` rows of `width` numbers, which may lie apart."""
    view = document["bufferViews"][part["bufferView"]]
    if view.get("buffer", 0) != 0 or min(count, part.get("byteOffset", 0), view.get("byteOffset", 0)) < 0:
        raise ValueError("another buffer")
    size = np.dtype(kind).itemsize * width
    step = view.get("byteStride", size)
    data = buffer[view.get("byteOffset", 0) :][: view["byteLength"]][part.get("byteOffset", 0) :]
    if count and len(data) < step * (count - 1) + size:
        raise ValueError("cut")
    return np.ndarray((count, width), f"<{kind}", data, strides=(step, np.dtype(kind).itemsize))
