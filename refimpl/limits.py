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
"""Values in it, about: its commas and opening brackets. To decode it stops all threads, with both
bounds for 30 ms at most."""

IMAGE_LAYERS_MAX = 125
"""Layers of one image: maxLayerDepth in moby's layer store."""

PATH_BYTES_MAX = 4096
"""The longest path that the kernel takes, and that an error shows: PATH_MAX."""

IMPORT_CHANGES_MAX = 100
"""Instructions that one import may carry; each may expose every port."""

IMPORT_CHANGE_CHARACTERS_MAX = 65535
"""One of them: the longest line of buildkit's parser."""

PORT_MAX = 65535
"""The highest port."""
