import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conformance.changes import (
    Breaks,
    Change,
)
from conformance.cli import main
from conformance.registry import Behaviour, Tier, load_catalogue
from conformance.report.compare import compare_columns
from conformance.report.comparison import Comparison, Harm, Kind
from conformance.report.concerns import CONCERNS, Concern
from conformance.report.document import write_document
from conformance.report.evidence import RESULTS_DIR
from conformance.variants import groups_of
from conformance.versions import matches
from tests.unit.conformance.made_reports import cell, known, report

# releases of Docker, and the API version of each
RELEASES = {
    "17.06": "1.30",
    "20.10.24": "1.41",
    "23.0.6": "1.42",
    "24.0.9": "1.43",
    "25.0.5": "1.44",
    "26.1.5": "1.45",
    "27.5.1": "1.47",
    "28.5.2": "1.51",
    "29.1": "1.52",
}


def row(id: str, docker: str = "", **more: Any) -> Behaviour:
    return Behaviour(id=id, statement=f"{id} MUST be.", source="x", docker=docker, **more)


OLD, NEW = row("dns.x.old", "<28.0"), row("dns.x.new", ">=28.0", replaces=("dns.x.old",))
PLAIN = row("init.y")


# ---------------------------------------------------------------------- variants


def test_rows_that_replace_each_other_are_one_behaviour():
    (changed, plain) = groups_of([NEW, PLAIN, OLD])
    assert [one.id for one in changed.variants] == ["dns.x.old", "dns.x.new"]
    assert (changed.id, plain.id) == ("dns.x.new", "init.y")


def test_one_row_may_replace_several():
    other = row("dns.x.other", "<28.0")
    newest = row("dns.x.new", ">=28.0", replaces=("dns.x.old", "dns.x.other"))
    (group,) = groups_of([OLD, other, newest])
    assert group.id == "dns.x.new"


def test_variants_of_the_catalogue_exist_and_are_never_promised_together():
    rows = {each.id: each for each in load_catalogue()}
    for newer in rows.values():
        for old in newer.replaces:
            pair = (newer, rows[old])
            both = [
                release
                for release, api in RELEASES.items()
                if all(matches(one.docker, release) and matches(one.api, api) for one in pair)
            ]
            assert both == [], f"{newer.id} and {old}"


# ---------------------------------------------------------------------- what differs


DOCKER = {"name": "one", "family": "docker", "version": "28.5.2", "promises": "28.5.2"}
PODMAN = {"name": "other", "family": "podman", "version": "6.1.1", "promises": "25.0"}


def compared(first: dict[str, Any], second: dict[str, Any], *engines: dict[str, str]) -> Comparison:
    facts = (engines[0], engines[1]) if engines else ({}, {})
    return compare_columns([OLD, NEW, PLAIN], first, second, engines=facts)


def cells(**verdicts: str) -> dict[str, Any]:
    """Give one engine's results; what is not named is not promised, and `plain` passes."""
    ids = {"old": OLD.id, "new": NEW.id, "plain": PLAIN.id}
    return {
        id: cell(id, "any", verdicts.get(name, "pass" if name == "plain" else "n/a"))
        for name, id in ids.items()
    }


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"old": "pass"}, {"new": "pass"}, Kind.CHANGED),
        ({"old": "pass"}, {"new": "known"}, Kind.LOST),
        ({"old": "pass"}, {"old": "known"}, Kind.LOST),
        ({"new": "pass"}, {"old": "known"}, Kind.LOST),
        ({"old": "known"}, {"old": "pass"}, Kind.GAINED),
        ({"old": "known"}, {"new": "pass"}, Kind.GAINED),
        ({"old": "pass"}, {}, Kind.GONE),
        ({}, {"new": "pass"}, Kind.NEW),
        ({"old": "non-strict"}, {"old": "FIXED"}, Kind.GAINED),
    ],
)
def test_kind_of_a_difference(first, second, kind):
    found = compared(cells(**first), cells(**second))
    (difference,) = found.differences
    assert (difference.kind, difference.behaviour) == (kind, "dns.x.new")
    assert (difference.concern, found.same, found.unknown) == (Concern.REACH, 1, ())


