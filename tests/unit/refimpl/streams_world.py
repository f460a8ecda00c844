"""A container and a log for the tests of streams, without a daemon."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refimpl.daemon.containers.container import Container
from refimpl.daemon.streams.json_log import JSONFileLog
from refimpl.daemon.streams.log_files import LogLimits
from refimpl.daemon.streams.log_options import LogOptions
from refimpl.daemon.streams.log_reader import FileLogReader, ReadOptions
from refimpl.model.wire_container import Config, HostConfig, LogConfig

WAIT_S = 20.0
BOTH = frozenset({1, 2})
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


def a_log(
    directory: Path, *, attributes: dict[str, str] | None = None, **limits: Any
) -> JSONFileLog:
    options = LogOptions(limits=LogLimits(**limits), attributes=attributes or {})
    return JSONFileLog(str(directory / "json.log"), lambda: NOW, options)


def reader(log: JSONFileLog, **options: Any) -> FileLogReader:
    return FileLogReader(log, ReadOptions(**({"streams": BOTH} | options)), tty=False)


def read(log: JSONFileLog, **options: Any) -> list[tuple[int, bytes]]:
    return list(reader(log, **options).read())


def texts(log: JSONFileLog, **options: Any) -> list[bytes]:
    return [text for _, text in read(log, **options)]


def join(thread: threading.Thread) -> None:
    thread.join(WAIT_S)
    assert not thread.is_alive()
