//! The checks themselves, a module per group. What each is for stands in the catalogue.

pub(crate) mod bounds;
pub(crate) mod contract;
pub(crate) mod correctness;
pub(crate) mod determinism;
pub(crate) mod leak;
pub(crate) mod properties;
pub(crate) mod robustness;
pub(crate) mod settings;
pub(crate) mod state;
