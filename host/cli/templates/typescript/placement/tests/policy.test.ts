import assert from "node:assert/strict";
import { test } from "node:test";
import { CPU_FREE, CPU_TOTAL, policy } from "../src/policy";
import { Members, NothingSuits, fleetOf } from "../vendor/pilothouse";

const fleet = fleetOf(policy.about.columns, [[CPU_FREE, [3000, 5000], "u32"], [CPU_TOTAL, [8000, 8000], "u32"]]);
const members = new Members([0, 1]);
const request = (cpuMillis: number) => ({
  seed: 1,
  nowMs: 1000,
  needs: { cpuMillis, memoryMib: 1024, storageMib: 0, acceleratorMillis: 0 },
  priority: 0,
});

test("the most free member takes the workload", () => {
  assert.equal(policy.place(fleet, members, request(2000)).row, 1);
});

test("without room nothing suits", () => {
  let thrown: unknown;
  try {
    policy.place(fleet, members, request(6000));
  } catch (error) {
    thrown = error;
  }
  assert(thrown instanceof NothingSuits);
});
