"""KoeMorph's sequential model, from a checkout of atsuki-ichikawa/KoeMorph at commit 63b5e4b (MIT), random weights.

It needs torch, librosa and opensmile. A window of 8.5 s for each frame, as its `forward` does with stride 1; the frames
of the first 8.5 s it leaves out, which is in its favour here: of 20 s of sound it gives 345 frames at 30 fps, not 600.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from timing import Absent, main


def prepare(sound: NDArray[np.float32], fps: int, checkout: str = "") -> Callable[[], object]:
    if not (Path(checkout) / "src" / "model" / "sequential_dual_stream_model.py").is_file():
        raise Absent("no checkout: git clone https://github.com/atsuki-ichikawa/KoeMorph, git checkout 63b5e4b")
    try:
        import torch

        sys.path.insert(0, checkout)
        theirs = importlib.import_module("src.model.sequential_dual_stream_model")
    except ImportError as problem:
        raise Absent(f"it needs {problem.name}: pip install torch librosa opensmile") from None
    torch.set_num_threads(1)
    window = 256 * fps // 30
    emotion = {"backend": "opensmile", "use_concatenation": True, "enable_caching": False, "device": "cpu"}
    model = theirs.SequentialDualStreamModel(
        target_fps=fps, mel_sequence_length=window, emotion_config=emotion, device="cpu"
    ).eval()
    if model.emotion_extractor.fallback_level != 1:
        raise Absent("its openSMILE did not start: pip install opensmile")
    audio = torch.from_numpy(sound)[None]

    def work() -> object:
        with torch.no_grad():
            return model(audio)["blendshapes"]

    return work


if __name__ == "__main__":
    main(prepare)
