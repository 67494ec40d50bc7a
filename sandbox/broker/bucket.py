"""A token bucket that can be booked ahead and drained over time. Sans-I/O: the caller says how late it is.

Theory of operation
-------------------
Tokens come in at ``rate`` a second, up to ``burst``. `take` removes tokens at once. When there are not
enough, the caller waits for `delay` seconds and the tokens that come in meanwhile are already booked: the
level is below zero and later callers wait behind. So whatever is granted by a time T, all waits included,
is at most ``burst + rate x T``.

A measurement that goes on for a while (a ping every second, say) does not need its tokens at once: the
rest is *drained* at the measurement's own pace, until it ends or is stopped.
"""

import heapq


class Bucket:
    """Tokens. Times are monotonic seconds.

    Args:
        rate: tokens a second, above 0.
        burst: the most that can be saved up.
        now: the bucket is full at first.
    """

    __slots__ = ("_at", "_draining", "_ends", "_level", "_rates", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now
        self._draining = 0.0
        self._rates: dict[int, float] = {}
        self._ends: list[tuple[float, int]] = []

    def level(self, now: float) -> float:
        """Tokens that can be had now; below zero when they are booked ahead."""
        self._advance(now)
        return self._level

    def delay(self, tokens: float, now: float) -> float:
        """In how many seconds ``tokens`` (at most ``burst`` are asked for) will be there."""
        tokens = min(tokens, self.burst)
        self._advance(now)
        if self._level >= tokens:
            return 0.0
        level, at, draining = self._level, self._at, self._draining
        for end, drain in sorted(self._ends):
            if drain not in self._rates:
                continue
            net = self.rate - draining
            if net > 0 and level + net * (end - at) >= tokens:
                break
            level, at = min(self.burst, level + net * (end - at)), max(at, end)
            draining -= self._rates[drain]
        net = max(self.rate - draining, 1e-9)
        return at - now + max(0.0, tokens - level) / net

    def take(self, tokens: float, now: float) -> None:
        """Remove ``tokens``, be they there yet or not."""
        self._advance(now)
        self._level -= tokens

    def give_back(self, tokens: float) -> None:
        """Return tokens that were not used."""
        self._level = min(self.burst, self._level + tokens)

    def drain(self, key: int, tokens: float, rate: float, now: float) -> None:
        """Let ``tokens`` flow out at ``rate`` a second, from now on. ``key`` is used once."""
        self._advance(now)
        self._rates[key] = rate
        self._draining += rate
        heapq.heappush(self._ends, (now + tokens / rate, key))

    def stop_drain(self, key: int, now: float) -> None:
        """End a drain early; what has not flowed yet stays. Nothing happens when it has ended already."""
        self._advance(now)
        self._forget(key)

    def resize(self, rate: float, burst: float, now: float) -> None:
        """Go on with another rate and burst; what was used stays used."""
        self._advance(now)
        self.rate, self.burst = rate, burst
        self._level = min(self._level, burst)

    def idle(self, now: float) -> bool:
        """Is it as good as new?"""
        self._advance(now)
        return not self._rates and self._level >= self.burst

    def _forget(self, key: int) -> None:
        rate = self._rates.pop(key, None)
        if rate is not None:
            self._draining = self._draining - rate if self._rates else 0.0

    def _advance(self, now: float) -> None:
        while self._ends and (self._ends[0][0] <= now or self._ends[0][1] not in self._rates):
            end, key = heapq.heappop(self._ends)
            if key in self._rates:
                self._flow(end)
                self._forget(key)
        self._flow(now)

    def _flow(self, now: float) -> None:
        if now > self._at:
            self._level = min(self.burst, self._level + (self.rate - self._draining) * (now - self._at))
            self._at = now
