"""The network as it runs: the same function as `Network.forward`, arranged so that a few ticks cost little.

One promise: curves as the network's own, to rounding.

What a call need not repeat is state: the emotion stream's share of every shape and the queries folded into the keys
change with an update, every 300 ms (`Mood`); the log-spaced means are delay lines of sums, where a sum over 2 w ticks
is one over w and the one w ticks ago (`octaves`). The rest is `Ticks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duomorph import arkit
from duomorph.clock import MAX_DELAY, ROWS_PER_TICK
from duomorph.model.config import MANY, TAP_TICKS, ModelConfig
from duomorph.model.network import MEL_SCALE, MEL_SILENCE, FrontBlock, Network, at_moment, long_mean, rms


@dataclass(frozen=True)
class Memory:
    """What the past leaves behind, batch first."""

    late: Tensor  # (B, 12 + detail rows / 2 - 1, 2, 80) mel rows of the last ticks
    ahead: Tensor  # (B, 12, front) front end features of the last ticks
    past: Tensor  # (B, context - 1, 81) sums over 1, 2, 4, ... ticks, each as long as it is awaited; or (.., 80) ticks
    front: Tensor  # (B, sum of the blocks' pasts, front), blocks one after the other
    temporal: Tensor  # (B, blocks, (taps - 1) * ticks between taps, C, d)
    smooth: Tensor  # (B, 2, 2, C) the last two ticks' curves before their smoothing, and after
    started: Tensor  # (B, 2) 0 before the first tick


@dataclass(frozen=True)
class Heard:
    """What the emotion stream leaves behind."""

    emotion: Tensor  # (B, updates - 1, 2 d) keys and values of the last updates
    heard: Tensor  # (B, updates - 1) 1 where that update exists
    mood: Tensor  # (B, C, d) what the last one adds to every shape, the shape's query with it
    keys: Tensor  # (B, H * C, d) the queries folded into the keys' weights


MEMORY = tuple(field.name for field in fields(Memory))
HEARD = tuple(field.name for field in fields(Heard))


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Of every part of the state, batch left out."""
    c, d, faces = config, config.d, arkit.COUNT
    return {
        "late": (MAX_DELAY + c.detail_rows // ROWS_PER_TICK - 1, ROWS_PER_TICK, c.bands),
        "ahead": (MAX_DELAY, c.front),
        "past": (c.context_ticks - 1, c.bands + (c.history == "boxes")),
        "front": (c.front_past, c.front),
        "temporal": (c.temporal, (c.temporal_taps - 1) * TAP_TICKS, faces, d),
        "smooth": (2, 2, faces),
        "started": (2,),
        "emotion": (c.updates - 1, 2 * d),
        "heard": (c.updates - 1,),
        "mood": (faces, d),
        "keys": (c.heads * faces, d),
    }


class Mood(nn.Module):
    """New emotion updates -> what they add to every shape, and the queries of this style and delay as keys."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, emotion: Tensor, style: Tensor, delay: Tensor, *heard: Tensor) -> tuple[Tensor, ...]:
        """(B, U, 264), (B,) x 2, state -> the state after, and the moods of before and now, (B, 1 + U, C, d)."""
        net, d, state = self.network, self.network.config.d, Heard(*heard)
        heads, width = net.config.heads, d // net.config.heads
        query = net.queries + net.style[style] + net.delay(delay)[:, None]  # (B, C, d)
        looked = net.query(query)  # (B, C, d)
        a_emo, (rows, known) = net.attend_emotion(looked, emotion, state.emotion, state.heard)  # (B, U, C, d)
        share = net.stream_weights()[:, 1:2] * rms(a_emo)
        moods = torch.cat([state.mood[:, None], query[:, None] + net.fuse(share)], dim=1)  # (B, 1 + U, C, d)
        split = (looked * width**-0.5).unflatten(2, (heads, width)).transpose(1, 2)  # (B, H, C, dh)
        fold = net.mel.key_value.weight[:d].unflatten(0, (heads, width))  # (H, dh, d); its bias moves no softmax
        keys = (split @ fold).flatten(1, 2)  # (B, H * C, d)
        return rows[:, emotion.shape[1] :], known[:, emotion.shape[1] :], moods[:, -1], keys, moods


class Held(nn.Module):
    """`Mood` without an update."""

    def forward(self, *heard: Tensor) -> tuple[Tensor, ...]:
        """State -> the same, and the mood of before, (B, 1, C, d)."""
        return *(part.clone() for part in heard), Heard(*heard).mood[:, None]


def moments(past: Tensor, x: Tensor, delay: Tensor, offsets: tuple[int, ...]) -> Tensor:
    """`at_moment`; for a few ticks by a product with zeros and ones, which costs less than finding places."""
    before, ticks = past.shape[1], x.shape[1]
    if ticks >= MANY:
        return at_moment(past, x, delay, offsets)
    now = torch.arange(ticks)[None, :, None] + before
    wanted = torch.minimum(now - torch.arange(MAX_DELAY + 1)[:, None, None] + torch.tensor(offsets), now)
    pick = F.one_hot(wanted, before + ticks).to(x.dtype).flatten(1, 2)  # (13, N * offsets, P + N)
    return (pick[delay] @ torch.cat([past, x], dim=1)).unflatten(1, (ticks, len(offsets)))


def moved_on(lines: Tensor, lengths: Sequence[int], new: Tensor, ticks: int) -> Tensor:
    """Delay lines after some ticks. They lie one after the other in (B, sum of the lengths, ...); `new` (B, at least
    lines * N, ...) holds N rows for the end of each, line by line, and as many leave at its head."""
    places: list[int] = []
    for number, length in enumerate(lengths):
        first = sum(lengths[:number])
        come = sum(lengths) + number * ticks
        places += [*range(first, first + length), *range(come, come + ticks)][ticks:]
    return torch.cat([lines, new], dim=1).index_select(1, torch.tensor(places, dtype=torch.long))


def octaves(past: Tensor, moment: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Means over [0, 1), [1, 2), [2, 4), ... ticks back, (B, N, count, 80); the mean over what was heard of them all,
    (B, N, 80); and the state after.

    `past`: (B, 511, 81), one after the other the sums over 1, 2, 4, ... ticks of the last 1, 2, 4, ... ticks; the last
    column counts the ticks that were not silent.
    """
    ticks = moment.shape[1]
    sound = (moment.amax(dim=2, keepdim=True) > 0).to(moment.dtype)
    total = torch.cat([moment, sound], dim=2)  # (B, N, 81)
    lengths = [2**octave for octave in range(count - 1)]
    if ticks <= 2:  # what leaves the lines is known before, but for what passes through the first
        oldest = [n - 1 + tick for n in lengths for tick in range(min(n, ticks))]  # n - 1 rows of shorter lines ahead
        leaves = past.index_select(1, torch.tensor(oldest, dtype=torch.long))
        passes = [leaves[:, :1], total[:, :1], leaves[:, 1:]] if ticks == 2 else [leaves]
        rows = torch.cat([total, *passes], dim=1)
        rows = rows.unflatten(1, (count, ticks))  # (B, count, N, 81)
        sums = rows.cumsum(dim=1)  # over 1, 2, 4, ... ticks
        scale = torch.tensor([1.0] + [1 / length for length in lengths])[:, None, None]
        boxes = (rows[..., :-1] * scale).transpose(1, 2)
        total, after = sums[:, -1], moved_on(past, lengths, sums.flatten(1, 2), ticks)
    else:
        parts, kept = [moment], []
        for length, line in zip(lengths, past.split(lengths, dim=1), strict=True):
            known = torch.cat([line, total], dim=1)
            then = known[:, :ticks]
            parts.append(then[:, :, :-1] / length)
            kept.append(known[:, ticks:])
            total = total + then
        boxes, after = torch.stack(parts, dim=2), torch.cat(kept, dim=1)
    return boxes, total[:, :, :-1] / total[:, :, -1:].clamp(min=1.0), after


def _seen(block: FrontBlock, ticks: int) -> list[int]:
    """Rows of the block's past and now, one after the other, that its taps see; tick by tick."""
    apart, taps = block.conv.dilation[0], block.conv.kernel_size[0]
    return [tick + tap * apart for tick in range(ticks) for tap in range(taps)]


def _looked_at(lines: Tensor, lengths: Sequence[int], seen: Sequence[Sequence[int]]) -> tuple[Tensor, ...]:
    """Of each delay line (see `moved_on`) the rows that are seen, oldest first, each once, without those of now."""
    own = [sorted({row for row in rows if row < length}) for length, rows in zip(lengths, seen, strict=True)]
    places = [sum(lengths[:number]) + row for number, rows in enumerate(own) for row in rows]
    picked = lines.index_select(1, torch.tensor(places, dtype=torch.long))
    return picked.split([len(rows) for rows in own], dim=1)


class Ticks(nn.Module):
    """N ticks, or the last of every two of them."""

    def __init__(self, network: Network, stride: int = 1) -> None:
        super().__init__()
        self.network, self.stride = network, stride

    def forward(
        self, mel: Tensor, moods: Tensor, keys: Tensor, slot: Tensor, style: Tensor, delay: Tensor, *memory: Tensor
    ) -> tuple[Tensor, ...]:
        """(B, N, 2, 80), (B, U, C, d), (B, H * C, d), (B, N), (B,) x 2, state -> weights (B, N / stride, C), state."""
        net, c, state, every = self.network, self.network.config, Memory(*memory), self.stride
        ticks = mel.shape[1]
        mel = (mel - MEL_SILENCE) / MEL_SCALE
        tokens, after = self._tokens(mel, delay, state)  # (B, M, 80, d)
        scores = keys[:, None] @ tokens.transpose(2, 3)  # (B, M, H * C, 80)
        attention = scores.unflatten(2, (c.heads, arkit.COUNT)).softmax(dim=-1)
        half = net.mel.key_value
        value = F.linear(tokens, half.weight[c.d :], half.bias[c.d :])  # (B, M, 80, d)
        a_mel = (attention @ net._heads(value).transpose(2, 3)).transpose(2, 3).flatten(3)  # (B, M, C, d)
        if ticks == 1:
            mood = moods[:, -1:]
        else:
            row = torch.arange(mel.shape[0])[:, None]
            mood = moods[row, slot[:, every - 1 :: every]]  # (B, M, C, d)
        x = mood + F.linear(net.stream_weights()[:, 0:1] * rms(a_mel), net.fuse.weight)  # (B, M, C, d)
        pasts = []
        for index, block in enumerate(net.temporal):
            x, past = self._temporal(block, x, state.temporal[:, index : index + 1])
            pasts.append(past)
        raw = net.stretched((net.norm(x) * net.out).sum(dim=3) + net.out_bias[style][:, None])  # (B, M, C)
        last = slice(every - 1, None)
        weights, smooth, started = net.smoothed(raw, state.smooth[:, :, last], state.started[:, last])
        after |= {
            "temporal": torch.cat(pasts, dim=1) if pasts else state.temporal.clone(),
            "smooth": smooth.repeat_interleave(every, dim=2) if every > 1 else smooth,
            "started": started.repeat_interleave(every, dim=1) if every > 1 else started,
        }
        return weights, *(after[name] for name in MEMORY)

    def _tokens(self, mel: Tensor, delay: Tensor, state: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Band tokens (B, M, 80, d) of normalised mel."""
        net, c, every = self.network.mel, self.network.config, self.stride
        batch, ticks = mel.shape[0], mel.shape[1]
        span = c.detail_rows // ROWS_PER_TICK
        flat = mel.flatten(2)  # (B, N, 160)
        late = state.late.flatten(2)
        # the textbook form, without a front end, looks from now
        from_now = delay if c.front else torch.zeros_like(delay)
        seen = moments(late, flat, from_now, tuple(range(1 - span, 1)))  # (B, N, span, 160)
        moment = seen[:, :, -1].unflatten(2, (ROWS_PER_TICK, c.bands)).mean(dim=2)  # (B, N, 80)
        after = {"late": torch.cat([state.late, mel], dim=1)[:, ticks:]}
        detail = seen[:, every - 1 :: every].reshape(batch, -1, c.detail_rows, c.bands)
        if c.history == "boxes":
            boxes, long, after["past"] = octaves(state.past, moment, c.boxes)
            rows = torch.cat([detail, boxes[:, every - 1 :: every]], dim=2)
        else:
            known = torch.cat([state.past, moment], dim=1)
            after["past"], long, rows = known[:, ticks:], long_mean(known, c.context_ticks), detail
        parts = [rows.transpose(2, 3)]
        if c.front:
            x, after["ahead"], after["front"] = self._front(flat, long, delay, state)
            parts.append(net.to_bands(x[:, every - 1 :: every]).unflatten(2, (c.bands, c.band_channels)))
        else:
            after |= {"ahead": state.ahead.clone(), "front": state.front.clone()}
        token = net.token(torch.cat(parts, dim=3)) + net.band  # (B, M, 80, d)
        if c.history == "taps":
            wave = known.transpose(1, 2).reshape(batch * c.bands, 1, -1)[:, :, every - 1 :]
            taps = F.conv1d(wave, net.taps.weight, stride=every)  # (B*80, d, M)
            token = token + taps.unflatten(0, (batch, c.bands)).permute(0, 3, 1, 2)
        return F.gelu(net.norm(token)), after

    def _front(self, mel: Tensor, long: Tensor, delay: Tensor, state: Memory) -> tuple[Tensor, Tensor, Tensor]:
        front, ticks = self.network.mel.front, mel.shape[1]
        blocks: list[Any] = list(front.blocks)
        x = front.enter(mel)
        lengths = [*(block.past for block in blocks), front.smooth.shape[1] - 1]
        seen = [*(_seen(block, ticks) for block in blocks), range(lengths[-1])]
        pasts = _looked_at(state.front, lengths, seen) if ticks < MANY else state.front.split(lengths, dim=1)
        new, ahead = [], state.ahead
        for index, (block, before) in enumerate(zip(blocks, pasts, strict=False)):
            if index == front.early:
                around = moments(ahead, x, delay, front.offsets).flatten(2)
                ahead = torch.cat([ahead, x], dim=1)[:, ticks:]
                x = front.align(around) + front.delay(delay)[:, None] + front.long(long)
            x, now = self._block(block, x, before, seen[index])
            new.append(now)
        new.append(x)
        y = torch.cat([pasts[-1], x], dim=1)
        window = front.smooth[delay][:, :, None]  # (B, taps, 1)
        if ticks == 1:
            x = window.transpose(1, 2) @ y
        else:
            x = sum(y[:, tap:][:, :ticks] * window[:, tap : tap + 1] for tap in range(window.shape[1]))
        return x, ahead, moved_on(state.front, lengths, torch.cat(new, dim=1), ticks)

    def _block(self, block: FrontBlock, x: Tensor, before: Tensor, seen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """`before`: (B, past, F), or for a few ticks those rows of it that are seen. The block's output, and what its
        line keeps of now."""
        ticks, now = x.shape[1], block.norm(x)
        y = torch.cat([before, now], dim=1)
        if ticks < MANY:
            rows = sorted(set(seen))
            order = [rows.index(row) for row in seen]
            around = y if order == list(range(len(rows))) else y.index_select(1, torch.tensor(order))
            weight = block.conv.weight.transpose(1, 2).flatten(1)  # (F, taps * F)
            z = F.linear(around.reshape(-1, ticks, weight.shape[1]), weight, block.conv.bias)
        else:
            z = block.conv(y.transpose(1, 2)).transpose(1, 2)
        return x + block.mix(F.gelu(z)), now

    def _temporal(self, block: Any, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """As the block itself, (B, M, C, d) after `past` (B, 1, .., C, d); of two ticks the first, which nobody asked
        for, stands as the second in the state."""
        every, ticks = self.stride, x.shape[1]
        now = block.norm(x)
        if ticks == 1:
            y = torch.cat([past[:, 0, every - 1 :: TAP_TICKS], now], dim=1)  # (B, taps, C, d)
            z = (y * block.taps[:, None]).sum(dim=1, keepdim=True)
            kept = torch.cat([past[:, :, every:], *[now[:, None]] * every], dim=2)
        else:
            y = torch.cat([past[:, 0, every - 1 :: every], now], dim=1)  # (B, past + M, C, d)
            apart = TAP_TICKS // every
            z = sum(y[:, tap * apart :][:, :ticks] * weight for tap, weight in enumerate(block.taps))
            kept = y[:, None, ticks:]
            if every > 1:
                kept = kept.repeat_interleave(every, dim=2)
        return x + block.narrow(F.gelu(block.widen(z))), kept
