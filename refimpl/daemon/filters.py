"""The filters of a network list.

Mirrors: moby daemon/network/filter.go, runconfig.IsPreDefinedNetwork (v20.10).
"""

from __future__ import annotations

from collections.abc import Callable

from refimpl.daemon.backend import Filters
from refimpl.errors import EngineError, InvalidParameter
from refimpl.libnetwork.network import Network
from refimpl.model.network_mode import NetworkMode
from refimpl.model.patterns import Patterns, has_labels

_DANGLING = {"true": True, "1": True, "false": False, "0": False}


def verify_filters(filters: Filters, known: frozenset[str]) -> None:
    """Refuse filters and values that Docker refuses.

    Raises:
        InvalidParameter: an unknown filter, or no boolean where one is needed.
        EngineError: an unknown type of network; 500, as in v20.10.
    """
    for name in filters:
        if name not in known:
            raise InvalidParameter(f"Invalid filter '{name}'")
    if len(set(filters.get("dangling", ()))) > 1:
        raise InvalidParameter('got more than one value for filter key "dangling"')
    for value in filters.get("dangling", ()):
        if value not in _DANGLING:
            raise InvalidParameter(
                'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" '
                '(or "0")'
            )
    for value in filters.get("type", ()):
        if value not in {"builtin", "custom"}:
            raise EngineError(f"invalid filter: 'type'='{value}'")


def network_filter(filters: Filters) -> Callable[[Network], bool]:
    """Return a function that tells whether a network passes every filter (moby: FilterNetworks).

    A network is dangling when it is a custom one and no container is on it. Docker's own filter
    takes every custom network for one: it looks for containers before they are filled in.

    Raises:
        InvalidParameter: the patterns are too long.
    """
    wanted = {name: values for name, values in filters.items() if values}
    names = Patterns(wanted.get("name", ()))
    ids = Patterns(wanted.get("id", ()))
    checks: dict[str, Callable[[Network], bool]] = {
        "driver": lambda network: network.type in wanted["driver"],
        "name": lambda network: names.match(network.name),
        "id": lambda network: ids.match(network.id),
        "scope": lambda network: network.options.scope in wanted["scope"],
        "label": lambda network: has_labels(network.options.labels, wanted["label"]),
        "type": lambda network: ("custom" if _is_custom(network) else "builtin") in wanted["type"],
        "dangling": lambda network: _is_unused(network) == _DANGLING[wanted["dangling"][0]],
    }
    asked = [check for name, check in checks.items() if name in wanted]
    return lambda network: all(check(network) for check in asked)


def _is_custom(network: Network) -> bool:
    return NetworkMode(network.name).is_user_defined()


def _is_unused(network: Network) -> bool:
    return _is_custom(network) and not network.endpoints()
