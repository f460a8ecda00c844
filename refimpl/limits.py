"""The bounds that the engine keeps, each with its unit in its name and its reason beside it."""

from __future__ import annotations

DESCRIPTORS_WANTED = 65536
"""How many descriptors the daemon asks to be allowed. A running container takes about eight, two
of them for its resolver; the embedded DNS takes up to 4,608 more, the API one or two a client."""

DNS_UPSTREAM_TIMEOUT_S = 4.0
"""How long one upstream nameserver may take: extIOTimeout in moby's resolver (v20.10)."""

DNS_UPSTREAM_SERVERS_MAX = 3
"""How many upstream nameservers are asked in turn: maxExtDNS in moby's resolver."""

DNS_UPSTREAM_QUERIES_PER_SANDBOX_MAX = 1024
"""Forwarded queries of one sandbox under way; one more is dropped: maxConcurrent in moby's
resolver."""

DNS_UPSTREAM_QUERIES_MAX = 4096
"""Forwarded queries under way in the whole daemon; one more is dropped. Each has a descriptor."""

DNS_TCP_CLIENTS_MAX = 512
"""TCP clients of the embedded DNS in the whole daemon; the oldest is closed for one more."""

DNS_TCP_IDLE_S = 8.0
"""How long a TCP client of the embedded DNS may say nothing (the DNS library of 20.10)."""

DNS_TCP_UNSENT_BYTES_MAX = 256 << 10
"""How much a TCP client of the embedded DNS may leave unread before it is read no further."""

DNS_UDP_PAYLOAD_BYTES = 512
"""The largest UDP answer to a client that announces no larger buffer (RFC 1035)."""

DNS_TCP_PAYLOAD_BYTES = 65535
"""The largest message that TCP's two bytes of length can tell of (RFC 1035)."""

DNS_TTL_S = 600
"""The time to live of the embedded DNS's own answers: respTTL in moby's resolver."""

INTERFACE_NAME_BYTES_MAX = 15
"""IFNAMSIZ less the terminating zero."""

API_HEAD_BYTES_MAX = (1 << 20) + 4096
"""The longest head of a request: Go's DefaultMaxHeaderBytes and the slack that it allows."""

API_JSON_BYTES_MAX = 16 << 20
"""The largest JSON body that is read; Docker has no limit of its own."""

API_DRAIN_BYTES_MAX = 256 << 10
"""How much of an unread body is read away to keep the connection (Go's own figure)."""

API_HEAD_READ_WAIT_S = 2.0
"""How long to wait for a client to consume the head of a hijacked answer."""

API_POLL_S = 0.5
"""How often a stream without news looks whether its client is still there."""

API_CLOSE_WAIT_S = 5.0
"""How long the server's end waits for its clients' threads."""

CONTAINER_FILE_BYTES_MAX = 1 << 20
"""The largest file of a container that is read (passwd, group, hosts, resolv.conf). Its root can
make it any size; Docker reads all of it."""

ENGINE_FILE_BYTES_MAX = 128 << 20
"""The largest of the engine's own documents that is read: what a request of API_JSON_BYTES_MAX
asked for is recorded in JSON, where a byte can take six."""

RUNTIME_COMMAND_TIMEOUT_S = 60.0
"""How long a command of the OCI runtime may take before it is killed, with its children."""

RUNTIME_KILL_TIMEOUT_S = 5.0
"""How long the OCI runtime may take to send a signal before the engine sends it itself."""

RUNTIME_DELETE_TIMEOUT_S = 20.0
"""How long the OCI runtime may take to end and forget a container before the engine does it; runc
itself waits up to 10 s for the processes."""

RUNTIME_MESSAGE_BYTES_MAX = 1 << 20
"""How much of the OCI runtime's log of one command is read: its end, where the error is."""

SECCOMP_PROFILE_BYTES_MAX = 1 << 20
"""The longest seccomp profile that a client may bring; Docker's own has 12 KiB."""

PORT_MAX = 65535
"""The highest port."""
