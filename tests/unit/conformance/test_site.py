import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from conformance.bugs import Bug
from conformance.changes import Change
from conformance.cli import main
from conformance.registry import Behaviour, Tier
from conformance.report.document import DocumentError, read_document, write_document
from conformance.report.evidence import RESULTS_DIR
from conformance.report.missing import missing_capabilities_of
from conformance.site import links
from conformance.site.build import MARKER, files_of, write_site
from conformance.site.compat import SCHEMAS_DIR, compat_of
from conformance.site.content import Content, gather, times_of
from conformance.site.moving import move_between
from conformance.site.pages import matrix_grid
from conformance.verdicts import Verdict
from tests.unit.conformance.made_reports import cell, known, report

MARKUP = "</script><img src=x onerror=alert(1)>"


def row(id: str, docker: str = "", **more: Any) -> Behaviour:
    return Behaviour(
        id=id, **{"statement": f"{id} MUST be.", "source": "x", "docker": docker, **more}
    )


OLD, NEW = row("dns.x.old", "<28.0"), row("dns.x.new", ">=28.0", replaces=("dns.x.old",))
PLAIN = row("init.y", needs=("icc-option",))
ROWS = [OLD, NEW, PLAIN]


def evidence(*cells: dict[str, Any]) -> dict[str, Any]:
    """Give a report of Docker 20.10 and 28.5 and Podman 6.1, of these cells."""
    document = report(*cells)
    facts = {
        "docker-20.10": ("docker", "20.10.24"),
        "docker-28.5": ("docker", "28.5.2"),
        "podman-6.1": ("podman", "6.1.1"),
    }
    for engine in document["engines"]:
        if engine["name"] in facts:
            engine["family"], engine["version"] = facts[engine["name"]]
        engine["promises"] = "25.0" if engine["name"] == "podman-6.1" else engine["version"]
    return document


CELLS = [
    cell("dns.x.old", "docker-20.10"),
    cell("dns.x.new", "docker-20.10", "n/a"),
    cell("init.y", "docker-20.10"),
    cell("dns.x.old", "docker-28.5", "n/a"),
    cell("dns.x.new", "docker-28.5"),
    cell("init.y", "docker-28.5"),
    cell("dns.x.old", "podman-6.1", "known", expectation=known("it is otherwise")),
    cell("dns.x.new", "podman-6.1", "n/a"),
    cell("init.y", "podman-6.1", "unsupported", reason="capability missing: icc-option"),
]


def content_of(*cells: dict[str, Any], rows: list[Behaviour] = ROWS, **more: Any) -> Content:
    changes = more.get("changes", {})
    bugs = more.get("bugs", {})
    return gather(evidence(*(cells or CELLS)), rows, bugs, lambda one, other: changes)


def site_of(content: Content) -> dict[str, str]:
    return dict(files_of(content))


# ----------------------------------------------------------------------------------- variants


def test_rows_that_replace_each_other_are_one_row_that_says_which_an_engine_does():
    grid = matrix_grid(content_of())
    changed, plain = [each for area in grid.areas for each in area.rows]
    assert (changed.id, plain.id) == ("dns.x.new", "init.y")
    assert [each.note for each in changed.cells] == ["before 28.0", "since 28.0", ""]
    assert changed.sentences == (
        ("before 28.0", "dns.x.old MUST be."),
        ("since 28.0", "dns.x.new MUST be."),
    )
    assert [each.note for each in plain.cells] == ["", "", ""]


def test_older_id_stays_a_page_that_leads_to_the_behaviour():
    site = site_of(content_of())
    assert 'url=../behaviours/dns.x.new.html#dns.x.old"' in site["behaviours/dns.x.old.html"]
    assert 'id="dns.x.old"' in site["behaviours/dns.x.new.html"]
    assert 'id="dns.x.old"' in site[links.MATRIX]


@pytest.mark.parametrize(
    ("docker", "api", "said"),
    [
        ("", "", ""),
        (">=28.0", "", "since 28.0"),
        (">=18.06,<27.0", "", "from 18.06 until 27.0"),
        ("<28.0", ">=1.40", "before 28.0"),
        ("", "<1.44", "before API 1.44"),
        ("!=25.*", "", "!=25.*"),
    ],
)
def test_releases_in_words(docker, api, said):
    assert times_of(row("a.b", docker, api=api)) == said


# ----------------------------------------------------------------------------------- pages


