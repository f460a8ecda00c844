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

NETWORK_SUBNETS_MAX = 256
"""Subnets of one network. Docker has no limit; each is compared with those of all networks, and a
body has room for 16,000, which take minutes, while no other network can be made or removed."""

PATTERN_BYTES_MAX = 1024
"""The patterns of one filter of a list, all together; plain words do not count."""

PATTERN_MEMORY_BYTES_MAX = 1 << 20
"""The memory of one compiled pattern; a pattern that needs more matches nothing."""

JSON_BYTES_MAX = 2 << 20
"""The largest JSON body. Docker has no limit; the kernel gives a process no more than 2 MiB of
arguments and environment."""

JSON_MEMBERS_MAX = 1 << 15
"""Commas and opening brackets of a JSON body, those in strings too. Python's parser holds every
thread while it reads a document, longer the more members it has."""

JSON_DEPTH_MAX = 100
"""How deep a JSON document may nest. Docker's own need about 10; Go's decoder stops at 10,000."""

JSON_EXACT_ERROR_BYTES_MAX = 64 << 10
"""Up to this size a bad document is refused with the sentence of Go's decoder."""

FILTERS_BYTES_MAX = 64 << 10
"""The `filters` parameter: a thousand ids."""

STOP_TIMEOUT_S_MAX = (1 << 31) - 1
"""The longest wait for a container to stop: 68 years. Python's own waits end at 292."""

API_HEAD_BYTES_MAX = 128 << 10
"""The longest head of a request, its URL included. Go takes 1 MiB; to read that much would hold
every thread too long."""

API_HEADERS_MAX = 256
"""Header lines of one request."""

API_PARAMETERS_MAX = 1024
"""Parameters in one query."""

API_HEAD_WAIT_S = 60.0
"""How long a client may take to send the rest of a head that it has begun. Between two requests
and within a body there is no bound, as in Docker."""

API_BACKLOG = 65535
"""Connections that wait to be accepted; the kernel cuts this to net.core.somaxconn (4096)."""

API_CLIENTS_MAX = 4096
"""Connections at one time, each with a thread; one more is answered with 503."""

API_DRAIN_BYTES_MAX = 256 << 10
"""How much of an unread body is read away to keep the connection (Go's own figure)."""

API_LINGER_S = 0.5
"""How long a connection that ends within a request is read on, so that the client can read why
(Go's rstAvoidanceDelay)."""

API_ACCEPT_PAUSE_S = 0.05
"""The pause after a failed accept: out of descriptors, a client has to finish first."""

API_HEAD_READ_WAIT_S = 2.0
"""How long to wait for a client to consume the head of a hijacked answer."""

API_LAST_INPUT_WAIT_S = 5.0
"""How long a client may take to notice that its session has ended, and to close; and how long a
process may take to read what a client sent before it left."""

API_POLL_S = 0.5
"""How often a wait or an event stream without news looks whether its client is still there."""

API_CLOSE_WAIT_S = 5.0
"""How long the server's end waits for its clients' threads."""

ARCHIVE_HEADER_BYTES_MAX = 1 << 20
"""One extended header of a tar archive: maxSpecialFileSize in Go's archive/tar."""

ARCHIVE_HEADERS_MAX = 1_000_000
"""Headers of one archive. A full desktop's root file system has 400,000 files; each directory is
remembered until the end."""

ARCHIVE_BYTES_MAX = 64 << 30
"""Plain bytes of one archive, so that a small compressed one cannot fill any disk."""

XZ_MEMORY_BYTES_MAX = 128 << 20
"""What unpacking xz may allocate; `xz -9` needs 65 MiB, a hostile header asks for 4 GiB."""

LAYER_DEPTH_MAX = 400
"""How deep a layer's directories may be nested: removing them must fit into Python's stack."""

IMAGE_DOCUMENT_BYTES_MAX = 512 << 10
"""One JSON document of an image. One that was built in 127 steps has about 60 KiB."""

IMAGE_DOCUMENT_VALUES_MAX = 25_000
"""Values in it, about: its commas and opening brackets. To decode it stops all threads; both bounds
keep that short."""

IMAGE_LAYERS_MAX = 125
"""Layers of one image: maxLayerDepth in moby's layer store."""

PATH_BYTES_MAX = 4096
"""The longest path that the kernel takes, and that an error shows: PATH_MAX."""

IMPORT_CHANGES_MAX = 100
"""Instructions that one import may carry; each may expose every port."""

IMPORT_CHANGE_CHARACTERS_MAX = 65535
"""One of them: the longest line of buildkit's parser."""

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

RUNTIME_HURRY_TIMEOUT_S = 5.0
"""How long a command of the OCI runtime may take once the daemon is to end."""

RUNTIME_MESSAGE_BYTES_MAX = 1 << 20
"""How much of the OCI runtime's log of one command is read: its end, where the error is."""

SECCOMP_PROFILE_BYTES_MAX = 1 << 20
"""The longest seccomp profile that a client may bring; Docker's own has 12 KiB."""

PORT_MAX = 65535
"""The highest port."""
