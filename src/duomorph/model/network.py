"""The dual-stream cross-attention network, in torch (training and export only).

One promise: it is causal, and its state goes in and comes out, so that any chunking of a sequence gives one result.

    weights, state = network(mel, emotion, slot, style, delay, network.start(batch))

B sequences, N ticks, M of them computed (all, or every second), U emotion updates, C = 52 shapes, d the width. After
the audio of tick n the network gives the curves of tick n - delay, its moment. `Network.forward` is the story.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duomorph import arkit
from duomorph.clock import MAX_DELAY, ROWS_PER_TICK, TICK_RATE
from duomorph.mel import MelConfig
from duomorph.model.config import TAP_TICKS, ModelConfig

MEL_SILENCE, MEL_SCALE = -MelConfig.depth, 5.0  # level-normalised log-mel, nepers: silence is 0, speech 1 to 3
EMOTION_RANGE = 3.0  # spreads of a functional from its mean; beyond, it says no more
SMOOTHING_BLOCK = 64  # ticks
STRETCH = 0.02  # of the last sigmoid beyond 0 and 1


@dataclass(frozen=True)
class State:
    """What the past leaves behind; batch first. Sizes do not depend on how much has been heard."""

    late: Tensor  # (B, 12, 2, 80) mel rows of the last ticks, until their moment n - delay has come
    ahead: Tensor  # (B, 12, front) front end features of the last ticks, for the same reason
    history: Tensor  # (B, context - 1, 80) mel ticks before the moment
    detail: Tensor  # (B, detail rows / 2 - 1, 2, 80) mel rows before the moment, tick by tick
    front: Tensor  # (B, front, sum of the blocks' pasts), blocks side by side
    temporal: Tensor  # (B, blocks, (taps - 1) * ticks between taps, C, d)
    emotion: Tensor  # (B, updates - 1, 2 d) keys and values before the held update
    heard: Tensor  # (B, updates - 1) 1 where that update exists
    smooth: Tensor  # (B, 2, 2 / stride, C) the last curves of 1/30 s before their smoothing, and after
    started: Tensor  # (B, 2 / stride) 0 before the first tick


STATE_NAMES = tuple(field.name for field in fields(State))


def _recursion(x: Tensor, before: Tensor, decay: Tensor) -> Tensor:
    """y_t = x_t + exp(decay) y_(t-lag) of a block in closed form: (B, N, C) after the last `lag` y, (B, lag, C)."""
    lag = before.shape[1]
    step = torch.arange(x.shape[1], device=x.device)
    age = step[:, None] - step[None, :]  # (N, N)
    kernel = torch.exp((age.clamp(min=0) / lag).to(x.dtype) * decay[:, None, None])  # (C, N, N)
    kernel = kernel * ((age >= 0) & (age % lag == 0)).to(x.dtype)
    carried = before[:, step % lag] * torch.exp((step // lag + 1)[:, None].to(x.dtype) * decay)  # (B, N, C)
    return (kernel @ x.permute(2, 1, 0)).permute(2, 1, 0) + carried


def at_moment(past: Tensor, x: Tensor, delay: Tensor, offsets: tuple[int, ...] = (0,)) -> Tensor:
    """What stood at `n - delay + offset`, or stands at n where that is later still: the future as far as it is known.

    (B, P, ...) before (B, N, ...) -> (B, N, offsets, ...), P at least the delay less the earliest offset.
    """
    known = torch.cat([past, x], dim=1)  # tick n is at index P + n
    now = torch.arange(x.shape[1], device=x.device)[None, :, None] + past.shape[1]  # (1, N, 1)
    wanted = now - delay[:, None, None] + torch.tensor(offsets, device=x.device)  # (B, N, offsets)
    row = torch.arange(x.shape[0], device=x.device)[:, None, None]
    return known[row, torch.minimum(wanted, now)]


def long_mean(history: Tensor, context: int) -> Tensor:
    """Mean of each band over what was heard of the context, (B, context - 1 + N, 80) -> (B, N, 80): the colour of the
    voice, its microphone and its room. Total silence, and what lies before the start, is not counted."""
    heard = (history.amax(dim=2, keepdim=True) > 0).to(history.dtype)
    total = F.pad(torch.cat([history, heard], dim=2).cumsum(dim=1), (0, 0, 1, 0))  # (B, context + N, 81)
    inside = total[:, context:] - total[:, :-context]  # (B, N, 81)
    return inside[:, :, :-1] / inside[:, :, -1:].clamp(min=1.0)


def smoothing_windows(longest: int) -> Tensor:
    """(13, taps): for each delay a Hann window over the last ticks, from 3 taps to `longest`: without it the features
    of one tick and the next differ by more than any face does, and a longer one needs more of the future."""
    windows = torch.zeros(MAX_DELAY + 1, longest)
    for delay, window in enumerate(windows):
        taps = min(3 + delay, longest)
        hann = torch.hann_window(taps + 2, periodic=False)[1:-1]
        window[longest - taps :] = hann / hann.sum()
    return windows


class FrontBlock(nn.Module):
    """Causal dilated convolution over ticks."""

    def __init__(self, config: ModelConfig, dilation: int) -> None:
        super().__init__()
        self.past = (config.front_taps - 1) * dilation
        self.norm = nn.LayerNorm(config.front)
        self.conv = nn.Conv1d(config.front, config.front, config.front_taps, dilation=dilation)
        self.mix = nn.Linear(config.front, config.front)
        self.drop = nn.Dropout(config.dropout)
        nn.init.normal_(self.mix.weight, std=0.02)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        y = torch.cat([past, self.norm(x).transpose(1, 2)], dim=2)  # (B, N, F) -> (B, F, past + N)
        z = self.conv(y).transpose(1, 2)  # (B, N, F)
        return x + self.drop(self.mix(F.gelu(z))), y[:, :, x.shape[1] :]


class FrontEnd(nn.Module):
    """Bands and fine time meet. First on the ticks as they come; then the moment n - delay is seen with what lies
    around it, up to now, so that one set of weights serves every delay."""

    smooth: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.offsets = config.front_ahead
        self.early = len(config.front_early)
        self.enter = nn.Linear(config.bands * ROWS_PER_TICK, config.front)
        dilations = config.front_early + config.front_late
        self.blocks = nn.ModuleList(FrontBlock(config, dilation) for dilation in dilations)
        self.align = nn.Linear(config.front * len(self.offsets), config.front)
        self.delay = nn.Embedding(MAX_DELAY + 1, config.front)
        self.long = nn.Linear(config.bands, config.front)
        self.register_buffer("smooth", smoothing_windows(config.front_smooth), persistent=False)

    def forward(
        self, mel: Tensor, long: Tensor, delay: Tensor, ahead: Tensor, past: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, 2, 80), (B, N, 80) long-term mean -> (B, N, F) features of the moments, and two parts of the state."""
        x = self.enter(mel.flatten(2))  # (B, N, 2 * 80) -> (B, N, F)
        pasts = past.split([*(block.past for block in self.blocks), self.smooth.shape[1] - 1], dim=2)
        kept = []
        for index, (block, before) in enumerate(zip(self.blocks, pasts, strict=False)):
            if index == self.early:
                around = at_moment(ahead, x, delay, self.offsets).flatten(2)  # (B, N, offsets * F)
                ahead = torch.cat([ahead, x], dim=1)[:, x.shape[1] :]
                x = self.align(around) + self.delay(delay)[:, None] + self.long(long)  # (B, N, F)
            x, now = block(x, before)
            kept.append(now)
        y = torch.cat([pasts[-1].transpose(1, 2), x], dim=1)  # (B, taps - 1 + N, F)
        kept.append(y[:, x.shape[1] :].transpose(1, 2))
        window = self.smooth[delay].T[:, :, None, None]  # (taps, B, 1, 1)
        parts = [y[:, tap:][:, : x.shape[1]] * weight for tap, weight in enumerate(window.unbind())]
        return torch.stack(parts).sum(dim=0), ahead, torch.cat(kept, dim=2)