def test_who_is_asked_for_an_older_docker_is_told_so_from_both_sides():
    there = compared(cells(new="pass"), cells(old="known"), DOCKER, PODMAN)
    back = compared(cells(old="known"), cells(new="pass"), PODMAN, DOCKER)
    assert [one.kind for one in (*there.differences, *back.differences)] == [Kind.OLDER] * 2


def test_what_an_engine_was_not_asked_for_is_no_difference():
    there = compared(cells(new="pass"), cells(), DOCKER, PODMAN)
    back = compared(cells(), cells(new="pass"), PODMAN, DOCKER)
    assert (there.differences, there.unasked) == ((), ("dns.x.new",))
    assert (back.differences, back.unasked) == ((), ("dns.x.new",))
    real = compared(cells(old="pass"), cells(), DOCKER, DOCKER)
    assert [one.kind for one in real.differences] == [Kind.GONE]


@pytest.mark.parametrize(
    ("first", "second", "engines", "when"),
    [
        ({"old": "pass"}, {"new": "pass"}, (DOCKER, DOCKER), "since Docker 28.0"),
        ({"new": "pass"}, {"old": "pass"}, (DOCKER, DOCKER), "as Docker did before 28.0"),
        ({"new": "pass"}, {"old": "pass"}, (DOCKER, PODMAN), "as Docker did before 28.0"),
        ({"old": "pass"}, {"new": "pass"}, (DOCKER, PODMAN), "as Docker does since 28.0"),
        ({"old": "pass"}, {}, (DOCKER, DOCKER), "until Docker 28.0"),
        ({"old": "pass"}, {"old": "known"}, (DOCKER, PODMAN), "from Podman 5.0 until 6.2"),
        (
            {"old": "known"},
            {"old": "pass"},
            (DOCKER, DOCKER),
            "deviating from Docker 5.0 until 6.2",
        ),
    ],
)
def test_since_when_is_said_in_words(first, second, engines, when):
    sides = cells(**first), cells(**second)
    for side in sides:
        if side[OLD.id]["verdict"] == "known":
            side[OLD.id]["expectation"] = known("so") | {"versions": ">=5.0,<6.2"}
    (found,) = compared(*sides, *engines).differences
    assert found.when == when


def test_deviation_of_every_release_is_told_as_such():
    second = cells(old="known")
    second[OLD.id]["expectation"] = known("so") | {"versions": ""}
    (found,) = compared(cells(old="pass"), second, DOCKER, PODMAN).differences
    assert found.when == "in every Podman tested"
    (unexplained,) = compared(cells(old="pass"), cells(old="known"), DOCKER, PODMAN).differences
    assert unexplained.when == ""


def test_condition_of_a_report_that_cannot_be_read_is_given_as_it_is():
    second = cells(old="known")
    second[OLD.id]["expectation"] = known("so") | {"versions": "soon"}
    (found,) = compared(cells(old="pass"), second).differences
    assert found.when == "Docker soon"


def test_deviation_that_ended_is_told_by_its_end():
    first = cells(old="known")
    first[OLD.id]["expectation"] = known("so") | {"versions": "<28.0"}
    assert compared(first, cells(new="pass")).differences[0].when == "since Docker 28.0"


def test_deviation_that_nobody_explained_is_a_sentence():
    second = cells(old="known")
    second[OLD.id] |= {"reason": "the port", "expected": "80", "actual": "8" * 999}
    (found,) = compared(cells(old="pass"), second).differences
    assert found.after[0].startswith(
        "Nobody has explained it yet. Looked at: the port. Expected: 80. Got: 888"
    )
    assert len(found.after[0]) < 400


