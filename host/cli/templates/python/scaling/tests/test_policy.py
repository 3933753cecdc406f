"""Tests of the policy without Wasm: `pilothouse policy test` runs them."""

import unittest
from types import SimpleNamespace

import policy


def request(*samples):
    limits = {"replicas": 10, "min_replicas": 0, "max_replicas": 100}
    return SimpleNamespace(samples=list(samples), **limits)


def sample(utilisation):
    return SimpleNamespace(utilisation=utilisation, ready_replicas=10, arrivals_per_s=40.0)


class Utilisation(unittest.TestCase):
    def test_replicas_follow_the_work(self):
        self.assertEqual(policy.scale(request(sample(0.7))).replicas, 10)
        self.assertEqual(policy.scale(request(sample(0.06))).replicas, 1)

    def test_without_samples_the_count_stays(self):
        self.assertEqual(policy.scale(request()).replicas, 10)


if __name__ == "__main__":
    unittest.main()
