"""Exact time: an hour has exactly 3600 * fps frames and nothing drifts."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomorph import clock
from duomorph.errors import SettingError

HOUR = 3600 * clock.SAMPLE_RATE


@pytest.mark.parametrize("fps", [24, 25, 30, 48, 50, 60, 90, 100, 120])
def test_an_hour_has_its_frames_and_no_drift(fps: int) -> None:
    assert clock.frame_count(HOUR, Fraction(fps)) == 3600 * fps
    assert clock.end_sample(3600 * fps, fps) == HOUR
    assert all(
        abs(Fraction(clock.end_sample(k, fps)) - Fraction(k * 16000, fps)) <= Fraction(1, 2) for k in range(0, 9999, 7)
    )


def test_hops_alternate_about_the_nominal_one() -> None:
    for fps, nominal, hops in ((30, 533, {533, 534}), (60, 267, {266, 267})):
        ends = [clock.end_sample(k, fps) for k in range(1000)]
        assert {b - a for a, b in pairwise(ends)} == hops
        assert clock.nominal_hop(Fraction(fps)) == nominal


@given(st.integers(0, 10**9), st.sampled_from([30, 60, 120, Fraction(24000, 1001)]))
def test_index_at_is_the_last_instant_reached(samples: int, rate: int | Fraction) -> None:
    index = clock.index_at(samples, rate)
    assert clock.end_sample(index, rate) <= samples < clock.end_sample(index + 1, rate)


def test_delays_round_up_to_ticks() -> None:
    table = {0: 0, 1: 1, 16.7: 1, 17: 1, 18: 2, 33: 2, 50: 3, 67: 4, 100: 6, 133: 8, 200: 12}
    assert {ms: clock.delay_ticks(ms) for ms in table} == table


@pytest.mark.parametrize("delay", [-1, 200.1, 1e9, float("nan"), float("inf")])
def test_delays_out_of_range_are_refused(delay: float) -> None:
    with pytest.raises(SettingError, match="0 to 200 ms"):
        clock.delay_ticks(delay)


def test_frame_rates() -> None:
    assert clock.frame_rate("29.97") == clock.frame_rate(29.97) == Fraction(30000, 1001)
    assert clock.frame_rate("30000/1001") == Fraction(30000, 1001)
    assert clock.frame_rate(60) == 60
    assert clock.frame_rate(23.976) == Fraction(24000, 1001)
    for bad in (0, 23, 23.9, 121, 121, -30, "fast", "1/0", float("nan"), float("inf"), None):
        with pytest.raises(SettingError, match="24 to 120"):
            clock.frame_rate(bad)  # type: ignore[arg-type]