def test_behaviour_has_everything_that_there_is_to_say():
    tested = row(
        "reach.z",
        bugs=("moby#1",),
        function="tests.unit.conformance.test_site:test_releases_in_words",
    )
    content = content_of(
        cell("reach.z", "docker-20.10"),
        cell("reach.z", "docker-28.5", "known", expectation=known("It drops `it`.")),
        rows=[tested],
        bugs={"moby#1": Bug(id="moby#1", area="reach", what="It dropped it.", broke="28.0")},
        changes={"reach.z": Change(see="docker run box ping", advice="Route `it`.")},
    )
    page = site_of(content)["behaviours/reach.z.html"]
    for said in (
        'id="docker-28.5"',
        "It drops <code>it</code>.",
        'href="https://github.com/moby/moby/issues/1"',
        "It dropped it.",
        "docker run box ping",
        "Route <code>it</code>.",
        "python -m conformance run --engine docker-20.10 --engine docker-28.5 reach.z",
        "tests/unit/conformance/test_site.py",
        "def test_releases_in_words(",
        "../compare/docker-20.10-to-docker-28.5.html#reach.z",
    ):
        assert said in page


def test_pair_has_a_place_for_each_difference():
    page = site_of(content_of())[links.pair_page("docker-20.10", "docker-28.5")]
    assert re.search('<article class="[^"]*" id="dns.x.new">', page)
    assert 'href="../behaviours/dns.x.new.html"' in page


def test_advice_for_an_upgrade_is_on_the_pages_of_the_pair_and_of_the_behaviour():
    content = content_of(changes={"dns.x.new": Change(see="docker ps", advice="Look up names.")})
    site = site_of(content)
    for page in (links.pair_page("docker-20.10", "docker-28.5"), "behaviours/dns.x.new.html"):
        assert "Look up names." in site[page]
        assert "docker ps" in site[page]


def test_difference_that_need_not_exist_is_told_by_itself():
    page = site_of(content_of())["behaviours/dns.x.new.html"]
    _, differ = page.split('<h2 id="differences">')
    real, older = differ.split('<h2 id="older">')
    assert "docker-20.10-to-docker-28.5" in real
    assert "docker-28.5-to-podman-6.1" not in real
    assert "docker-28.5-to-podman-6.1" in older


def test_missing_capability_is_told_once_with_its_meaning():
    document = evidence(*CELLS)
    document["behaviours"] = [{"id": "init.y", "needs": ["host-view", "icc-option"]}]
    for engine in document["engines"]:
        engine["capabilities"] = ["host-view"]
    (missing,) = missing_capabilities_of(document)
    assert (missing.name, missing.meaning) == (
        "icc-option",
        "its daemon takes the option `icc`",
    )
    assert missing.rows == {"podman-6.1": 1}


def test_capability_that_nobody_knows_has_no_meaning():
    rows = [{"id": "init.y", "needs": ["wings"]}]
    (missing,) = missing_capabilities_of(evidence(*CELLS) | {"behaviours": rows})
    assert (missing.name, missing.meaning) == ("wings", "")


def test_page_of_an_engine_tells_its_own_lack_from_the_machines():
    document = evidence(*CELLS)
    document["behaviours"].append({"id": "init.z", "needs": ["sctp"]})
    engines = [engine["name"] for engine in document["engines"]]
    document["results"] += [cell("init.z", name, "unsupported") for name in engines]
    for row in document["behaviours"]:
        row.setdefault("needs", ["icc-option"] if row["id"] == "init.y" else [])
    site = site_of(gather(document, ROWS, {}, lambda one, other: {}))
    page = site[links.engine_page("podman-6.1")]
    own, machine = page.index("What this engine lacks"), page.index("What the machine lacked")
    assert own < page.index('id="capability-icc-option"') < machine
    assert machine < page.index('id="capability-sctp"')
    assert "docker-28.5: 1" not in page
    assert "What this engine lacks" not in site[links.engine_page("docker-28.5")]
    assert 'sctp</code> <span class="since">of the machine' in site[links.MATRIX]


def test_podmans_page_begins_with_what_is_kept_and_lost():
    names = [f"reach.kept-{letter}" for letter in "abcdefghij"]
    gone = [f"links.gone-{letter}" for letter in "abcdefghij"]
    cells = [cell(id, "docker-28.5") for id in (*names, *gone)]
    cells += [cell(id, "podman-6.1") for id in names]
    cells += [cell(id, "podman-6.1", "known", expectation=known("no")) for id in gone]
    content = content_of(*cells, rows=[row(id) for id in (*names, *gone)])
    move = move_between(content, "docker-28.5", "podman-6.1")
    assert (move.kept, move.lost, move.unknown) == (10, 10, 0)
    assert move.summary == (
        "If you move from Docker 28.5 to Podman 6.1, you keep 10 of the 20 behaviours that could "
        "be compared and lose 10. You keep most of: who reaches whom (10 of 10). "
        "You lose most of: links between containers (10 of 10)."
    )
    first = site_of(content)[links.PODMAN].partition("<p")[2].partition("</p>")[0]
    assert move.summary in first


