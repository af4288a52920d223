"""The network at run time: ONNX Runtime, state in and out, no torch.

One promise: the engine keeps nothing of a voice between calls, so any number of streams and threads may share one.

    engine = Engine.open(path)
    weights, state = engine.step(mel, emotion, slot, style, delay, engine.start())

The graph has ways for one tick, for two, for `MANY` and for `LONG`; a call of another length is cut up. A state is two
sets of arrays, of which a call reads one and writes the other: from frame to frame nothing large is allocated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from duomorph import arkit
from duomorph.clock import ROWS_PER_TICK, TICK_RATE
from duomorph.emotion import WINDOWS
from duomorph.errors import ModelError
from duomorph.mel import MelConfig
from duomorph.model.card import GRAPH, SOUND_GRAPH, Provenance, read_metadata
from duomorph.model.config import LONG, MANY, ModelConfig

Float32 = NDArray[np.float32]

REST_TICKS: Final = TICK_RATE  # of silence, after which the face is at rest


@dataclass(frozen=True)
class _Call:
    """The arrays of a call of N ticks, bound to the graph."""

    mel: Float32  # (1, N, 2, 80)
    slot: NDArray[np.int64]  # (1, N)
    weights: Float32  # (1, N / stride, 52)
    bindings: tuple[ort.IOBinding, ort.IOBinding]  # from the first set of a state's arrays to the second, and back


class State:
    """What one voice leaves behind (`now`), and the room for what it leaves next. `Engine.step` spends the state that
    it is given: go on with the one that it returns, or from `Engine.start`."""

    def __init__(self, session: ort.InferenceSession, shapes: dict[str, list[int]]) -> None:
        sets: list[dict[str, Float32]] = [
            {name: np.zeros((1, *shape), dtype=np.float32) for name, shape in shapes.items()} for _ in range(2)
        ]
        self.now, self.room = sets
        self.style, self.delay = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        self._session = session
        self._calls: dict[tuple[int, int], _Call] = {}
        self._turned = False

    def bind(self, ticks: int, stride: int, bands: int) -> _Call:
        """The arrays of such a call; made once."""
        if (ticks, stride) not in self._calls:
            mel = np.zeros((1, ticks, ROWS_PER_TICK, bands), dtype=np.float32)
            slot, weights = np.zeros((1, ticks), np.int64), np.zeros((1, ticks // stride, arkit.COUNT), np.float32)
            given = {"mel": mel, "slot": slot, "style": self.style, "delay": self.delay, "stride": np.array([stride])}
            sets = [self.room, self.now] if self._turned else [self.now, self.room]
            bindings = []
            for before, after in (sets, sets[::-1]):
                binding = self._session.io_binding()
                for name, array in (given | before).items():
                    binding.bind_cpu_input(name, array)
                for name, array in {"weights": weights, **after}.items():
                    name = name.replace("state_", "next_")
                    binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
                bindings.append(binding)
            self._calls[ticks, stride] = _Call(mel, slot, weights, (bindings[0], bindings[1]))
        return self._calls[ticks, stride]

    def run(self, call: _Call, emotion: Float32) -> None:
        """From `now` to `room`, which change places."""
        binding = call.bindings[self._turned]
        binding.bind_cpu_input("emotion", emotion)
        self._session.run_with_iobinding(binding)
        self.now, self.room, self._turned = self.room, self.now, not self._turned


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
            ModelError: missing, damaged, or not ours.
        """
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
        meta = session.get_modelmeta().custom_metadata_map
        config, provenance = read_metadata(meta, str(path))
        if meta.get("graph") == SOUND_GRAPH:
            raise ModelError(f"{str(path)!r} takes sound itself: expected one that was exported without --sound")
        if meta.get("graph") != GRAPH:
            raise ModelError(
                f"{str(path)!r} was exported by another version: "
                f"write it anew with  duomorph export {path.with_suffix('.safetensors').name} -o FOLDER"
            )
        weights = path.with_suffix(".safetensors")
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != meta.get("weights_sha256"):
            raise ModelError(f"{weights.name} does not belong to {str(path)!r}: expected the two files of one export")
        shapes = {value.name: value.shape[1:] for value in session.get_inputs() if value.name.startswith("state_")}
        return cls(path, config, provenance, digest, session, shapes)

    def start(self) -> State:
        """The state before the first sample: all zeros."""
        return State(self._session, self._shapes)

    def rest(self, style: int, delay: int) -> Float32:
        """(52,) the face after a while of silence; worked out once."""
        if (style, delay) not in self._rests:
            mel = np.full((REST_TICKS, ROWS_PER_TICK, self.config.bands), -MelConfig.depth, dtype=np.float32)
            neutral = np.tile(np.array(self.provenance.neutral, dtype=np.float32), (1, WINDOWS))
            weights, _ = self.step(mel, neutral, np.zeros(REST_TICKS, dtype=np.int64), style, delay, self.start())
            self._rests[style, delay] = weights[-1]
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
    ) -> tuple[Float32, State]:
        """Curves of N ticks of one stream, or of the last of them and every second before it.

        Args:
            mel: (N, 2, 80) rows of each tick. emotion: (U, 264), row 0 the update held from the call before.
            slot: (N,) the row of `emotion` that each tick holds. delay: ticks.
            state: from `start` or from the call before; it is spent.
            stride: 1, or 2 for half the curves at little more than half the work.
        Returns:
            (N, 52) weights of ticks n - delay, every `stride`-th of them, and the state after.
        """
        held = 0 if state.now["state_started"].any() else -1  # row of the update that the state knows
        out = []
        for begin, end in _parts(len(mel), stride):
            last = int(slot[end - 1])
            call = state.bind(end - begin, 1 if end - begin == 1 else stride, self.config.bands)
            call.mel[0], call.slot[0] = mel[begin:end], slot[begin:end] - held  # row 1 is the first that is new
            state.style[0], state.delay[0] = style, delay
            state.run(call, emotion[None, held + 1 : last + 1])
            held = last
            out.append(call.weights[0].copy())
        return np.concatenate(out) if len(out) > 1 else out[0], state


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
