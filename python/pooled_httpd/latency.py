"""Percentiles of the latency histogram, which has four buckets to each doubling."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["latency_percentile"]


def latency_percentile(histogram: Iterable[tuple[float, float, int]], percent: float) -> float | None:
    """Return the latency in seconds within which ``percent`` percent of the answers came, None where there was none.

    ``histogram`` is that of :attr:`ServerStats.latency`, for all that happened or, from a difference of two, between
    two moments. The true value lies in the same bucket, so that it is off by a fifth at most from 4 µs on. Raises
    ValueError where ``percent`` is not from 0 to 100.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"percent: {percent!r} is not allowed; it takes a number from 0 to 100")
    buckets = [bucket for bucket in histogram if bucket[2] > 0]
    if not buckets:
        return None
    wanted = sum(count for _, _, count in buckets) * percent / 100
    seen = 0
    for lower, upper, count in buckets:
        if seen + count >= wanted:
            return lower + (upper - lower) * max(wanted - seen, 0) / count
        seen += count
    return buckets[-1][1]
