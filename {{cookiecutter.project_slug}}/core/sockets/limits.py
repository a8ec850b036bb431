"""How much a client may send and be sent. Plain arithmetic; the time is told, never asked for."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Lets ``rate`` things through per second, and ``burst`` of them at once after a pause.

    The usual algorithm: tokens come at a steady rate up to the size of the bucket, and each thing takes one.
    """

    rate: float
    burst: float
    tokens: float
    at: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> "TokenBucket":
        """Return a bucket nothing has been taken from. ``now`` is in seconds, on any clock that never goes back."""
        return cls(rate, burst, burst, now)

    def take(self, now: float) -> bool:
        """Take one token; return whether there was one."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Allowance:
    """Counts what goes out in each interval, in any unit. What still waits at its end counts in the next one too."""

    spent: int = 0
    until: float = 0.0

    def spend(self, amount: int, waiting: int, now: float, interval: float) -> int:
        """Count ``amount``, with ``waiting`` still unsent from before; return what this interval has come to."""
        if now >= self.until:
            self.spent, self.until = waiting, now + interval
        self.spent += amount
        return self.spent
