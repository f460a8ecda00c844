"""What the first word of an id is about, in a person's words."""

SUBJECTS = {
    "allocate": "What a start allocates",
    "connect": "Connecting to networks",
    "crash": "Recovery from a crash",
    "create": "Creating containers",
    "disconnect": "Disconnecting from networks",
    "dns": "Names and DNS",
    "drivers": "Network drivers",
    "events": "Events",
    "files": "The files hosts, resolv.conf and hostname",
    "init": "Network modes",
    "ipam": "Addresses and subnets",
    "ipv6": "IPv6",
    "life": "Start, stop, restart and rename",
    "links": "Links between containers",
    "network": "Making and removing networks",
    "options": "Options of the daemon and of networks",
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


def in_sentence(subject: str) -> str:
    """Give a subject as it stands within a sentence: small, unless it begins with an acronym."""
    return subject[:1].lower() + subject[1:] if subject[1:2].islower() else subject
