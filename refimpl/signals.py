"""The signals that the program receives, one after the other, on its main thread.

They have handlers and are not blocked: a child would inherit a mask, and with it a container.
"""

from __future__ import annotations

import signal
import socket
from types import FrameType

STOP = frozenset(
    {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGQUIT,
        # whose default is to end a program without clean-up
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGVTALRM,
        signal.SIGPROF,
        signal.SIGXCPU,
    }
)
"""What ends the program in order."""
SURVIVED = frozenset({signal.SIGHUP, signal.SIGUSR1})


class Signals:
    """Receives signals from its making on; made by the main thread."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in STOP | SURVIVED:
            signal.signal(number, _received)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP | SURVIVED)

    def wait(self) -> signal.Signals:
        """Return the next signal; waits for one."""
        return signal.Signals(self._reader.recv(1)[0])


def _received(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: `wait` reads the number from the socket."""
