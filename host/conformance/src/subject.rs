//! What the kit needs of whoever runs the component: facts, fresh instances on a given state, and a clock.
//!
//! Invariant: two policies made with equal arguments are equal: new counters start at the same value.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::policy::fault::Fault;
use pilothouse_core::policy::settings::SettingProblem;
use pilothouse_core::policy::state::SlotState;
use pilothouse_core::policy::{Description, Family, Policy};

/// What is known of a component that was loaded.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its family.
    pub family: Family,
    /// Digest of its bytes, as text.
    pub digest: String,
    /// Its size, bytes.
    pub size_bytes: usize,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// What it says of itself.
    pub description: Description,
    /// Functions of its family that it lacks, or has with another type; the contract has more than the host calls today.
    pub missing: Vec<String>,
    /// Fuel of one decision.
    pub fuel_max: u64,
    /// Linear memory of an instance, bytes.
    pub memory_bytes_max: u64,
}

/// Why no policy could be made of the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotMade {
    /// Its settings are not valid.
    Settings(Vec<SettingProblem>),
    /// It broke.
    Fault(Fault),
}

/// A component under test.
pub trait Subject: Debug {
    /// What is known of it.
    fn facts(&self) -> &Facts;

    /// A policy of one fresh instance, with settings as JSON text, on a state.
    ///
    /// # Errors
    /// [`NotMade`].
    fn make(&self, settings: &str, state: Arc<SlotState>) -> Result<Box<dyn Policy>, NotMade>;

    /// What it answers when asked who it is again, on a used instance.
    ///
    /// # Errors
    /// The fault.
    fn describe_again(&self) -> Result<Description, Fault>;

    /// The same bytes, loaded and compiled anew.
    ///
    /// # Errors
    /// Why they are refused this time.
    fn load_again(&self) -> Result<Box<dyn Subject>, String>;

    /// Time since any fixed moment.
    fn elapsed(&self) -> Duration;
}