def test_what_could_not_be_seen_is_neither_kept_nor_lost():
    move = move_between(content_of(), "docker-28.5", "podman-6.1")
    assert {share.word: share.unknown for share in move.subjects} == {"init": 1}
    assert move.kept == 0


def test_site_without_podman_has_no_page_of_it():
    site = site_of(content_of(cell("init.y", "docker-20.10"), cell("init.y", "docker-28.5")))
    assert links.PODMAN not in site
    assert links.PODMAN not in site["index.html"]


@pytest.mark.parametrize("family", ["docker", "podman", "mine"])
def test_site_of_an_engine_that_never_came_up(family):
    down = cell("init.y", "mine", "error", reason="it did not start")
    document = evidence(down, *CELLS)
    document["engines"][0].update(family=family, version="", promises="")
    site = site_of(gather(document, ROWS, {}))
    page = site[links.engine_page("mine")]
    assert "not known" in page
    assert "deviates in 0, and 1 could not be looked at" in page
    assert "Docker 20.10 to Docker 28.5" in site["index.html"]


# ----------------------------------------------------------------------------------- hostile


def test_whatever_an_engine_says_is_text():
    hostile = evidence(
        cell("init.y", "docker-20.10", "FAIL", reason=MARKUP, expected=MARKUP, actual=MARKUP),
        cell("dns.x.old", MARKUP, "known", expectation=known(MARKUP, link=f"javascript:{MARKUP}")),
    )
    hostile["run"] |= {"version": MARKUP, "revision": MARKUP}
    hostile["engines"][1] |= {
        "version": MARKUP,
        "packages": {MARKUP: MARKUP},
        "promises": MARKUP,
        "spec": MARKUP,
        "family": MARKUP,
    }
    rows = [row("init.y", statement=f"It MUST {MARKUP}.", source=MARKUP), OLD]
    changes = {"init.y": Change(see=MARKUP, advice=MARKUP)}
    site = site_of(gather(hostile, rows, {}, lambda one, other: changes))
    for path, text in site.items():
        if path.endswith(".html"):
            assert "<img" not in text, path
            assert text.count("</script>") == text.count("<script"), path
            assert 'href="javascript' not in text, path
    assert MARKUP in json.loads(site[links.COMPAT])["engines"]


@pytest.mark.parametrize("name", ["../../etc/x", "unix:///run/x.sock", "..", "a b\n"])
def test_page_of_an_engine_stays_in_the_folder(name, tmp_path):
    content = content_of(cell("init.y", name), cell("init.y", "docker-20.10"))
    for path in write_site(content, tmp_path / "site"):
        assert path.resolve().is_relative_to(tmp_path / "site")


def test_two_engines_of_one_page_are_refused():
    with pytest.raises(DocumentError, match="a-b"):
        content_of(cell("init.y", "a/b"), cell("init.y", "a:b"))


# ----------------------------------------------------------------------------------- data


def faults(document: Any, name: str) -> list[str]:
    schema = json.loads((SCHEMAS_DIR / f"{name}.schema.json").read_text(encoding="utf-8"))
    return [one.json_path for one in Draft202012Validator(schema).iter_errors(document)]


def test_compat_is_what_its_schema_says_and_tells_variants():
    compat = compat_of(content_of())
    assert faults(compat, "compat") == []
    assert compat["older_ids"] == {"dns.x.old": "dns.x.new"}
    support = compat["behaviours"]["dns.x.new"]["support"]
    assert [(one["variant"], one["supported"]) for one in support["docker"]] == [
        ("dns.x.old", True),
        ("dns.x.new", True),
    ]
    assert support["podman"][0]["supported"] is False
    assert support["podman"][0]["reason"] == "it is otherwise"


def test_compat_does_not_say_no_of_what_was_not_seen():
    support = compat_of(content_of())["behaviours"]["init.y"]["support"]["podman"]
    assert [one["supported"] for one in support] == [None]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_can_be_published(verdict):
    content = content_of(cell("init.y", "docker-20.10", verdict.value))
    assert faults(compat_of(content), "compat") == []
    assert faults(content.document, "conformance") == []


