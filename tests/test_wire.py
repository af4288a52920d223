"""What live faces send: every codec comes back as it went, other people's readers agree, odd bytes are refused."""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylivelinkface import FaceBlendShape, PyLiveLinkFace
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage
from pythonosc.osc_packet import OscPacket

from duomorph import arkit
from duomorph.errors import FormatError
from duomorph.formats import jsonl
from duomorph.wire import Command, Frame, lines, livelink, messages, osc, vmc, web

RATES = [Fraction(30), Fraction(60), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(50), Fraction(120)]
SUBJECT = "Zoë 1"
PHONE = livelink.device_id(SUBJECT)


def frame(seed: int = 0, number: int = 0, fps: Fraction = Fraction(60)) -> Frame:
    random = np.random.default_rng(seed)
    weights = random.random(52, np.float32)
    return Frame(number, fps, weights, random.uniform(-1, 1, 9).astype(np.float32))


def face(**shapes: float) -> np.ndarray:
    row = np.zeros(52, np.float32)
    for name, value in shapes.items():
        row[arkit.INDEX[name]] = value
    return row


def same(one: Frame, other: Frame) -> None:
    assert (one.number, one.fps) == (other.number, other.fps)
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.angles, other.angles)


frames = st.builds(frame, st.integers(0, 2**32), st.integers(0, 2_000_000), st.sampled_from(RATES))


def test_time_is_exact() -> None:
    assert frame(number=3 * 3600 * 60, fps=Fraction(60)).time_s == 10_800
    assert frame(number=30_000, fps=Fraction(30_000, 1001)).time_s == 1001


# Live Link Face


@given(frames)
def test_livelink_comes_back(sent: Frame) -> None:
    packet = livelink.decode(livelink.encode(sent, SUBJECT, PHONE))
    assert (packet.subject, packet.device, packet.subframe) == (SUBJECT, PHONE, 0)
    same(packet.frame, sent)


@given(frames)
def test_pylivelinkface_reads_every_value(sent: Frame) -> None:
    found, theirs = PyLiveLinkFace.decode(livelink.encode(sent, "Alice", livelink.device_id("Alice"), first=7))
    assert found
    assert theirs.name == "Alice"
    assert len(livelink.device_id("Alice")) == 36
    assert (theirs._version, theirs._frames) == (6, sent.number + 7)
    assert Fraction(theirs.fps, theirs._denominator) == sent.fps
    names = [name.lower() for name in (*arkit.NAMES, *arkit.ANGLES)]
    ours = dict(zip(names, [*sent.weights, *sent.angles], strict=True))
    assert len(FaceBlendShape) == len(ours) == 61
    for shape in FaceBlendShape:
        assert theirs.get_blendshape(shape) == ours[shape.name.lower()]


def test_livelink_counts_by_the_day() -> None:
    late = livelink.encode(frame(number=5), SUBJECT, PHONE, first=24 * 3600 * 60 - 2)
    assert livelink.decode(late).frame.number == 3


def test_a_subject_keeps_its_device() -> None:
    assert livelink.device_id("Alice") == livelink.device_id("Alice") != livelink.device_id("Bob")


# OSC


@given(frames)
def test_osc_comes_back(sent: Frame) -> None:
    same(osc.decode(osc.encode(sent)[0], sent.fps), sent)


@given(frames)
def test_python_osc_reads_osc(sent: Frame) -> None:
    packets = osc.encode(sent)
    assert max(map(len, packets)) <= messages.LIMIT
    found = {timed.message.address: timed.message.params for packet in packets for timed in OscPacket(packet).messages}
    assert found["/duomorph/frame"] == [sent.number, np.float32(sent.time_s)]
    assert found["/duomorph/weights"] == sent.weights.tolist()
    assert found["/duomorph/angles"] == sent.angles.tolist()
    for name, value in zip(arkit.NAMES, sent.weights.tolist(), strict=True):
        assert found[f"/duomorph/{name}"] == [value]
    assert len(found) == 52 + 3


