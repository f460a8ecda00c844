"""The hosted workflow: well formed, and all that it runs exists here."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.counts import read_golden
from conformance.engines.settings import load_settings

ROOT = Path(__file__).parents[3]
WORKFLOW: dict[Any, Any] = yaml.safe_load(
    (ROOT / "ci/hosted/github-actions.yml").read_text("utf-8")
)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
COMMANDS = [step["run"] for _, step in STEPS if "run" in step]


def tox_settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    return parser


def setup_python(job: str) -> list[str]:
    """Give the Pythons that a job asks for."""
    used = [step["with"] for step in JOBS[job]["steps"] if "setup-python" in step.get("uses", "")]
    return [each["python-version"] for each in used]


def test_it_runs_on_pull_requests_with_few_rights():
    triggers = WORKFLOW[True]  # YAML 1.1 takes the key `on` for a truth value
    assert "pull_request" in triggers
    assert WORKFLOW["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", JOBS)
def test_every_job_has_a_machine_a_limit_and_the_code(name):
    job = JOBS[name]
    assert job["runs-on"] == "ubuntu-24.04"
    assert 0 < job["timeout-minutes"] <= {"nightly": 120, "selftest": 45}.get(name, 30)
    assert job["steps"][0]["uses"].startswith("actions/checkout@")
    assert {*([job["needs"]] if "needs" in job else [])} <= set(JOBS)


def test_every_step_uses_a_pinned_action_or_runs_a_command():
    for name, step in STEPS:
        assert ("uses" in step) != ("run" in step), name
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False, name


@pytest.mark.parametrize("command", [c for c in COMMANDS if "./ci/tox" in c])
def test_every_tox_environment_exists(command):
    words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "x", command))
    envs = words[words.index("-e") + 1].split(",")
    assert words[words.index("./ci/tox") + 1] == "run"
    assert [env for env in envs if not tox_settings().has_section(f"testenv:{env}")] == []


def test_no_value_of_the_event_is_written_into_a_command():
    assert [command for command in COMMANDS if "${{" in command] == []


def test_engines_have_a_mirror_and_no_test_is_skipped():
    """sudo hands on nothing that it is not told to; ubuntu has no archive of Debian."""
    assert WORKFLOW["env"]["NETINIT_MIRROR"].startswith("https://deb.debian.org/")
    for job in ("kernel", "selftest", "differential", "nightly"):
        assert JOBS[job]["env"]["NETINIT_NO_SKIP"] == "1"
    for env, name in (
        ("engine", "NETINIT_MIRROR"),
        ("engine", "NETINIT_ENGINE"),
        ("differential", "NETINIT_MIRROR"),
        ("differential", "NETINIT_NO_SKIP"),
        ("nightly", "NETINIT_MIRROR"),
        ("kernel", "NETINIT_NO_SKIP"),
        ("roots", "NETINIT_MIRROR"),
        ("selftest", "NETINIT_NO_SKIP"),
    ):
        [command] = (c for c in COMMANDS if re.search(rf"-e {env}\b", c))
        kept = command.split("--preserve-env=")[1].split()[0].split(",")
        assert name in kept, command


def test_selftest_has_every_root_before_it_may_skip_nothing():
    roots, selftest = [step["run"] for step in JOBS["selftest"]["steps"] if "run" in step]
    assert roots.endswith("./ci/tox run -e roots")
    assert selftest.endswith("./ci/tox run -e selftest")


def test_unit_tests_run_on_every_python_that_tox_has_an_environment_for():
    [section] = (name for name in tox_settings().sections() if name.startswith("testenv:unit-py"))
    minors = section.partition("{")[2].rstrip("}").split(",")
    [first] = setup_python("checks")
    others = JOBS["pythons"]["strategy"]["matrix"]["python"]
    assert [first, *others] == [f"3.{minor.removeprefix('3')}" for minor in minors]


def test_gate_compares_all_that_the_golden_file_has():
    """Bytecodes are compared on the Python that the file knows only; sudo has a PATH of its own."""
    [python] = setup_python("gate")
    assert python in read_golden()["bytecodes"]
    [command] = (command for command in COMMANDS if "-e gate" in command)
    assert command.startswith('sudo env "PATH=$PATH" ./ci/tox')


def test_site_of_the_run_is_an_artifact():
    steps = JOBS["matrix"]["steps"]
    names = [step.get("run", "") or step["with"].get("name", "") for step in steps]
    site = next(name for name in names if "-e site" in name)
    merge = next(name for name in names if "-e merge" in name)
    assert names.index(merge) < names.index(site) < names.index("site")
    folder, *words = site.partition(" -- ")[2].split()
    assert words == ["--report", "reports"]  # where `merge` wrote
    upload = steps[names.index("site")]
    assert upload["with"]["path"] == f"{folder}/"
    assert upload["with"]["if-no-files-found"] == "error"


@pytest.mark.parametrize("job", ["gate", "matrix"])
def test_summary_of_a_run_says_what_changed(job):
    commands = [step.get("run", "") for step in JOBS[job]["steps"]]
    assert any("GITHUB_STEP_SUMMARY" in command for command in commands)


def test_what_needs_root_has_it():
    for command in COMMANDS:
        envs = re.findall(r"-e (\S+)", command)
        descriptions = [
            tox_settings()[f"testenv:{env}"]["description"]
            for env in ",".join(envs).split(",")
            if env
        ]
        needs_root = any("(root)" in text for text in descriptions)
        assert not needs_root or command.startswith("sudo "), command


def test_the_long_random_walks_are_every_nights():
    (cron,) = (each["cron"] for each in WORKFLOW[True]["schedule"])
    assert re.fullmatch(r"\d+ \d+ \* \* \*", cron)
    (job,) = (job for job in JOBS.values() if "schedule" in job.get("if", ""))
    assert any("-e nightly" in step.get("run", "") for step in job["steps"])
    assert tox_settings()["testenv:nightly"]["set_env"].endswith("NETINIT_PROFILE = nightly")
    assert "nightly" not in tox_settings()["tox"]["env_list"]


def test_main_adds_to_its_history_and_pushes_nothing():
    job = JOBS["history"]
    assert job["if"] == "github.event_name == 'push'"
    assert WORKFLOW[True]["push"] == {"branches": ["main"]}
    assert "pull_request" in WORKFLOW["concurrency"]["cancel-in-progress"]
    checkout, cache, append, report, upload = job["steps"]
    assert checkout["with"]["fetch-depth"] == 0  # or the anchor is not there
    assert cache["with"]["key"].startswith(cache["with"]["restore-keys"])
    for step, word in ((append, "append"), (report, "report")):
        assert step["run"] == f'sudo ./ci/tox run -e history -- {word} --file "$HISTORY"'
    assert job["env"]["HISTORY"] in upload["with"]["path"]


def test_every_engine_of_the_matrix_has_a_job():
    engines = JOBS["engine"]["strategy"]["matrix"]["engine"]
    assert set(engines) <= set(load_settings())
    run = tox_settings()["testenv:matrix"]["commands"]
    assert engines == re.findall(r"--engine (\S+)", run)


def test_reports_go_where_the_merge_looks_for_them():
    uploaded = next(s for n, s in STEPS if n == "engine" and "upload" in s.get("uses", ""))["with"]
    fetched = next(s for _, s in STEPS if "download" in s.get("uses", ""))["with"]
    merge = next(command for command in COMMANDS if "-e merge" in command)
    assert uploaded["name"].startswith(fetched["pattern"].rstrip("*"))
    assert merge.endswith(f"{fetched['path']}/{fetched['pattern']}")
