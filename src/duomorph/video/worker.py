"""MediaPipe in a process of its own: `python -P -m duomorph.video.worker MODEL`, pictures in, records out.

One promise: what MediaPipe logs and whom it calls stays in here. Its wheels report their use to Google over the
network from 0.10.3x on and offer no switch (google-ai-edge/mediapipe issue 6291); the parent starts this process with
a proxy that does not exist, and with its stderr closed.

    messages are pickles: first "" or why it cannot begin, then for each list of pictures an array of RECORD
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from pathlib import Path

from duomorph.video.face import Finder


def main() -> None:
    """Serve until the parent closes its end."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # no library's print may get between the messages

    def say(message: object) -> None:
        pickle.dump(message, answers)
        answers.flush()

    try:
        finder = Finder(Path(sys.argv[1]))
    except (ImportError, OSError) as problem:  # OSError: a system library is missing
        say(f"import: {problem}")
        return
    except (RuntimeError, ValueError) as problem:
        say(f"model: {problem}")
        return
    say("")
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            say(finder.block(pickle.load(sys.stdin.buffer)))


if __name__ == "__main__":
    main()
    os._exit(0)  # MediaPipe's threads may still wait for the network
