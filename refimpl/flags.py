"""The command line: its flags, which are dockerd's, and the check of every value.

A value that can never work is refused here, with the name of its flag. One that does not work on
this machine is refused by what uses it, inside `naming`, which adds the flag's name.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from refimpl.errors import EngineError, message_of
from refimpl.limits import INTERFACE_NAME_BYTES_MAX, PORT_MAX

DESCRIPTION = """\
The netinit reference implementation: a container engine that gives containers their network the
way Docker 20.10 does. It serves the Docker Engine API on a unix socket, so that the docker CLI
and the docker SDK work with it:

    python -m refimpl &
    docker -H unix:///run/netinit.sock info

It needs root, runc or crun, and nftables. The flags are dockerd's own."""

SOCKET_PATH_BYTES_MAX = 107
"""The longest address of a unix socket: sun_path less the terminating zero."""
MTU_BYTES_MIN, MTU_BYTES_MAX = 68, 65535
"""What the kernel takes for a bridge."""
MTU_BYTES_DEFAULT = 1500
"""What `--mtu 0` means, too, as in dockerd."""
_IPV4_BITS, _IPV6_BITS = 32, 128
_DOMAIN = re.compile(r"\.|(?=.*[a-zA-Z])[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)*\.?")
_WORD = re.compile(r"[^\s\x00-\x1f\x7f]+")


class _Version(argparse.Action):
    """The flag `--version`; the metadata that it needs is read for nothing else."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(
        self, parser: argparse.ArgumentParser, *_parsed: object, **_options: object
    ) -> None:
        """Print the version and end the program."""
        from importlib import metadata  # noqa: PLC0415 - each boot would wait for it

        try:
            version = metadata.version("netinit")
        except metadata.PackageNotFoundError:
            version = "of a checkout that is not installed"
        print(f"netinit refimpl, version {version}, an engine as Docker 20.10 is")
        parser.exit()


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a value that is none ends the program, and its flag is named."""
    parser = argparse.ArgumentParser(
        prog="python -m refimpl",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--version", action=_Version, help="say the version and end")
    _add_daemon_flags(parser)
    _add_network_flags(parser.add_argument_group("network"))
    options = parser.parse_args(arguments)
    if options.bridge and options.bip:
        parser.error(
            "You specified -b & --bip, mutually exclusive options. Please specify only one"
        )
    return options


def _add_daemon_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    # fmt: off
    add("-H", "--host", default="unix:///run/netinit.sock", metavar="unix://PATH",
        type=_socket_address, help="socket to listen on (default: %(default)s)")
    add("--data-root", default="/var/lib/netinit", metavar="DIR", type=_path,
        help="images, containers and networks are kept here (default: %(default)s)")
    add("--exec-root", default="/run/netinit", metavar="DIR", type=_path,
        help="namespaces and bundles of running containers (default: %(default)s)")
    add("-p", "--pidfile", metavar="FILE", type=_path,
        help="write the daemon's process id here")
    add("--metrics-addr", metavar="HOST:PORT", type=_metrics_address,
        help="serve Prometheus metrics at /metrics there")
    add("--runtime", metavar="PROGRAM", type=_path,
        help="OCI runtime: runc, crun or a path (default: the first of these that works)")
    add("-l", "--log-level", default="info", choices=("debug", "info", "warn", "error", "fatal"),
        help="what is logged on standard error (default: %(default)s)")
    # fmt: on


def _add_network_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    # fmt: off
    add("-b", "--bridge", default="", metavar="NAME", type=_bridge,
        help="bridge for the default network; 'none' runs without a default network")
    add("--bip", default="", metavar="CIDR", type=_ipv4_cidr,
        help="the default bridge's own address")
    add("--default-gateway", default="", metavar="ADDRESS", type=_ipv4_address,
        help="gateway of the default network's containers, instead of the bridge")
    add("--fixed-cidr", default="", metavar="CIDR", type=_ipv4_cidr,
        help="the default bridge gives out addresses of this part of its subnet")
    add("--ipv6", nargs="?", default="false", const="true", choices=("true", "false"),
        help="give containers of the default network IPv6, too (default: %(default)s)")
    add("--fixed-cidr-v6", default="", metavar="CIDR", type=_ipv6_cidr,
        help="the default bridge's IPv6 subnet; --ipv6 needs it")
    add("--default-gateway-v6", default="", metavar="ADDRESS", type=_ipv6_address,
        help="IPv6 gateway of the default network's containers, instead of the bridge")
    add("--default-address-pool", action="append", default=[], metavar="base=CIDR,size=BITS",
        type=_address_pool,
        help="where networks get a subnet that name none, instead of Docker's own list; "
        "may be repeated")
    add("--mtu", type=_mtu, default=MTU_BYTES_DEFAULT, metavar="BYTES",
        help="MTU of the default bridge (default: %(default)s)")
    add("--icc", nargs="?", default="true", const="true", choices=("true", "false"),
        help="let containers on the default bridge talk to each other (default: %(default)s)")
    add("--ip-masq", nargs="?", default="true", const="true", choices=("true", "false"),
        help="hosts outside see the host's address, not the containers' (default: %(default)s)")
    add("--ip", default="0.0.0.0", metavar="ADDRESS", type=_address,  # noqa: S104
        help="address of the host at which the default network publishes ports whose binding "
        "names none (default: %(default)s)")
    add("--userland-proxy", nargs="?", default="true", const="true", choices=("true", "false"),
        help="let a process beside the daemon lead on what reaches a published port and no "
        "firewall rule can: [::1], and IPv6 for a container without (default: %(default)s)")
    add("--dns", action="append", default=[], metavar="ADDRESS", type=_address,
        help="name server for containers, instead of the host's; may be repeated")
    add("--dns-search", action="append", default=[], metavar="DOMAIN", type=_domain,
        help="search domain for containers; may be repeated")
    add("--dns-opt", action="append", default=[], metavar="OPTION", type=_word,
        help="resolver option for containers; may be repeated")
    # fmt: on


@contextlib.contextmanager
def naming(flag: str, value: str) -> Iterator[None]:
    """Add a flag's name and value to the error of what uses it.

    Raises:
        EngineError: what failed inside.
    """
    try:
        yield
    except (EngineError, OSError, ValueError, OverflowError) as error:
        raise EngineError(f"{flag} {value}: {message_of(error)}") from error


def socket_path(host: str) -> Path:
    """Return the path of a `unix://` address that was checked."""
    return Path(host.removeprefix("unix://"))


def metrics_address(text: str) -> tuple[str, int]:
    """Split a `HOST:PORT` that was checked; an IPv6 address stands in brackets."""
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _refuse(text: str) -> argparse.ArgumentTypeError:
    """Build the error of a value; argparse puts the flag's name in front of it."""
    return argparse.ArgumentTypeError(text)


def _socket_address(text: str) -> str:
    scheme, separator, path = text.partition("://")
    if separator and scheme != "unix":
        raise _refuse(f"cannot listen on {text}: only unix:// sockets are served")
    path = _path(path if separator else text)
    if len(path.encode()) > SOCKET_PATH_BYTES_MAX:
        raise _refuse(f"{path!r} is longer than {SOCKET_PATH_BYTES_MAX} bytes")
    return f"unix://{path}"


def _path(text: str) -> str:
    if not text:
        raise _refuse("a path is needed")
    return text


def _metrics_address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not _is_number(port, 0, PORT_MAX):
        raise _refuse(f"invalid metrics address {text!r}: expected HOST:PORT")
    return text


def _is_number(text: str, low: int, high: int) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", text) is not None and low <= int(text) <= high


def _is_ip(text: str, *families: socket.AddressFamily) -> bool:
    for family in families:
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, text)
            return True
    return False


