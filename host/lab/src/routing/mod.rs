//! Judges routing policies on round-trip times that change.
//!
//! [`Tensor`] (parsed or made by [`drift`]) + [`Scenario`] + a router -> [`run`] -> [`Report`]
//!
//! Sources know only what a budget of probes and their own requests tell them ([`pilothouse_core::probe`], the estimator
//! that a host uses as well). Invariant: everything follows from the tensor and a seed. Files are not read
//! here, and load does not lengthen round trips: it is reported as overload.

pub mod drift;
mod federation;
pub mod reference;
mod report;
mod simulator;
mod tensor;

pub use report::Report;
pub(crate) use simulator::run_observed;
pub use simulator::{Knowledge, Router, Scenario, run};
pub use tensor::{Tensor, TensorError};
