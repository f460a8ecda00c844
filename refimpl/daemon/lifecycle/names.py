"""Names for containers that were given none: an adjective and somebody who made networks.

Mirrors: moby pkg/namesgenerator (v20.10), in the form of the names.
"""

from __future__ import annotations

import secrets

_ADJECTIVES = (
    "agile amiable bold brave bright calm candid careful clever curious daring diligent eager "
    "earnest elegant fair fearless frank gentle gifted graceful happy honest humble jolly keen "
    "kind lively loyal lucid mellow merry modest nimble noble patient playful polite proud quick "
    "quiet serene sharp sincere steady sunny tidy upbeat vivid warm wise witty zealous"
).split()
_PEOPLE = (
    "abramson baran boggs bush cerf clark cohen crocker davies deering dijkstra estrin feinler "
    "floyd hinden hopper jacobson kahn karn kleinrock lamport licklider lovelace metcalfe mills "
    "mockapetris nagle paxson perlman postel pouzin reed rekhter roberts saltzer shannon shenker "
    "stearns stevens sutherland taylor tomlinson turing zhang"
).split()


def random_name(attempt: int = 0) -> str:
    """Return a name; from the second attempt on with a digit, to make a clash less likely."""
    name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_PEOPLE)}"
    return f"{name}{secrets.randbelow(10)}" if attempt else name
