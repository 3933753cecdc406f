"""Tests of the policy without Wasm: `pilothouse policy test` runs them."""

import unittest

import policy
from pilothouse import Fleet, Members


class Nearest(unittest.TestCase):
    def test_the_nearest_member_serves_and_the_others_wait(self):
        members = Members([0, 1, 2], rtt_ms=[80.0, float("nan"), 20.0])
        answer = policy.route(Fleet(policy.ABOUT.columns), members, None)
        self.assertEqual((answer.targets, answer.fallbacks), ([(2, 1)], [0, 1]))


if __name__ == "__main__":
    unittest.main()
