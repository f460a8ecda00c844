"""The reference in process leaves as little to a garbage collection as its program does."""

import gc
from types import SimpleNamespace

import pytest

from benchmarks import crowd, inprocess, worker


class Reference:
    """Stands for the daemon in process: it only makes containers."""

    def __init__(self, _directory):
        self.daemon = SimpleNamespace(network_create=lambda _network: None)
        self.allocate = self.release = None

    def create(self, name, _network):
        return name

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _nothing_is_frozen(monkeypatch):
    gc.unfreeze()
    for module in (crowd, inprocess):
        monkeypatch.setattr(module, "InProcess", Reference)
        monkeypatch.setattr(module, "mount_in_memory", lambda _path: None)
    yield
    gc.unfreeze()


def test_worker_serves_with_what_is_there_frozen(monkeypatch, tmp_path):
    frozen = []
    monkeypatch.setattr("sys.argv", ["inprocess", str(tmp_path)])
    monkeypatch.setattr(worker, "serve", lambda *_work: frozen.append(gc.get_freeze_count()))
    assert inprocess.main() == 0
    assert frozen[0] > 0


def test_worker_answers_a_release_when_the_links_are_gone(monkeypatch, tmp_path):
    log = []
    monkeypatch.setattr("sys.argv", ["inprocess", str(tmp_path)])
    monkeypatch.setattr(Reference, "release", lambda _self: log.append("released"), raising=False)
    monkeypatch.setattr(Reference, "__init__", lambda _self, _directory: None)
    monkeypatch.setattr(Reference, "allocate", None, raising=False)
    monkeypatch.setattr(inprocess, "wait_for_links_to_go", lambda: log.append("links gone"))
    monkeypatch.setattr(worker, "serve", lambda _allocate, release: release())
    assert inprocess.main() == 0
    assert log == ["released", "links gone"]


def test_crowd_freezes_the_containers_that_it_makes(monkeypatch, tmp_path):
    monkeypatch.setattr("resource.setrlimit", lambda _which, _limits: None)
    everybody = crowd.Crowd(tmp_path)
    everybody.answer({"do": "containers", "count": 2})
    assert gc.get_freeze_count() > 0
