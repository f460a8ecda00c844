"""What the first word of an id is about, in a person's words."""

SUBJECTS = {
    "allocate": "What a start allocates",
    "connect": "Connecting to networks",
    "crash": "After a crash",
    "create": "Creating containers",
    "disconnect": "Disconnecting from networks",
    "dns": "Names and DNS",
    "drivers": "Network drivers",
    "events": "Events",
    "files": "hosts, resolv.conf and hostname",
    "init": "Network modes",
    "ipam": "Addresses and subnets",
    "ipv6": "IPv6",
    "life": "Start, stop, restart, rename",
    "links": "Links between containers",
    "network": "Making and removing networks",
    "options": "Options of daemon and network",
    "ports": "Published ports",
    "reach": "Who reaches whom",
    "restart": "Restarts of the engine",
    "sandbox": "Interfaces, routes and MAC addresses",
    "upgrade": "Upgrades",
}


def subject_of(id: str) -> str:
    """Give the subject of a row or an area; one that nobody named is its first word."""
    word = id.partition(".")[0]
    return SUBJECTS.get(word, word)