def test_sentence_of_each_side_and_the_releases_of_the_second_are_told():
    (found,) = compared(cells(old="pass"), cells(new="pass")).differences
    assert (found.before, found.after) == ((OLD.statement,), (NEW.statement,))
    assert (found.since, found.rows) == (">=28.0", ("dns.x.old", "dns.x.new"))


def test_deviation_is_told_by_its_reason():
    second = cells(new="known")
    second[NEW.id]["expectation"] = known("does otherwise")
    (found,) = compared(cells(old="pass"), second).differences
    assert found.after == ("does otherwise",)


def test_what_a_run_lacks_is_not_guessed():
    found = compared(cells(old="pass"), cells(new="unsupported"))
    assert (found.differences, found.unknown) == ((), ("dns.x.new",))
    missing = cells(old="pass")
    del missing[PLAIN.id]
    found = compared(cells(old="pass"), missing)
    assert (found.unknown, found.not_run) == ((), ("init.y",))
    assert found.summary[-1] == "Of 1 nothing can be said: one of the runs does not have them."


def test_who_does_one_variant_does_not_deviate():
    found = compared(cells(new="pass"), cells(old="known", new="pass"))
    assert (found.differences, found.same) == ((), 2)


def test_addresses_of_a_run_are_no_difference():
    sides = []
    for got in ("2001:db8:bad:0:1ccd:2fff:fedd:9bab", "02:42:ac:1d:f8:03", "32785"):
        side = cells(old="known")
        side[OLD.id] |= {"reason": "the address", "expected": "empty", "actual": f'["{got}"]'}
        sides.append(side)
    assert [compared(sides[0], side).differences for side in sides] == [(), (), ()]


def test_concerns_name_rows_of_the_catalogue():
    ids = [f"{row.id}." for row in load_catalogue()]
    named = [beginning for beginnings in CONCERNS.values() for beginning in beginnings]
    assert [b for b in named if not any(id.startswith(f"{b}.") for id in ids)] == []
    assert len(named) == len(set(named))


def test_what_neither_does_is_not_the_same():
    found = compared(cells(), cells())
    assert (found.differences, found.same) == ((), 1)


def test_deviation_from_what_the_other_does_not_promise_is_told():
    (found,) = compared(cells(), cells(new="known")).differences
    assert (found.kind, found.before) == (Kind.OTHERWISE, ())


def test_what_an_upgrade_keeps_is_no_difference_from_who_has_nothing_to_keep():
    kept = row("upgrade.x", ">=23.0", needs=("upgrade-from",))
    sides = [{kept.id: cell(kept.id, "any", verdict)} for verdict in ("n/a", "pass", "known")]
    assert compare_columns([kept], sides[0], sides[1]).differences == ()
    assert len(compare_columns([kept], sides[0], sides[2]).differences) == 1


def test_differences_that_need_not_exist_are_counted():
    old, new = cells(old="known", new="n/a"), cells(old="n/a", new="pass")
    found = compared(old, new, PODMAN, DOCKER)
    said = "1 of the differences need not exist: one of the two is measured as an older Docker."
    assert [one.kind for one in found.differences] == [Kind.OLDER]
    assert said in found.summary
    assert said not in compared(old, new, DOCKER, DOCKER).summary


def test_advice_is_for_who_goes_to_a_newer_docker():
    pair = ("docker-26.1", "docker-28.5")
    there, back = run(*pair)[1], run(*reversed(pair))[1]
    assert "what to do: " in there
    assert "what to do: " not in back


def test_gravest_concern_comes_first():
    found = compared(cells(old="pass"), cells(new="pass", plain="known"))
    assert [one.behaviour for one in found.differences] == ["init.y", "dns.x.new"]


