/**
 * Sends each task to the member that is least busy.
 *
 * Up to SCAN_MAX members all are looked at, beyond that two random ones: a decision should take constant time.
 */
import { Rng, half, type About, type Choice, type Fleet, type Members } from "../vendor/pilothouse";

const SCAN_MAX = 64;

export const ACTIVE = half("active");
export const WEIGHT = half("weight");

/** One task. */
export type Request = { seed: number; nowMs: number; session: number | null };

/** How busy a member is; lower is better. */
function busy(fleet: Fleet, row: number): number {
  return fleet.u32(ACTIVE, row);
}

const about: About = {
  summary: "The member that is least busy.",
  columns: [ACTIVE, WEIGHT],
  reasons: ["least busy"],
};

export const policy = {
  about,

  choose(fleet: Fleet, members: Members, request: Request): Choice {
    const rng = new Rng(request.seed);
    const { rows } = members;
    // Starting anywhere breaks ties evenly.
    const start = rng.below(rows.length);
    const all = rows.length <= SCAN_MAX;
    let best: Choice = { row: rows[start] ?? 0, score: -Infinity, reason: 0 };
    for (let i = 0; i < (all ? rows.length : 2); i++) {
      const row = rows[all ? (start + i) % rows.length : rng.below(rows.length)] ?? 0;
      const score = -busy(fleet, row);
      if (score > best.score) best = { row, score, reason: 0 };
    }
    return best;
  },

  /** How good a row is, higher is better; orders the alternatives. */
  score: (fleet: Fleet, _members: Members, row: number): number => -busy(fleet, row),
};
