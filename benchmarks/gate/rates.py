"""How often something happened, with the interval that such a count deserves."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`hits` of `trials`, with the exact (Clopper-Pearson) interval of the rate behind it."""

    hits: int
    trials: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, trials: int, *, confidence: float = 0.95) -> Rate:
        """Count.

        Raises:
            ValueError: there are more hits than trials, or no trial.
        """
        interval = stats.binomtest(hits, trials).proportion_ci(confidence, method="exact")
        return cls(hits=hits, trials=trials, low=float(interval.low), high=float(interval.high))

    def __str__(self) -> str:
        share = self.hits / self.trials
        return (
            f"{self.hits} of {self.trials} = {share:.1%} (95 % {self.low:.1%} to {self.high:.1%})"
        )