def test_what_can_stop_a_set_up_comes_before_the_gravest_tier_and_gains_come_last():
    rows = [row(f"init.{name}", tier=Tier.QUIRK) for name in "abcd"]
    rows[0] = row("init.a", tier=Tier.CORE)
    first = {one.id: cell(one.id, "any", "pass") for one in rows}
    second = {one.id: cell(one.id, "any", "known") for one in rows}
    first["init.d"], second["init.d"] = second["init.d"], first["init.d"]
    changes = {
        "init.b": Change(see="", advice="Do.", breaks=Breaks.FEW),
        "init.c": Change(see="", advice="Do.", breaks=Breaks.MANY),
    }
    found = compare_columns(rows, first, second, changes)
    assert [one.behaviour for one in found.differences] == ["init.c", "init.b", "init.a", "init.d"]
    assert [one.harm for one in found.differences[1:]] == [
        Harm.BREAKS,
        Harm.NOTICED,
        Harm.HARMLESS,
    ]
    assert [one.behaviour for one in found.breaking] == ["init.c", "init.b"]


def test_one_reason_holds_its_rows_together():
    rows = [row(f"init.{name}") for name in "abc"]
    first = {one.id: cell(one.id, "any", "pass") for one in rows}
    second = {one.id: cell(one.id, "any", "known") for one in rows}
    for id, reason in (("init.a", "x"), ("init.b", "y"), ("init.c", "x")):
        second[id]["expectation"] = known(reason)
    found = compare_columns(rows, first, second, engines=(DOCKER, PODMAN))
    (section,) = found.sections
    told = [(it.engine, it.reason, [d.behaviour for d in it.differences]) for it in section.causes]
    assert told == [("other", "x", ["init.a", "init.c"]), ("other", "y", ["init.b"])]
    (back,) = compare_columns(rows, second, first, engines=(PODMAN, DOCKER)).sections
    assert [cause.engine for cause in back.causes] == ["other", "other"]
    assert section.size == 3


# ---------------------------------------------------------------------- the command


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["compare", *words])
    return result.exit_code, result.output


def test_recorded_columns_are_compared():
    code, out = run("docker-26.1", "docker-28.5")
    assert code == 1
    assert "dns.inspect" not in out.splitlines()[0]
    assert "  drivers.bridge.endpoint-ifname  [changed, since Docker 28.0]" in out
    assert "docker-28.5 differs from docker-26.1 in " in out


def test_column_is_not_compared_with_itself():
    code, out = run("docker-28.5", "docker-28.5")
    assert (code, "`diff OLD NEW` compares two runs of it" in out) == (3, True)


@pytest.mark.parametrize("words", [("--json", "--markdown"), ("--html", "-", "--json")])
def test_one_form_is_printed(words):
    code, out = run("docker-20.10", "docker-28.5", *words)
    assert (code, out) == (3, "Error: give one of --json, --markdown and --html\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep", "[" * 200_000),
        ("empty", ""),
        ("other", '{"schema_version": 2}'),
        ("poor", '{"schema_version": 1, "engines": [], "behaviours": [{}], "results": []}'),
        (
            "strange",
            '{"schema_version": 1, "engines": [{"name": "x", "family": []}], "behaviours": [], '
            '"results": []}',
        ),
        ("odd", '{"schema_version": 1, "engines": 7, "behaviours": [], "results": []}'),
    ],
)
def test_file_that_is_no_report_is_one_clear_error(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    code, out = run("docker-20.10", "docker-28.5", "--report", str(path))
    assert (code, out.count("\n"), out.startswith(f"Error: {path} is no")) == (3, 1, True)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/proc/self/mem", "cannot be read"), ("/dev/zero", "has more than"), ("no", "not exist")],
)
def test_file_that_cannot_be_read_is_one_clear_error(monkeypatch, path, said):
    monkeypatch.setattr("conformance.report.document._BYTES_MAX", 1000)
    code, out = run("docker-20.10", "docker-28.5", "--report", path)
    assert (code, out.count("\n"), said in out) == (3, 1, True)


def test_folder_that_may_not_be_looked_at_is_one_clear_error(monkeypatch):
    def refuse(path: Path) -> bool:
        if path.name == "some":
            raise PermissionError(13, "Permission denied", str(path))
        return False

    monkeypatch.setattr(Path, "is_dir", refuse)
    code, out = run("docker-20.10", "docker-28.5", "--report", "some")
    assert (code, out.count("\n"), "cannot be read" in out) == (3, 1, True)


