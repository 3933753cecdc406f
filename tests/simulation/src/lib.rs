//! Whole systems of the product's own machines on virtual time, one seed at a time.
//!
//! seed -> [`profile::simulate`]: real machines + faulty disk, network, members and host -> [`run::Report`]
//!
//! Invariant: a seed decides everything, so a failure is replayed by its seed; invariants are checked at every step, and at
//! the end all faults stop and everything must come to rest. There is no clock, socket, file or executor here; the
//! simulation of policies is `host/lab`, of the wire `tests/`.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the simulator's own data: a mistake in it is a failing test"
)]

pub mod bug;
pub mod disk;
mod fleet;
pub mod many;
mod migration;
pub mod poll;
pub mod profile;
pub mod random;
pub mod run;
pub mod stage;
mod store;
