/** Routes each flow to the member with the shortest round trip; the next ones are its fallbacks. */
import { NothingSuits, RTT_MS, type About, type Fleet, type Members } from "../vendor/pilothouse";

const FALLBACKS = 8;
const TTL_MS = 5000;

/** One flow. */
export type Request = { seed: number; nowMs: number; trafficClass: number; latencyGoalMs: number };
export type Answer = { targets: { row: number; weight: number }[]; fallbacks: number[]; ttlMs: number; reason: number };

const about: About = {
  summary: "The nearest member.",
  columns: [RTT_MS],
  reasons: ["shortest round trip", "nobody is eligible"],
};

/** Unknown round trips come last. */
function distance(members: Members, row: number): number {
  const rttMs = members.rttMs(row);
  return Number.isNaN(rttMs) ? Number.MAX_VALUE : rttMs;
}

export const policy = {
  about,

  route(_fleet: Fleet, members: Members, _request: Request): Answer {
    const rows = [...members.rows].sort((a, b) => distance(members, a) - distance(members, b) || a - b);
    const [first, ...others] = rows;
    if (first === undefined) throw new NothingSuits(1);
    return { targets: [{ row: first, weight: 1 }], fallbacks: others.slice(0, FALLBACKS), ttlMs: TTL_MS, reason: 0 };
  },
};
