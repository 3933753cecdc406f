"""Tests of the policy without Wasm: `pilothouse policy test` runs them."""

import unittest
from types import SimpleNamespace

import policy
from pilothouse import Members, NothingSuits, fleet_of

FLEET = fleet_of(policy.ABOUT.columns, {policy.CPU_FREE: [3000, 5000], policy.CPU_TOTAL: [8000, 8000]})
MEMBERS = Members([0, 1])


def request(cpu_millis):
    return SimpleNamespace(seed=1, needs=SimpleNamespace(cpu_millis=cpu_millis, memory_mib=1024))


class MostFree(unittest.TestCase):
    def test_the_most_free_member_takes_the_workload(self):
        self.assertEqual(policy.place(FLEET, MEMBERS, request(2000)).row, 1)

    def test_without_room_nothing_suits(self):
        with self.assertRaises(NothingSuits):
            policy.place(FLEET, MEMBERS, request(6000))


if __name__ == "__main__":
    unittest.main()
