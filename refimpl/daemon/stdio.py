"""The old place of `refimpl.daemon.streams.{stdio,session}`."""

from refimpl.daemon.streams.session import Session, Streams
from refimpl.daemon.streams.stdio import StdioLoop

__all__ = ["Session", "StdioLoop", "Streams"]