class MelEncoder(nn.Module):
    """Frequency-wise: each band's own history, its short-term detail and what the front end tells it -> K, V."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        inputs = config.detail_rows
        if config.front:
            self.front = FrontEnd(config)
            self.to_bands = nn.Linear(config.front, config.bands * config.band_channels)
            inputs += config.band_channels
        if config.history == "boxes":
            inputs += config.boxes
        else:
            self.taps = nn.Conv1d(1, config.d, config.context_ticks, bias=False)
        self.token = nn.Linear(inputs, config.d)
        self.band = nn.Parameter(torch.randn(config.bands, config.d) * 0.2)
        self.norm = nn.LayerNorm(config.d)
        self.key_value = nn.Linear(config.d, 2 * config.d)

    def forward(
        self, mel: Tensor, delay: Tensor, state: State, stride: int
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """(B, N, 2, 80) -> K, V (B*80, M, d) of every `stride`-th tick, and the parts of the state that changed."""
        c = self.config
        batch, ticks = mel.shape[0], mel.shape[1]
        mel, moment, history = self._heard(mel, delay, state)
        rows = torch.cat([state.detail, moment], dim=1)  # (B, past + N, 2, 80)
        past = state.detail.shape[1]
        late = torch.cat([state.late, mel], dim=1)[:, ticks:]
        after = {"late": late, "history": history[:, ticks:], "detail": rows[:, ticks:]}
        detail = torch.cat([rows[:, tick : tick + ticks] for tick in range(past + 1)], dim=2)  # (B, N, detail, 80)
        parts = [detail[:, ::stride].transpose(2, 3)]
        if c.history == "boxes":
            parts.append(self._boxes(history, stride))
        if c.front:
            long = long_mean(history, c.context_ticks)
            x, after["ahead"], after["front"] = self.front(mel, long, delay, state.ahead, state.front)
            parts.append(self.to_bands(x[:, ::stride]).unflatten(2, (c.bands, c.band_channels)))
        token = self.token(torch.cat(parts, dim=3)) + self.band  # (B, M, 80, d)
        if c.history == "taps":
            flat = history.transpose(1, 2).reshape(batch * c.bands, 1, -1)  # (B*80, 1, context - 1 + N)
            taps = F.conv1d(flat, self.taps.weight, stride=stride)  # (B*80, d, M)
            token = token + taps.unflatten(0, (batch, c.bands)).permute(0, 3, 1, 2)
        token = F.gelu(self.norm(token)).transpose(1, 2).flatten(0, 1)  # (B*80, M, d)
        key, value = self.key_value(token).chunk(2, dim=2)  # (B*80, M, d) each
        return key, value, after

    def _heard(self, mel: Tensor, delay: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Level mel (B, N, 2, 80), what of it lies at the moments, and its history (B, context - 1 + N, 80)."""
        mel = (mel - MEL_SILENCE) / MEL_SCALE
        # what lies ahead of the moment comes through the front end; the textbook form, without one, looks from now
        moment = at_moment(state.late, mel, delay)[:, :, 0] if self.config.front else mel
        return mel, moment, torch.cat([state.history, moment.mean(dim=2)], dim=1)

    def features(self, mel: Tensor, delay: Tensor, state: State) -> Tensor:
        """The front end alone, which is trained so: (B, N, 2, 80) -> (B, N, F)."""
        mel, _, history = self._heard(mel, delay, state)
        long = long_mean(history, self.config.context_ticks)
        found: Tensor = self.front(mel, long, delay, state.ahead, state.front)[0]
        return found

    def _boxes(self, history: Tensor, stride: int) -> Tensor:
        """Means over [0, 1), [1, 2), [2, 4), ... ticks back: (B, context - 1 + N, 80) -> (B, M, 80, boxes)."""
        full = self.config.context_ticks
        past = history.transpose(1, 2)  # (B, 80, context - 1 + N)
        boxes = [past[:, :, full - 1 :: stride]]
        for octave in range(self.config.boxes - 1):
            width = 2**octave
            boxes.append(F.avg_pool1d(past[:, :, full - 2 * width : -width], width, stride))
        return torch.stack(boxes, dim=3).transpose(1, 2)


