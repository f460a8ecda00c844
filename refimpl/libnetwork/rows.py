"""What the store's rows say: the one place that reads them, and writes those of networks.

A row that cannot be read is one kind of error, which names its table, its key and the field.
Everything above this file gets whole values and checks nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from refimpl.libnetwork.drivers.base import DriverState
from refimpl.libnetwork.ipam import IPAddress, Subnet, parse_cidr, parse_ip
from refimpl.model.network import IPAMPool, NetworkOptions

T = TypeVar("T")


class RowError(ValueError):
    """A row of the store cannot be read.

    Args:
        table: `network`, `endpoint` or `sandbox`.
        key: The row's id.
        field: The field, as `pools[0].subnet`; "" for the row as a whole.
        reason: What is wrong with it.
    """

    def __init__(self, table: str, key: str, field: str, reason: str) -> None:
        where = f"field {field!r}: " if field else ""
        super().__init__(f"row {key} of table {table}: {where}{reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """One pool of a network: the request, and what was reserved."""

    config: IPAMPool
    subnet: Subnet
    ip_range: Subnet | None
    gateway: IPAddress

    def encode(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "config": self.config.to_wire(),
            "subnet": str(self.subnet),
            "range": str(self.ip_range or ""),
            "gateway": str(self.gateway),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """A network as it comes back at the next start."""

    id: str
    name: str
    created: datetime
    options: NetworkOptions
    pools: tuple[PoolRow, ...]
    state: DriverState
    in_delete: bool = False
    """Its deletion has begun: it does not come back."""

    def encode(self) -> dict[str, Any]:
        """Return it as JSON values."""
        options = self.options
        return {
            "name": self.name,
            "created": self.created.isoformat(),
            "options": {
                "driver": options.driver,
                "internal": options.internal,
                "attachable": options.attachable,
                "enable_ipv6": options.enable_ipv6,
                "ipam_driver": options.ipam_driver,
                "ipam_options": None
                if options.ipam_options is None
                else dict(options.ipam_options),
                "ipam": [entry.to_wire() for entry in options.ipam],
                "options": dict(options.options),
                "labels": dict(options.labels),
                "scope": options.scope,
                "config_only": options.config_only,
                "config_from": options.config_from,
            },
            "pools": [pool.encode() for pool in self.pools],
            "state": dict(self.state),
            "in_delete": self.in_delete,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRow:
    """A sandbox that the last daemon had."""

    id: str
    container_id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """An endpoint that the last daemon had."""

    id: str
    host_name: str
    """The host's end of its veth pair, "" without one."""


def read_network(key: str, value: Any) -> NetworkRow:
    """Read a network's row.

    Raises:
        RowError: it cannot be read.
    """
    row = _Fields("network", key, "", value)
    return NetworkRow(
        id=key,
        name=row.text("name"),
        created=row.read("created", lambda value: _aware(datetime.fromisoformat(value))),
        options=_read_options(row.inner("options")),
        pools=tuple(_read_pool(pool) for pool in row.each("pools")),
        state=row.read("state", _flat),
        in_delete=row.flag("in_delete"),
    )


def read_sandbox(key: str, value: Any) -> SandboxRow:
    """Read a sandbox's row.

    Raises:
        RowError: it cannot be read.
    """
    row = _Fields("sandbox", key, "", value)
    return SandboxRow(id=key, container_id=row.text("container_id"), key=row.text("key"))


def read_endpoint(key: str, value: Any) -> EndpointRow:
    """Read an endpoint's row.

    Raises:
        RowError: it cannot be read.
    """
    return EndpointRow(id=key, host_name=_Fields("endpoint", key, "", value).text("host_name"))


def read_all(
    read: Callable[[str, Any], T], rows: Mapping[str, Any]
) -> tuple[tuple[T, ...], tuple[RowError, ...]]:
    """Read every row of a table: those that can be read, and the errors of the others."""
    found: list[T] = []
    errors: list[RowError] = []
    for key, value in rows.items():
        try:
            found.append(read(key, value))
        except RowError as error:
            errors.append(error)
    return tuple(found), tuple(errors)


