"""The logging drivers and their options: what a client may ask for, and what it comes to.

As in Docker, names are checked when a container is created, values when it is started.

Mirrors: moby daemon/logger/{factory,loginfo}.go, jsonfilelog/jsonfilelog.go, local/local.go,
docker/go-units size.go (v20.10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from refimpl.daemon.containers.container import Container
from refimpl.daemon.streams.log_files import LogLimits
from refimpl.errors import EngineError, InvalidParameter, NotServed
from refimpl.model.strconv import parse_bool, parse_int, quote
from refimpl.model.wire_container import LogConfig

T = TypeVar("T")

JSON_FILE, LOCAL, NONE = "json-file", "local", "none"

LOG_FILES_MAX = 1000
"""The largest `max-file`: each rotation renames every file of the log."""
ATTRIBUTES_BYTES_MAX = 16 * 1024
"""How long the labels and variables of each entry may be together."""

_JSON_FILE_OPTIONS = frozenset(
    {"max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"}
)
_LOCAL_OPTIONS = frozenset({"max-file", "max-size", "compress"})
_COMMON_OPTIONS = frozenset({"mode", "max-buffer-size"})

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)*) ?([kKmMgGtTpP])?[iI]?[bB]?", re.ASCII)
_INT64_MAX = (1 << 63) - 1
_TAG_FIELD = re.compile(r"\{\{ *\.([A-Za-z]+) *\}\}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What a container's log options come to."""

    limits: LogLimits = field(default_factory=LogLimits)
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What each entry tells of its container."""


DEFAULT_OPTIONS = LogOptions()


def validate_log_config(config: LogConfig) -> None:
    """Check a create request's logging driver and the names of its options.

    Mirrors: moby daemon/logger/factory.go ValidateLogOpts (v20.10).

    Raises:
        InvalidParameter: there is no such driver, option or mode.
        NotServed: an option that this engine does not apply.
    """
    driver, options = config.type, config.config or {}
    if driver not in {"", JSON_FILE, LOCAL, NONE}:
        raise InvalidParameter(
            f'error looking up logging plugin {driver}: plugin "{driver}" not found'
        )
    if driver == NONE:
        return  # Docker looks at no option of it
    _validate_mode(options)
    known = _LOCAL_OPTIONS if driver == LOCAL else _JSON_FILE_OPTIONS
    for name in options:
        if name not in known | _COMMON_OPTIONS:
            place = "log driver local" if driver == LOCAL else "json-file log driver"
            raise InvalidParameter(f"unknown log opt '{name}' for {place}")
    for name in ("labels-regex", "env-regex"):
        if options.get(name):
            raise NotServed(f"log opt '{name}' is not served by this engine")


def _validate_mode(options: Mapping[str, str]) -> None:
    """Check the mode; no container ever waits for this engine's log, so both come to the same."""
    mode = options.get("mode", "")
    if mode not in {"", "blocking", "non-blocking"}:
        raise InvalidParameter(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise InvalidParameter(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
            )
        try:
            parse_size(options["max-buffer-size"], 1024)
        except ValueError as error:
            raise InvalidParameter(f"error parsing option max-buffer-size: {error}") from None


def log_options(container: Container) -> LogOptions:
    """Read the values of a container's log options.

    Raises:
        EngineError: one is no value; what Docker answers a start with.
    """
    config = container.host_config.log_config
    options = config.config or {}
    if config.type == NONE or (not options and config.type != LOCAL):
        return DEFAULT_OPTIONS
    try:
        if config.type == LOCAL:
            found = LogOptions(limits=_local_limits(options))
        else:
            found = LogOptions(
                limits=_json_file_limits(options), attributes=_attributes(container, options)
            )
        if found.limits.max_files > LOG_FILES_MAX:
            raise ValueError(f"max-file cannot be more than {LOG_FILES_MAX}")
    except ValueError as error:
        raise EngineError(f"failed to initialize logging driver: {error}") from None
    return found


def _json_file_limits(options: Mapping[str, str]) -> LogLimits:
    max_bytes = parse_size(options["max-size"], 1000) if "max-size" in options else None
    if max_bytes is not None and not 0 < max_bytes <= _INT64_MAX:
        raise ValueError("max-size must be a positive number")
    max_files = parse_int(options.get("max-file", "1"))
    if max_files < 1:
        raise ValueError("max-file cannot be less than 1")
    compress = parse_bool(options.get("compress", "false"))
    if compress and (max_files == 1 or max_bytes is None):
        raise ValueError(
            "compress cannot be true when max-file is less than 2 or max-size is not set"
        )
    return LogLimits(max_bytes=max_bytes, max_files=max_files, compress=compress)


def _local_limits(options: Mapping[str, str]) -> LogLimits:
    def read(name: str, default: str, parse: Callable[[str], T], told: str) -> T:
        text = options.get(name, default)
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f"{told.format(text)}: {error}") from None

    max_bytes = read(
        "max-size", "20m", lambda text: parse_size(text, 1024), "invalid value for max-size: {}"
    )
    max_files = max(read("max-file", "5", parse_int, "invalid value for max-file: {}"), 1)
    compress = read("compress", "true", parse_bool, "error reading compress log option")
    if compress and max_files == 1:
        raise ValueError("compression cannot be enabled when max file count is 1")
    return LogLimits(max_bytes=max_bytes, max_files=max_files, compress=compress)


def _attributes(container: Container, options: Mapping[str, str]) -> Mapping[str, str]:
    """Return the labels, variables and tag that each entry gets (moby: ExtraAttributes)."""
    labels = container.config.labels or {}
    pairs = (line.partition("=") for line in container.config.env or [])
    variables = {name: value for name, separator, value in pairs if separator}
    attributes = {
        name: source[name]
        for option, source in (("labels", labels), ("env", variables))
        for name in options.get(option, "").split(",")
        if name in source
    }
    if options.get("tag"):
        attributes["tag"] = _tag(container, options["tag"])
    length = sum(len(name.encode()) + len(value.encode()) for name, value in attributes.items())
    if length > ATTRIBUTES_BYTES_MAX:
        raise ValueError(f"labels and env are longer than {ATTRIBUTES_BYTES_MAX} bytes")
    return attributes


def _tag(container: Container, template: str) -> str:
    fields = {
        "ID": container.id[:12],
        "FullID": container.id,
        "Name": container.name.removeprefix("/"),
        "ImageName": container.config.image,
        "ImageFullID": container.image_id,
        "DaemonName": "docker",
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise NotServed(f"log opt 'tag': {{{{.{match[1]}}}}} is not served by this engine")
        return fields[match[1]]

    if "{{" in _TAG_FIELD.sub("", template):
        raise NotServed(f"log opt 'tag': {template} is not served by this engine")
    return _TAG_FIELD.sub(value, template)


def parse_size(text: str, unit: int) -> int:
    """Read a size such as `10m` or `1.5 KiB`, in bytes.

    Args:
        text: the size.
        unit: what `k` stands for: 1000 (units.FromHumanSize) or 1024 (units.RAMInBytes).

    Raises:
        ValueError: it is none, with Docker's text.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid size: '{text}'")
    number, prefix = match.groups()
    if number.count(".") > 1 or len(number) > 40:
        raise ValueError(f"strconv.ParseFloat: parsing {quote(number)}: invalid syntax")
    return int(float(number) * unit ** ("kmgtp".index(prefix.lower()) + 1 if prefix else 0))
