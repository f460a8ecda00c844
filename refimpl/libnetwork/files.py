"""The text of /etc/hosts, /etc/resolv.conf and /etc/hostname.

Pure functions from text to text: who writes them where is `resolution`'s and the daemon's
business. Names and addresses come in validated; what would break a line is refused here once more,
because a line that a client can inject into a hosts file is a name that it can hijack.

Mirrors: libnetwork etchosts/etchosts.go, resolvconf/resolvconf.go (v20.10).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from refimpl.errors import EngineError, InvalidParameter

RESOLVER_ADDRESS = "127.0.0.11"

_KEPT_MAX = 64
"""Texts whose reading is kept: most containers' resolv.conf begins as the same file of the host."""

_NAME_CHARACTERS_MAX = 4096
"""The longest end of a line of a hosts file in which a name is sought: a user may have written a
line of any length."""

_DIGITS_MAX = 18
"""Those that a 64-bit number can have whatever they are."""

HOSTS_TEMPLATE = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""

DEFAULT_NAMESERVERS = ("8.8.8.8", "8.8.4.4")
DEFAULT_NAMESERVERS_IPV6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")

_IPV4_NUMBER = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"(?:(?:{_IPV4_NUMBER}\.){{3}}{_IPV4_NUMBER})"
# as moby has it: loose on purpose, it only has to tell the families apart
_IPV6 = r"(?:(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{0,4})(?:%\w+)?)"

_LOCALHOST_LINES = re.compile(
    r"^nameserver\s+(?:127\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}|::1$)\s*\n*", re.MULTILINE
)
_IPV6_LINES = re.compile(rf"^nameserver\s+{_IPV6}\s*\n*", re.MULTILINE)
_NAMESERVER = re.compile(rf"\s*nameserver\s*({_IPV4}|{_IPV6})\s*")
_NAMESERVER_IPV4 = re.compile(rf"\s*nameserver\s*({_IPV4})\s*")
_NAMESERVER_IPV6 = re.compile(rf"\s*nameserver\s*({_IPV6})\s*")
_LINE_WITH_NAMES = re.compile(r"^(?!#)[^\t\n]*\t(.*)\n", re.MULTILINE)
_SEARCH = re.compile(r"\s*search\s*(.*)")
_OPTIONS = re.compile(r"\s*options\s*(.*)")


def build_hostname(hostname: str) -> str:
    """Return the content of /etc/hostname."""
    return f"{_one_line(hostname)}\n"


def build_hosts(extra: Iterable[tuple[str, str]] = ()) -> str:
    """Return the template of /etc/hosts followed by the extra lines.

    Args:
        extra: (names, address) pairs in order; duplicates are kept.
    """
    return HOSTS_TEMPLATE + "".join([hosts_line(address, names) for names, address in extra])


def hosts_line(address: str, names: str) -> str:
    """Return one line of /etc/hosts."""
    return f"{_one_line(address)}\t{_one_line(names)}\n"


def own_names(hostname: str, domainname: str) -> str:
    """Return the names of a container's own lines: `<host>.<domain> <host>`, or the bare name.

    A dotted hostname is split at its first dot, as if the rest were the domain name.
    """
    full = f"{hostname}.{domainname}" if domainname else hostname
    head, dot, _ = full.partition(".")
    return f"{full} {head}" if dot else full


def delete_hosts_lines(content: str, is_deleted: Callable[[str], bool]) -> str:
    """Return a hosts file without the lines that end in a tab and a name to be deleted.

    Docker goes by the end of the line and not by its address, so the same name of another
    network's line goes too (moby#34044; FILE-08).

    What a user's editor left is tidied up on the way, as Go's scanner of lines does it: no carriage
    returns at the ends, no empty lines, and a newline at the end of the file.

    Args:
        content: The file.
        is_deleted: Asked of what stands behind each tab of a line.

    Mirrors: etchosts.Delete.
    """
    is_tidy = content.endswith("\n") and not content.startswith("\n")
    if not is_tidy or "\n\n" in content or "\r" in content:
        lines = (line.removesuffix("\r") for line in content.split("\n"))
        content = "".join(f"{line}\n" for line in lines if line)

    def keep(line: re.Match[str]) -> str:
        names = line[1]
        first, start = max(0, len(names) - _NAME_CHARACTERS_MAX), len(names)
        while start >= 0:
            start = names.rfind("\t", first, start)
            if is_deleted(names[start + 1 :]):
                return ""
        return line[0]

    return _LINE_WITH_NAMES.sub(keep, content)


def update_hosts_address(content: str, name: str, address: str) -> str:
    """Return a hosts file in which the lines that name `name` first have another address.

    Mirrors: etchosts.Update.
    """
    replacement = _one_line(address)
    parts = []
    done = 0
    # a word before the name, looked for from behind: a container can write a line of megabytes,
    # and to look for it from each of its letters takes the square of its length
    for match in re.finditer(rf"\t{re.escape(name)}[\s.]", content):
        before = content[done : match.start()]
        word = re.split(r"\s", before)[-1]
        parts += [before[: len(before) - len(word)], replacement, match[0]]
        done = match.end()
    return "".join([*parts, content[done:]])


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What a resolv.conf says that the engine cares for."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = field(default=())


