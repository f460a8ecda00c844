"""The API on a socket, before a backend that notes what it is asked; many open files."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from refimpl.kernel.descriptors import raise_descriptor_limit
from tests.unit.refimpl.api_fake import FakeBackend, serving
from tests.unit.refimpl.raw_http import Client


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def path(backend: FakeBackend, tmp_path: Path) -> Iterator[Path]:
    with serving(backend, tmp_path / "api.sock"):
        yield tmp_path / "api.sock"


@pytest.fixture
def client(path: Path) -> Iterator[Client]:
    with Client(path) as client:
        yield client


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let a test open more files than a plain user may, as the daemon does at its start."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptor_limit(4096)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
