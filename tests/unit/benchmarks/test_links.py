"""A container's links are seen by the kernel's table, and waited for until they are gone."""

from contextlib import closing
from threading import Timer

import pytest

from benchmarks import links
from benchmarks.links import ContainerLinks, LinksError, wait_for_links_to_go

HEAD = "Inter-|   Receive\n face |bytes\n"
BRIDGE = "docker0: 0 0 0\n    lo: 0 0 0\n"
CONTAINERS = "veth12ab: 1 2 3\n veth0:0 0 0\n"


@pytest.fixture
def table(monkeypatch, tmp_path):
    path = tmp_path / "dev"
    path.write_text(HEAD + BRIDGE + CONTAINERS)
    monkeypatch.setattr(links, "_TABLE", str(path))
    return path


def test_only_the_links_of_containers_count(table):
    with closing(ContainerLinks()) as found:
        assert found.names() == ["veth12ab", "veth0"]


def test_link_that_goes_is_waited_for(table):
    timer = Timer(0.05, table.write_text, [HEAD + BRIDGE])
    timer.start()
    wait_for_links_to_go()
    assert "veth" not in table.read_text()
    timer.join()


def test_link_that_stays_is_named(table):
    said = "veth12ab, veth0: still there after 0 s"
    with closing(ContainerLinks()) as found, pytest.raises(LinksError, match=said):
        found.wait_until_gone(timeout_s=0)


def test_namespace_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LinksError, match="gone: No such file or directory"):
        ContainerLinks(tmp_path / "gone")
