"""What a policy in Python reads and answers. Units are those of wit/."""

import struct
from dataclasses import dataclass, field

_LANES = 64
_WORDS = {"half": 32, "whole": 64, "bits": 256, "class": 0}


@dataclass(frozen=True)
class Column:
    """A column and how it lies in a block; see `sync-block` in wit/deps/host/lifecycle.wit."""

    name: str
    layout: str


def half(name: str) -> Column:
    """A `u32` or `f32` column."""
    return Column(name, "half")


def whole(name: str) -> Column:
    """A `u64` column."""
    return Column(name, "whole")


RTT_MS = Column("rtt-ms", "class")


@dataclass
class About:
    """Who the policy is."""

    summary: str
    columns: list[Column]
    reasons: list[str]
    settings_schema: str = ""
    factors: list[str] = field(default_factory=list)


@dataclass
class Choice:
    row: int
    score: float
    reason: int


class NothingSuits(Exception):
    """Nothing suits; carries an index into `about.reasons`."""

    def __init__(self, reason: int):
        super().__init__("nothing suits")
        self.reason = reason


class Fleet:
    """The mirror of the fleet. Unknown rows read as 0."""

    def __init__(self, columns: list[Column]):
        self._offsets: dict[Column, int] = {}
        self._blocks: dict[int, list[int]] = {}
        offset = 0
        for column in columns:
            self._offsets[column] = offset
            offset += _WORDS[column.layout]
        self._words = offset

    def u32(self, column: Column, row: int) -> int:
        """A value of a `u32` column."""
        block, lane = divmod(row, _LANES)
        words = self._blocks.get(block)
        if words is None:
            return 0
        return words[self._offsets[column] + lane // 2] >> 32 * (lane % 2) & 0xFFFFFFFF

    def f32(self, column: Column, row: int) -> float:
        """A value of an `f32` column; NaN if it is not known."""
        return struct.unpack("f", struct.pack("I", self.u32(column, row)))[0]

    def u64(self, column: Column, row: int) -> int:
        """A value of a `u64` column."""
        block, lane = divmod(row, _LANES)
        words = self._blocks.get(block)
        return 0 if words is None else words[self._offsets[column] + lane]

    def sync_block(self, rows: int, index: int, words: list[int]) -> None:
        self._blocks[index] = words
        count = -(-rows // _LANES)
        for gone in [block for block in self._blocks if block >= count]:
            del self._blocks[gone]


class Members:
    """The members that are eligible for a request, ascending; at least one."""

    def __init__(self, rows: list[int], source_region: int = 0, source_zone: int = 0, rtt_ms: list[float] | None = None):
        self.rows = rows
        self.source_region = source_region
        self.source_zone = source_zone
        self._rtt_ms = rtt_ms or []

    def rtt_ms(self, row: int) -> float:
        """Round-trip time from the source, ms; NaN if it is not known."""
        return self._rtt_ms[row] if row < len(self._rtt_ms) else float("nan")

    @staticmethod
    def eligible(words: list[int]) -> list[int]:
        return [64 * index + lane for index, word in enumerate(words) for lane in range(64) if word >> lane & 1]


class Rng:
    """Randomness from the request's seed (splitmix64)."""

    def __init__(self, seed: int):
        self._state = seed

    def below(self, bound: int) -> int:
        """0 <= n < bound"""
        mask = 0xFFFFFFFFFFFFFFFF
        self._state = self._state + 0x9E3779B97F4A7C15 & mask
        z = self._state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return ((z ^ z >> 31) >> 32) * bound >> 32


def ranked(members: Members, chosen: Choice, limit: int, score) -> list[Choice]:
    """A choice, then the others by score: what `rank` answers."""
    others = [Choice(row, score(row), chosen.reason) for row in members.rows if row != chosen.row]
    others = sorted((one for one in others if one.score > float("-inf")), key=lambda one: (-one.score, one.row))
    return [chosen, *others[: limit - 1]]


def fleet_of(columns: list[Column], values: dict[Column, list[int | float]]) -> Fleet:
    """A fleet of up to 64 members for tests: each column's values by row; floats are an `f32` column's."""
    fleet = Fleet(columns)
    words = [0] * sum(_WORDS[column.layout] for column in columns)
    offset = 0
    for column in columns:
        for row, value in enumerate(values.get(column, [])):
            number = struct.unpack("I", struct.pack("f", value))[0] if isinstance(value, float) else value
            words[offset + row // 2] |= number << 32 * (row % 2)
        offset += _WORDS[column.layout]
    fleet.sync_block(max(map(len, values.values())), 0, words)
    return fleet