def test_own_engine_is_compared_with_what_is_recorded(tmp_path):
    path = next(RESULTS_DIR.glob("docker-28.5*.json"))
    own = path.read_text(encoding="utf-8").replace('"docker-28.5"', '"docker-28.5-external"')
    (tmp_path / "conformance.json").write_text(own, encoding="utf-8")
    columns = [
        json.loads(run("docker-20.10", name, "--json", "--report", str(tmp_path))[1])
        for name in ("docker-28.5", "docker-28.5-external")
    ]
    assert columns[1]["second"] == "docker-28.5-external"
    assert columns[0]["differences"] == columns[1]["differences"]
    assert any(one["advice"] for one in columns[1]["differences"])


def test_json_and_markdown_say_the_same():
    found = json.loads(run("docker-20.10", "docker-26.1", "--json")[1])
    page = run("docker-20.10", "docker-26.1", "--markdown")[1]
    assert page.count("\n### ") == len(found["differences"]) > 20
    assert {one["kind"] for one in found["differences"]} <= {kind.value for kind in Kind}


def test_column_of_a_report_comes_before_the_recorded_one(tmp_path):
    document = report(cell("init.none.files", "docker-28.5", "pass"))
    document["engines"] = [{"name": "docker-28.5", "spec": "docker", "version": "28.5.2"}]
    document["behaviours"] = [{"id": "init.none.files"}]
    write_document(document, tmp_path / "conformance.json")
    _, out = run("docker-26.1", "docker-28.5", "--report", str(tmp_path))
    assert "differs from docker-26.1 in 0 behaviours" in out


def test_run_of_one_row_is_said_to_be_of_one_row(tmp_path):
    document = report(cell("init.none.only-loopback", "docker-28.5-built"))
    document["engines"] = [{"name": "docker-28.5-built", "spec": "dockerd:/x", "version": "28.5.2"}]
    write_document(document, tmp_path / "conformance.json")
    words = ["compare", "docker-28.5", "docker-28.5-built", "--report", str(tmp_path)]
    others = len(json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)["not_run"])
    result = CliRunner().invoke(main, words)
    said = f"the same in 1, {others:,} are not in one of the runs\n"
    assert (result.exit_code, result.stderr.endswith(said)) == (0, True)


def test_runs_of_every_row_say_no_more_than_before():
    result = CliRunner().invoke(main, ["compare", "docker-26.1", "docker-28.5", "--markdown"])
    assert (result.exit_code, result.stderr) == (1, "")


def test_docker_that_names_no_version_is_placed_by_what_it_promises(tmp_path):
    document = report(cell("init.none.only-loopback", "docker-dev-built-1a2b3c"))
    name = document["engines"][0]["name"]
    facts = {"spec": "dockerd:/x", "version": "dev", "promises": "29.0", "family": "docker"}
    document["engines"] = [{"name": name, **facts}]
    write_document(document, tmp_path / "conformance.json")
    code, output = run("docker-28.5", name, "--report", str(tmp_path))
    assert code in (0, 1), output
    assert "Traceback" not in output


def test_unknown_column_is_a_usage_error():
    code, out = run("docker-20.10", "docker-99")
    assert (code, "no column docker-99; there are: " in out) == (3, True)


def test_diff_of_runs_without_an_engine_in_common_compares_nothing(tmp_path):
    for name in ("docker-1.2", "docker-1.3"):
        document = report(cell("a.b", name))
        document["engines"] = [{"name": name, "spec": "docker"}]
        write_document(document, tmp_path / f"{name}.json")
    paths = [str(tmp_path / f"docker-1.{n}.json") for n in (2, 3)]
    result = CliRunner().invoke(main, ["diff", *paths])
    assert (result.exit_code, "nothing to compare" in result.output) == (3, True)