def _read_options(row: _Fields) -> NetworkOptions:
    known = {field.name for field in fields(NetworkOptions)}
    row.refuse_others(known)
    return NetworkOptions(
        driver=row.text("driver"),
        internal=row.flag("internal"),
        attachable=row.flag("attachable"),
        enable_ipv6=row.flag("enable_ipv6"),
        ipam_driver=row.text("ipam_driver"),
        ipam_options=row.read(
            "ipam_options", lambda value: value if value is None else _map(value)
        ),
        # nobody has read those of a configuration, nor of an IPv6 subnet without EnableIPv6
        ipam=tuple(_read_request(entry, _text) for entry in row.each("ipam")),
        options=row.read("options", _map),
        labels=row.read("labels", _map),
        scope=row.text("scope"),
        config_only=row.has("config_only") and row.flag("config_only"),
        config_from=row.text("config_from") if row.has("config_from") else "",
    )


def _read_pool(row: _Fields) -> PoolRow:
    return PoolRow(
        config=_read_request(row.inner("config"), _address),
        subnet=row.read("subnet", _subnet),
        ip_range=row.read("range", lambda value: None if value == "" else _subnet(value)),
        gateway=row.read("gateway", _address),
    )


def _read_request(row: _Fields, auxiliary: Callable[[Any], object]) -> IPAMPool:
    def read(value: Any) -> IPAMPool:
        pool = IPAMPool.from_wire(_dict(value))
        for text in (pool.subnet, pool.ip_range, pool.gateway):
            _text(text)
        for text in pool.aux_addresses.values():
            auxiliary(text)
        return pool

    return row.whole(read)


class _Fields:
    """The fields of a row, or of a part of it; an error names table, key and field."""

    def __init__(self, table: str, key: str, path: str, value: Any) -> None:
        self._at = (table, key)
        self._path = path
        self._value = value
        self._fields: dict[str, Any] = self.whole(_dict)

    def read(self, name: str, convert: Callable[[Any], T]) -> T:
        """Read one field."""
        path = f"{self._path}.{name}" if self._path else name
        if name not in self._fields:
            raise RowError(*self._at, path, "it is missing")
        return self._convert(path, self._fields[name], convert)

    def has(self, name: str) -> bool:
        """Tell whether a field is there: one that came later is not in every row."""
        return name in self._fields

    def whole(self, convert: Callable[[Any], T]) -> T:
        """Read all fields as one value."""
        return self._convert(self._path, self._value, convert)

    def text(self, name: str) -> str:
        """Read a text."""
        return self.read(name, _text)

    def flag(self, name: str) -> bool:
        """Read a boolean."""
        return self.read(name, _flag)

    def inner(self, name: str) -> _Fields:
        """Return the fields of a field."""
        path = f"{self._path}.{name}" if self._path else name
        return _Fields(*self._at, path, self.read(name, _dict))

    def each(self, name: str) -> list[_Fields]:
        """Return the fields of every entry of a list."""
        path = f"{self._path}.{name}" if self._path else name
        return [
            _Fields(*self._at, f"{path}[{number}]", value)
            for number, value in enumerate(self.read(name, _list))
        ]

    def refuse_others(self, known: Iterable[str]) -> None:
        """Raise for a field that is not known."""
        for name in self._fields.keys() - set(known):
            raise RowError(*self._at, f"{self._path}.{name}", "it is not known")

    def _convert(self, path: str, value: Any, convert: Callable[[Any], T]) -> T:
        try:
            return convert(value)
        except (ValueError, TypeError, AttributeError) as error:
            raise RowError(*self._at, path, str(error)) from error


def _aware(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _map(value: Any) -> dict[str, str]:
    return {name: _text(text) for name, text in _dict(value).items()}


def _flat(value: Any) -> dict[str, str | bool | int]:
    if not all(isinstance(one, str | bool | int) for one in _dict(value).values()):
        raise TypeError("a value that is neither text, boolean nor number")
    return dict(value)


def _address(value: Any) -> IPAddress:
    address = parse_ip(_text(value))
    if address is None:
        raise ValueError("no address")
    return address


def _subnet(value: Any) -> Subnet:
    subnet = parse_cidr(_text(value))
    if subnet is None:
        raise ValueError("no subnet")
    return subnet
