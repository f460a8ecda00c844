"""`ci/tox` asks for what the named environments need, and for nothing else.

Method: bash sources the script, which then only defines its functions; `have`, `apt-get` and `id`
are replaced, so that no test depends on what this machine has or changes it.
"""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "ci" / "tox"
CANNOT_PREPARE = 69

MACHINE = """
ABSENT=" {absent} "
have() {{ [[ "$ABSENT" != *" $1 "* ]]; }}
id() {{ echo {uid}; }}
stat() {{ echo {cgroup}; }}
ldd() {{ return {ldd}; }}
apt-get() {{ echo "apt-get $*"; case "$*" in *{broken}*) return 100 ;; esac; }}
apt-cache() {{ echo '  Candidate: 1.0'; }}
systemctl() {{ :; }}
forbid_services() {{ echo 'services forbidden'; }}
"""


def source(
    script: str, *args: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'. "{SCRIPT}"\n{script}', "bash", *args],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={"PATH": "/usr/bin:/bin", **(env or {})},
    )


def machine(
    *,
    absent: str = "",
    uid: int = 0,
    cgroup: str = "cgroup2fs",
    ldd: int = 1,
    broken: str = "nothing-is",
) -> str:
    return MACHINE.format(absent=absent, uid=uid, cgroup=cgroup, ldd=ldd, broken=broken)


@pytest.mark.parametrize(
    ("args", "asked"),
    [
        pytest.param(["run"], "ALL", id="run-all"),
        pytest.param([], "ALL", id="bare"),
        pytest.param(["run", "-e", "lint"], "lint", id="one"),
        pytest.param(["run", "-e", "lint,type"], "lint type", id="several"),
        pytest.param(["run", "-elint"], "lint", id="joined"),
        pytest.param(["-e", "lint"], "lint", id="legacy"),
        pytest.param(["run", "-e", "unit", "--", "-e", "kernel"], "unit", id="after-dashes"),
        pytest.param(["list"], "", id="list"),
        pytest.param(["--help"], "", id="help"),
        pytest.param(["run", "-e", "unit", "--help"], "", id="help-of-run"),
    ],
)
def test_named_envs_are_those_that_tox_will_run(args, asked):
    assert source('named_envs "$@"', *args).stdout.strip() == asked


def test_toxenv_variable_names_environments_too():
    assert (
        source('named_envs "$@"', "run", env={"TOXENV": "lint,unit"}).stdout.strip() == "lint unit"
    )


@pytest.mark.parametrize(
    ("envs", "answer"),
    [("ALL", "yes"), ("lint kernel", "yes"), ("lint", "no"), ("", "no"), ("kernels", "no")],
)
def test_needs_compares_whole_names(envs, answer):
    script = f'ENVS="{envs}"; needs kernel bench && echo yes || echo no'
    assert source(script).stdout.strip() == answer


def test_complete_machine_asks_for_nothing():
    done = source(machine() + "prepare_tools; prepare_docker; echo end")
    assert (done.stdout, done.stderr) == ("end\n", "")


def test_only_what_is_missing_is_installed():
    done = source(machine(absent="nft") + "prepare_tools")
    assert "install --no-install-recommends --no-remove nftables\n" in done.stderr
    assert "services forbidden" in done.stdout


@pytest.mark.parametrize(
    ("absent", "cgroup", "missing"),
    [
        pytest.param("runc", "cgroup2fs", "", id="crun-on-v2"),
        pytest.param("runc", "tmpfs", "runc", id="crun-refuses-hybrid"),
        pytest.param("runc crun", "cgroup2fs", "runc", id="neither"),
    ],
)
def test_crun_serves_where_it_works(absent, cgroup, missing):
    done = source(machine(absent=absent, cgroup=cgroup) + "missing_tools")
    assert done.stdout.strip() == missing


@pytest.mark.parametrize(
    ("envs", "asks"), [("matrix", True), ("roots", True), ("ALL", False), ("kernel", False)]
)
def test_roots_are_prepared_for_only_where_they_are_made(envs, asks):
    done = source(f'ENVS="{envs}"\n' + machine(absent="debootstrap") + "prepare_tools")
    assert (" debootstrap" in done.stderr) is asks, done.stderr


def test_sshd_is_installed_and_not_enabled():
    done = source(machine(absent="sshd") + "systemctl() { echo $* >&3; }; prepare_sshd 3>&1")
    assert "install --no-install-recommends --no-remove openssh-server\n" in done.stderr
    assert "services forbidden" in done.stdout
    assert "-q disable ssh.service ssh.socket" in done.stdout


def test_without_sshd_the_rest_goes_on():
    done = source(machine(absent="sshd ssh", uid=1000) + "prepare_sshd; echo end")
    assert done.stdout == "end\n"
    assert "openssh-server openssh-client" in done.stderr


