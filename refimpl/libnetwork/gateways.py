"""Which endpoint of a sandbox its default routes lead to.

Mirrors: libnetwork default_gateway.go and sandbox.go epHeap (v20.10).
"""

from __future__ import annotations

from collections.abc import Sequence

from refimpl.kernel.base import GatewayPlan
from refimpl.libnetwork.endpoint import Endpoint, gateway_endpoint


def heap_order(endpoint: Endpoint) -> tuple[bool, bool, str]:
    """Order endpoints as gateways: internal ones last, dual-stack ones first, then by name.

    Mirrors: epHeap.Less (v20.10).
    """
    is_internal = endpoint.network.options.internal
    info = endpoint.info
    is_dual_stack = info.gateway4 is not None and info.gateway6 is not None
    return is_internal, is_internal or not is_dual_stack, endpoint.network.name


def gateway_plan(endpoints: Sequence[Endpoint]) -> GatewayPlan:
    """Return the default routes through the first endpoint in heap order that has a gateway."""
    endpoint = gateway_endpoint(endpoints)
    if endpoint is None:
        return GatewayPlan()
    gateway4, gateway6 = endpoint.info.gateway4, endpoint.info.gateway6
    return GatewayPlan(
        ipv4=None if gateway4 is None else str(gateway4),
        ipv6=None if gateway6 is None else str(gateway6),
        interface=endpoint.interface_name,
    )
