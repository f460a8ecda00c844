"""The old place of `refimpl.daemon.streams.attach`, until the daemon is composed."""

from __future__ import annotations

from typing import Any

from refimpl.daemon.backend import AttachSession, LogReader
from refimpl.daemon.create import Creating
from refimpl.daemon.monitor import Monitoring
from refimpl.daemon.streams.attach import Attachments


class Attaching(Monitoring, Creating):
    """The part of the daemon that shows a container's output and takes its input."""

    attachments: Attachments

    def container_resize(self, ref: str, rows: int, columns: int) -> None:
        """See `Attachments`."""
        self.attachments.container_resize(ref, rows, columns)

    def container_attach(self, ref: str, **options: Any) -> AttachSession:
        """See `Attachments`."""
        return self.attachments.container_attach(ref, **options)

    def container_logs(self, ref: str, **options: Any) -> LogReader:
        """See `Attachments`."""
        return self.attachments.container_logs(ref, **options)
