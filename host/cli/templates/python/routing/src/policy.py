"""Routes each flow to the member with the shortest round trip; the next ones are its fallbacks."""

import math
from dataclasses import dataclass

from pilothouse import RTT_MS, About, Fleet, Members

FALLBACKS = 8
TTL_MS = 5000

ABOUT = About(summary="The nearest member.", columns=[RTT_MS], reasons=["shortest round trip"])


@dataclass
class Answer:
    targets: list[tuple[int, int]]  # row and weight
    fallbacks: list[int]
    ttl_ms: int
    reason: int


def route(fleet: Fleet, members: Members, request) -> Answer:
    def distance(row: int) -> float:
        """Unknown round trips come last."""
        rtt_ms = members.rtt_ms(row)
        return math.inf if math.isnan(rtt_ms) else rtt_ms

    first, *others = sorted(members.rows, key=lambda row: (distance(row), row))
    return Answer([(first, 1)], others[:FALLBACKS], TTL_MS, 0)