def parse_resolv_conf(content: str) -> ResolvConf:
    """Read nameservers, search domains and options; the last search and options line counts."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in _uncommented(content):
        if match := _NAMESERVER.fullmatch(line):
            nameservers.append(match[1])
        elif match := _SEARCH.fullmatch(line):
            search = tuple(match[1].split())
        elif match := _OPTIONS.fullmatch(line):
            options = tuple(match[1].split())
    return ResolvConf(tuple(nameservers), search, options)


@lru_cache(maxsize=_KEPT_MAX)
def ipv4_nameservers(content: str) -> tuple[str, ...]:
    """Return the IPv4 nameservers of a resolv.conf."""
    return _matching(content, _NAMESERVER_IPV4)


def ipv6_nameservers(content: str) -> tuple[str, ...]:
    """Return the IPv6 nameservers of a resolv.conf."""
    return _matching(content, _NAMESERVER_IPV6)


def build_resolv_conf(
    nameservers: Sequence[str], search: Sequence[str] = (), options: Sequence[str] = ()
) -> str:
    """Return a resolv.conf: search, nameservers, options, in Docker's order.

    A search of exactly `.` switches searching off: there is no line then (FILE-12).
    """
    lines: list[str] = []
    searched = _one_line(" ".join(search))
    if search and searched.strip(" ") != ".":
        lines.append(f"search {searched}\n")
    lines.extend(f"nameserver {_one_line(server)}\n" for server in nameservers)
    joined = _one_line(" ".join(options))
    if joined.strip(" "):
        lines.append(f"options {joined}\n")
    return "".join(lines)


@lru_cache(maxsize=_KEPT_MAX)
def filter_resolv_conf(content: str, *, ipv6: bool) -> str:
    """Return a resolv.conf without the servers that a container cannot reach.

    Loopback servers are the host's own and, without IPv6, IPv6 servers are out of reach. When
    nothing is left Google's servers take their place.

    Mirrors: resolvconf.FilterResolvDNS.
    """
    cleaned = _LOCALHOST_LINES.sub("", content)
    if not ipv6:
        cleaned = _IPV6_LINES.sub("", cleaned)
    if parse_resolv_conf(cleaned).nameservers:
        return cleaned
    servers = DEFAULT_NAMESERVERS + (DEFAULT_NAMESERVERS_IPV6 if ipv6 else ())
    return cleaned + "\n" + "\n".join(f"nameserver {server}" for server in servers)


@lru_cache(maxsize=_KEPT_MAX)
def embedded_resolv_conf(content: str, *, has_user_options: bool) -> tuple[str, bool]:
    """Return a resolv.conf that points at the embedded DNS, and whether the user set ndots.

    Search domains, options and IPv6 servers stay; IPv4 servers go behind the embedded DNS.
    Without a user's `ndots` it is 0, so that single-label names are asked as they are: the names of
    other containers. 20.10 takes the host's for the user's (moby#41819).

    Args:
        content: The file.
        has_user_options: Its options are those of a container or of the daemon, not the host's.

    Mirrors: sandbox.rebuildDNS.

    Raises:
        EngineError: the user's ndots option is no number.
    """
    parsed = parse_resolv_conf(content)
    servers = (RESOLVER_ADDRESS, *ipv6_nameservers(content))
    options = parsed.options
    if not has_user_options:
        options = tuple(one for one in options if "ndots" not in one)
    user_ndots = next((option for option in options if "ndots" in option), None)
    if user_ndots is None:
        options = (*options, "ndots:0")
    else:
        _check_ndots(user_ndots)
    return build_resolv_conf(servers, parsed.search, options), user_ndots is not None


def encode(content: str) -> bytes:
    """Return a file's bytes; a user's edits need not be UTF-8 and are kept as they are."""
    return content.encode(errors="surrogateescape")


def decode(content: bytes) -> str:
    """Return a file's text, the inverse of `encode`."""
    return content.decode(errors="surrogateescape")


@lru_cache(maxsize=_KEPT_MAX)
def content_hash(content: str) -> str:
    """Return what `resolv.conf.hash` holds: `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(encode(content)).hexdigest()


def _check_ndots(option: str) -> None:
    parts = option.split(":")
    if len(parts) != 2:
        raise EngineError(f"invalid ndots option {option}")
    if re.fullmatch(r"[+-]?[0-9]+", parts[1]) is None:
        raise EngineError(f"invalid number for ndots option: {parts[1]}")
    digits = parts[1].lstrip("+-0")
    if len(digits) > _DIGITS_MAX or (digits and parts[1].startswith("-")):
        raise EngineError(f"invalid number for ndots option: {parts[1]}")


def _uncommented(content: str) -> Iterable[str]:
    return (line.partition("#")[0] for line in content.split("\n"))


def _matching(content: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    matches = (pattern.fullmatch(line) for line in _uncommented(content))
    return tuple(match[1] for match in matches if match is not None)


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise InvalidParameter(f"invalid character in {text!r}: one line is expected")
    return text