def _cidr(family: socket.AddressFamily, length_bits: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        address, _, length = text.partition("/")
        if text and not (_is_ip(address, family) and _is_number(length, 0, length_bits)):
            raise _refuse(f"invalid CIDR address: {text}")
        return text

    return check


_ipv4_cidr = _cidr(socket.AF_INET, _IPV4_BITS)
_ipv6_cidr = _cidr(socket.AF_INET6, _IPV6_BITS)


def _address_pool(text: str) -> tuple[str, int]:
    """Read `base=CIDR,size=BITS`; the texts are those of dockerd's flag and of its start."""
    values = {"base": "", "size": "0"}
    for part in text.split(","):
        key, separator, value = part.partition("=")
        if not separator:
            raise _refuse(f"invalid field '{part}' must be a key=value pair")
        if key.lower() not in values:
            raise _refuse(f"unexpected key '{key}' in '{part}'")
        values[key.lower()] = value
    base, size = values["base"], values["size"]
    address, _, length = base.partition("/")
    family = socket.AF_INET if _is_ip(address, socket.AF_INET) else socket.AF_INET6
    bits = _IPV4_BITS if family == socket.AF_INET else _IPV6_BITS
    if not (_is_ip(address, family) and _is_number(length, 0, bits)):
        raise _refuse(f'invalid base pool "{base}": invalid CIDR address: {base}')
    if re.fullmatch(r"[+-]?[0-9]{1,9}", size) is None:
        raise _refuse(f'invalid size value: "{size}" (must be integer)')
    if not max(int(length), 1) <= int(size) <= bits:
        raise _refuse(f"invalid pools size: {int(size)}")
    return base, int(size)


def _address(text: str) -> str:
    if not _is_ip(text, socket.AF_INET, socket.AF_INET6):
        raise _refuse(f"{text} is not an ip address")
    return text


def _address_of(family: socket.AddressFamily, name: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text and not _is_ip(_address(text), family):
            raise _refuse(f"{text} is not an {name} address")
        return text

    return check


_ipv4_address = _address_of(socket.AF_INET, "ipv4")
_ipv6_address = _address_of(socket.AF_INET6, "ipv6")


def _mtu(text: str) -> int:
    if text == "0":
        return MTU_BYTES_DEFAULT
    if not _is_number(text, MTU_BYTES_MIN, MTU_BYTES_MAX):
        raise _refuse(f"{text} is not a number from {MTU_BYTES_MIN} to {MTU_BYTES_MAX}")
    return int(text)


def _matching(pattern: re.Pattern[str], complaint: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise _refuse(f"{text} is not a valid {complaint}")
        return text

    return check


_domain = _matching(_DOMAIN, "domain")
_word = _matching(_WORD, "option")


def _bridge(text: str) -> str:
    is_name = "/" not in text and text not in {".", ".."} and (not text or _WORD.fullmatch(text))
    if not is_name or len(text.encode()) > INTERFACE_NAME_BYTES_MAX:
        raise _refuse(f"{text!r} is not a name of a bridge")
    return text