@pytest.mark.parametrize(
    ("dockerd", "candidate", "asks"),
    [
        pytest.param("echo Docker version 20.10.24", "26.1.5", False, id="own"),
        pytest.param("echo Docker version 28.5.2", "20.10.24", True, id="own-is-another"),
        pytest.param("false", "20.10.24", False, id="apt-has-it"),
        pytest.param("false", "26.1.5", True, id="apt-has-another"),
    ],
)
def test_a_root_for_docker_20_is_prepared_for_only_where_there_is_none(dockerd, candidate, asks):
    fakes = f"dockerd() {{ {dockerd}; }}\napt-cache() {{ echo '  Candidate: {candidate}'; }}\n"
    script = 'ENVS="differential"\n' + machine(absent="debootstrap") + fakes + "prepare_tools"
    assert (" debootstrap" in source(script).stderr) is asks


def test_missing_tools_without_root_end_with_the_command_to_install_them():
    done = source(machine(absent="nft ip", uid=1000) + "prepare_tools; echo not reached")
    assert done.returncode == CANNOT_PREPARE
    assert done.stdout == ""
    assert "sudo apt-get install --no-install-recommends iproute2 nftables" in done.stderr


def test_missing_tools_without_apt_end_with_their_names():
    done = source(machine(absent="nft apt-get") + "prepare_tools; echo not reached")
    assert done.returncode == CANNOT_PREPARE
    assert "nftables; there is no apt-get here" in done.stderr


def test_no_docker_goes_on_with_the_reference_and_says_why():
    done = source(
        machine(absent="dockerd", broken="docker.io") + 'prepare_docker; echo "$NETINIT_ENGINES"'
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "--engine reference")
    assert "missing: docker.io; apt could not install it" in done.stderr


def test_browser_is_installed_where_there_is_none():
    done = source(machine(absent="chromium") + "prepare_browser; echo end")
    assert "install --no-install-recommends --no-remove chromium\n" in done.stderr
    assert " npm\n" not in done.stderr
    assert source(machine() + "prepare_browser; echo end").stdout == "end\n"


def test_npm_is_installed_where_there_is_none_although_the_browser_cannot_be_had():
    done = source(machine(absent="chromium npm", broken="chromium") + "prepare_browser")
    assert "no chromium here" in done.stderr
    assert "install --no-install-recommends --no-remove npm\n" in done.stderr


@pytest.mark.parametrize(
    ("more", "why"),
    [({"uid": 1000}, "only root may install"), ({"broken": "chromium"}, "apt could not install")],
)
def test_no_browser_goes_on_and_says_why(more, why):
    done = source(machine(absent="chromium", **more) + "prepare_browser; echo end")
    assert done.stdout.endswith("end\n")
    assert "not all of the pages is tested" in done.stderr
    assert why in done.stderr


def test_no_docker_without_root_goes_on_too():
    done = source(machine(absent="dockerd", uid=1000) + 'prepare_docker; echo "$NETINIT_ENGINES"')
    assert done.stdout == "--engine reference\n"
    assert "only root may install: sudo apt-get install" in done.stderr


def test_no_docker_leaves_the_users_own_choice_of_engines():
    own = "--engine unix:///run/mine.sock"
    script = machine(absent="dockerd", uid=1000) + 'prepare_docker; echo "$NETINIT_ENGINES"'
    assert source(script, env={"NETINIT_ENGINES": own}).stdout == own + "\n"


def test_busybox_is_not_swapped_when_more_would_go():
    script = (
        machine(ldd=0) + "apt-get() { echo 'Remv busybox [1]'; echo 'Remv initramfs-tools [1]'; }\n"
    )
    done = source(script + "prepare_tools")
    assert done.returncode == CANNOT_PREPARE
    assert "cannot swap it" in done.stderr


def test_policy_of_the_administrator_stays(tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    text = SCRIPT.read_text().replace("/usr/sbin/policy-rc.d", str(policy))
    copy = tmp_path / "tox"
    copy.write_text(text)
    subprocess.run(
        ["bash", "-c", f'. "{copy}"; forbid_services; allow_services'], check=True, timeout=20
    )
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_services_are_forbidden_only_while_the_script_runs(tmp_path):
    policy = tmp_path / "policy-rc.d"
    copy = tmp_path / "tox"
    copy.write_text(SCRIPT.read_text().replace("/usr/sbin/policy-rc.d", str(policy)))
    during = subprocess.run(
        ["bash", "-c", f'. "{copy}"; forbid_services; "{policy}" || echo "$?"; exit 3'],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (during.stdout, during.returncode) == ("101\n", 3), during.stderr
    assert not policy.exists()
