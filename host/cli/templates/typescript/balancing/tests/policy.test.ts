import assert from "node:assert/strict";
import { test } from "node:test";
import { ACTIVE, WEIGHT, policy } from "../src/policy";
import { Members, fleetOf } from "../vendor/pilothouse";

const request = (seed: number) => ({ seed, nowMs: 1000, session: null });

function world(active: number[]) {
  const ones = active.map(() => 1);
  const fleet = fleetOf(policy.about.columns, [[ACTIVE, active, "u32"], [WEIGHT, ones, "f32"]]);
  return { fleet, members: new Members(active.map((_, row) => row)) };
}

test("the least busy member takes the task", () => {
  const { fleet, members } = world([9, 2, 5]);
  assert.equal(policy.choose(fleet, members, request(1)).row, 1);
});

test("equals share", () => {
  const { fleet, members } = world([1, 1, 1, 1]);
  const counts = [0, 0, 0, 0];
  for (let seed = 0; seed < 4000; seed++) {
    const { row } = policy.choose(fleet, members, request(seed * 2654435761));
    counts[row] = (counts[row] ?? 0) + 1;
  }
  assert(counts.every((count) => Math.abs(count - 1000) < 200), String(counts));
});
