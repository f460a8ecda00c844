"""The ids under which the daemon's own namespace knows the others (nsid; `ip netns list-id`).

With each thing that the kernel tells of a port goes the id of the namespace that the pair's other
end is in, and to find it the kernel walks through all ids, from the smallest one up
(net/core/net_namespace.c, __peernet2id). Left alone it gives a new namespace the smallest id that
is free, so that a start among 1,000 sandboxes walks through 1,000 of them several times over.
So ours count down: a daemon's newest has the smallest id of all that it gave, and is
found first.
"""

from __future__ import annotations

import logging
import struct

from refimpl.kernel.netlink import (
    NETNSA_FD,
    NETNSA_NSID,
    RTM_NEWNSID,
    Netlink,
    Request,
)

logger = logging.getLogger(__name__)

FIRST_ID = 2**30
"""High enough for a billion starts; then the kernel chooses, as it does for a negative id."""
SKIPPED = 1024
"""How far to go where an id is taken: another daemon began at the same one."""
_ATTEMPTS = 3

_MESSAGE = struct.Struct("=4xHHiHHi")
"""struct rtgenmsg for any family; then two attributes, each with its length and its kind."""


class NamespaceIds:
    """Gives ids to new namespaces; for one thread at a time."""

    def __init__(self) -> None:
        """Open a socket in the calling thread's namespace, which is the daemon's own."""
        self._host = Netlink()
        self._next = FIRST_ID

    def close(self) -> None:
        """Close the socket."""
        self._host.close()

    def give(self, namespace: int) -> None:
        """Give a new namespace its id; without one, the kernel chooses when it needs one.

        Args:
            namespace: a descriptor of it.
        """
        for _ in range(_ATTEMPTS):
            try:
                self._host.run([_new_id(namespace, self._next)])
            except FileExistsError as error:
                logger.debug("%s", error)
                self._next -= SKIPPED
            except OSError as error:
                logger.debug("%s: the kernel will choose one", error)
                return
            else:
                self._next -= 1
                return


def _new_id(namespace: int, number: int) -> Request:
    payload = _MESSAGE.pack(8, NETNSA_NSID, number, 8, NETNSA_FD, namespace)
    return Request(RTM_NEWNSID, f"give a namespace the id {number}", 0, payload)
