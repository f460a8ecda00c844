"""What /etc/hosts, /etc/resolv.conf and /etc/hostname say, read as the C library reads them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostsLine:
    """One entry of a hosts file."""

    address: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvConf:
    """The directives of a resolv.conf file."""

    nameservers: tuple[str, ...]
    search: tuple[str, ...]
    options: tuple[str, ...]


def parse_hosts(text: str) -> list[HostsLine]:
    """Read a hosts file: its entries in order, without comments."""
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1:
            found.append(HostsLine(words[0], tuple(words[1:])))
    return found


def addresses_of(text: str, name: str) -> list[str]:
    """Give the addresses that a hosts file has for a name, in order."""
    return [line.address for line in parse_hosts(text) if name in line.names]


def parse_resolv_conf(text: str) -> ResolvConf:
    """Read a resolv.conf file; of several search lines the last one counts."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            nameservers += words[1:2]
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            options += words[1:]
    return ResolvConf(nameservers=tuple(nameservers), search=search, options=tuple(options))
