"""Bodies: whole documents of every kind, and the ways to spoil one.

A document has every field that Docker 20.10 knows, so that a field is fuzzed whether or not the
reference reads it. A spoiled field gets a value that some decoder took for something else.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.fuzz.values import TEXTS

IMAGE = "busy:latest"

ENDPOINT: dict[str, Any] = {
    "IPAMConfig": {"IPv4Address": "", "IPv6Address": "", "LinkLocalIPs": ["169.254.7.7"]},
    "Links": ["mole:m"],
    "Aliases": ["alias"],
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
    "DriverOpts": {"a": "b"},
}

CONTAINER: dict[str, Any] = {
    "Hostname": "h",
    "Domainname": "d.example",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": True,
    "AttachStderr": True,
    "ExposedPorts": {"80/tcp": {}},
    "Tty": False,
    "OpenStdin": True,
    "StdinOnce": False,
    "Env": ["A=b", "C"],
    "Cmd": ["sleep", "600"],
    "Healthcheck": {"Test": ["NONE"], "Interval": 0, "Timeout": 0, "Retries": 0, "StartPeriod": 0},
    "ArgsEscaped": False,
    "Image": IMAGE,
    "Volumes": {},
    "WorkingDir": "/",
    "Entrypoint": [],
    "NetworkDisabled": False,
    "MacAddress": "",
    "OnBuild": None,
    "Labels": {"l": "1"},
    "StopSignal": "SIGKILL",
    "StopTimeout": 0,
    "Shell": ["/bin/sh"],
    "HostConfig": {
        "Binds": [],
        "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
        "NetworkMode": "bridge",
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "VolumeDriver": "",
        "VolumesFrom": [],
        "CapAdd": ["NET_ADMIN"],
        "CapDrop": ["MKNOD"],
        "CgroupnsMode": "",
        "Dns": ["10.9.9.9"],
        "DnsOptions": ["ndots:1"],
        "DnsSearch": ["s.example"],
        "ExtraHosts": ["other:10.9.9.9"],
        "GroupAdd": [],
        "IpcMode": "",
        "Cgroup": "",
        "Links": [],
        "OomScoreAdj": 0,
        "PidMode": "",
        "Privileged": False,
        "PublishAllPorts": False,
        "ReadonlyRootfs": False,
        "SecurityOpt": [],
        "StorageOpt": {},
        "Tmpfs": {},
        "UTSMode": "",
        "UsernsMode": "",
        "ShmSize": 0,
        "Sysctls": {"net.ipv4.ip_forward": "1"},
        "Runtime": "",
        "ConsoleSize": [0, 0],
        "Isolation": "",
        "CpuShares": 0,
        "Memory": 0,
        "NanoCpus": 0,
        "CgroupParent": "",
        "BlkioWeight": 0,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": "",
        "CpusetMems": "",
        "Devices": [],
        "DeviceCgroupRules": [],
        "DeviceRequests": [],
        "KernelMemory": 0,
        "KernelMemoryTCP": 0,
        "MemoryReservation": 0,
        "MemorySwap": 0,
        "MemorySwappiness": None,
        "OomKillDisable": False,
        "PidsLimit": None,
        "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "Mounts": [],
        "MaskedPaths": None,
        "ReadonlyPaths": None,
        "Init": None,
    },
    "NetworkingConfig": {"EndpointsConfig": {"bridge": {}}},
}

NETWORK: dict[str, Any] = {
    "Name": "west",
    "CheckDuplicate": True,
    "Driver": "bridge",
    "Scope": "local",
    "EnableIPv6": False,
    "IPAM": {
        "Driver": "default",
        "Options": {},
        "Config": [
            {
                "Subnet": "10.77.0.0/24",
                "IPRange": "10.77.0.128/25",
                "Gateway": "10.77.0.1",
                "AuxiliaryAddresses": {"a": "10.77.0.9"},
            }
        ],
    },
    "Internal": False,
    "Attachable": False,
    "Ingress": False,
    "ConfigOnly": False,
    "ConfigFrom": {"Network": ""},
    "Options": {
        "com.docker.network.bridge.name": "br-west",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.container_iface_prefix": "eth",
    },
    "Labels": {"l": "1"},
}

CONNECT: dict[str, Any] = {"Container": "mole", "EndpointConfig": ENDPOINT}
DISCONNECT: dict[str, Any] = {"Container": "mole", "Force": False}
EXEC: dict[str, Any] = {
    "User": "",
    "Privileged": False,
    "Tty": False,
    "AttachStdin": True,
    "AttachStderr": True,
    "AttachStdout": True,
    "Detach": False,
    "DetachKeys": "",
    "Env": ["A=b"],
    "WorkingDir": "/",
    "Cmd": ["echo", "said"],
}
EXEC_START: dict[str, Any] = {"Detach": True, "Tty": False}

BY_PATH: dict[str, dict[str, Any]] = {
    "/containers/create": CONTAINER,
    "/networks/create": NETWORK,
    "/networks/{ref}/connect": CONNECT,
    "/networks/{ref}/disconnect": DISCONNECT,
    "/containers/{ref}/exec": EXEC,
    "/exec/{exec_id}/start": EXEC_START,
}
"""The documents of the routes that read one; another route gets any of them."""

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, 70000, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63) - 1, 10**10, 10**30, 1e300, "x", [], {}, [None], [0], [""], ["x"], [[]], [{}],
    {"": ""},
    {"x": None}, {"x": 1}, {"x": {}}, {"x": []}, ["\0"], {"\0": "\0"}, ["a" * 5000],
)  # fmt: skip
"""In the place of any value, beside TEXTS."""

ODD_FOR: dict[str, tuple[Any, ...]] = {
    "Binds": (["/etc"], ["/:/"], ["a:b"], ["/x"], [":/x"], ["/nowhere-at-all:relative"], ["::"]),
    "CapAdd": (["ALL"], ["NOTHING"], ["cap_net_admin"], [""], ["CAP_CAP_X"]),
    "CgroupParent": (),
    "Cmd": (["false"], ["no-such-program"], ["sh", "-c", "exit 300"], "true", [""], ["/"],
            ["cat"], ["sh", "-c", "echo out; echo err >&2"]),
    "ContainerIDFile": (),
    "Config": ({"max-size": "-1"}, {"max-size": "1x", "max-file": "0"}, {"tag": "{{.X"}),
    "Devices": ([{}], [{"PathOnHost": "/dev/none-such", "PathInContainer": "/dev/x"}]),
    "DeviceCgroupRules": (["x"], ["c 1:3 rwm"], ["c *:* z"]),
    "Dns": (["x"], ["::1"], ["1.2.3.4", "1.2.3"], ["10.0.0.1 evil"]),
    "Entrypoint": (["/no/such"], "sleep", [""]),
    "Env": (["=x"], [""], ["A"], ["PATH="], ["A=\n"], ["A=\0"]),
    "ExposedPorts": ({"x": {}}, {"80-90/udp": {}}, {"70000": {}}, {"80/x": {}}, {"": {}}),
    "ExtraHosts": (["a"], ["a:"], [":1"], ["a:host-gateway"], ["a b:1.2.3.4"], ["a:1.2.3.4\n"]),
    "GroupAdd": (["nobody"], ["-1"], ["99999999999"]),
    "Healthcheck": ({"Test": ["x"]}, {"Interval": -1}, {"Retries": -1}),
    "Links": (["mole"], ["mole:/x"], [":x"], ["nobody:x"], ["a:b:c"], ["newt:a/b"], ["mole:"]),
    "Labels": ({"x": 5}, {"": ""}, {"a" * 5000: ""}),
    "Mounts": ([{}], [{"Type": "x"}], [{"Type": "tmpfs", "Target": "/t"}]),
    "NetworkMode": ("none", "host", "north", "south", "container:mole", "container:quoll",
                    "container:", "<net north>", "container:<id mole 12>", "nobody"),
    "PortBindings": ({"80/tcp": [{"HostPort": "x"}]}, {"x": [{}]}, {"80/tcp": None}),
    "RestartPolicy": ({"Name": "always"}, {"Name": "on-failure", "MaximumRetryCount": -1},
                      {"Name": "x"}, {"Name": "always", "MaximumRetryCount": 1}),
    "SecurityOpt": (["x"], ["seccomp=unconfined"], ["seccomp={"], ["label=disable"], [""],
                    ["no-new-privileges:maybe"], ["apparmor=x"]),
    "StopSignal": ("SIGFOO", "0", "65", "-9", "SIGRTMAX+1", "sigterm", "9"),
    "StopTimeout": (-1, 10**10, 2**63),
    "Sysctls": ({"kernel.shm_rmid_forced": "1"}, {"x": "y"}, {"": ""}, {"net.none.such": "1"}),
    "Tmpfs": ({"/t": "size=x"}, {"relative": ""}, {"/": ""}, {"/t": "bogus"}),
    "Ulimits": ([{"Name": "x", "Soft": 1, "Hard": 1}], [{"Name": "nofile", "Soft": 9, "Hard": 1}],
                [None]),
    "User": ("nobody-here", "0:0:0", "99999999999", "-1", ":", "root:", ":root", "4294967295"),
    "Volumes": ({"/v": {}}, {"": {}}, {"relative": {}}, {"/": {}}, {"/a:b": {}}),
    "VolumesFrom": (["mole"], ["mole:x"], ["nobody"], [":"]),
    "EndpointsConfig": ({"north": None}, {"north": {}, "south": {}}, {"nobody": {}}, {"": {}}),
    "IPAMConfig": ({"IPv4Address": "10.71.0.77"}, {"IPv4Address": "x"}, {"IPv6Address": "x"},
                   {"IPv4Address": "10.71.0.1"}, {"LinkLocalIPs": ["x"]}, {"LinkLocalIPs": [""]}),
    "Driver": ("host", "null", "overlay", "", "default"),
    "Subnet": ("10.71.0.0/24", "10.77.0.0/31", "10.77.0.0/32", "10.77.0.0", "::/0", "0.0.0.0/0",
               "10.77.0.7/24", "224.0.0.0/8", "fd77::/64", "10.77.0.0/24/24"),
    "com.docker.network.bridge.name": ("docker0", "lo", "a" * 16, "a/b", "", "a b", "."),
    "com.docker.network.driver.mtu": ("x", "-1", "0", "67", "99999999", "1e3"),
}  # fmt: skip
"""More of what a field may be, which is nearly right; a field with () gets only wrong types."""

SPOILERS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda text: text[: len(text) // 2],
    "last byte missing": lambda text: text[:-1],
    "trailing garbage": lambda text: text + b"x",
    "second document": lambda text: text + text,
    "trailing NUL": lambda text: text + b"\0",
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "keys twice": lambda text: text[:-1] + b", " + text[1:] if len(text) > 2 else text,
    "keys in other cases": lambda text: text.lower(),
    "single quotes": lambda text: text.replace(b'"', b"'"),
    "bad escape": lambda text: text.replace(b'": "', b'": "\\x', 1),
    "lone surrogate": lambda text: text.replace(b'": "', b'": "\\ud800', 1),
    "two wrong surrogates": lambda text: text.replace(b'": "', b'": "\\udc00\\ud800', 1),
    "broken UTF-8": lambda text: text.replace(b'": "', b'": "\xff\xc0\x80', 1),
    "control character": lambda text: text.replace(b'": "', b'": "\x01', 1),
    "NaN": lambda text: text.replace(b": false", b": NaN", 1).replace(b": 0", b": NaN", 1),
    "Infinity": lambda text: text.replace(b": 0", b": -Infinity", 1),
    "leading zero": lambda text: text.replace(b": 0", b": 00", 1),
    "thousands of digits": lambda text: text.replace(b": 0", b": " + b"9" * 5000, 1),
    "huge exponent": lambda text: text.replace(b": 0", b": 1e999999999", 1),
    "trailing comma": lambda text: text[:-1] + b",}",
    "comment": lambda text: b"/* */" + text,
    "an array around it": lambda text: b"[" + text + b"]",
    "a string": lambda text: json.dumps(text.decode()).encode(),
    "an array": lambda _: b"[]",
    "a number": lambda _: b"7",
    "null": lambda _: b"null",
    "nothing": lambda _: b"",
    "white space": lambda _: b" \n\t ",
    "an open brace": lambda _: b"{",
    "arrays deep": lambda _: b"[" * 3000,
    "objects deep": lambda _: b'{"HostConfig":' * 3000,
    "deep and whole": lambda _: b'{"x":' * 3000 + b"1" + b"}" * 3000,
    "deep field": lambda _: b'{"Labels":' + b"[" * 9000 + b"]" * 9000 + b"}",
    "deep with an escape": lambda _: b"[" * 600 + b'"\\u',
    "many empty arrays": lambda _: b'{"Cmd":[' + b"[]," * 100_000 + b"[]]}",
    "many keys": lambda _: b"{" + b",".join(b'"k%d":0' % n for n in range(50_000)) + b"}",
    "one long string": lambda _: b'{"Hostname":"' + b"a" * 900_000 + b'"}',
    "long string of escapes": lambda _: b'{"Hostname":"' + b"\\u00e9" * 100_000 + b'"}',
    "bytes": lambda _: bytes(range(256)),
}
"""What can be done to a document's text."""


def paths_in(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to every value of a document."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield (*above, key)
            yield from paths_in(value, (*above, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield (*above, number)
            yield from paths_in(value, (*above, number))


def odd_values(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give what may stand in the place of the value at a path.

    Fields that name what is on the machine get no free texts: a real Docker would act on them.
    """
    names = [part for part in path if isinstance(part, str)]
    field = names[-1] if names else ""
    texts: tuple[Any, ...] = TEXTS
    if {"CgroupParent", "ContainerIDFile", "Binds", "Devices", "Mounts"} & set(names):
        texts = ("", "\0", "é")
    return (*ODD, *texts, *ODD_FOR.get(field, ()) * 4)


def with_value(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Give a copy of a document with another value at a path."""
    changed = copy.deepcopy(document)
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return changed


def encoded(document: Any) -> bytes:
    """Write a document as a careful client does; what no UTF-8 has goes as an escape."""
    return json.dumps(document).encode()
