"""Make the roots of the engines that this machine has not installed itself.

Every table of conformance/engines.toml with a `root` gets a small Debian tree of its own in the
user's cache, by debootstrap, with the archive's signature checked. What is there and as wanted is
left alone; what was half built is built anew, aside, and takes its place when it is complete.

    python ci/engines/provision.py                       all of them
    python ci/engines/provision.py docker-28.5           this one
    python ci/engines/provision.py --renew docker-28.5   again: sid moves, and so may the version
    python ci/engines/provision.py --list
    python ci/engines/provision.py --remove podman-5.8

Debian's mirror is the one that this machine's own apt uses; --mirror or NETINIT_MIRROR names
another. NETINIT_CACHE names another place than the user's cache. Needs root and debootstrap.

Exit: 0 all are there, 1 one could not be made, 3 usage.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance.engines.base import EngineError
from conformance.engines.processes import remove_folder
from conformance.engines.roots import (
    MARKER,
    TREE,
    RootSettings,
    engines_folder,
    needs_root,
    own_version,
    read_marker,
    why_unprovisioned,
)
from conformance.engines.settings import EngineSettings, load_settings

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Measured: 410 MB (podman) to 570 MB (docker.io of sid) per tree, before its downloads are dropped.
NEEDED_MB = 700
BUILD_TIMEOUT_S = 900
USAGE = 3
# What debootstrap says first when it begins a step, and what that step is called here.
STEPS = (
    ("Retrieving InRelease", "asking the archive what there is"),
    ("Valid Release signature", "the archive's signature is valid"),
    ("Retrieving ", "downloading"),
    ("Extracting ", "unpacking"),
    ("Installing core packages", "installing the smallest Debian"),
    ("Configuring the base system", "installing the engine"),
)


class ProvisionError(Exception):
    """A tree cannot be made; the message says why and what to do."""


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, file=sys.stderr, flush=True)


def find_mirror(chosen: str) -> str:
    """Give the Debian mirror to use: the chosen one, or the one of this machine's apt.

    Raises:
        ProvisionError: apt knows no Debian mirror, as on another distribution.
    """
    if chosen:
        return chosen
    if shutil.which("apt-get"):
        done = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for line in done.stdout.splitlines():
            origin, _, rest = line.partition(" ")
            label, _, uri = rest.partition(" ")
            if origin == label == "Debian" and uri:
                return uri.rstrip("/")
    raise ProvisionError(
        "this machine's apt has no Debian mirror (or was never updated: apt-get update); name one "
        "with --mirror URL or NETINIT_MIRROR"
    )


def check_machine() -> None:
    """Check for what every build needs.

    Raises:
        ProvisionError: naming what is missing.
    """
    if os.geteuid() != 0:
        raise ProvisionError("making a root needs root: run it with sudo")
    if shutil.which("debootstrap") is None:
        raise ProvisionError("debootstrap is missing: apt-get install debootstrap")
    if not KEYRING.exists():
        raise ProvisionError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")


def check_space(folder: Path) -> str:
    """Say how much of the disk a tree takes.

    Raises:
        ProvisionError: there is not enough.
    """
    free_mb = shutil.disk_usage(folder).free // 2**20
    text = f"takes up to {NEEDED_MB} MB of the {free_mb} MB that are free at {folder}"
    if free_mb < NEEDED_MB:
        raise ProvisionError(f"not enough disk: it {text}; NETINIT_CACHE names another place")
    return text


def provision(engine: str, root: RootSettings, *, mirror: str, renew: bool) -> None:
    """Make one engine's tree, unless it is there as wanted.

    Raises:
        ProvisionError: it could not be made; what was there before is still there.
    """
    if not renew and not why_unprovisioned(engine, root):
        say(f"{engine}: is there: {describe(engine)}")
        return
    check_machine()
    source = find_mirror(mirror)
    folder = engines_folder()
    building = folder / f".building-{engine}"
    clear(building)
    building.mkdir(parents=True)
    say(f"{engine}: making a root of Debian {root.suite} from {source}; {check_space(folder)}")
    started = time.monotonic()
    debootstrap(engine, root, building, source)
    if root.newer:
        install_newer(engine, root, building, source)
    for downloads in ("var/cache/apt/archives", "var/lib/apt/lists"):
        clear(building / TREE / downloads)
    marker = {
        **root.made_from,
        "mirror": source,
        "versions": installed_versions(building / TREE),
    }
    (building / MARKER).write_text(json.dumps(marker, indent=1, sort_keys=True), encoding="utf-8")
    clear(folder / engine)
    building.rename(folder / engine)
    say(f"{engine}: complete after {time.monotonic() - started:.0f} s: {describe(engine)}")


def debootstrap(engine: str, root: RootSettings, building: Path, mirror: str) -> None:
    """Run debootstrap and print a line for each of its steps; its whole output is kept.

    Raises:
        ProvisionError: with the end of what it said.
    """
    command = ["unshare", "--mount", "--propagation", "private"]  # no mount of its stays behind
    command += ["debootstrap", "--variant=minbase", "--force-check-gpg", f"--keyring={KEYRING}"]
    command += [f"--include={','.join(root.install)}", root.suite, str(building / TREE), mirror]
    environment = {**os.environ, **apt_proxy(), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    lines = []
    with subprocess.Popen(
        ["timeout", str(BUILD_TIMEOUT_S), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - Popen was asked for it
        step = -1
        for line in process.stdout:
            lines.append(line)
            reached = step_of(line)
            if reached > step:
                step = reached
                say(f"{engine}: [{step + 1}/{len(STEPS)}] {STEPS[step][1]}")
    (building / "debootstrap.log").write_text("".join(lines), encoding="utf-8")
    if process.returncode != 0:
        end = "".join(lines[-12:])
        raise ProvisionError(
            f"{engine}: debootstrap failed with {process.returncode}; the end of "
            f"{building / 'debootstrap.log'}:\n{end}"
        )


def install_newer(engine: str, root: RootSettings, building: Path, mirror: str) -> None:
    """Put packages of another suite over those of the tree's own.

    Raises:
        ProvisionError: with the end of what apt said.
    """
    tree = building / TREE
    suites = dict.fromkeys([root.suite, *(word.partition("/")[0] for word in root.newer)])
    sources = tree / "etc/apt/sources.list"
    sources.write_text("".join(f"deb {mirror} {suite} main\n" for suite in suites))
    packages = [f"{name}/{suite}" for suite, _, name in (w.partition("/") for w in root.newer)]
    say(f"{engine}: installing {', '.join(root.newer)}")
    # the lists of a mirror that is behind have expired; their signature is checked all the same
    apt = ["apt-get", "-q", "-y", "-o", "Acquire::Check-Valid-Until=false"]
    environment = {**os.environ, **apt_proxy(), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    with (building / "newer.log").open("w+", encoding="utf-8") as log:
        for words in (["update"], ["--no-install-recommends", "install", *packages]):
            command = ["unshare", "--mount", "--propagation", "private", "chroot", str(tree)]
            done = subprocess.run(
                ["timeout", str(BUILD_TIMEOUT_S), *command, *apt, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                check=False,
            )
            if done.returncode != 0:
                log.seek(0)
                end = "".join(log.readlines()[-12:])
                raise ProvisionError(f"{engine}: apt-get {words[0]} failed:\n{end}")


def step_of(line: str) -> int:
    """Give the number of the step that a line of debootstrap begins; -1 = none."""
    text = line.removeprefix("I: ")
    return next((n for n, (start, _) in enumerate(STEPS) if text.startswith(start)), -1)


def apt_proxy() -> dict[str, str]:
    """Give debootstrap the proxy that apt is configured with, unless the environment has one."""
    if "http_proxy" in os.environ or shutil.which("apt-config") is None:
        return {}
    done = subprocess.run(
        ["apt-config", "dump", "--format", "%v", "Acquire::http::Proxy"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    found = done.stdout.strip()
    return {"http_proxy": found} if found and found != "DIRECT" else {}


def installed_versions(tree: Path) -> dict[str, str]:
    """Ask a tree for the exact version of every package in it."""
    done = subprocess.run(
        ["chroot", tree, "dpkg-query", "-W", "-f", "${Package} ${Version}\n"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    pairs = (line.split(" ", 1) for line in done.stdout.splitlines())
    return dict(sorted(pairs))


def describe(engine: str) -> str:
    """Say what is in an engine's tree: its own packages with their exact versions, its size."""
    versions = read_marker(engine).get("versions", {})
    packages = load_settings()[engine].packages
    parts = [f"{name} {versions[name]}" for name in packages if name in versions]
    return f"{', '.join(parts)}; {size_mb(engines_folder() / engine)} MB"


