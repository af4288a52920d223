"""Windows: what a training step sees of the sessions, drawn at random and drawn again the same.

One promise: the windows of step k depend on the settings and on k alone, so a resumed run goes on as if never stopped.

    draw = Sampler(sessions, alone, settings)
    windows, every = draw(step, progress)        # every: 1 = at each tick (60 fps), 2 = at each second one (30 fps)
    batch = stack(windows, config)

Mixed sampling: nine steps in ten are sparse, windows from anywhere, at 30 fps or at 60; one is dense, neighbouring
windows of one session, at 60 fps. Where windows may begin lies on a grid whose stride falls from 32 frames to 1 as
training goes on. Many of the sparse steps see short takes alone, from silence and an empty emotion window, as a user's
short file is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph.clock import MAX_DELAY, ROWS_PER_TICK, TICK_RATE
from duomorph.corpus import Take
from duomorph.errors import SettingError
from duomorph.mel import MelConfig
from duomorph.model.config import UPDATE_TICKS, ModelConfig, held_update
from duomorph.train.config import Settings, TrainConfig
from duomorph.train.data import Session

Float32 = NDArray[np.float32]

FRAME_TICKS: Final = TICK_RATE // 30
ALONE_TICKS: Final = 3 * TICK_RATE + MAX_DELAY  # of a window that holds a short take by itself
ALONE_ROWS: Final = 3  # of these for each window of a session
_COLD: Final = 1 / 3  # of the sparse windows begin where the session begins


@dataclass(frozen=True)
class Window:
    """A stretch of a session at one delay, perhaps in another voice."""

    session: Session
    begin: int  # ticks
    ticks: int
    delay: int  # ticks
    voice: int = 0  # seed of the other voice, 0 = its own
    unmoved: bool = False  # its emotion stands at the mean
    soften: int = 1  # ticks of the Hann window over its labels
    place: int = 0  # seed of the line and the noise it is heard through, 0 = its own


@dataclass(frozen=True)
class Batch:
    """Arrays of B windows of N ticks, named as `Network.forward` names them, and the truth."""

    mel: Float32  # (B, N, 2, 80)
    emotion: Float32  # (B, U, 264)
    slot: NDArray[np.int64]  # (B, N)
    style: NDArray[np.int64]  # (B,)
    delay: NDArray[np.int64]  # (B,)
    past: Float32  # (B, context + 12, 2, 80) the mel before the window
    truth: Float32  # (B, N, 52) curves of ticks n - delay
    mask: Float32  # (B, N, 52) 1 where the truth is known and the convolutions are warm


def stride_at(progress: float, config: TrainConfig) -> int:
    """Frames between the places where windows may begin, halved step by step from `stride_start` to `stride`."""
    halvings = np.log2(config.stride_start / config.stride)
    done = min(1.0, progress / config.stride_share) if config.stride_share else 1.0
    return max(config.stride, round(config.stride_start / 2 ** np.ceil(halvings * done - 1e-9)))


def _numbers(words: tuple[str, ...]) -> dict[str, float]:
    return {name: float(much) for name, much in (word.split("=") for word in words)}


def chances(sessions: list[Session], config: TrainConfig) -> NDArray[np.float64]:
    """How probably each session is drawn: by its length at balance 0; with more, a small recording among those of its
    style, and a style of little sound among the styles, comes more often than its share. At 1 the styles, and the
    recordings of each, are alike. Where shares of the styles are named, they decide about the styles."""
    share = np.array([len(session) for session in sessions], dtype=float)
    styles, recordings = (np.array([getattr(one, kind) for one in sessions]) for kind in ("style", "recording"))
    for one in sorted(set(recordings)):
        share[recordings == one] /= share[recordings == one].sum() ** config.balance
    for name, much in _numbers(config.often).items():
        share[np.char.startswith(recordings, name)] *= much
    wanted = _numbers(config.shares)
    for one in sorted(set(styles)):
        total = share[styles == one].sum()
        share[styles == one] *= wanted.get(one, 1.0) / total if wanted else 1 / total**config.balance
    return share / share.sum()


def check(settings: Settings, takes: list[Take]) -> None:
    """Refuse settings that name what the data has not. Raises SettingError."""
    styles, recordings = ({getattr(take, kind) for take in takes} for kind in ("style", "recording"))
    if unknown := set(_numbers(settings.train.shares)) - styles:
        raise SettingError(f"train.shares names {min(unknown)!r}: expected styles of the data; change it")
    if unknown := {name for name in _numbers(settings.train.often) if not any(r.startswith(name) for r in recordings)}:
        raise SettingError(f"train.often names {min(unknown)!r}: expected recordings of the data; change it")
    for name in ("sealed", "seldom"):
        if unknown := set(getattr(settings.loss, name)) - set(settings.model.styles):
            raise SettingError(f"loss.{name} names {min(unknown)!r}: expected styles of the data; change it")


class Sampler:
    """Draws the windows of each step."""

    def __init__(self, sessions: list[Session], alone: list[Session], settings: Settings) -> None:
        self.sessions, self.alone, self.config = sessions, alone, settings.train
        self.ticks = settings.train.window_frames * FRAME_TICKS + settings.model.warm_up_ticks
        self._chances = [chances(of, settings.train) for of in (sessions, alone)]

    def __call__(self, step: int, progress: float) -> tuple[list[Window], int]:
        """The windows of a step, and at which ticks they are computed: 1 = all, 2 = every second one."""
        config = self.config
        rng = np.random.default_rng([config.seed, 1, step])
        stride = stride_at(progress, config) * FRAME_TICKS
        if rng.random() < config.dense:
            return self._dense(rng), 1
        every = 1 if config.learn == "front" or rng.random() < config.sixty else 2  # the front end hears every tick
        if self.alone and rng.random() < config.alone:
            drawn = rng.choice(len(self.alone), size=ALONE_ROWS * config.batch, p=self._chances[1])
            return [self._window(self.alone[index], 0, ALONE_TICKS, rng) for index in drawn], every
        return [self._sparse(stride, rng) for _ in range(config.batch)], every

    def everything(self) -> tuple[list[Session], NDArray[np.float64]]:
        """All sessions, and how probably each is drawn."""
        share = self.config.alone if self.alone else 0.0
        return self.sessions + self.alone, np.concatenate([(1 - share) * self._chances[0], share * self._chances[1]])

    def _session(self, rng: np.random.Generator) -> Session:
        return self.sessions[rng.choice(len(self.sessions), p=self._chances[0])]

    def _sparse(self, stride: int, rng: np.random.Generator) -> Window:
        session = self._session(rng)
        places = max(0, len(session) - self.ticks) // stride + 1
        begin = 0 if rng.random() < _COLD else int(rng.integers(places)) * stride
        return self._window(session, begin, self.ticks, rng)

    def _dense(self, rng: np.random.Generator) -> list[Window]:
        """Neighbouring windows, `config.stride` frames apart."""
        session, step = self._session(rng), self.config.stride * FRAME_TICKS
        last = max(0, len(session) - self.ticks - (self.config.batch - 1) * step)
        begin = int(rng.integers(last + 1))
        return [self._window(session, begin + k * step, self.ticks, rng) for k in range(self.config.batch)]

    def _window(self, session: Session, begin: int, ticks: int, rng: np.random.Generator) -> Window:
        voice = int(rng.integers(1, 2**31)) if rng.random() < self.config.other_voice else 0
        delay = int(rng.integers(MAX_DELAY + 1))
        unmoved = bool(rng.random() < self.config.unmoved)
        place = int(rng.integers(1, 2**31)) if rng.random() < self.config.elsewhere else 0
        return Window(session, begin, ticks, delay, voice, unmoved, self.config.soften, place)


def other_voice(bands: int, rng: np.random.Generator) -> tuple[Float32, Float32]:
    """Another vocal tract and microphone: the mel axis stretched by up to 8 % (80, 80), and a smooth gain (80,) of up
    to 1 neper. Source of the first: vocal tract length perturbation, Jaitly & Hinton 2013."""
    place = np.clip(np.arange(bands) * rng.uniform(0.92, 1.08), 0, bands - 1)
    left = np.minimum(place.astype(np.intp), bands - 2)
    warp = np.zeros((bands, bands), dtype=np.float32)
    warp[left, np.arange(bands)] = 1 - (place - left)
    warp[left + 1, np.arange(bands)] += place - left
    points = rng.uniform(-1, 1, size=6)
    colour = np.interp(np.linspace(0, 5, bands), np.arange(6), points).astype(np.float32)
    return warp, colour


def elsewhere(mel: Float32, rng: np.random.Generator) -> Float32:
    """Log-mel rows (N, 2, bands) over a line that keeps fewer bands, and in steady noise: a copy of the corpus has one
    of these, made once, and a voice is to be known in all."""
    bands = np.arange(mel.shape[2])
    low, high = rng.uniform(-6, 14), rng.uniform(50, 86)  # first and last band that pass; 14 and 50: 400 Hz and 3 kHz
    lost = np.maximum(low - bands, 0) + np.maximum(bands - high, 0)
    floor = rng.uniform(-7, -0.5) + np.interp(bands, np.linspace(0, len(bands), 6), rng.normal(0, 1, 6))
    noise = floor + rng.normal(0, 0.4, mel.shape)
    return np.logaddexp(mel - rng.uniform(0.3, 1.0) * lost, noise).astype(np.float32)


def stack(windows: list[Window], config: ModelConfig) -> Batch:
    """The arrays of a step."""
    rows = [_arrays(window, config) for window in windows]
    return Batch(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _arrays(window: Window, config: ModelConfig) -> dict[str, NDArray[np.generic]]:
    """One row of a batch."""
    session, begin, ticks = window.session, window.begin, window.ticks
    silence = np.float32(-MelConfig().depth)
    mel = np.full((ticks, ROWS_PER_TICK, config.bands), silence, dtype=np.float32)
    heard = session.mel[begin : begin + ticks]
    mel[: len(heard)] = heard
    past = np.full((config.context_ticks + MAX_DELAY, ROWS_PER_TICK, config.bands), silence, dtype=np.float32)
    before = session.mel[max(0, begin - len(past)) : begin]
    past[len(past) - len(before) :] = before
    if window.voice:
        warp, colour = other_voice(config.bands, np.random.default_rng(window.voice))
        mel, past = (np.maximum(part @ warp + colour, silence) for part in (mel, past))
    if window.place:
        rng = np.random.default_rng(window.place)
        unheard = len(past) - len(before)
        whole = np.maximum(elsewhere(np.concatenate([past[unheard:], mel[: len(heard)]]), rng), silence)
        past[unheard:], mel[: len(heard)] = whole[: len(before)], whole[len(before) :]
    first = max(0, held_update(begin) - config.updates + 1)
    update = held_update(begin + np.arange(ticks))
    rows = first + np.arange(config.updates + ticks // UPDATE_TICKS + 1)
    emotion = session.emotion[np.minimum(rows, len(session.emotion) - 1)]
    source = begin + np.arange(ticks) - window.delay  # the tick whose curves are due
    inside = (source >= 0) & (source < len(session))
    source = np.clip(source, 0, len(session) - 1)
    due = inside & session.known[source]
    reach = window.soften // 2
    around = np.clip(np.arange(-reach, ticks + reach) + begin - window.delay, 0, len(session) - 1)
    curves = session.curves[around].astype(np.float32)
    hann = np.hanning(window.soften + 2)[1:-1].astype(np.float32)
    truth = sum(share * curves[tap : tap + ticks] for tap, share in enumerate(hann / hann.sum()))
    if begin:
        due[: config.warm_up_ticks] = False
    return {
        "mel": mel,
        "emotion": np.full_like(emotion, np.nan) if window.unmoved else emotion,
        "slot": np.minimum(update, len(session.emotion) - 1) - first,
        "style": np.array(config.styles.index(session.style)),
        "delay": np.array(window.delay),
        "past": past,
        "truth": truth,
        "mask": (due[:, None] & session.captured[None]).astype(np.float32),
    }
