"""A container's state in words.

Mirrors: moby container/state.go String, go-units HumanDuration (v20.10).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from refimpl.daemon.containers.container import State


def status_text(state: State, now: datetime) -> str:
    """Write the state as `docker ps` shows it."""
    if state.restarting:
        return f"Restarting ({state.exit_code}) {human_duration(now - state.finished_at)} ago"
    if state.running:
        paused = " (Paused)" if state.paused else ""
        return f"Up {human_duration(now - state.started_at)}{paused}"
    fixed = {"removing": "Removal In Progress", "dead": "Dead", "created": "Created"}
    if state.status in fixed:
        return fixed[state.status]
    return f"Exited ({state.exit_code}) {human_duration(now - state.finished_at)} ago"


def human_duration(elapsed: timedelta) -> str:
    """Write a duration as go-units HumanDuration does."""
    seconds = int(elapsed.total_seconds())
    steps = (
        (1, "Less than a second", 0),
        (2, "1 second", 0),
        (60, "{} seconds", 1),
        (120, "About a minute", 0),
        (46 * 60, "{} minutes", 60),
        (90 * 60, "About an hour", 0),
        (48 * 3600, "{} hours", 3600),
        (24 * 7 * 2 * 3600, "{} days", 24 * 3600),
        (24 * 30 * 2 * 3600, "{} weeks", 24 * 7 * 3600),
        (24 * 365 * 2 * 3600, "{} months", 24 * 30 * 3600),
    )
    for limit, text, unit in steps:
        if seconds < limit:
            return text.format(seconds // unit) if unit else text
    return f"{seconds // (24 * 365 * 3600)} years"