ADDRESSES = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20).map("/{}".format)
ARGUMENTS = st.lists(
    st.integers(-(2**31), 2**31 - 1)
    | st.floats(width=32, allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    max_size=6,
)


@given(ADDRESSES, ARGUMENTS)
def test_messages_come_back_from_us_and_python_osc(address: str, arguments: list[int | float | str]) -> None:
    packet = messages.message(address, *arguments)
    assert messages.parse(packet) == [(address, tuple(arguments))]
    theirs = OscMessage(packet)
    assert (theirs.address, theirs.params) == (address, arguments)


def test_what_other_senders_write_is_read() -> None:
    """All kinds of argument, bundles in a bundle; checked against python-osc's own reading."""
    values = struct.pack(">qdQ", -5, 0.1, 7) + struct.pack(">i", 5) + b"hello\0\0\0"
    every = b"/all\0\0\0\0,hdtbTFN\0\0\0\0" + values
    assert messages.parse(every) == [("/all", (-5, 0.1, 7, b"hello", True, False, None))]
    inner = b"#bundle\0" + struct.pack(">Qi", 1, len(every)) + every
    plain = messages.message("/plain")
    outer = b"#bundle\0" + struct.pack(">Qi", 1, len(inner)) + inner + struct.pack(">i", len(plain)) + plain
    assert [address for address, _ in messages.parse(outer)] == ["/all", "/plain"]
    assert OscBundle(outer).num_contents == 2
    assert messages.parse(b"/old\0\0\0\0") == [("/old", ())]  # before tags were invented


def test_osc_commands() -> None:
    assert osc.commands(messages.message("/duomorph/reset")) == [Command.RESET]
    assert osc.commands(messages.message("/duomorph/silence", 1)) == [Command.SILENCE]
    assert osc.commands(messages.message("/somebody/else", "reset")) == []


# VMC


@given(frames, st.sampled_from(vmc.SHAPES), st.sampled_from(vmc.CASES))
def test_python_osc_reads_vmc(sent: Frame, shapes: str, case: str) -> None:
    packets = vmc.Encoder(shapes, case)(sent)
    assert max(map(len, packets)) <= 1500
    sequence = [timed.message for packet in packets for timed in OscPacket(packet).messages]
    assert [(said.address, said.params) for said in sequence[:2]] == [
        ("/VMC/Ext/OK", [1]),
        ("/VMC/Ext/T", [np.float32(sent.time_s)]),
    ]
    assert (sequence[-1].address, sequence[-1].params) == ("/VMC/Ext/Blend/Apply", [])
    assert {said.address for said in sequence[2:-1]} == {"/VMC/Ext/Blend/Val"}
    found = dict(said.params for said in sequence[2:-1])
    assert len(found) == len(sequence) - 3
    assert found == vmc.values(packets)
    expected: dict[str, float] = {}
    if shapes != "arkit":
        expected |= dict(zip(vmc.PRESET_NAMES, vmc.presets(sent.weights).tolist(), strict=True))
    if shapes != "vrm":
        first = str.upper if case == "pascal" else str.lower
        names = [first(name[0]) + name[1:] for name in arkit.NAMES]
        expected |= dict(zip(names, sent.weights.tolist(), strict=True))
    assert found == expected


@given(frames)
def test_presets_never_add_up_to_too_much(sent: Frame) -> None:
    """Avatars add clips up: more than 1 of vowels, moods or lids leaves the face."""
    level = dict(zip(vmc.PRESET_NAMES, vmc.presets(sent.weights).tolist(), strict=True))
    assert min(level.values()) >= 0
    assert sum(level[name] for name in vmc.VOWELS) <= 1 + 1e-6
    assert sum(level[name] for name in vmc.MOODS) <= 1 + 1e-6
    for side, shape in (("_L", "eyeBlinkLeft"), ("_R", "eyeBlinkRight")):
        assert level["Blink"] + level[f"Blink{side}"] == pytest.approx(sent.weights[arkit.INDEX[shape]])


@pytest.mark.parametrize(
    ("preset", "shapes"),
    [
        ("A", {"jawOpen": 0.7}),
        ("I", {"mouthStretchLeft": 0.5, "mouthStretchRight": 0.5, "jawOpen": 0.1}),
        ("U", {"mouthPucker": 0.7, "jawOpen": 0.1}),
        ("E", {"mouthLowerDownLeft": 0.6, "mouthLowerDownRight": 0.6, "mouthUpperUpLeft": 0.3, "jawOpen": 0.2}),
        ("O", {"mouthFunnel": 0.6, "mouthPucker": 0.2, "jawOpen": 0.4}),
        ("Joy", {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}),
        ("Angry", {"browDownLeft": 0.9, "browDownRight": 0.9}),
        ("Sorrow", {"browInnerUp": 0.7, "mouthFrownLeft": 0.5, "mouthFrownRight": 0.5}),
        ("Fun", {"cheekSquintLeft": 0.7, "cheekSquintRight": 0.7}),
        ("Blink", {"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.9}),
        ("Blink_L", {"eyeBlinkLeft": 0.9}),
        ("Blink_R", {"eyeBlinkRight": 0.9}),
    ],
)
def test_each_preset_has_its_face(preset: str, shapes: dict[str, float]) -> None:
    level = dict(zip(vmc.PRESET_NAMES, vmc.presets(face(**shapes)).tolist(), strict=True))
    assert level[preset] > 0.3
    group = next(group for group in (vmc.VOWELS, vmc.MOODS, vmc.BLINKS) if preset in group)
    assert level[preset] == max(level[name] for name in group)


def test_a_face_at_rest_and_closed_lips_are_no_vowel() -> None:
    assert not vmc.presets(face()).any()
    closed = vmc.presets(face(jawOpen=0.4, mouthClose=0.4))
    assert closed[: len(vmc.VOWELS)].max() < 0.05


# the WebSocket


@given(frames)
def test_web_comes_back(sent: Frame) -> None:
    data = web.encode(sent)
    same(web.decode(data, sent.fps), sent)
    kind, number, seconds, *values = struct.unpack("<IId61f", data)  # the layout that docs and browsers count on
    assert (kind, number, seconds) == (1, sent.number, sent.time_s)
    assert values == [*sent.weights.tolist(), *sent.angles.tolist()]
    for heard in (None, 1763892000.125):
        told = dataclasses.replace(sent, heard=heard)
        assert web.encode(told) == data  # who did not ask sees no difference
        assert web.decode(data + web.heard(told), sent.fps).heard == heard


@pytest.mark.parametrize("fps", RATES)
def test_hello_comes_back(fps: Fraction) -> None:
    text = web.hello(fps, SUBJECT)
    assert web.read_hello(text) == web.Hello(SUBJECT, fps, arkit.NAMES, arkit.ANGLES)
    assert json.loads(text)["duomorph"] == 1


def test_another_protocol_is_said() -> None:
    with pytest.raises(FormatError, match="protocol 2"):
        web.read_hello(web.hello(Fraction(60), "a").replace('"duomorph": 1', '"duomorph": 2'))


def test_web_commands() -> None:
    assert web.command('{"command": "reset"}') is Command.RESET
    assert web.command(b'{"command": "silence", "more": 1}') is Command.SILENCE
    odds = ("", "{}", "[]", "null", '{"command": 1}', '{"command": []}', '{"command": "dance"}', b"\xff", "[" * 999)
    for odd in odds:
        with pytest.raises(FormatError, match="reset, silence"):
            web.command(odd)


# JSON lines


def test_lines_are_a_take() -> None:
    sent = [frame(k, number=k, fps=Fraction(30_000, 1001)) for k in range(40)]
    data = lines.header(sent[0].fps) + b"".join(map(lines.encode, sent))
    clip = jsonl.decode(data)
    assert (clip.fps, clip.start) == (Fraction(30_000, 1001), 0)
    np.testing.assert_array_equal(clip.weights, np.stack([each.weights for each in sent]))
    np.testing.assert_array_equal(clip.angles, np.stack([each.angles for each in sent]))
    head, *rows = map(json.loads, data.splitlines())
    assert rows[7]["timestamp"] == sent[7].time_s
    assert np.float32(rows[7]["blendshapes"][head["names"].index("jawOpen")]) == sent[7].weights[arkit.INDEX["jawOpen"]]


# whatever comes in

READERS = {
    "livelink": livelink.decode,
    "osc": lambda data: osc.decode(data, Fraction(60)),
    "messages": messages.parse,
    "commands": osc.commands,
    "vmc": lambda data: vmc.values([data]),
    "web": lambda data: web.decode(data, Fraction(60)),
    "command": web.command,
    "hello": lambda data: web.read_hello(data.decode("utf-8", "replace")),
}
TRUE = {
    "livelink": livelink.encode(frame(), SUBJECT, PHONE),
    "osc": osc.encode(frame())[0],
    "messages": osc.encode(frame())[1],
    "commands": messages.message("/duomorph/reset"),
    "vmc": vmc.Encoder()(frame())[1],
    "web": web.encode(frame()),
    "command": b'{"command": "silence"}',
    "hello": web.hello(Fraction(60), SUBJECT).encode(),
}


@pytest.mark.parametrize("name", READERS)
@given(choices=st.data())
def test_damaged_packets_are_read_or_refused(name: str, choices: st.DataObject) -> None:
    data = bytearray(TRUE[name])
    for _ in range(choices.draw(st.integers(0, 4))):
        place = choices.draw(st.integers(0, min(64, len(data)) - 1) | st.integers(0, len(data) - 1))
        data[place : place + choices.draw(st.integers(0, 4))] = choices.draw(st.binary(max_size=4))
        if not data:
            break
    kept = choices.draw(st.just(len(data)) | st.integers(0, len(data)))
    attempt(name, bytes(data[:kept]))


@pytest.mark.parametrize("name", READERS)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    attempt(name, data)


def attempt(name: str, data: bytes) -> None:
    """Anything but a value or a FormatError fails the test."""
    with suppress(FormatError):
        READERS[name](data)


def test_bundles_within_bundles_end_somewhere() -> None:
    packet = messages.message("/deep")
    for _ in range(100):
        packet = b"#bundle\0" + struct.pack(">Qi", 1, len(packet)) + packet
    with pytest.raises(FormatError):
        messages.parse(packet)


@pytest.mark.parametrize(
    "encode",
    [
        lambda frame: livelink.encode(frame, SUBJECT, PHONE),
        vmc.Encoder(),
        osc.encode,
        web.encode,
        lines.encode,
    ],
    ids=["livelink", "vmc", "osc", "web", "lines"],
)
@pytest.mark.alone
def test_a_frame_costs_far_less_than_a_millisecond(encode) -> None:  # type: ignore[no-untyped-def]
    sent = frame()
    took = []
    for _ in range(200):
        begun = time.thread_time()
        encode(sent)
        took.append(time.thread_time() - begun)
    assert np.median(took) < 1e-3
