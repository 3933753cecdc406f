"""Tests of the policy without Wasm: `pilothouse policy test` runs them."""

import unittest
from types import SimpleNamespace

import policy
from pilothouse import Members, fleet_of


def world(active):
    fleet = fleet_of(policy.ABOUT.columns, {policy.ACTIVE: active, policy.WEIGHT: [1.0] * len(active)})
    return fleet, Members(list(range(len(active))))


class LeastBusy(unittest.TestCase):
    def test_the_least_busy_member_takes_the_task(self):
        fleet, members = world([9, 2, 5])
        self.assertEqual(policy.choose(fleet, members, SimpleNamespace(seed=1)).row, 1)

    def test_equals_share(self):
        fleet, members = world([1, 1, 1, 1])
        counts = [0, 0, 0, 0]
        for seed in range(4000):
            counts[policy.choose(fleet, members, SimpleNamespace(seed=seed)).row] += 1
        self.assertTrue(all(abs(count - 1000) < 200 for count in counts), counts)


if __name__ == "__main__":
    unittest.main()
