"""Live: sound in, frames out to other programs, for hours.

One promise: the clock is the count of samples; whatever stalls, is lost or comes too late, frame k is the face at
k / fps seconds.

    for frame in duomorph.live("talk.wav", fps=60):            # this package can be called
        print(frame.time_s, frame.weights[arkit.INDEX["jawOpen"]])

`resample` and `sources` bring sound, `microphone` among them; `voice` makes frames of it, `session` lets them leave in
time, `sinks` sends them to other programs, `record` keeps them, `bench` measures it all.
"""

from __future__ import annotations

import sys
from types import ModuleType

from duomorph.live.session import Live
from duomorph.live.sources import Block, Blocks, File, Paced, Pipe, Source

__all__ = ["Block", "Blocks", "File", "Live", "Paced", "Pipe", "Source", "live"]

live = Live  # as users write it: `for frame in live(source)`


class _Callable(ModuleType):
    """`duomorph.live` is a package and, as users write it, a function."""

    __call__ = staticmethod(Live)


sys.modules[__name__].__class__ = _Callable
