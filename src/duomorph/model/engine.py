"""The network at run time: ONNX Runtime, no torch.

One promise: the engine keeps nothing of a voice between calls, so any number of streams and threads may share one: the
caller owns the state, which goes into the graph and out of it.

    engine = Engine.open(path)
    state = engine.start()
    weights = engine.step(mel, emotion, slot, style, delay, state)

The graph has ways for one tick, for two, for `MANY` and for `LONG`; a call of another length is cut up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import ROWS_PER_TICK, TICK_RATE
from duomorph.emotion import WINDOWS
from duomorph.errors import ModelError, SettingError
from duomorph.mel import MelConfig
from duomorph.model.card import GRAPH, SOUND_GRAPH, Provenance, read_metadata
from duomorph.model.config import LONG, MANY, ModelConfig

Float32 = NDArray[np.float32]

MOST_THREADS: Final = 256
REST_TICKS: Final = TICK_RATE  # of silence, after which the face is at rest


@dataclass(frozen=True)
class _Call:
    """The arrays of a call of N ticks, bound to the graph."""

    mel: Float32  # (1, N, 2, 80)
    slot: NDArray[np.int64]  # (1, N)
    stride: NDArray[np.int64]  # (1,)
    weights: Float32  # (1, N / stride, 52)
    bindings: list[ort.IOBinding]  # from the first of a state's two sets of arrays to the second, and back


class State:
    """What one voice leaves behind, twice: a call of the graph reads one set of arrays, `now`, and writes the other,
    and the two change places. So from frame to frame nothing large is allocated. Made by `Engine.start`."""

    def __init__(self, session: ort.InferenceSession, shapes: dict[str, list[int]], bands: int) -> None:
        self._session, self._bands = session, bands
        self._sets: list[dict[str, Float32]] = [
            {name: np.zeros((1, *shape), dtype=np.float32) for name, shape in shapes.items()} for _ in range(2)
        ]
        self._turned = 0
        self._style, self._delay = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        self._calls: dict[tuple[int, int], _Call] = {}

    @property
    def now(self) -> dict[str, Float32]:
        """The set that the next call reads."""
        return self._sets[self._turned]

    def call(
        self, mel: Float32, new: Float32, slot: NDArray[np.int64], style: int, delay: int, stride: int
    ) -> Float32:
        """One call of the graph; in `slot` 0 is the update held before, 1 the first of those that are `new`."""
        key = len(mel), stride
        call = self._calls.get(key) or self._calls.setdefault(key, self._bound(*key))
        call.mel[0], call.slot[0], self._style[0], self._delay[0] = mel, slot, style, delay
        binding, emotion = call.bindings[self._turned], new[None]
        binding.bind_cpu_input("emotion", emotion)
        self._session.run_with_iobinding(binding)
        self._turned = 1 - self._turned
        weights: Float32 = call.weights[0].copy()
        return weights

    def _bound(self, ticks: int, stride: int) -> _Call:
        mel = np.zeros((1, ticks, ROWS_PER_TICK, self._bands), dtype=np.float32)
        slot = np.zeros((1, ticks), dtype=np.int64)
        weights = np.zeros((1, ticks // stride, arkit.COUNT), dtype=np.float32)
        every = np.array([stride], dtype=np.int64)
        given: dict[str, Any] = {
            "mel": mel, "slot": slot, "stride": every, "style": self._style, "delay": self._delay,
        }  # fmt: skip
        bindings = []
        for before, after in (self._sets, self._sets[::-1]):
            binding = self._session.io_binding()
            after = {name.replace("state_", "next_"): array for name, array in after.items()}
            for bind, arrays in (
                (binding.bind_input, given | before), (binding.bind_output, {"weights": weights} | after)
            ):  # fmt: skip
                for name, array in arrays.items():
                    bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            bindings.append(binding)
        return _Call(mel, slot, every, weights, bindings)


@dataclass(frozen=True)
class Engine:
    """A loaded model. `Engine.open` makes one.

    Attributes:
        config: size and shape. provenance: training data, licence, learned constants.
    """

    path: Path
    config: ModelConfig
    provenance: Provenance
    weights_sha256: str
    _session: ort.InferenceSession
    _shapes: dict[str, list[int]]
    _rests: dict[tuple[int, int], Float32] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path, threads: int = 1) -> Engine:
        """Load a model file.

        Raises:
            ModelError: missing, damaged, or not ours. SettingError: no such number of threads.
        """
        if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
            raise SettingError(f"got {threads!r} threads: expected 1 to {MOST_THREADS}; one is enough")
        path = Path(path)
        if path.suffix != ".onnx" or not path.is_file():
            raise ModelError(f"no model at {str(path)!r}: expected a .onnx file; leave --model out for the shipped one")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # onnxruntime has no common base class for its errors
            if type(problem).__module__.partition(".")[0] != "onnxruntime":
                raise
            if not path.with_suffix(".safetensors").is_file():
                beside = path.with_suffix(".safetensors").name
                raise ModelError(f"{str(path)!r} lacks its weights: expected {beside!r} beside it; copy both") from None
            raise ModelError(
                f"{str(path)!r} is no model: expected a file written by `duomorph export`, under the name it was given"
            ) from None
        try:
            meta = session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError:
            raise ModelError(f"{str(path)!r} is damaged: expected a file as exported; copy it anew") from None
        config, provenance = read_metadata(meta, str(path))
        if meta.get("graph") == SOUND_GRAPH:
            raise ModelError(f"{str(path)!r} takes sound itself: expected one that was exported without --sound")
        if meta.get("graph") != GRAPH:
            raise ModelError(
                f"{str(path)!r} was exported by another version: "
                f"write it anew with  duomorph export {path.with_suffix('.safetensors').name} -o FOLDER"
            )
        weights = path.with_suffix(".safetensors")
        if not weights.is_file():  # renamed: the graph has found them under the old name
            raise ModelError(
                f"{str(path)!r} lacks its weights: expected {weights.name!r} beside it; give both the names they had"
            )
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != meta.get("weights_sha256"):
            raise ModelError(f"{weights.name} does not belong to {str(path)!r}: expected the two files of one export")
        shapes = {value.name: value.shape[1:] for value in session.get_inputs() if value.name.startswith("state_")}
        return cls(path, config, provenance, digest, session, shapes)

    def start(self) -> State:
        """The state before the first sample: all zeros."""
        return State(self._session, self._shapes, self.config.bands)

    def rest(self, style: int, delay: int) -> Float32:
        """(52,) the face after a while of silence; worked out once."""
        if (style, delay) not in self._rests:
            mel = np.full((REST_TICKS, ROWS_PER_TICK, self.config.bands), -MelConfig.depth, dtype=np.float32)
            neutral = np.tile(np.array(self.provenance.neutral, dtype=np.float32), (1, WINDOWS))
            slot = np.zeros(REST_TICKS, dtype=np.int64)
            self._rests[style, delay] = self.step(mel, neutral, slot, style, delay, self.start())[-1]
        return self._rests[style, delay]

    def step(
        self,
        mel: Float32,
        emotion: Float32,
        slot: NDArray[np.int64],
        style: int,
        delay: int,
        state: State,
        stride: int = 1,
    ) -> Float32:
        """Curves of N ticks of one stream, or of the last of them and every second before it.

        Args:
            mel: (N, 2, 80) rows of each tick. emotion: (U, 264), row 0 the update held from the call before.
            slot: (N,) the row of `emotion` that each tick holds. delay: ticks.
            state: from `start`; it goes on by these ticks.
            stride: 1, or 2 for half the curves at little more than half the work.
        Returns:
            (N, 52) weights of ticks n - delay, every `stride`-th of them.
        """
        held = 0 if state.now["state_started"].any() else -1  # row of the update that the state knows
        out = []
        for begin, end in _parts(len(mel), stride):
            last = int(slot[end - 1])
            part, new = slice(begin, end), emotion[held + 1 : last + 1]
            every = 1 if end - begin == 1 else stride
            out.append(state.call(mel[part], new, slot[part] - held, style, delay, every))
            held = last
        return np.concatenate(out) if len(out) > 1 else out[0]


def _parts(ticks: int, stride: int) -> Iterator[tuple[int, int]]:
    """Of as many ticks as the graph has ways for."""
    begin = ticks % stride  # a first tick that has no other before it
    if begin:
        yield 0, begin
    while begin < ticks:
        left = ticks - begin
        end = begin + next((way for way in (LONG, MANY) if left >= way), min(left, 2))
        yield begin, end
        begin = end
