"""Sends each task to the member that is least busy.

Up to SCAN_MAX members all are looked at, beyond that two random ones: a decision should take constant time.
"""

from pilothouse import About, Choice, Fleet, Members, Rng, half

SCAN_MAX = 64

ACTIVE = half("active")
WEIGHT = half("weight")

ABOUT = About(
    summary="The member that is least busy.",
    columns=[ACTIVE, WEIGHT],
    reasons=["least busy"],
)


def busy(fleet: Fleet, row: int) -> float:
    """How busy a member is; lower is better."""
    return fleet.u32(ACTIVE, row) / max(fleet.f32(WEIGHT, row), 1e-30)


def choose(fleet: Fleet, members: Members, request) -> Choice:
    rng = Rng(request.seed)
    rows = members.rows
    # Starting anywhere breaks ties evenly.
    start = rng.below(len(rows))
    if len(rows) <= SCAN_MAX:
        looked_at = rows[start:] + rows[:start]
    else:
        looked_at = [rows[rng.below(len(rows))] for _ in range(2)]
    row = min(looked_at, key=lambda row: busy(fleet, row))
    return Choice(row, -busy(fleet, row), 0)


def score(fleet: Fleet, members: Members, row: int) -> float:
    """How good a row is, higher is better; orders the alternatives."""
    return -busy(fleet, row)
