"""Namespaces made ahead: a start takes one that is ready, and the next one is made after it.

A spare is held by a descriptor only. It has no name and no link but `lo`, so nobody sees more of it
than an id in `ip netns list-id`, and it ends with the process, however that ends. What is ready in
it is what two sandboxes of the same kind have in common: IPv6 switched as they need it, `lo` up,
the resolver's sockets.

Only kinds that were wanted lately are kept, one spare of each. When several starts come at once,
all but the first make their namespace themselves.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from functools import partial
from typing import NamedTuple, Self

from refimpl.kernel import links, netns, resolver
from refimpl.kernel.ipv6 import Ipv6Switches
from refimpl.kernel.netlink import Netlink
from refimpl.kernel.nsids import NamespaceIds

logger = logging.getLogger(__name__)

_KINDS_MAX = 2


class Kind(NamedTuple):
    """What is ready in a namespace.

    Attributes:
        ipv6: whether links that come are to have IPv6, as moby's osl does it (setIPv6, checkLoV6;
            v20.10).
        resolver_address: where the embedded DNS listens inside, or None for no resolver.
    """

    ipv6: bool = False
    resolver_address: str | None = None


class Namespace:
    """A new namespace, with `lo` up; it ends with `close` unless something pins it.

    Attributes:
        descriptor: of the namespace.
        inside: a route socket in it.
    """

    def __init__(self, kind: Kind, ipv6: Ipv6Switches, ids: NamespaceIds) -> None:
        """Furnish the namespace that the calling thread is in.

        Raises:
            OSError: what the kernel says; nothing is open then.
        """
        with contextlib.ExitStack() as undo:
            # before any interface is there, so that none ever gets a link-local address; then on
            # again for those that shall have IPv6
            ipv6.set_here("all", enabled=False)
            if kind.ipv6:
                ipv6.set_here("lo", enabled=True)
                ipv6.set_here("default", enabled=True)
                ipv6.ignore_routers_here("default")
            self.inside = undo.enter_context(Netlink())
            self.inside.run([links.change_link(links.LOOPBACK_INDEX, "lo")])
            self._sockets = (
                resolver.open_resolver(kind.resolver_address) if kind.resolver_address else ()
            )
            for one in self._sockets:
                undo.callback(one.close)
            self.descriptor = netns.open_own()
            undo.callback(os.close, self.descriptor)
            ids.give(self.descriptor)
            undo.pop_all()

    @property
    def path(self) -> str:
        """What to mount to pin it."""
        return f"/proc/self/fd/{self.descriptor}"

    def hand_over_sockets(self) -> tuple[socket.socket, ...]:
        """Return the resolver's sockets, which are the caller's from now on."""
        sockets, self._sockets = self._sockets, ()
        return sockets

    def close(self) -> None:
        """Close everything that has not been handed over."""
        for one in self._sockets:
            one.close()
        self.inside.close()
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Spares:
    """One spare namespace of each kind that was wanted lately."""

    def __init__(self, namespaces: netns.NamespaceThread, ipv6: Ipv6Switches) -> None:
        self._namespaces = namespaces
        self._ipv6 = ipv6
        self._ids = NamespaceIds()
        self._lock = threading.Lock()
        self._wanted: dict[Kind, None] = {Kind(): None}
        """The kinds to keep, the one wanted last at the end."""
        self._ready: dict[Kind, netns.Visit[Namespace]] = {}
        """Made, or being made."""

    def prepare(self) -> None:
        """Begin to make the spares that are missing, and do not wait for them."""
        with self._lock:
            for kind in self._wanted:
                if kind not in self._ready:
                    self._ready[kind] = self._begin(kind)

    def take(self, kind: Kind) -> Namespace:
        """Return a new namespace: the spare, if there is one."""
        with self._lock:
            self._wanted.pop(kind, None)
            self._wanted[kind] = None
            unwanted = []
            while len(self._wanted) > _KINDS_MAX:
                oldest = next(iter(self._wanted))
                del self._wanted[oldest]
                unwanted += [self._ready.pop(oldest)] if oldest in self._ready else []
            spare = self._ready.pop(kind, None)
        for visit in unwanted:
            _discard(visit)
        if spare is not None:
            try:
                return spare.result()
            except OSError as error:
                logger.warning("a spare namespace could not be made: %s", error)
        return self._begin(kind).result()

    def close(self) -> None:
        """End the spares; to be called before the namespace thread ends."""
        with self._lock:
            left, self._ready = tuple(self._ready.values()), {}
        for visit in left:
            _discard(visit)
        self._ids.close()

    def _begin(self, kind: Kind) -> netns.Visit[Namespace]:
        return self._namespaces.begin_new(partial(Namespace, kind, self._ipv6, self._ids))


def _discard(visit: netns.Visit[Namespace]) -> None:
    with contextlib.suppress(OSError):  # it could not be made, and is not wanted either
        visit.result().close()