def size_mb(folder: Path) -> int:
    """Give the disk space that a folder takes."""
    blocks = 0
    for place, _, files in os.walk(folder):
        for name in files:
            blocks += (Path(place) / name).lstat().st_blocks
    return blocks * 512 // 2**20


def clear(folder: Path) -> None:
    """Take a folder away with what may be mounted in it; a missing one is fine.

    Raises:
        ProvisionError: it does not go away, as while an engine runs in it.
    """
    try:
        remove_folder(folder)
    except EngineError as exc:
        raise ProvisionError(str(exc)) from exc


def print_list(engines: dict[str, EngineSettings]) -> None:
    """Print each engine and what is there for it."""
    for name, settings in engines.items():
        root = settings.root
        if root is None:
            continue
        if not needs_root(settings.command[0], root):
            state = f"this machine's own {own_version(settings.command[0])}"
        else:
            state = describe(name) if read_marker(name) else "not there"
            if read_marker(name) and why_unprovisioned(name, root):
                state += " (made for other settings)"
        print(f"{name:14} {root.suite:9} {state}")
    print(f"in {engines_folder()}")


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let only one of several runs build at a time."""
    engines_folder().mkdir(parents=True, exist_ok=True)
    with (engines_folder() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is making roots; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def parse(arguments: Sequence[str] | None, known: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a mistake in it ends the program with 3."""
    parser = argparse.ArgumentParser(
        prog="ci/engines/provision.py", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=", ".join(known))
    parser.add_argument("--mirror", default=os.environ.get("NETINIT_MIRROR", ""), metavar="URL")
    parser.add_argument("--renew", action="store_true", help="make them again")
    parser.add_argument("--list", action="store_true", help="say what is there")
    parser.add_argument("--remove", action="store_true", help="take them away")
    found = parser.parse_args(arguments)
    unknown = sorted(set(found.engines) - set(known))
    if unknown:
        parser.print_usage(sys.stderr)
        say(f"no engine is called {', '.join(unknown)}; known: {', '.join(known)}")
        raise SystemExit(USAGE)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; go on to the next engine where one fails."""
    every = load_settings()
    engines = {name: found for name, found in every.items() if found.root is not None}
    options = parse(arguments, list(every))
    if options.list:
        print_list(engines)
        return 0
    failed = 0
    with locked():
        for name in options.engines or engines:
            settings = every[name]
            try:
                if settings.root is None:
                    say(f"{name}: needs no root of its own")
                elif options.remove:
                    clear(engines_folder() / f".building-{name}")
                    clear(engines_folder() / name)
                    say(f"{name}: removed")
                elif not needs_root(settings.command[0], settings.root):
                    version = own_version(settings.command[0])
                    say(f"{name}: this machine's own {settings.command[0]} is {version}: as it is")
                elif settings.root is not None:
                    provision(name, settings.root, mirror=options.mirror, renew=options.renew)
            except ProvisionError as exc:
                say(f"{name}: {exc}")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
