//! Composition: configuration, wiring, control loops
