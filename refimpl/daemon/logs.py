"""The old place of `refimpl.daemon.streams.{json_log,log_reader}`."""

from refimpl.daemon.streams.json_log import JSONFileLog
from refimpl.daemon.streams.log_reader import FileLogReader

__all__ = ["FileLogReader", "JSONFileLog"]
