"""The instructions that an import may carry: the part of a Dockerfile that sets a configuration.

Mirrors: moby builder/dockerfile/evaluator.go BuildFromConfig, validCommitCommands, and buildkit
frontend/dockerfile/{parser,instructions} (v20.10). Variables are not replaced, and of
HEALTHCHECK only NONE is served.
"""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Callable, Sequence
from itertools import dropwhile

from refimpl.errors import InvalidParameter
from refimpl.limits import IMPORT_CHANGE_CHARACTERS_MAX, IMPORT_CHANGES_MAX, PORT_MAX
from refimpl.model.ports import PROTOCOLS
from refimpl.model.strconv import quote
from refimpl.model.wire import Document
from refimpl.model.wire_container import Config, HealthConfig


def apply_changes(config: Config, changes: Sequence[str]) -> None:
    """Apply instructions such as `CMD ["sh"]` to a configuration.

    Raises:
        InvalidParameter: an instruction is unknown or malformed, or there are too many.
    """
    lines = [line.strip() for line in "\n".join(changes).split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    if changes and not lines:
        raise InvalidParameter("file with no instructions")
    if len(lines) > IMPORT_CHANGES_MAX:
        raise InvalidParameter(f"more than {IMPORT_CHANGES_MAX} changes")
    for line in lines:
        if len(line) > IMPORT_CHANGE_CHARACTERS_MAX:
            raise InvalidParameter(
                "dockerfile line greater than maximum allowed size of "
                f"{IMPORT_CHANGE_CHARACTERS_MAX}"
            )
        keyword, _, rest = line.partition(" ")
        change = _CHANGES.get(keyword.upper())
        if change is None:
            raise InvalidParameter(f"{keyword.lower()} is not a valid change command")
        change(config, rest.strip())


def _json_words(text: str) -> list[str] | None:
    """Read the JSON form of an instruction; None where it is the shell form.

    Raises:
        InvalidParameter: an array of something else than strings.
    """
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in words):
        raise InvalidParameter(
            "when using JSON array syntax, arrays must be comprised of strings only"
        )
    return list(words)


def _command(text: str) -> list[str]:
    words = _json_words(text)
    return ["/bin/sh", "-c", text] if words is None else words


def _pairs(keyword: str, text: str) -> dict[str, str]:
    """Read `A=1 B="x y"`, or the old form `A x y`."""
    if not text:
        raise InvalidParameter(f"{keyword} requires at least one argument")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidParameter(f"failed to process {json.dumps(text)}: {error}") from error
    if words and "=" not in words[0]:
        key, separator, value = text.partition(" ")
        if not separator:
            raise InvalidParameter(f"{keyword} must have two arguments")
        return {key: value.strip()}
    return dict(_pair(keyword, word) for word in words)


def _pair(keyword: str, word: str) -> tuple[str, str]:
    key, separator, value = word.partition("=")
    if not separator:
        raise InvalidParameter(
            f"Syntax error - can't find = in {json.dumps(word)}. Must be of the form: name=value"
        )
    if not key:
        raise InvalidParameter(f"{keyword} names can not be blank")
    return key, value


def _cmd(config: Config, text: str) -> None:
    config.cmd = _command(text)


def _entrypoint(config: Config, text: str) -> None:
    config.entrypoint = _command(text)


def _env(config: Config, text: str) -> None:
    given = _pairs("ENV", text)
    kept = [one for one in config.env or [] if one.partition("=")[0] not in given]
    config.env = kept + [f"{key}={value}" for key, value in given.items()]


def _expose(config: Config, text: str) -> None:
    if not text:
        raise InvalidParameter("EXPOSE requires at least one argument")
    ports: dict[str, Document] = dict(config.exposed_ports or {})
    left = len(PROTOCOLS) * (PORT_MAX + 1)
    for word in text.split():
        first, last, protocol = _port_range(word)
        left -= last - first + 1
        if left < 0:
            raise InvalidParameter("EXPOSE has too many ports")
        ports.update({f"{port}/{protocol}": {} for port in range(first, last + 1)})
    config.exposed_ports = ports


def _port_range(word: str) -> tuple[int, int, str]:
    """Read `80`, `80-82/udp` or `host:80` (moby: nat.ParsePortSpecs)."""
    numbers, _, protocol = word.rpartition(":")[2].partition("/")
    protocol = protocol.partition("/")[0].lower() or "tcp"
    first, _, last = numbers.partition("-")
    try:
        begin, end = _port(first), _port(last or first)
    except ValueError:
        begin, end = 1, 0
    if begin > end:
        raise InvalidParameter(f"Invalid containerPort: {numbers}")
    if protocol not in PROTOCOLS:
        raise InvalidParameter(f"Invalid proto: {protocol}")
    return begin, end, protocol


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= PORT_MAX):
        raise ValueError(text)
    return int(text)


def _label(config: Config, text: str) -> None:
    config.labels = {**(config.labels or {}), **_pairs("LABEL", text)}


def _user(config: Config, text: str) -> None:
    if not text:
        raise InvalidParameter("USER requires exactly one argument")
    config.user = text


def _volume(config: Config, text: str) -> None:
    words = _json_words(text)
    names = text.split() if words is None else words
    if not names:
        raise InvalidParameter("VOLUME requires at least one argument")
    if not all(name.strip() for name in names):
        raise InvalidParameter("VOLUME specified can not be an empty string")
    config.volumes = {**(config.volumes or {}), **{name.strip(): {} for name in names}}


def _workdir(config: Config, text: str) -> None:
    if not text:
        raise InvalidParameter("WORKDIR requires exactly one argument")
    joined = posixpath.join("/", config.working_dir, text)
    config.working_dir = posixpath.normpath("/" + joined.lstrip("/"))


def _onbuild(config: Config, text: str) -> None:
    if not text:
        raise InvalidParameter("ONBUILD requires at least one argument")
    trigger = text.split(maxsplit=1)[0].upper()
    if trigger == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in {"FROM", "MAINTAINER"}:
        raise InvalidParameter(f"{trigger} isn't allowed as an ONBUILD trigger")
    config.on_build = [*(config.on_build or []), text]


def _healthcheck(config: Config, text: str) -> None:
    words = list(dropwhile(lambda word: word.startswith("--"), text.split()))
    if not words:
        raise InvalidParameter("HEALTHCHECK requires at least one argument")
    kind = words[0].upper()
    if kind == "CMD":
        raise InvalidParameter("HEALTHCHECK CMD is not served by this engine, HEALTHCHECK NONE is")
    if kind != "NONE":
        raise InvalidParameter(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    if len(words) > 1:
        raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
    config.healthcheck = HealthConfig(test=["NONE"])


_CHANGES: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
