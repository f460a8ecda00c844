"""The API on a socket, before a backend that notes what it is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
