"""Keeps so many replicas that each is busy for a share of its time."""

import math
from dataclasses import dataclass

from pilothouse import About

STEADY = 0
UNKNOWN = 1

ABOUT = About(
    summary="A share of busy time for each replica.",
    columns=[],
    settings_schema="""{"type":"object","additionalProperties":false,"properties":{"target":{"type":"number",
"minimum":0.1,"maximum":1,"default":0.7,"description":"Share of its time that a replica is busy."}}}""",
    reasons=["by utilisation", "utilisation is not known"],
)

_target = 0.7


@dataclass
class Target:
    replicas: int
    confidence: float
    forecast_per_s: float
    reason: int


def configure(settings: dict) -> None:
    global _target
    _target = settings.get("target", 0.7)


def scale(request) -> Target:
    last = request.samples[-1] if request.samples else None
    if last is None or not 0.0 <= last.utilisation <= 1.0:
        return Target(request.replicas, 0.0, math.nan, UNKNOWN)
    wanted = math.ceil(last.utilisation * last.ready_replicas / _target)
    replicas = max(min(wanted, request.max_replicas), request.min_replicas)
    return Target(replicas, 1.0, last.arrivals_per_s, STEADY)
