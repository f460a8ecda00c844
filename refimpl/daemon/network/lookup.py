"""Finding a network by what a client calls it.

Mirrors: moby daemon/network.go FindNetwork, daemon/container_operations.go getNetworkID (v20.10).
"""

from __future__ import annotations

from refimpl.errors import InvalidParameter, NotFound
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.network_mode import NetworkMode
from refimpl.model.wire_container import EndpointSettings


def find_network(controller: Controller, ref: str) -> Network:
    """Return the network that `ref` names: full id first, then name, then prefix of the id.

    Raises:
        NotFound: there is none.
        InvalidParameter: several have this name, or this prefix.
    """
    by_id = controller.network_by_id(ref)
    if by_id is not None:
        return by_id
    by_name = controller.networks_by_name(ref)
    if len(by_name) > 1:
        raise InvalidParameter(f"network {ref} is ambiguous ({len(by_name)} matches found on name)")
    if by_name:
        return by_name[0]
    by_prefix = [network for network in controller.networks() if network.id.startswith(ref)]
    if len(by_prefix) > 1:
        raise InvalidParameter(
            f"network {ref} is ambiguous ({len(by_prefix)} matches found based on ID prefix)"
        )
    if not by_prefix:
        raise NotFound(f"network {ref} not found")
    return by_prefix[0]


def get_network_id(name: str, settings: EndpointSettings | None) -> str:
    """Return what to look a recorded network up by: the id of a user network that is known.

    The predefined ones go by name: `bridge` has another id after each start of the daemon.
    """
    if NetworkMode(name).is_user_defined() and settings is not None and settings.network_id:
        return settings.network_id
    return name
