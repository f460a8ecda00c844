"""A row's network takes the next subnet where an engine of somebody else holds the first one."""

from types import SimpleNamespace
from typing import Any

import docker
import pytest

from conformance import workbench as module
from conformance.subnets import SubnetAllocator
from conformance.workbench import Workbench

OVERLAP = "Pool overlaps with other one on this address space"


class Engine:
    """Refuses the first subnets that it is asked for."""

    def __init__(self, refusals: list[str], *, is_managed: bool) -> None:
        self.refusals = refusals
        self.is_managed = is_managed
        self.asked: list[str] = []

    def client(self) -> Any:
        return SimpleNamespace(networks=self)

    def create(self, _name: str, *, ipam: Any, **_: Any) -> Any:
        self.asked.append(ipam["Config"][0]["Subnet"])
        if self.refusals:
            raise docker.errors.APIError(self.refusals.pop(0))
        return SimpleNamespace(id="1", reload=lambda: None)


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(module, "ensure_image", lambda *_, **__: "image")

    def make(refusals: list[str], *, is_managed: bool = False) -> tuple[Workbench, Engine]:
        engine: Any = Engine(refusals, is_managed=is_managed)
        return Workbench(engine, run_id="run", subnets=SubnetAllocator([])), engine

    return make


def test_next_subnet_is_taken(bench):
    workbench, engine = bench([OVERLAP, "subnet 10.213.1.0/24 is already used on the host"])
    workbench.network()
    assert engine.asked == ["10.213.0.0/24", "10.213.1.0/24", "10.213.2.0/24"]


@pytest.mark.parametrize(
    ("refusals", "is_managed"),
    [([OVERLAP] * 3, False), (["no space left on device"], False), ([OVERLAP], True)],
)
def test_other_refusals_are_the_rows(bench, refusals, is_managed):
    workbench, engine = bench(list(refusals), is_managed=is_managed)
    with pytest.raises(docker.errors.APIError, match=refusals[0]):
        workbench.network()
    assert len(engine.asked) == len(refusals)


def test_subnet_of_the_row_is_not_exchanged(bench):
    workbench, engine = bench([OVERLAP])
    with pytest.raises(docker.errors.APIError, match=OVERLAP):
        workbench.network(subnet="10.1.2.0/24")
    assert engine.asked == ["10.1.2.0/24"]
