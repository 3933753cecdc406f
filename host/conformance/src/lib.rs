//! The conformance kit: does a component keep the policy contract?
//!
//! component behind [`Subject`] -> [`run`] over [`CHECKS`] -> [`Report`] (text, JSON, JUnit XML, HTML); before an activation
//! [`smoke`] asks a running revision the same questions, only fewer
//!
//! Invariant: the kit asks only what the contract promises, or what the policy itself declared ([`Property`]); what a policy
//! prefers is its own affair. Every finding belongs to exactly one check, the one that names it: a fault is charged there
//! whoever provoked it, and checks that could not go on because of it say so. Which engine runs the policy is not known here.

mod ask;
mod catalogue;
mod checks;
mod property;
pub mod report;
mod runner;
mod schema;
mod smoke;
mod subject;
mod trial;
mod world;

pub use catalogue::{CHECKS, Check, Group, Severity, find};
pub use property::{PROPERTIES_KEY, Property};
pub use report::{Outcome, Report, Tested, Verdict};
pub use runner::{Mode, Options, UnknownCheck, refused, run};
pub use smoke::{Finding, smoke};
pub use subject::{Facts, NotMade, Subject};
pub use trial::Failure;
