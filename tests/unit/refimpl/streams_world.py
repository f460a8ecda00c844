"""A container for the tests of streams, without a daemon."""

from __future__ import annotations

from datetime import UTC, datetime

from refimpl.model.container import Container
from refimpl.model.wire_container import Config, HostConfig, LogConfig

NOW = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)


def container(
    *,
    log: str = "",
    options: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    env: list[str] | None = None,
    root: str = "/c",
    tty: bool = False,
) -> Container:
    """Return a created container named `web`, with standard input."""
    return Container(
        id="0123456789abcdef" * 4,
        name="/web",
        created=NOW,
        root=root,
        image_id="sha256:" + "0" * 64,
        path="true",
        args=[],
        config=Config(labels=labels, env=env, tty=tty, open_stdin=True, image="busybox"),
        host_config=HostConfig(log_config=LogConfig(type=log, config=options)),
    )
