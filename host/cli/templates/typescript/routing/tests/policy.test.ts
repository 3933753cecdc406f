import assert from "node:assert/strict";
import { test } from "node:test";
import { policy } from "../src/policy";
import { Fleet, Members } from "../vendor/pilothouse";

test("the nearest member serves and the others wait", () => {
  const members = new Members([0, 1, 2], 0, 0, [80, NaN, 20]);
  const request = { seed: 1, nowMs: 1000, trafficClass: 3, latencyGoalMs: 0 };
  const answer = policy.route(new Fleet(policy.about.columns), members, request);
  assert.deepEqual([answer.targets, answer.fallbacks], [[{ row: 2, weight: 1 }], [0, 1]]);
});
