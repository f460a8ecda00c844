"""Networks that only hold a configuration, and networks that are made from one.

Mirrors: libnetwork network.go validateConfiguration, applyConfigurationTo (v20.10).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from refimpl.errors import Forbidden, NotFound
from refimpl.libnetwork.network import Network
from refimpl.model.network import NetworkOptions


def check_configuration(options: NetworkOptions) -> None:
    """Refuse what a configuration must not say, and what it says for others.

    Raises:
        Forbidden: with 20.10's texts.
    """
    is_operators = (
        options.ingress or options.internal or options.attachable or options.scope == "swarm"
    )
    if options.config_only and is_operators:
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator "
            "fields like [ ingress | internal | attachable | scope ] are not supported."
        )
    if not options.config_from:
        return
    if options.config_only:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    if (
        options.ipam_driver not in {"", "default"}
        or options.enable_ipv6
        or options.labels
        or options.ipam_options
        or options.ipam
    ):
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a "
            "configuration network"
        )
    if options.options:
        raise Forbidden(
            "network driver options are not supported if the network depends on a configuration "
            "network"
        )


def apply_configuration(options: NetworkOptions, networks: Iterable[Network]) -> NetworkOptions:
    """Return the options of a network with what it takes from its configuration, if it has one.

    Raises:
        NotFound: `configuration network "<name>" does not exist`.
    """
    name = options.config_from
    if not name:
        return options
    for network in networks:
        if network.name == name and network.options.config_only:
            source = network.options
            return replace(
                options,
                enable_ipv6=source.enable_ipv6,
                ipam_driver=source.ipam_driver,
                ipam_options=source.ipam_options,
                ipam=source.ipam,
                options=source.options,
                labels=source.labels,
            )
    raise NotFound(f'configuration network "{name}" does not exist')


def refuse_used(network: Network, networks: Iterable[Network]) -> None:
    """Refuse to remove a configuration that another network was made from.

    Raises:
        Forbidden: `configuration network "<name>" is in use`.
    """
    if not network.options.config_only:
        return
    if any(other.options.config_from == network.name for other in networks):
        raise Forbidden(f'configuration network "{network.name}" is in use')
