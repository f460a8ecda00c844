"""What the engine counts: `engine_daemon_network_actions_seconds{action=...}`.

The engines of the family feed this histogram at the end of allocate, connect, release and update.
Sum and count before and after one act give that act's own count and latency.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from conformance.engines.base import EngineError, Inside
from conformance.engines.processes import run_tool

METRIC = "engine_daemon_network_actions_seconds"
ACTIONS = ("allocate", "connect", "release", "update")
_LINE = re.compile(rf"^{METRIC}_(?P<part>sum|count|bucket)\{{(?P<labels>[^}}]*)\}} (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionMetric:
    """One action's histogram at one moment; times in seconds."""

    count: int = 0
    sum_s: float = 0.0
    buckets: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Delta:
    """What was counted while a block ran; filled in when the block ends."""

    counts: dict[str, int] = field(default_factory=dict)
    sums_s: dict[str, float] = field(default_factory=dict)


def parse_metrics(text: str) -> dict[str, ActionMetric]:
    """Read the network actions out of a page in Prometheus' text format."""
    counts: dict[str, int] = {}
    sums: dict[str, float] = {}
    buckets: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        labels = dict(_LABEL.findall(match["labels"]))
        action, value = labels["action"], float(match["value"])
        if match["part"] == "count":
            counts[action] = int(value)
        elif match["part"] == "sum":
            sums[action] = value
        else:
            buckets.setdefault(action, {})[labels["le"]] = int(value)
    return {
        action: ActionMetric(
            count=counts[action], sum_s=sums.get(action, 0.0), buckets=buckets.get(action, {})
        )
        for action in counts
    }


class MetricsReader:
    """Reads an engine's metrics, which it serves inside its own network namespace."""

    def __init__(self, inside: Inside) -> None:
        """Remember where to ask."""
        self._inside = inside

    def read(self) -> dict[str, ActionMetric]:
        """Give each action's histogram; an action that never happened may be absent."""
        return parse_metrics(self.page())

    def page(self) -> str:
        """Give the whole page as the engine serves it."""
        return run_tool(
            "nsenter",
            f"--net={self._inside.netns}",
            "busybox",
            "wget",
            "-q",
            "-O-",
            self._inside.metrics_url,
        )

    def is_usable(self) -> bool:
        """Say whether the engine serves metrics of its family.

        The histogram itself is not asked for: an action appears in it when it first happens.
        """
        try:
            return "engine_daemon_" in self.page()
        except EngineError:
            return False

    def counts(self) -> dict[str, int]:
        """Give the count of each action, 0 where it never happened."""
        page = self.read()
        return {action: page.get(action, ActionMetric()).count for action in ACTIONS}

    @contextmanager
    def delta(self) -> Iterator[Delta]:
        """Count what happens inside a `with` block: `with metrics.delta() as delta: ...`."""
        before = self.read()
        result = Delta()
        yield result
        after = self.read()
        for action in ACTIONS:
            old, new = before.get(action, ActionMetric()), after.get(action, ActionMetric())
            result.counts[action] = new.count - old.count
            result.sums_s[action] = new.sum_s - old.sum_s
