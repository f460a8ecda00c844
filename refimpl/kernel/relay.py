"""The relay from the daemon's side: one process beside it, which gets sockets and ends with it.

The process (`refimpl/relay.py`) is started with the first port that needs it. It hears what to
serve through a socket of its own; when the daemon ends, however it does, that socket is closed, and
the process ends as well.
"""

from __future__ import annotations

import array
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from refimpl import relay
from refimpl.kernel.base import PortClaim, PublishedPort

logger = logging.getLogger(__name__)

_PER_MESSAGE = 100
"""The kernel passes on at most 253 descriptors at once."""
_ANSWER_TIMEOUT_S = 5.0
_END_TIMEOUT_S = 5.0
_PATIENCE_S = 1.0
"""What the process of a killed daemon has to end by itself."""
_INTERVAL_S = 0.01


class Relay:
    """The relay process of one engine.

    Args:
        name: of the engine in its network namespace. The process holds a unix socket without a
            file of that name, by which the next daemon sees that the last one's has ended.
        begin: has something done on another thread: no start waits for the process.
    """

    def __init__(self, name: str, begin: Callable[[Callable[[], None]], object]) -> None:
        self._name = f"\0netinit/relay/{name}"
        self._begin = begin
        self._lock = threading.Lock()
        self._claims: dict[PublishedPort, PortClaim] = {}
        self._waiting: dict[PublishedPort, None] = {}
        """Those that the process has not got yet."""
        self._talking = threading.Lock()
        """Held by who starts, ends or tells the process; the registry's lock is asked for in it."""
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def wait_for_the_last(self) -> None:
        """Wait until the process of a daemon that was killed has ended: it holds its ports.

        One that does not end by itself, because it was stopped, is killed.
        """
        if self._is_free_within(_PATIENCE_S):
            return
        for process in _holders(self._name):
            logger.warning("the relay process %d of the last daemon does not end: killed", process)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if not self._is_free_within(_END_TIMEOUT_S):
            logger.warning("the relay process of the last daemon has not ended")

    def _is_free_within(self, wait_s: float) -> bool:
        deadline = time.monotonic() + wait_s
        while (marker := self._claim_name()) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_INTERVAL_S)
        marker.close()
        return True

    def add(self, claims: Sequence[PortClaim], *, at_once: bool) -> None:
        """Serve these ports, too; what comes earlier waits in their sockets.

        Those that are served already stay as they are.

        Args:
            claims: the ports.
            at_once: have it done now, on another thread. Else it waits for `settle`, since to wake
                anybody up would hold up a start.
        """
        with self._lock:
            known = self._claims
            new = [one for one in claims if one.port not in known or not _is_open(known[one.port])]
            self._claims.update({one.port: one for one in new})
            self._waiting.update(dict.fromkeys(one.port for one in new))
        if new and at_once:
            self._begin(self._serve_waiting)

    def settle(self) -> None:
        """Have the ports served that wait for it; return at once."""
        if self._waiting:
            self._begin(self._serve_waiting)

    def remove(self, ports: Sequence[PublishedPort]) -> None:
        """Serve these ports no more; returns when the process has let go of their sockets."""
        if not ports:
            return
        with self._talking:
            with self._lock:
                known = [port for port in ports if self._claims.pop(port, None) is not None]
                served = [port for port in known if port not in self._waiting]
                for port in known:
                    self._waiting.pop(port, None)
            if not served or self._control is None:
                return
            try:
                self._let_go(self._control, served)
            except OSError:
                # it is gone, or it hangs: in either way its sockets are, once it is ended
                logger.warning("the relay process does not answer: another one is started")
                self._start()

    def close(self) -> None:
        """End the process."""
        with self._talking:
            with self._lock:
                self._claims.clear()
                self._waiting.clear()
            self._end(_END_TIMEOUT_S)

    def _serve_waiting(self) -> None:
        with self._talking:
            with self._lock:
                new = [self._claims[port] for port in self._waiting]
                self._waiting.clear()
            if not new:
                return
            try:
                if self._control is not None:
                    _hand_over(self._control, new)
                    return
            except OSError:
                logger.warning("the relay process is gone: another one is started")
            self._start()

    @staticmethod
    def _let_go(control: socket.socket, ports: Sequence[PublishedPort]) -> None:
        for first in range(0, len(ports), _PER_MESSAGE):
            names = [_name(port) for port in ports[first : first + _PER_MESSAGE]]
            control.send(json.dumps({"remove": names}).encode())
            if not control.recv(1):
                raise BrokenPipeError

    def _start(self) -> None:
        """Start the process, if it has anything to do, and give it all ports that there are.

        One that is there is of no use any more, and is killed: it may hang.
        """
        self._end(wait_s=0)
        with self._lock:
            self._claims = {port: one for port, one in self._claims.items() if _is_open(one)}
            claims = tuple(self._claims.values())
            self._waiting.clear()
        if not claims:
            return
        try:
            self._control = self._spawn()
            _hand_over(self._control, claims)
        except OSError as error:
            # whatever no rule leads on is not led on; the next port tries again
            logger.error("the relay process: %s", error)
            self._end(wait_s=0)

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_ANSWER_TIMEOUT_S)
        with theirs, contextlib.ExitStack() as at_end:
            given = [theirs]
            marker = self._claim_name()
            if marker is not None:
                given.append(at_end.enter_context(marker))
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", relay.__file__, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[one.fileno() for one in given],
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        return ours

    def _end(self, wait_s: float) -> None:
        control, self._control = self._control, None
        process, self._process = self._process, None
        if control is not None:
            control.close()
        if process is None:
            return
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _claim_name(self) -> socket.socket | None:
        marker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            marker.bind(self._name)
        except OSError:
            marker.close()
            return None
        return marker


def _holders(name: str) -> list[int]:
    """Return the relay processes of this namespace that hold a name, by what /proc says."""
    table = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")
    rows = (line.split() for line in table.splitlines())
    sockets = {f"socket:[{row[6]}]" for row in rows if row[7:] == [name.replace("\0", "@")]}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        # it may be gone by now
        with contextlib.suppress(OSError):
            # anybody may take the name; nobody but a relay is killed for it
            is_relay = relay.__file__.encode() in process.joinpath("cmdline").read_bytes()
            if is_relay and any(
                str(one.readlink()) in sockets for one in (process / "fd").iterdir()
            ):
                found.append(int(process.name))
    return found


def _hand_over(control: socket.socket, claims: Sequence[PortClaim]) -> None:
    for first in range(0, len(claims), _PER_MESSAGE):
        some = claims[first : first + _PER_MESSAGE]
        ports = [
            (_name(one.port), one.port.protocol, str(one.port.ip), one.port.port) for one in some
        ]
        descriptors = array.array("i", (one.socket.fileno() for one in some))
        control.sendmsg(
            [json.dumps({"add": ports}).encode()],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)],
        )


def _is_open(claim: PortClaim) -> bool:
    """Tell whether a port is still somebody's: its owner may have closed it meanwhile."""
    return claim.socket.fileno() >= 0


def _name(port: PublishedPort) -> str:
    return f"{port.protocol} {port.host_ip} {port.host_port}"
