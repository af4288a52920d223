"""The data set: what the manifest says lies whole in the folder, and every damage is found by file and line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from duomorph import arkit, audio, formats
from duomorph.clip import Clip
from duomorph.dataset import manifest, split, stats
from duomorph.dataset.check import Problem, check
from duomorph.dataset.manifest import Entry, Writer, read
from duomorph.errors import AudioError, CorpusError, DuomorphError, FormatError, SettingError
from talk import talk

LABELS = {"speaker": "anna", "style": "studio", "licence": "CC0-1.0", "session": "monday"}


def build(folder: Path, clips: int = 2, seconds: float = 3.0) -> Path:
    with Writer(folder) as out:
        for k in range(clips):
            sound, clip = talk(seconds, k)
            out.add(id=f"take{k}", sound=sound, clip=clip, **LABELS)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("made") / "data")


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- manifest ---------------------------------------------------------------------------------------------------------


def test_a_clip_comes_back_with_all_that_is_known(tmp_path: Path) -> None:
    sound, clip = talk(2.0, 5, Fraction(30000, 1001))
    captured = np.ones(52, dtype=bool)
    captured[[arkit.INDEX["tongueOut"], arkit.INDEX["cheekPuff"]]] = False
    angles = np.zeros((len(clip), 9), np.float32)
    clip = Clip(clip.weights * captured, clip.fps, Fraction(1, 3), angles, captured, "a phone", Fraction(40000))
    with Writer(tmp_path / "new" / "data") as out:
        said = out.add(id="take", sound=sound, clip=clip, **LABELS)
    (entry,) = read(tmp_path / "new" / "data")
    assert entry == said
    assert (entry.speaker, entry.session, entry.style, entry.licence) == ("anna", "monday", "studio", "CC0-1.0")
    assert (entry.fps, entry.frames, entry.duration_s) == (clip.fps, len(clip), 2.0)
    assert set(arkit.NAMES) - set(entry.captured) == {"tongueOut", "cheekPuff"}
    assert entry.source == "a phone"
    back = formats.read(tmp_path / "new" / "data" / entry.curves)
    np.testing.assert_array_equal(back.weights, clip.weights)
    np.testing.assert_array_equal(back.captured, captured)
    assert (back.start, back.timecode) == (clip.start, clip.timecode)
    np.testing.assert_allclose(audio.read(tmp_path / "new" / "data" / entry.audio), sound, atol=1 / 32768)


def test_sound_files_are_copied_as_they_are(tmp_path: Path) -> None:
    sound, clip = talk(1.0, 1)
    soundfile.write(tmp_path / "take.wav", np.stack([sound, sound], axis=1), 48000, subtype="PCM_24")
    with Writer(tmp_path / "data") as out:
        entry = out.add(id="a", sound=tmp_path / "take.wav", clip=clip, **LABELS)
    assert (tmp_path / "data" / entry.audio).read_bytes() == (tmp_path / "take.wav").read_bytes()
    assert entry.duration_s == pytest.approx(1 / 3, abs=1e-4)


def test_a_sound_of_two_styles_is_stored_once(tmp_path: Path, sample: Path) -> None:
    _, clip = talk(1.0, 1)
    for sound in (sample, np.linspace(-0.5, 0.5, 16000, dtype=np.float32)):
        with Writer(tmp_path / type(sound).__name__) as out:
            raw = out.add(id="raw", sound=sound, clip=clip, **LABELS)
        with Writer(tmp_path / type(sound).__name__) as out:
            neat = out.add(id="neat", sound=sound, clip=clip, **{**LABELS, "style": "neat"})
        assert raw.audio == neat.audio
        assert len(names(tmp_path / type(sound).__name__ / "audio")) == 1


def test_what_is_there_stays(data: Path) -> None:
    before = list(read(data))
    sound, clip = talk(1.0, 9)
    with Writer(data) as out:
        assert "take0" in out
        with pytest.raises(CorpusError, match="there twice"):
            out.add(id="take0", sound=sound, clip=clip, **LABELS)
        added = out.add(id="more", sound=sound, clip=clip, **LABELS)
    assert list(read(data)) == [*before, added]


def test_work_that_stops_half_way_keeps_what_is_whole(tmp_path: Path) -> None:
    sound, clip = talk(1.0, 9)
    with suppress(KeyboardInterrupt), Writer(tmp_path) as out:
        out.add(id="one", sound=sound, clip=clip, **LABELS)
        raise KeyboardInterrupt
    assert [entry.id for entry in read(tmp_path)] == ["one"]
    assert not check(tmp_path).fatal


def test_words_of_any_kind_are_kept(tmp_path: Path) -> None:
    sound, clip = talk(0.2, 0)
    odd = b"\xff".decode(errors="surrogateescape")
    words = {"speaker": "Žofie \u2028 😀", "style": "a\nb", "licence": '"own"', "session": odd}
    with Writer(tmp_path) as out:
        out.add(id="take", sound=sound, clip=clip, **words)
    (entry,) = read(tmp_path)
    assert {name: getattr(entry, name) for name in words} == words
    assert check(tmp_path).fatal == 0


def test_a_manifest_is_saved_on_the_way(tmp_path: Path) -> None:
    sound, clip = talk(0.2, 0)
    out = Writer(tmp_path)
    for k in range(25):  # and then the power goes
        out.add(id=f"t{k}", sound=sound, clip=clip, **LABELS)
    assert len(list(read(tmp_path))) == 20


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"id": "../up"}, CorpusError),
        ({"id": ""}, CorpusError),
        ({"id": "a" * 101}, CorpusError),
        ({"clip": Clip(np.zeros((0, 52), np.float32), Fraction(30))}, CorpusError),
        ({"clip": Clip(np.zeros((3, 51), np.float32), Fraction(30))}, FormatError),
        ({"clip": Clip(np.full((3, 52), np.nan, np.float32), Fraction(30))}, FormatError),
        ({"clip": Clip(np.full((3, 52), 2, np.float32), Fraction(30))}, FormatError),
        ({"clip": Clip(np.zeros((3, 52), np.float32), Fraction(5))}, FormatError),
        ({"licence": None}, CorpusError),
        ({"speaker": Path("x")}, CorpusError),
        ({"sound": np.zeros(0, np.float32)}, AudioError),
        ({"sound": np.full(100, np.nan, np.float32)}, AudioError),
        ({"sound": Path("nowhere.wav")}, AudioError),
    ],
)
def test_no_nonsense_comes_in(data: Path, change: dict[str, object], error: type[DuomorphError]) -> None:
    sound, clip = talk(1.0, 9)
    before = names(data)
    with Writer(data) as out, pytest.raises(error, match="expected"):
        out.add(**{"id": "new", "sound": sound, "clip": clip, **LABELS, **change})
    assert names(data) == before


@pytest.mark.parametrize(
    "change",
    [
        {"id": 3}, {"id": "a/b"}, {"audio": "/etc/passwd"}, {"audio": "../x.wav"}, {"curves": ""}, {"fps": "0"},
        {"fps": None}, {"captured": "some"}, {"captured": ["nose"]}, {"captured": [[]]}, {"duration_s": "1"},
        {"duration_s": -1}, {"duration_s": True}, {"frames": 1.5}, {"frames": 0}, {"checksum": {}}, {"checksum": "x"},
        {"speaker": None}, {"note": 5}, {"colour": "red"},
    ],
)  # fmt: skip
def test_damaged_lines_are_refused(made: Path, change: dict[str, object]) -> None:
    line = (made / manifest.NAME).read_text().splitlines()[0]
    assert manifest.line_of(manifest.parse(line)) == line
    with pytest.raises(CorpusError, match=r"got .*expected|out of range: expected"):
        manifest.parse(json.dumps({**json.loads(line), **change}))


@given(choices=st.data())
def test_any_damage_to_a_manifest_is_told(made: Path, choices: st.DataObject) -> None:
    line = bytearray((made / manifest.NAME).read_bytes().splitlines()[0])
    for _ in range(choices.draw(st.integers(1, 5))):
        place = choices.draw(st.integers(0, len(line)))
        line[place : place + choices.draw(st.integers(0, 4))] = choices.draw(st.binary(max_size=4))
    with suppress(CorpusError):
        manifest.parse(line.decode(errors="replace"))


@given(choices=st.data())
def test_no_damage_stops_a_check(made: Path, tmp_path: Path, choices: st.DataObject) -> None:
    data = tmp_path / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(made, data)
    file = choices.draw(st.sampled_from(["curves/take0.jsonl", "audio/take0.flac", "manifest.jsonl"]))
    damaged = bytearray((data / file).read_bytes())
    for _ in range(choices.draw(st.integers(1, 5))):
        place = choices.draw(st.integers(0, min(1500, len(damaged)))) | choices.draw(st.sampled_from([0, 0x4000]))
        damaged[place : place + choices.draw(st.integers(0, 40))] = choices.draw(st.binary(max_size=4))
    (data / file).write_bytes(damaged)
    report = check(data)
    assert all(str(problem) for problem in report.problems)
    json.dumps(report.as_json())
    if damaged != (made / file).read_bytes() and file != manifest.NAME:
        assert report.fatal


def test_no_data_set(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "no", "a\0b"):
        with pytest.raises(CorpusError, match="no data set"):
            list(read(folder))
        with pytest.raises(CorpusError, match="no data set"):
            check(folder)


# --- check ------------------------------------------------------------------------------------------------------------


def test_a_good_data_set_has_no_problems(data: Path) -> None:
    report = check(data)
    assert report.problems == []
    assert (report.clips, report.frames, report.seconds) == (2, 180, 6.0)
    assert json.loads(json.dumps(report.as_json()))["hours"] == pytest.approx(6 / 3600, abs=1e-4)


def edit(data: Path, change: Callable[[list[str]], None], file: str = "curves/take0.jsonl", sums: bool = True) -> None:
    """Change the lines of a file, and keep its checksum right."""
    lines = (data / file).read_text().splitlines()
    change(lines)
    (data / file).write_text("\n".join(lines) + "\n")
    if sums:
        mend(data)


def mend(data: Path) -> None:
    """Make the checksums fit the files."""
    entries = []
    for entry in read(data):
        sums = {kind: manifest.sha256(data / getattr(entry, kind)) for kind in ("audio", "curves")}
        entries.append(Entry(**{**vars(entry), "checksum": sums}))
    manifest.write(data, entries)


def value(line: str, shape: str, new: str) -> str:
    """A frame with another number for a shape."""
    head, numbers = line.split('"blendshapes": [')
    cells = numbers.removesuffix("]}").split(", ")
    cells[formats.columns.CSV_ORDER.index(shape)] = new
    return f'{head}"blendshapes": [{", ".join(cells)}]}}'


def stamp(line: str, time: float) -> str:
    return f'{{"timestamp": {time!r}, {line.split(", ", 1)[1]}'


def found(data: Path, **options: bool) -> list[Problem]:
    return check(data, **options).problems


def lines_of(problems: list[Problem], kind: str) -> tuple[tuple[int, int], ...]:
    (problem,) = [problem for problem in problems if problem.kind == kind]
    assert "expected" in problem.text or kind == "gap"
    return problem.lines


def test_each_wrong_line_is_named(data: Path) -> None:
    def damage(lines: list[str]) -> None:
        for line in (3, 4, 5, 9):  # counted from 1, as editors do
            lines[line - 1] = value(lines[line - 1], "jawOpen", "1.25")
        lines[11] = value(lines[11], "eyeBlinkLeft", "NaN")
        lines[12] = value(lines[12], "eyeBlinkLeft", "-0.5")
        lines[19] = lines[19].replace('"blendshapes": [', '"blendshapes": [0.5, ')
        lines[29] = "{"

    edit(data, damage)
    problems = found(data, sounds=False)
    assert lines_of(problems, "outside") == ((3, 5), (9, 9), (13, 13))
    assert lines_of(problems, "NaN") == ((12, 12),)
    assert [problem.lines for problem in problems if problem.kind == "line"] == [((20, 20),), ((30, 30),)]
    assert lines_of(problems, "count") == ()
    assert all(problem.fatal for problem in problems if problem.kind != "gap")
    assert all(problem.file == "curves/take0.jsonl" for problem in problems)
    assert str(problems[0]).startswith("curves/take0.jsonl:")
    shown = next(str(problem) for problem in problems if problem.kind == "outside")
    assert shown == "curves/take0.jsonl:3-5, 9, 13: fatal: jawOpen is 1.25: expected 0 to 1"


def test_the_clock(data: Path) -> None:
    def damage(lines: list[str]) -> None:
        lines[10] = stamp(lines[10], 0.1)  # line 11 goes back, line 12 jumps forward again
        lines[20] = stamp(lines[20], 19.4 / 30)  # line 21 stands between frames

    edit(data, damage)
    problems = found(data, sounds=False)
    assert lines_of(problems, "clock") == ((11, 11),)
    assert lines_of(problems, "gap") == ((12, 12),)
    assert lines_of(problems, "grid") == ((21, 21),)


def test_missing_frames_and_lines(data: Path) -> None:
    edit(data, lambda lines: lines.__delitem__(slice(40, 45)))
    problems = found(data, sounds=False)
    assert lines_of(problems, "gap") == ((41, 41),)
    assert [problem.text for problem in problems if problem.kind == "count"] == ["it has 85 frames: expected 90"]


def test_a_clock_across_blocks(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats.jsonl, "BLOCK", 1)
    edit(data, lambda lines: lines.__setitem__(50, stamp(lines[50], 0.0)))
    assert lines_of(found(data, sounds=False), "clock") == ((51, 51),)


def test_a_million_lines_may_be_wrong(data: Path) -> None:
    edit(data, lambda lines: lines.__setitem__(slice(1, None), [value(line, "jawOpen", "7") for line in lines[1:]]))
    (problem,) = [problem for problem in found(data, sounds=False) if problem.kind == "outside"]
    assert problem.lines == ((2, 91),)


def test_files_that_are_not_what_they_were(data: Path) -> None:
    (data / "curves/take1.jsonl").unlink()
    soundfile.write(data / "audio/take0.flac", np.full(48000, 0.1), 16000)
    assert {(problem.kind, problem.file) for problem in found(data)} == {
        ("missing", "curves/take1.jsonl"),
        ("checksum", "audio/take0.flac"),
    }
    assert {problem.kind for problem in found(data, sounds=False)} == {"missing"}


def test_the_header_is_the_manifests(data: Path) -> None:
    edit(data, lambda lines: lines.__setitem__(0, lines[0].replace('"fps": "30"', '"fps": "25"')))
    assert lines_of(found(data, sounds=False), "fps") == ((1, 1),)
    edit(data, lambda lines: lines.__setitem__(0, lines[0].replace('"start"', '"captured": ["jawOpen"], "start"')))
    assert lines_of(found(data, sounds=False), "captured") == ((1, 1),)
    edit(data, lambda lines: lines.__setitem__(0, '{"names": []}'))
    assert [problem.fatal for problem in found(data, sounds=False) if problem.kind == "damaged"] == [True]


@pytest.mark.parametrize(
    ("sound", "kinds"),
    [
        (np.zeros(48000), {"silence"}),
        (np.concatenate([np.zeros(46000), np.full(2000, 0.5)]), {"silence"}),
        (np.tile(np.concatenate([np.full(100, 1.0), np.full(100, -1.0)]), 240), {"clipping"}),
        (np.full(32000, 0.1), {"length"}),
    ],
)
def test_sounds(data: Path, sound: np.ndarray, kinds: set[str]) -> None:
    soundfile.write(data / "audio/take0.flac", sound, 16000)
    mend(data)
    problems = [problem for problem in found(data) if problem.kind != "lag"]
    assert {problem.kind for problem in problems} == kinds
    assert not kinds & {problem.kind for problem in found(data, sounds=False)}


def test_clipping_is_counted_by_places_and_told_once(data: Path) -> None:
    sound = np.full(48000, 0.1)
    sound[16000:16010] = 1.0
    sound[32000:32003] = -1.0
    sound[40000:40002] = 1.0  # two samples are a peak
    soundfile.write(data / "audio/take0.flac", sound, 16000)
    mend(data)
    with Writer(data) as out:
        out.add(id="again", sound=data / "audio/take0.flac", clip=talk(3.0, 0)[1], **{**LABELS, "style": "neat"})
    (problem,) = [problem for problem in found(data) if problem.kind == "clipping"]
    assert problem.text == "it is clipped in 2 places, first at 1.00 s: expected headroom"


def test_a_damaged_sound_hides_nothing_else(data: Path) -> None:
    whole = (data / "audio/take0.flac").read_bytes()
    (data / "audio/take0.flac").write_bytes(whole[: len(whole) // 2])
    edit(data, lambda lines: lines.__setitem__(5, "{"), "curves/take1.jsonl")
    kinds = {(problem.file, problem.kind) for problem in found(data)}
    assert ("audio/take0.flac", "damaged") in kinds
    assert ("curves/take1.jsonl", "line") in kinds


def test_the_manifest_is_checked_too(data: Path) -> None:
    def damage(lines: list[str]) -> None:
        lines.append(lines[0])
        lines.append("cut")
        lines[1] = lines[1].replace("CC0-1.0", "")

    edit(data, damage, manifest.NAME, sums=False)
    problems = found(data)
    assert [(problem.kind, problem.lines, problem.fatal) for problem in problems] == [
        ("licence", ((2, 2),), False), ("twice", ((3, 3),), True), ("manifest", ((4, 4),), True),
    ]  # fmt: skip


def test_a_data_set_without_clips_is_none(tmp_path: Path) -> None:
    with Writer(tmp_path):
        pass
    assert [(problem.file, problem.kind, problem.fatal) for problem in found(tmp_path)] == [
        (manifest.NAME, "manifest", True)
    ]


def test_a_manifest_that_an_editor_has_marked(data: Path) -> None:
    path = data / manifest.NAME
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert not check(data).fatal
    assert len(list(read(data))) == 2


def test_the_same_curves_twice(data: Path) -> None:
    shutil.copy(data / "curves/take0.jsonl", data / "curves/take1.jsonl")
    mend(data)
    assert [(problem.kind, problem.lines, problem.fatal) for problem in found(data)] == [("copy", ((2, 2),), False)]


def test_dead_shapes(tmp_path: Path) -> None:
    with Writer(tmp_path) as out:
        for k in range(2):
            sound, clip = talk(2.0, k)
            clip.weights[:, arkit.INDEX["tongueOut"]] = 0.25
            if k:  # moves in one clip of two: not dead
                clip.weights[:, arkit.INDEX["cheekPuff"]] = 0
            out.add(id=f"t{k}", sound=sound, clip=clip, **LABELS)
        still = Clip(np.full((60, 52), 0.3, np.float32), Fraction(30))
        out.add(id="still", sound=sound, clip=still, **LABELS)
    problems = found(tmp_path)
    assert {(problem.kind, problem.file) for problem in problems} == {
        ("dead", "manifest.jsonl"), ("still", "curves/still.jsonl"),
    }  # fmt: skip
    assert next(problem.text for problem in problems if problem.kind == "dead").count("tongueOut") == 1
    assert "cheekPuff" not in str(problems)


def test_curves_without_our_header_are_checked_too(data: Path) -> None:
    edit(data, lambda lines: lines.__delitem__(0))
    assert found(data) == []


# --- stats and split --------------------------------------------------------------------------------------------------


def test_stats_are_those_of_numpy(tmp_path: Path) -> None:
    clips = [talk(2.0, k)[1] for k in range(3)]
    captured = np.ones(52, dtype=bool)
    captured[arkit.INDEX["tongueOut"]] = False
    clips[2] = Clip(clips[2].weights * captured, clips[2].fps, captured=captured)
    with Writer(tmp_path) as out:
        for k, clip in enumerate(clips):
            out.add(id=f"t{k}", sound=talk(2.0, k)[0], clip=clip, **{**LABELS, "style": "b" if k == 1 else "a"})
    a, b = stats.stats(tmp_path)
    assert (a.name, a.clips, a.frames, b.name, b.clips) == ("a", 2, 120, "b", 1)
    both = np.concatenate([clips[0].weights, clips[2].weights]).astype(np.float64)
    shape = arkit.INDEX["jawOpen"]
    assert a.mean[shape] == pytest.approx(both[:, shape].mean())
    assert a.sd[shape] == pytest.approx(both[:, shape].std())
    assert a.max[shape] == pytest.approx(both[:, shape].max(), abs=1e-7)
    assert a.active[shape] == (both[:, shape] > 0.05).mean()
    for share in (0.5, 0.95):
        assert a.percentile(share)[shape] == pytest.approx(np.quantile(both[:, shape], share, method="lower"), abs=0.01)
    tongue = arkit.INDEX["tongueOut"]
    assert a.captured[tongue] == 0.5
    assert a.mean[tongue] == pytest.approx(clips[0]["tongueOut"].mean())
    assert "jawOpen" in stats.table([a, b])


def people(folder: Path, clips: int) -> Path:
    sound, clip = talk(0.2, 0)
    with Writer(folder) as out:
        for k in range(clips):
            own = np.roll(sound, k + 1)
            for style in ("raw", "neat"):
                out.add(id=f"{style}{k}", sound=own, clip=clip, **{**LABELS, "speaker": f"s{k % 7}", "style": style})
    return folder


def test_splits_are_drawn_alike_and_stay(tmp_path: Path) -> None:
    folder = people(tmp_path, 30)
    one = split.draw(folder, "clip", 0.2, seed=3)
    assert one == split.draw(folder, "clip", 0.2, seed=3)
    assert one != split.draw(folder, "clip", 0.2, seed=4)
    assert 2 <= len(one.test) <= 24
    assert {id.removeprefix("raw") for id in one.test if id.startswith("raw")} == {
        id.removeprefix("neat") for id in one.test if id.startswith("neat")
    }, "the two styles of a sound stay together"
    speakers = split.draw(folder, "speaker", 0.3)
    held = {entry.speaker for entry in read(folder) if entry.id in speakers.test}
    assert 1 <= len(held) <= 6
    assert {entry.id for entry in read(folder) if entry.speaker in held} == set(speakers.test)
    with Writer(folder) as out:
        sound, clip = talk(0.3, 99)
        out.add(id="new", sound=sound, clip=clip, **LABELS)
    assert set(split.draw(folder, "clip", 0.2, seed=3).test) - {"new"} == set(one.test)


def test_speakers_who_share_a_sound_stay_together(tmp_path: Path) -> None:
    with Writer(tmp_path) as out:
        for number, (speaker, seed) in enumerate((("anna", 1), ("bert", 2), ("bert", 1), ("cleo", 3), ("dora", 4))):
            sound, clip = talk(0.3, seed)
            out.add(id=f"t{number}", sound=sound, clip=clip, **{**LABELS, "speaker": speaker})
    for seed in range(12):
        test = split.draw(tmp_path, "speaker", 0.3, seed).test
        assert len({"t0", "t1", "t2"} & set(test)) in (0, 3)


def test_splits_are_kept(tmp_path: Path) -> None:
    folder = people(tmp_path, 3)
    assert split.held_out(folder) == frozenset()
    split.save(folder, split.listed(folder, ["raw1", "neat1"]))
    assert split.held_out(folder) == {"raw1", "neat1"}
    with pytest.raises(CorpusError, match="shares its sound"):
        split.listed(folder, ["raw1"])
    with pytest.raises(CorpusError, match="holds no clip 'x'"):
        split.listed(folder, ["x"])
    (folder / split.NAME).write_text("[]")
    with pytest.raises(CorpusError, match="no split"):
        split.held_out(folder)


def test_a_share_always_holds_someone_out(tmp_path: Path) -> None:
    folder = people(tmp_path, 3)
    for seed in range(20):
        for share in (0.001, 0.999):
            test = split.draw(folder, "speaker", share, seed).test
            assert 0 < len(test) < 6
    with pytest.raises(SettingError, match="test share"):
        split.draw(folder, "speaker", 1.0)
    with pytest.raises(CorpusError, match="two at least"):
        split.draw(build(tmp_path / "one", clips=1, seconds=0.3), "speaker")
