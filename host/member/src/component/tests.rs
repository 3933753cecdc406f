//! The driver over an agent in memory: order, bounds, faults, pauses.
