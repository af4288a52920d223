"""The network at run time: ONNX Runtime, state in and out, no torch.

One promise: the engine keeps nothing of a voice between calls, so any number of streams and threads may share one.

    engine = Engine.open(path)
    weights, state = engine.step(mel, emotion, slot, style, delay, engine.start())

The graph has ways for one tick, for two, for `MANY` and for `LONG`; a call of another length is cut up.
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

from duomorph.clock import ROWS_PER_TICK, TICK_RATE
from duomorph.emotion import WINDOWS
from duomorph.errors import ModelError
from duomorph.mel import MelConfig
from duomorph.model.card import GRAPH, SOUND_GRAPH, Provenance, read_metadata
from duomorph.model.config import LONG, MANY, ModelConfig

Float32 = NDArray[np.float32]
State = dict[str, Float32]

REST_TICKS: Final = TICK_RATE  # of silence, after which the face is at rest


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
    _outputs: list[str]
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
        outputs = ["weights", *(name.replace("state_", "next_") for name in shapes)]
        return cls(path, config, provenance, digest, session, shapes, outputs)

    def start(self) -> State:
        """The state before the first sample: all zeros."""
        return {name: np.zeros((1, *shape), dtype=np.float32) for name, shape in self._shapes.items()}

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
            state: from `start` or from the call before. stride: 1, or 2 for half the curves at little more than half
                the work.
        Returns:
            (N, 52) weights of ticks n - delay, every `stride`-th of them, and the state after.
        """
        held = 0 if state["state_started"].any() else -1  # row of the update that the state knows
        out = []
        for begin, end in _parts(len(mel), stride):
            last = int(slot[end - 1])
            weights, state = self._call(
                mel[begin:end], emotion[held + 1 : last + 1], slot[begin:end] - held, style, delay, state,
                1 if end - begin == 1 else stride,
            )  # fmt: skip
            held = last
            out.append(weights)
        return np.concatenate(out) if len(out) > 1 else out[0], state

    def _call(
        self, mel: Float32, new: Float32, slot: NDArray[np.int64], style: int, delay: int, state: State, stride: int
    ) -> tuple[Float32, State]:
        """One call of the graph; in `slot` 0 is the update held before, 1 the first that is new."""
        inputs = {
            "mel": mel[None],
            "emotion": new[None],
            "slot": slot[None],
            "style": np.array([style]),
            "delay": np.array([delay]),
            "stride": np.array([stride]),
        }
        weights, *after = self._session.run(self._outputs, inputs | state)
        return weights[0], dict(zip(state, after, strict=True))


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
