"""Containers that end by a signal in a way of their own, and when they are ready for it.

A container's start returns before its shell has come to the `trap`. Until then the signal is lost:
the first process of a namespace ignores what it has no handler for.
"""

from docker.models.containers import Container

from conformance.observe.poll import eventually


def trapping(signal: str, action: str) -> list[str]:
    """Give the command of a container that does something when a signal comes, and else waits."""
    return [
        "sh",
        "-c",
        f"trap '{action}' {signal}; echo up; while :; do sleep 3600 & wait $!; done",
    ]


def wait_until_trapping(container: Container) -> None:
    """Wait until the container has its trap."""
    eventually("the container is ready for the signal", lambda: b"up" in container.logs())