def test_schema_of_results_holds_for_a_report_and_for_evidence():
    path = max(RESULTS_DIR.glob("docker-20.10*.json"))
    assert faults(read_document(path), "conformance") == []
    broken = report(cell("init.y", "docker", "perhaps"))
    assert faults(broken, "conformance") == ["$.results[0].verdict"]


# ----------------------------------------------------------------------------------- building


def test_same_evidence_makes_the_same_bytes(tmp_path):
    first = write_site(content_of(), tmp_path / "one")
    second = write_site(content_of(), tmp_path / "two")
    assert [p.relative_to(tmp_path / "one") for p in first] == [
        p.relative_to(tmp_path / "two") for p in second
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_site_is_built_over_its_older_self_but_over_nothing_else(tmp_path):
    write_site(content_of(), tmp_path)
    stale = tmp_path / "behaviours" / "init.y.html"
    own = tmp_path / "behaviours" / "own.html"
    own.touch()
    write_site(content_of(rows=[OLD, NEW]), tmp_path)
    assert (stale.exists(), own.exists()) == (False, True)
    other = tmp_path / "home"
    other.mkdir()
    (other / "letter").touch()
    with pytest.raises(DocumentError, match="holds no site"):
        write_site(content_of(), other)
    (other / links.COMPAT).touch()
    with pytest.raises(DocumentError, match="holds no site"):
        write_site(content_of(), other)
    assert sorted(path.name for path in other.iterdir()) == [links.COMPAT, "letter"]


def test_build_that_was_killed_does_not_block_the_next_one(monkeypatch, tmp_path):
    def killed(content: Content) -> Iterator[tuple[str, str]]:
        yield "engines/half.html", "half"
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("conformance.site.build.files_of", killed)
        with pytest.raises(KeyboardInterrupt):
            write_site(content_of(), tmp_path / "site")
    write_site(content_of(), tmp_path / "site")
    assert not (tmp_path / "site" / "engines" / "half.html").exists()


def test_list_of_a_sites_files_removes_nothing_elsewhere(tmp_path):
    (tmp_path / "letter").touch()
    write_site(content_of(), tmp_path / "site")
    with (tmp_path / "site" / MARKER).open("a") as marker:
        marker.write(f"../letter\n{tmp_path}/letter\n")
    write_site(content_of(), tmp_path / "site")
    assert (tmp_path / "letter").exists()


def run(*words: str | Path) -> Any:
    return CliRunner().invoke(main, ["site", *map(str, words)])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue and evidence of three rows."""
    monkeypatch.setattr("conformance.site.command.load_catalogue", lambda: ROWS)
    monkeypatch.setattr("conformance.site.command.read_evidence", lambda: evidence(*CELLS))


def test_command_takes_reports_in_the_place_of_evidence(small, tmp_path):
    mine = evidence(cell("init.y", "docker-28.5", "FAIL"), cell("init.y", "my-docker"))
    mine["engines"][0]["version"] = "28.5.9"
    write_document(mine, tmp_path / "conformance.json")
    done = run(tmp_path / "site", "--report", tmp_path)
    assert done.exit_code == 0, done.output
    compat = json.loads((tmp_path / "site" / links.COMPAT).read_text(encoding="utf-8"))
    assert list(compat["engines"]) == ["docker-20.10", "docker-28.5", "my-docker", "podman-6.1"]
    assert compat["engines"]["docker-28.5"]["version"] == "28.5.9"
    matrix = (tmp_path / "site" / links.MATRIX).read_text(encoding="utf-8")
    heads = re.findall('<th scope="col" role="columnheader" data-engine="([^"]*)"', matrix)
    assert heads == ["docker-20.10", "docker-28.5", "podman-6.1", "my-docker"]
    assert (tmp_path / "site" / "engines" / "my-docker.html").is_file()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 9}', "[" * 100_000])
def test_report_that_is_none_is_a_question_of_usage(small, text, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    done = run(tmp_path / "site", "--report", path)
    assert done.exit_code == 3, done.output
    assert "bad.json" in done.output
    assert not (tmp_path / "site").exists()


def test_folder_that_cannot_be_written_is_a_question_of_usage(small, tmp_path):
    (tmp_path / "file").touch()
    assert run(tmp_path / "file" / "site").exit_code == 3


def test_front_page_counts_behaviours_and_tests():
    front = site_of(content_of())["index.html"]
    assert "2 questions" in front
    assert "3 tests" in front


def test_tier_of_a_behaviour_is_the_gravest_of_its_variants():
    quirk = row("dns.x.old", "<28.0", tier=Tier.QUIRK)
    (entry, _) = content_of(rows=[quirk, NEW, PLAIN]).entries
    assert entry.tier is Tier.CONTRACT
