//! Moves workloads between members without losing one or running one twice: events in, commands out.
//!
//! [`plan`] says what a migration will cost, [`queue`] when it may start, [`saga`] walks it step by step from
//! the host's side, [`member`] is what source and target do, [`transfer`] carries the state between them
//! under a [`ticket`].
//!
//! Invariant: the only authority over a workload is its record [`owner::Owner`], changed by one
//! compare-and-swap. A crash before it rolls back, one after it rolls forward. Freezing ends an epoch: no
//! copy serves again under an epoch in which it was frozen. There is no clock, randomness, socket, file,
//! serialisation or log here.

mod bug;
pub mod charter;
#[cfg(test)]
mod fixture;
pub mod id;
pub mod member;
#[cfg(test)]
mod model;
pub mod order;
pub mod owner;
pub mod plan;
pub mod queue;
pub mod saga;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
pub mod step;
pub mod ticket;
pub mod transfer;
#[cfg(test)]
mod world;
