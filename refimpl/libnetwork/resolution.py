"""The hosts and resolv.conf files of one sandbox: when they are built and how they change.

Until the container's process can see them the files are only texts here, so that a start writes
each of them once. From `flush` on the file itself is the truth, since the user may edit it, and
it is changed in place, since it is bind-mounted.

Mirrors: libnetwork sandbox_dns_unix.go (v20.10).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address
from typing import NamedTuple

from refimpl.kernel.base import Files
from refimpl.libnetwork import files as texts
from refimpl.libnetwork.upstream import Upstream
from refimpl.limits import CONTAINER_FILE_BYTES_MAX
from refimpl.model.network import SandboxOptions

logger = logging.getLogger(__name__)

_KEPT_MAX = 16
"""Different resolv.conf texts; nearly always there is one, the host's."""


class Texts(NamedTuple):
    """What the files of a sandbox said at one moment."""

    hosts: str
    resolv_conf: str
    hash: str
    upstreams: tuple[Upstream, ...]
    ndots_set: bool


class ResolutionFiles:
    """The two files of one sandbox (and `resolv.conf.hash`).

    Args:
        files: Reads and writes.
        options: The sandbox's paths, names and servers.
        host_resolv_conf_path: The default for `origin_resolv_conf_path`.
    """

    def __init__(self, files: Files, options: SandboxOptions, host_resolv_conf_path: str) -> None:
        self._files = files
        self._options = options
        self._origin = options.origin_resolv_conf_path or host_resolv_conf_path
        self._is_live = False
        self._hosts = ""
        self._resolv_conf = ""
        self._hash = ""
        self.upstreams: tuple[Upstream, ...] = ()
        """The nameservers behind the embedded DNS."""
        self.ndots_set = False
        """The user set ndots: single-label names then stay inside."""

    @property
    def _user_set_dns(self) -> bool:
        options = self._options
        return bool(options.dns or options.dns_search or options.dns_options)

    def set_up(self) -> None:
        """Build both texts (moby: setupResolutionFiles)."""
        options = self._options
        if options.origin_hosts_path:
            self._hosts = self._read_or_empty(options.origin_hosts_path)
        else:
            self._hosts = texts.build_hosts(options.extra_hosts)
        self._set_up_dns()

    def _set_up_dns(self) -> None:
        options = self._options
        current = self._read_or_empty(self._origin)
        if options.use_default_sandbox and not self._user_set_dns:
            self._resolv_conf = current
            return
        if self._user_set_dns:
            host = texts.parse_resolv_conf(current)
            self._resolv_conf = texts.build_resolv_conf(
                options.dns or host.nameservers,
                options.dns_search or host.search,
                options.dns_options or host.options,
            )
            # a loopback address that the user gives is the container's own; 20.10 takes the host's
            # for one as soon as there is any option of the user (moby#45000)
            self.upstreams = _upstreams(self._resolv_conf, of_host=not options.dns)
        else:
            # before filtering: a loopback server of the host is out of a container's reach,
            # but not out of ours
            self.upstreams = _upstreams(current, of_host=True)
            self._resolv_conf = texts.filter_resolv_conf(current, ipv6=True)
        self._hash = texts.content_hash(self._resolv_conf)

    def rebuild(self, options: SandboxOptions) -> None:
        """Build both texts anew; the files change with the next `flush`, and edits are lost."""
        self._options = options
        self._is_live = False
        self.set_up()

    def flush(self) -> None:
        """Write the files for the first time.

        In place, as moby does: a container that shares the network of this one may still have
        them mounted from before. One that a crash tears is built anew at the next start.
        """
        if self._is_live:
            return
        options = self._options
        self._files.overwrite(options.hosts_path, texts.encode(self._hosts))
        self._files.overwrite(options.resolv_conf_path, texts.encode(self._resolv_conf))
        if self._hash:
            self._files.overwrite(f"{options.resolv_conf_path}.hash", self._hash.encode())
        self._is_live = True

    def snapshot(self) -> Texts:
        """Return what the files say now, for `restore`.

        Raises:
            OSError: a file could not be read.
        """
        return Texts(
            self._current_hosts(),
            self._current_resolv_conf(),
            self._hash,
            self.upstreams,
            self.ndots_set,
        )

    def restore(self, before: Texts) -> None:
        """Undo what was changed since a `snapshot`; a file that cannot be written is logged."""
        has_changed = self._hash != before.hash
        _, _, self._hash, self.upstreams, self.ndots_set = before
        try:
            self._change_hosts(before.hosts)
            self._change_resolv_conf(before.resolv_conf)
            if has_changed:
                self._write_hash()
        except OSError as error:
            logger.error("while undoing a failed join: %s", error)

    # -- hosts -----------------------------------------------------------------------------
    def add_own_lines(self, addresses: Iterable[str]) -> None:
        """Add one line per address with the container's own names (moby: updateHostsFile)."""
        options = self._options
        if options.origin_hosts_path:
            return
        names = texts.own_names(options.hostname, options.domainname)
        lines = "".join(texts.hosts_line(address, names) for address in addresses)
        if lines:
            current = self._current_hosts()
            # 20.10 joins its line with what a user wrote without a newline
            is_whole = current.endswith("\n") or not current
            self._change_hosts(current + ("" if is_whole else "\n") + lines)

    def delete_lines(self, is_deleted: Callable[[str], bool]) -> None:
        """Delete the lines that end in a name to be deleted (moby: deleteHostsEntries)."""
        if not self._options.origin_hosts_path:
            self._change_hosts(texts.delete_hosts_lines(self._current_hosts(), is_deleted))

    def update_entry(self, name: str, address: str) -> None:
        """Change the address of the lines that name `name` first (moby: updateParentHosts)."""
        self._change_hosts(texts.update_hosts_address(self._current_hosts(), name, address))

    def _current_hosts(self) -> str:
        if self._is_live:
            content = self._files.read(self._options.hosts_path, bytes_max=CONTAINER_FILE_BYTES_MAX)
            self._hosts = texts.decode(content)
        return self._hosts

    def _change_hosts(self, content: str) -> None:
        if content == self._hosts:
            return
        if self._is_live:
            self._overwrite(self._options.hosts_path, content, self._hosts)
        self._hosts = content

    # -- resolv.conf -----------------------------------------------------------------------
    def update_dns(self, *, ipv6: bool) -> None:
        """Filter the servers once more, now that it is known whether there is IPv6.

        A file that the user has edited, or that points at the embedded DNS, is left alone: its
        hash tells. Mirrors: sandbox.updateDNS.
        """
        if self._options.use_default_sandbox or self._user_set_dns:
            return
        current = self._current_resolv_conf()
        if self._hash and self._hash != texts.content_hash(current):
            return
        filtered = texts.filter_resolv_conf(current, ipv6=ipv6)
        if filtered != current:
            self._change_resolv_conf(filtered)
            self._hash = texts.content_hash(filtered)
            self._write_hash()

    def rebuild_dns(self) -> None:
        """Point resolv.conf at the embedded DNS (moby: rebuildDNS).

        Raises:
            EngineError: the user's ndots option is no number.
        """
        current = self._current_resolv_conf()
        if not self.upstreams:
            self.upstreams = _upstreams(current, of_host=False)
        content, self.ndots_set = texts.embedded_resolv_conf(
            current, has_user_options=bool(self._options.dns_options)
        )
        self._change_resolv_conf(content)

    def _current_resolv_conf(self) -> str:
        if self._is_live:
            content = self._files.read(
                self._options.resolv_conf_path, bytes_max=CONTAINER_FILE_BYTES_MAX
            )
            self._resolv_conf = texts.decode(content)
        return self._resolv_conf

    def _change_resolv_conf(self, content: str) -> None:
        if content == self._resolv_conf:
            return
        if self._is_live:
            self._overwrite(self._options.resolv_conf_path, content, self._resolv_conf)
        self._resolv_conf = content

    def _overwrite(self, path: str, content: str, before: str) -> None:
        """Change a file in place; one that the disk has no room for is as it was, not torn."""
        try:
            self._files.overwrite(path, texts.encode(content))
        except OSError:
            with contextlib.suppress(OSError):
                self._files.overwrite(path, texts.encode(before))
            raise

    def _write_hash(self) -> None:
        if self._is_live:
            path = f"{self._options.resolv_conf_path}.hash"
            self._files.write(path, self._hash.encode())

    def _read_or_empty(self, path: str) -> str:
        try:
            return texts.decode(self._files.read(path))
        except FileNotFoundError:
            logger.info("%s does not exist", path)
            return ""


@lru_cache(maxsize=_KEPT_MAX)
def _upstreams(resolv_conf: str, *, of_host: bool) -> tuple[Upstream, ...]:
    """Return the nameservers to ask (moby: setExternalResolvers)."""
    return tuple(
        Upstream(address, from_host=of_host and IPv4Address(address).is_loopback)
        for address in texts.ipv4_nameservers(resolv_conf)
    )
