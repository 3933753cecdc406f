"""Places each workload on the member with the most free CPU that has room for it."""

from pilothouse import About, Choice, Column, Fleet, Members, NothingSuits, half

CPU_FREE = half("cpu-millis-free")
CPU_TOTAL = half("cpu-millis-total")
MEMORY_FREE = half("memory-mib-free")
MEMORY_TOTAL = half("memory-mib-total")
NO_ROOM = 1

ABOUT = About(
    summary="The member with the most free CPU.",
    columns=[CPU_FREE, CPU_TOTAL, MEMORY_FREE, MEMORY_TOTAL],
    reasons=["most free CPU", "nobody has room"],
)


def fits(fleet: Fleet, total: Column, free: Column, row: int, wanted: int) -> bool:
    """A total of 0 means that it is not known."""
    return fleet.u32(total, row) == 0 or fleet.u32(free, row) >= wanted


def score(fleet: Fleet, members: Members, request, row: int) -> float:
    """How good a member is, higher is better; -inf if the workload does not fit."""
    has_room = fits(fleet, CPU_TOTAL, CPU_FREE, row, request.needs.cpu_millis) and fits(
        fleet, MEMORY_TOTAL, MEMORY_FREE, row, request.needs.memory_mib
    )
    return float(fleet.u32(CPU_FREE, row)) if has_room else float("-inf")


def place(fleet: Fleet, members: Members, request) -> Choice:
    scored = [(score(fleet, members, request, row), -row) for row in members.rows]
    best, row = max(scored)
    if best == float("-inf"):
        raise NothingSuits(NO_ROOM)
    return Choice(-row, best, 0)
