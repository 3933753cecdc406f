//! Scaling groups: how many replicas each should have, and where they go.
//!
//! samples, ticks, wishes -> [`Group::step`] -> ask the policy | change the count; then [`spread()`] over members
//!
//! Invariant: the count stays within the group's limits, goes down only on fresh and sane samples, and a policy's advice
//! moves it by at most a bounded step. Unreachable is not zero load: without samples nothing shrinks.
//! What a replica is, and who starts it, is not known here.

mod group;
mod source;
mod spread;
mod window;

pub use group::{Change, Command, Event, Group, GroupSpec, Held, REPLICAS_MAX, SpecError, Why};
pub use source::sample_of;
pub use spread::{Place, Room, home, spread};
pub use window::{SAMPLES_MAX, SampleError, Window};
