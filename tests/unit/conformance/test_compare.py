import json
from typing import Any

import pytest
from click.testing import CliRunner

from conformance.changes import Change, ChangeError, load_changes
from conformance.cli import main
from conformance.registry import Behaviour, load_catalogue
from conformance.report.compare import _CONCERNS, Comparison, Concern, Kind, compare_columns
from conformance.report.document import write_document
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


def compared(first: dict[str, Any], second: dict[str, Any]) -> Comparison:
    return compare_columns([OLD, NEW, PLAIN], first, second)


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
        ({"new": "pass"}, {"old": "known"}, Kind.OLDER),
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
    assert compared(cells(old="pass"), missing).unknown == ("init.y",)


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
    named = [beginning for beginnings in _CONCERNS.values() for beginning in beginnings]
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


def test_advice_is_for_who_goes_to_a_newer_docker():
    pair = ("docker-26.1", "docker-28.5")
    there, back = run(*pair)[1], run(*reversed(pair))[1]
    assert "what to do: " in there
    assert "what to do: " not in back


def test_gravest_concern_comes_first():
    found = compared(cells(old="pass"), cells(new="pass", plain="known"))
    assert [one.behaviour for one in found.differences] == ["init.y", "dns.x.new"]


# ---------------------------------------------------------------------- the command


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["compare", *words])
    return result.exit_code, result.output


def test_recorded_columns_are_compared():
    code, out = run("docker-26.1", "docker-28.5")
    assert code == 1
    assert "dns.inspect" not in out.splitlines()[0]
    assert "  drivers.bridge.endpoint-ifname  [changed, Docker >=28.0]" in out
    assert out.splitlines()[-1].startswith("docker-28.5 differs from docker-26.1 in ")


def test_same_column_differs_in_nothing():
    assert run("docker-28.5", "docker-28.5")[0] == 0


def test_json_and_markdown_say_the_same():
    found = json.loads(run("docker-20.10", "docker-26.1", "--json")[1])
    page = run("docker-20.10", "docker-26.1", "--markdown")[1]
    assert page.count("\n### ") == len(found["differences"]) > 20
    assert {one["kind"] for one in found["differences"]} <= {kind.value for kind in Kind}


def test_column_of_a_report_comes_before_the_recorded_one(tmp_path):
    document = report(cell("init.none.files", "docker-28.5", "pass"))
    document["engines"] = [{"name": "docker-28.5", "spec": "docker", "version": "28.5.2"}]
    write_document(document, tmp_path / "conformance.json")
    _, out = run("docker-26.1", "docker-28.5", "--report", str(tmp_path))
    assert "differs from docker-26.1 in 0 behaviours" in out.splitlines()[-1]


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


# ---------------------------------------------------------------------- what a person does


def test_changes_are_those_of_behaviours():
    assert set(load_changes()) <= {group.id for group in groups_of(load_catalogue())}


def test_difference_says_how_to_see_it_and_what_to_do():
    changes = {"dns.x.new": Change(see="docker x", advice="Nothing.")}
    sides = cells(old="pass"), cells(new="pass")
    (found,) = compare_columns([OLD, NEW, PLAIN], *sides, changes).differences
    assert (found.see, found.advice) == ("docker x", "Nothing.")


@pytest.mark.parametrize("text", ['["a.b"]\nsee = "x"', '["a.b"]\nsee = "x"\nhow = "y"'])
def test_change_that_is_described_wrongly_is_refused(tmp_path, text):
    (tmp_path / "some.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ChangeError, match=r"a\.b"):
        load_changes(tmp_path)
