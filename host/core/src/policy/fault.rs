//! How a policy can fail, as the host counts and reports it.

use std::fmt;

/// Longest detail text kept with a fault; the rest is cut.
pub const DETAIL_BYTES_MAX: usize = 256;

/// Why a policy gave no usable answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// It looked and declined; the caller gets the reason. Not a fault.
    #[error("the policy refused")]
    Refused(Refusal),
    /// It broke; the fallback chain answers.
    #[error("{0}")]
    Fault(Fault),
}

/// A policy's own refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Index into the description's reasons.
    NothingSuits(u32),
    /// It does not offer this function.
    Unsupported,
    /// Anything else; treated as a fault by the slot.
    Other(String),
}

/// Classes of faults: what `policy history`, metrics and quarantine speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The guest trapped (unreachable, out of bounds, stack overflow, division by zero).
    Trap,
    /// It burned its fuel.
    Fuel,
    /// It ran past its wall-clock deadline.
    Deadline,
    /// It wanted more memory, tables, instances or handles than it may have.
    Memory,
    /// Its answer broke the contract (bad UTF-8, list out of bounds, wrong count, duplicate rows).
    Contract,
    /// It returned more than the host accepts to copy.
    Output,
    /// It chose a row that was not eligible.
    Ineligible,
    /// It scored with NaN.
    NotANumber,
    /// It said `other` instead of an answer.
    Failed,
    /// No seat was free in time. Not the policy's doing alone; never counted for quarantine.
    Busy,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Trap,
        Self::Fuel,
        Self::Deadline,
        Self::Memory,
        Self::Contract,
        Self::Output,
        Self::Ineligible,
        Self::NotANumber,
        Self::Failed,
        Self::Busy,
    ];

    /// The name in metrics, history and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Fuel => "fuel",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Contract => "contract",
            Self::Output => "output",
            Self::Ineligible => "ineligible",
            Self::NotANumber => "not-a-number",
            Self::Failed => "failed",
            Self::Busy => "busy",
        }
    }

    /// Whether it counts towards quarantine.
    #[must_use]
    pub const fn is_strike(self) -> bool {
        !matches!(self, Self::Busy)
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its class.
    pub kind: FaultKind,
    /// What happened, at most [`DETAIL_BYTES_MAX`] bytes, control characters escaped.
    pub detail: String,
}

impl Fault {
    /// A fault with a detail, cut and escaped.
    #[must_use]
    pub fn new(kind: FaultKind, detail: &str) -> Self {
        let mut text = String::new();
        for c in detail.chars() {
            let escaped: String = if c.is_control() { c.escape_default().collect() } else { c.to_string() };
            if text.len() + escaped.len() > DETAIL_BYTES_MAX {
                break;
            }
            text.push_str(&escaped);
        }
        Self { kind, detail: text }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}
