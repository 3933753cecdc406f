//! Simulated federations and load
