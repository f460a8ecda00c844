"""The filters of a network list.

Mirrors: moby daemon/network/filter.go, runconfig.IsPreDefinedNetwork (v20.10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from refimpl.daemon.backend import Filters
from refimpl.errors import EngineError, InvalidParameter
from refimpl.libnetwork.network import Network
from refimpl.model.network_mode import NetworkMode

TRUE = frozenset({"1", "true", "t", "TRUE", "True", "T"})
FALSE = frozenset({"0", "false", "f", "FALSE", "False", "F"})


def verify_filters(filters: Filters, known: frozenset[str]) -> None:
    """Refuse filters and values that Docker refuses.

    Raises:
        InvalidParameter: an unknown filter, or no boolean where one is needed.
        EngineError: an unknown type of network; 500, as in v20.10.
    """
    for name in filters:
        if name not in known:
            raise InvalidParameter(f"Invalid filter '{name}'")
    for value in filters.get("dangling", ()):
        if value not in TRUE | FALSE:
            raise InvalidParameter(
                'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" '
                '(or "0")'
            )
    if len(set(filters.get("dangling", ()))) > 1:
        raise InvalidParameter('got more than one value for filter key "dangling"')
    for value in filters.get("type", ()):
        if value not in {"builtin", "custom"}:
            raise EngineError(f"invalid filter: 'type'='{value}'")


def has_labels(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """Tell whether every `key` or `key=value` is there."""
    for text in wanted:
        key, separator, value = text.partition("=")
        if key not in labels or (separator and labels[key] != value):
            return False
    return True


def matches(text: str, wanted: Sequence[str]) -> bool:
    """Tell whether one is the whole text, or a pattern that is found in it (moby: Args.Match).

    Go's and Python's patterns agree in all but rare cases; one that is none matches nothing.
    """
    for pattern in wanted:
        try:
            if pattern == text or re.search(pattern, text):
                return True
        except re.error:
            continue
    return False


def passes(network: Network, filters: Filters) -> bool:
    """Tell whether a network passes every filter.

    Every custom network is a dangling one: v20.10 looks for containers before it fills them in.
    """
    is_custom = NetworkMode(network.name).is_user_defined()
    checks: dict[str, Callable[[Sequence[str]], bool]] = {
        "driver": lambda wanted: network.type in wanted,
        "name": lambda wanted: matches(network.name, wanted),
        "id": lambda wanted: matches(network.id, wanted),
        "scope": lambda wanted: network.options.scope in wanted,
        "label": lambda wanted: has_labels(network.options.labels, wanted),
        "type": lambda wanted: ("custom" if is_custom else "builtin") in wanted,
        "dangling": lambda wanted: is_custom == (wanted[0] in TRUE),
    }
    return all(
        checks[name](wanted) for name, wanted in filters.items() if wanted and name in checks
    )
