"""A text-to-speech program gets a face: each line of text is spoken, and the face speaks along.

    echo "Hello, here I am." | python examples/tts_pipe.py --sink ws://
    python examples/tts_pipe.py --tts "piper -m en_US-amy-low.onnx --output-raw" --rate 16000 --sink vmc://127.0.0.1
    python examples/tts_pipe.py --play "aplay -q -t raw -f S16_LE -c 1 -r 22050" --sink ws://

The program gets a line on its standard input and writes mono 16-bit sound to its standard output, as WAV (then the rate
is read from it) or raw. What this script does not know goes to `duomorph live`: sinks, --fps, --profile, ...
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

CHUNK = 4096  # bytes
WAV_HEADER = 44  # bytes; the length in it is of no use where a program writes into a pipe


def spoken(command: str, text: str, rate: int) -> Iterator[tuple[int, bytes]]:
    """The sound of one line, as it comes, with its rate."""
    with subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        with suppress(BrokenPipeError):  # its code will say that it failed
            program.stdin.write(text.encode())
            program.stdin.close()
        head = program.stdout.read(WAV_HEADER)
        if head[:4] == b"RIFF":
            rate, head = int.from_bytes(head[24:28], "little"), b""
        while head or (head := program.stdout.read(CHUNK)):
            yield rate, head
            head = b""
    if program.returncode:
        sys.exit(f"{command} failed with code {program.returncode}: expected sound; run it by hand")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tts", default="espeak-ng --stdin --stdout", help="text in, sound out (espeak-ng)")
    parser.add_argument("--rate", type=int, default=22050, help="Hz of raw sound; WAV says it itself (22050)")
    parser.add_argument("--play", help="a program that plays raw sound from its standard input")
    arguments, live = parser.parse_known_args()
    listeners: list[subprocess.Popen[bytes]] = []
    for line in sys.stdin:
        for rate, sound in spoken(arguments.tts, line, arguments.rate):
            if not listeners:
                face = [sys.executable, "-m", "duomorph", "live", "-", "--rate", str(rate), *live]
                commands = [face, shlex.split(arguments.play)] if arguments.play else [face]
                listeners = [subprocess.Popen(command, stdin=subprocess.PIPE) for command in commands]
            for listener in listeners:
                assert listener.stdin is not None
                listener.stdin.write(sound)
                listener.stdin.flush()
    for listener in listeners:
        assert listener.stdin is not None
        listener.stdin.close()
    sys.exit(max((listener.wait() for listener in listeners), default=0))


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as problem:
        sys.exit(f"cannot start {problem.filename!r}: expected a program on this machine; install it or name another")
    except (KeyboardInterrupt, BrokenPipeError):  # what broke has said why
        sys.exit(1)
