/** Places each workload on the member with the most free CPU that has room for it. */
import { NothingSuits, half, type About, type Choice, type Column, type Fleet, type Members } from "../vendor/pilothouse";

export const CPU_FREE = half("cpu-millis-free");
export const CPU_TOTAL = half("cpu-millis-total");
export const MEMORY_FREE = half("memory-mib-free");
export const MEMORY_TOTAL = half("memory-mib-total");
const NO_ROOM = 1;

/** One workload. */
export type Request = {
  seed: number;
  nowMs: number;
  needs: { cpuMillis: number; memoryMib: number; storageMib: number; acceleratorMillis: number };
  priority: number;
};

const about: About = {
  summary: "The member with the most free CPU.",
  columns: [CPU_FREE, CPU_TOTAL, MEMORY_FREE, MEMORY_TOTAL],
  reasons: ["most free CPU", "nobody has room"],
};

/** A total of 0 means that it is not known. */
function fits(fleet: Fleet, total: Column, free: Column, row: number, wanted: number): boolean {
  return fleet.u32(total, row) === 0 || fleet.u32(free, row) >= wanted;
}

/** How good a member is, higher is better; -Infinity if the workload does not fit. */
function score(fleet: Fleet, _members: Members, { needs }: Request, row: number): number {
  const hasRoom =
    fits(fleet, CPU_TOTAL, CPU_FREE, row, needs.cpuMillis) &&
    fits(fleet, MEMORY_TOTAL, MEMORY_FREE, row, needs.memoryMib);
  return hasRoom ? fleet.u32(CPU_FREE, row) : -Infinity;
}

export const policy = {
  about,
  score,

  place(fleet: Fleet, members: Members, request: Request): Choice {
    let best: Choice = { row: 0, score: -Infinity, reason: 0 };
    for (const row of members.rows) {
      const found = score(fleet, members, request, row);
      if (found > best.score) best = { row, score: found, reason: 0 };
    }
    if (best.score === -Infinity) throw new NothingSuits(NO_ROOM);
    return best;
  },
};
