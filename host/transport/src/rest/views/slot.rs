//! Slots, their revisions and history.

use std::collections::BTreeMap;

use pilothouse_core::slot::{Candidate, Happening, HistoryEntry, Revision};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{TrustView, time};
use crate::service::SlotInfo;

/// One digest with one configuration.
#[derive(Debug, Serialize, ToSchema)]
struct RevisionView {
    id: String,
    policy: String,
    version: String,
    /// SHA-256 of the component.
    digest: String,
    /// Where it came from.
    origin: String,
    settings: Value,
}

impl From<&Revision> for RevisionView {
    fn from(revision: &Revision) -> Self {
        Self {
            id: revision.id.to_string(),
            policy: revision.name.clone(),
            version: revision.version.clone(),
            digest: revision.id.component.to_string(),
            origin: revision.origin.to_string(),
            settings: serde_json::from_str(&revision.settings).unwrap_or_default(),
        }
    }
}

/// A revision on its way.
#[derive(Debug, Serialize, ToSchema)]
struct CandidateView {
    revision: RevisionView,
    /// How far it is.
    phase: &'static str,
    /// Who asked for it.
    by: String,
    workers_ready: usize,
    workers: usize,
}

impl From<&Candidate> for CandidateView {
    fn from(candidate: &Candidate) -> Self {
        Self {
            revision: (&candidate.revision).into(),
            phase: candidate.phase.name(),
            by: candidate.by.clone(),
            workers_ready: candidate.workers.0,
            workers: candidate.workers.1,
        }
    }
}

/// Workers that serve the active revision, of how many.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServingView {
    workers: usize,
    of: usize,
}

impl From<(usize, usize)> for ServingView {
    fn from((workers, of): (usize, usize)) -> Self {
        Self { workers, of }
    }
}

/// A revision that must wait.
#[derive(Debug, Serialize, ToSchema)]
struct QuarantinedView {
    revision: String,
    left_ms: u64,
}

/// What the active revision used.
#[derive(Debug, Serialize, ToSchema)]
struct UsageView {
    calls: u64,
    fuel: u64,
    /// Largest linear memory of an instance.
    memory_bytes: u64,
    instances: u64,
}

/// Which policy serves, and how well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotView {
    /// `family/name`.
    id: String,
    family: &'static str,
    /// Counts exchanges.
    generation: u64,
    /// What was asked for last.
    desired: Option<RevisionView>,
    active: Option<RevisionView>,
    /// What the active revision stands on.
    trust: Option<TrustView>,
    previous: Option<RevisionView>,
    candidate: Option<CandidateView>,
    serving: ServingView,
    quarantined: Vec<QuarantinedView>,
    /// Answers by link of the fallback chain.
    answers: BTreeMap<&'static str, u64>,
    /// Faults of the active revision by kind.
    faults: BTreeMap<&'static str, u64>,
    usage: UsageView,
}

impl From<&SlotInfo> for SlotView {
    fn from(slot: &SlotInfo) -> Self {
        let desired = slot.candidate.as_ref().map(|candidate| &candidate.revision);
        let quarantined = slot.quarantined.iter();
        Self {
            id: slot.id.to_string(),
            family: slot.id.family.name(),
            generation: slot.generation,
            desired: desired.or(slot.active.as_ref()).map(RevisionView::from),
            active: slot.active.as_ref().map(RevisionView::from),
            trust: slot.standing.as_ref().map(TrustView::from),
            previous: slot.previous.as_ref().map(RevisionView::from),
            candidate: slot.candidate.as_ref().map(CandidateView::from),
            serving: slot.serving.into(),
            quarantined: quarantined
                .map(|(id, left_ms)| QuarantinedView { revision: id.to_string(), left_ms: *left_ms })
                .collect(),
            answers: slot.answers.iter().copied().collect(),
            faults: slot
                .faults
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(kind, count)| (kind.name(), *count))
                .collect(),
            usage: UsageView {
                calls: slot.usage.calls,
                fuel: slot.usage.fuel,
                memory_bytes: slot.usage.memory_bytes,
                instances: slot.usage.instances,
            },
        }
    }
}

/// All slots.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotsView {
    pub(crate) count: usize,
    pub(crate) slots: Vec<SlotView>,
}

/// One thing that happened to a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryView {
    number: u64,
    at: String,
    /// `requested`, `refused`, `superseded`, `activated`, `not-serving`, `rolled-back`, `faulted`, `quarantined`, `restored`.
    pub(super) what: &'static str,
    detail: String,
    /// Who asked; `null` = the host itself.
    by: Option<String>,
    revision: Option<RevisionView>,
}

impl From<&HistoryEntry> for HistoryView {
    fn from(entry: &HistoryEntry) -> Self {
        let (what, detail) = match &entry.what {
            Happening::Requested => ("requested", String::new()),
            Happening::Refused(reason) => ("refused", reason.clone()),
            Happening::Superseded => ("superseded", String::new()),
            Happening::Activated => ("activated", String::new()),
            Happening::NotServing(reason) => ("not-serving", reason.clone()),
            Happening::RolledBack => ("rolled-back", String::new()),
            Happening::Faulted { kind, detail, count } => {
                ("faulted", format!("{}: {detail} ({count} times)", kind.name()))
            }
            Happening::Quarantined { for_ms } => ("quarantined", format!("for {} s", for_ms / 1_000)),
            Happening::Restored => ("restored", String::new()),
        };
        Self {
            number: entry.number,
            at: time(entry.at),
            what,
            detail,
            by: entry.by.clone(),
            revision: entry.revision.as_ref().map(RevisionView::from),
        }
    }
}

/// What happened to a slot, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoriesView {
    pub(crate) slot: String,
    pub(crate) count: usize,
    pub(crate) history: Vec<HistoryView>,
}