class EmotionEncoder(nn.Module):
    """264 functionals -> 256 -> K, V, one row an update."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.emotion_inputs))  # of the training data
        self.register_buffer("scale", torch.ones(config.emotion_inputs))
        # set before training, in closed form (train.beginning), and not by gradient
        self.compress = nn.Linear(config.emotion_inputs, config.emotion).requires_grad_(False)
        self.drop = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.emotion)
        self.key_value = nn.Linear(config.emotion, 2 * config.d)

    def forward(self, emotion: Tensor) -> Tensor:
        """(B, U, 264) -> keys and values side by side, (B, U, 2 d)."""
        level = ((emotion - self.mean) / self.scale).clamp(-EMOTION_RANGE, EMOTION_RANGE)
        compressed = self.norm(self.compress(self.drop(level)))  # (B, U, 256)
        keys_values: Tensor = self.key_value(F.gelu(compressed))
        return keys_values


class TemporalBlock(nn.Module):
    """Lets the ticks of one shape see each other; shapes do not mix, so each keeps its own two streams.

    Its taps stand 1/30 s apart, so that every second tick can be computed without the others.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.d)
        self.taps = nn.Parameter(torch.randn(config.temporal_taps, config.d) * config.temporal_taps**-0.5)
        self.widen = nn.Linear(config.d, config.d)
        self.narrow = nn.Linear(config.d, config.d)
        nn.init.normal_(self.narrow.weight, std=0.02)

    def forward(self, x: Tensor, past: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        y = torch.cat([past, self.norm(x)], dim=1)  # (B, M, C, d) -> (B, past + M, C, d)
        ticks, apart = x.shape[1], TAP_TICKS // stride
        z = sum(y[:, tap * apart :][:, :ticks] * weight for tap, weight in enumerate(self.taps))  # (B, M, C, d)
        return x + self.narrow(F.gelu(self.widen(z))), y[:, ticks:]


def rms(x: Tensor) -> Tensor:
    """Unit root mean square over the last axis, without a gain: V cannot absorb the stream weights."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-6)


class Network(nn.Module):
    """Audio features to 52 curves. See the module's docstring."""

    tau: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        shapes, d = arkit.COUNT, config.d
        self.mel = MelEncoder(config)
        self.emotion = EmotionEncoder(config)
        self.age = nn.Parameter(torch.zeros(config.heads, config.updates))  # bias by age of an emotion update
        self.queries = nn.Parameter(torch.randn(shapes, d) * 0.5)  # one per blendshape, for both streams
        self.style = nn.Parameter(torch.zeros(len(config.styles), shapes, d))
        self.delay = nn.Embedding(MAX_DELAY + 1, d)
        self.query = nn.Linear(d, d)
        self.streams = nn.Parameter(torch.zeros(shapes, 2))  # theta: [mel, emotion], equal at the start
        self.register_buffer("tau", torch.tensor(config.tau_start))  # temperature; training anneals it to config.tau
        self.fuse = nn.Linear(d, d)
        self.temporal = nn.ModuleList(TemporalBlock(config) for _ in range(config.temporal))
        self.norm = nn.LayerNorm(d)
        self.out = nn.Parameter(torch.randn(shapes, d) * d**-0.5)
        self.out_bias = nn.Parameter(torch.zeros(len(config.styles), shapes))
        self.log_smoothing_s = nn.Parameter(torch.full((shapes,), config.smoothing_s).log())
        nn.init.zeros_(self.delay.weight)

    # -- the parts that are constant over a sequence

    def stream_weights(self) -> Tensor:
        """[w_mel, w_emo] of each shape, (C, 2): softmax over the two streams at temperature tau."""
        return (self.streams / self.tau).softmax(dim=1)

    def decay(self) -> Tensor:
        """ln(1 - alpha) of each shape and tick, (C,): -1 / (60 tau_s), tau_s learned."""
        return -1 / (TICK_RATE * self.log_smoothing_s.exp())

    def alpha(self) -> Tensor:
        """Smoothing of each shape, (C,): alpha = 1 - exp(-1 / (60 tau_s)), of a tick."""
        return -torch.expm1(self.decay())

    def start(self, batch: int, stride: int = 1) -> State:
        """The state before the first sample: all zeros, for silence is zero."""
        c = self.config
        shapes = {
            "late": (MAX_DELAY, ROWS_PER_TICK, c.bands),
            "ahead": (MAX_DELAY, c.front),
            "history": (c.context_ticks - 1, c.bands),
            "detail": (c.detail_rows // ROWS_PER_TICK - 1, ROWS_PER_TICK, c.bands),
            "front": (c.front, c.front_past),
            "temporal": (c.temporal, (c.temporal_taps - 1) * TAP_TICKS // stride, arkit.COUNT, c.d),
            "emotion": (c.updates - 1, 2 * c.d),
            "heard": (c.updates - 1,),
            "smooth": (2, 2 // stride, arkit.COUNT),
            "started": (2 // stride,),
        }
        return State(**{name: self.queries.new_zeros(batch, *shape) for name, shape in shapes.items()})

    # -- the two streams

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.config.heads, self.config.d // self.config.heads))

    def attend_mel(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """A_mel: softmax over the 80 band tokens of each tick. (B, C, d), (B*80, N, d) x 2 -> (B, N, C, d)."""
        batch, ticks, bands, heads = query.shape[0], key.shape[1], self.config.bands, self.config.heads
        q = self._heads(query).transpose(1, 2)[:, None].expand(-1, ticks, -1, -1, -1)  # (B, N, H, C, dh)
        k, v = (
            self._heads(x.view(batch, bands, ticks, -1)).permute(0, 2, 3, 1, 4)  # (B, N, H, 80, dh)
            for x in (key, value)
        )
        width = self.config.d // heads
        scores = (q * width**-0.5) @ k.transpose(3, 4)  # (B, N, H, C, 80)
        return (scores.softmax(dim=-1) @ v).transpose(2, 3).flatten(3)  # (B, N, C, d)

    def attend_emotion(
        self, query: Tensor, emotion: Tensor, before: Tensor, heard: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """A_emo of each update: softmax over it and those of the last 8.5 s. (B, C, d), (B, U, 264), and the two parts
        of the state -> (B, U, C, d), and all keys and values of before and now, (B, updates - 1 + U, 2 d) and 1 or 0.
        """
        updates = self.config.updates
        rows = torch.cat([before, self.emotion(emotion)], dim=1)  # (B, updates - 1 + U, 2 d)
        heard = torch.cat([heard, torch.ones_like(emotion[:, :, 0])], dim=1)  # (B, updates - 1 + U)
        count = emotion.shape[1]
        index = torch.arange(count, device=rows.device)[:, None] + torch.arange(updates, device=rows.device)
        windows = rows[:, index]  # (B, U, updates, 2 d)
        k, v = (self._heads(x).transpose(2, 3) for x in windows.chunk(2, dim=3))  # (B, U, H, updates, dh)
        q = self._heads(query).transpose(1, 2)[:, None]  # (B, 1, H, C, dh)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(3, 4) + self.age[:, None]  # (B, U, H, C, updates)
        unheard = (heard[:, index] - 1) * 1e4  # (B, U, updates)
        attention = (scores + unheard[:, :, None, None]).softmax(dim=-1)
        return (attention @ v).transpose(2, 3).flatten(3), (rows, heard)  # (B, U, C, d)

    def stretched(self, x: Tensor) -> Tensor:
        """A sigmoid that reaches 0 and 1: a little wider than [0, 1], and clamped (Louizos and others 2018). In
        training the gradient passes the clamp, so that a shape which rests at 0, as pressed lips do, learns when to
        leave it; behind a plain sigmoid it stayed there.
        """
        wide = (1 + 2 * STRETCH) * x.sigmoid() - STRETCH
        inside = wide.clamp(0.0, 1.0)
        return wide + (inside - wide).detach() if self.training else inside

    def smoothed(self, x: Tensor, before: Tensor, started: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y_t = alpha x_t + (1 - alpha) y_(t-1) over 1/30 s, in two steps of a tick; the curve between is taken to be
        halfway. So a tick needs the one 1/30 s before it and no other, and both rates are the same.

        (B, N, C), and the two parts of the state -> (B, N, C), and these after. A first tick starts at its own x.
        """
        lag, alpha, keep = started.shape[1], self.alpha(), 2 * self.decay()
        first, known = x[:, :lag], started[:, : x.shape[1], None]
        x_before, y_before = (known * part[:, : x.shape[1]] + (1 - known) * first for part in before.unbind(1))
        halfway = (x + torch.cat([x_before, x], dim=1)[:, : x.shape[1]]) / 2
        x_new = alpha * x + (1 - alpha) * alpha * halfway
        if x.shape[1] <= lag:
            y = x_new + keep.exp() * y_before
        else:
            parts = []
            for part in x_new.split(SMOOTHING_BLOCK, dim=1):  # the closed form costs N^2
                parts.append(_recursion(part, y_before, keep))
                y_before = parts[-1][:, -lag:]
            y = torch.cat(parts, dim=1)
        after = torch.cat([before, torch.stack([x, y], dim=1)], dim=2)[:, :, -lag:]
        return y, after, torch.cat([started, torch.ones_like(x[:, :, 0])], dim=1)[:, -lag:]

    def forward(
        self,
        mel: Tensor,
        emotion: Tensor,
        slot: Tensor,
        style: Tensor,
        delay: Tensor,
        state: State,
        stride: int = 1,
    ) -> tuple[Tensor, State]:
        """Curves of N ticks, or of every second one.

        Args:
            mel: (B, N, 2, 80) level-normalised log-mel rows of each tick.
            emotion: (B, U, 264) functionals; row 0 is the update held from the call before (or the first one).
            slot: (B, N) int64, the row of `emotion` that each tick holds.
            style: (B,) int64. delay: (B,) int64, ticks.
            state: from `start` or from the call before.
            stride: 1, or 2: ticks 0, 2, 4, ... alone at half the work (training; what 30 fps reads).
        Returns:
            (B, M, 52) weights in [0, 1] of ticks n - delay, and the state after. M = N / stride.
        """
        query = self.queries + self.style[style] + self.delay(delay)[:, None]  # (B, C, d)
        looked = self.query(query)  # (B, C, d): Q, used on both streams
        key, value, after = self.mel(mel, delay, state, stride)  # (B*80, M, d)
        a_mel = rms(self.attend_mel(looked, key, value))  # (B, M, C, d)
        a_emo, (rows, heard) = self.attend_emotion(looked, emotion, state.emotion, state.heard)  # (B, U, C, d)
        pick = slot[:, ::stride, None, None].expand(-1, -1, a_emo.shape[2], a_emo.shape[3])
        a_emo = rms(a_emo).gather(1, pick)  # (B, M, C, d)
        w = self.stream_weights()  # (C, 2)
        x = query[:, None] + self.fuse(w[:, 0:1] * a_mel + w[:, 1:2] * a_emo)  # (B, M, C, d)
        pasts = []
        for index, block in enumerate(self.temporal):
            x, past = block(x, state.temporal[:, index], stride)
            pasts.append(past)
        raw = self.stretched((self.norm(x) * self.out).sum(dim=3) + self.out_bias[style][:, None])  # (B, M, C)
        weights, smooth, started = self.smoothed(raw, state.smooth, state.started)
        return weights, State(
            late=after["late"],
            ahead=after.get("ahead", state.ahead),
            history=after["history"],
            detail=after["detail"],
            front=after.get("front", state.front),
            temporal=torch.stack(pasts, dim=1) if pasts else state.temporal,
            # the last update is the held one: it comes again with the next call, so it is not kept here
            emotion=rows[:, emotion.shape[1] - 1 : -1],
            heard=heard[:, emotion.shape[1] - 1 : -1],
            smooth=smooth,
            started=started,
        )
