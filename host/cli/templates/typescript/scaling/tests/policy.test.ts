import assert from "node:assert/strict";
import { test } from "node:test";
import { policy, type Request, type Sample } from "../src/policy";

const sample = (utilisation: number, readyReplicas: number): Sample => ({
  atMs: 15000,
  arrivalsPerS: 40,
  completionsPerS: 40,
  queueDepth: 0,
  utilisation,
  serviceMs: 20,
  readyReplicas,
});
const request = (samples: Sample[]): Request => ({
  seed: 1,
  nowMs: 15000,
  replicas: 10,
  minReplicas: 0,
  maxReplicas: 100,
  startMs: 30000,
  periodMs: 15000,
  lastChangeMs: 0,
  samples,
});

test("replicas follow the work", () => {
  assert.equal(policy.scale(request([sample(0.7, 10)])).replicas, 10);
  assert.equal(policy.scale(request([sample(0.06, 10)])).replicas, 1);
});

test("without samples the count stays", () => {
  assert.equal(policy.scale(request([])).replicas, 10);
});
