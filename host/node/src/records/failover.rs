//! How failovers and displaced workloads look in the store.
//!
//! Keys: `failovers/journal/ID/NUMBER` while one is under way, `failovers/ended/ID` afterwards, `displaced/AGENT`. Numbers are
//! written with leading zeros, so that keys are in order.
//!
//! Invariant: as for all records, fields are only added, with a default.

use std::collections::BTreeSet;

use pilothouse_core::failback::Displaced;
use pilothouse_core::failover::{Entry, FailoverId, Lost, Origin, Placed, Planned, Progress};
use pilothouse_core::id::{AgentName, Label, MemberId};
use pilothouse_core::time::WallMs;
use pilothouse_transport::service::failover::{FailoverInfo, MovedInfo};
use serde::{Deserialize, Serialize};

use super::RecordError;

/// Journals of failovers that have not ended.
pub(crate) const JOURNAL: &str = "failovers/journal/";
/// Failovers that have.
pub(crate) const ENDED: &str = "failovers/ended/";
/// Workloads away from home.
pub(crate) const DISPLACED: &str = "displaced/";

/// `failovers/journal/ID/NUMBER`
pub(crate) fn journal_key(id: FailoverId, number: u64) -> String {
    format!("{JOURNAL}{:016x}/{number:016x}", id.0)
}

/// `failovers/ended/ID`
pub(crate) fn ended_key(id: FailoverId) -> String {
    format!("{ENDED}{:016x}", id.0)
}

/// `displaced/AGENT`
pub(crate) fn displaced_key(agent: &AgentName) -> String {
    format!("{DISPLACED}{agent}")
}

/// The failover and the number that a key of the journal names.
pub(crate) fn parse_journal_key(key: &str) -> Option<(FailoverId, u64)> {
    let (id, number) = key.strip_prefix(JOURNAL)?.split_once('/')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some((FailoverId(hex(id)?), hex(number)?))
}

/// One entry of a journal. That a failover ended shows in its journal being gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub(crate) enum EntryRecord {
    Opened {
        #[serde(default)]
        by: Option<String>,
        #[serde(default)]
        to_regions: Vec<String>,
        members: Vec<String>,
        #[serde(default)]
        regions: Vec<String>,
    },
    Confirmed,
    Planned {
        plans: Vec<PlannedRecord>,
    },
    Widened {
        members: Vec<String>,
    },
    Returned {
        member: String,
    },
}

/// A workload and the place chosen for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlannedRecord {
    workload: String,
    from: String,
    epoch: u64,
    to: String,
}

impl PlannedRecord {
    /// The record of a plan.
    pub(crate) fn of(planned: &Planned) -> Self {
        let Planned { workload, from, epoch, to } = planned;
        Self { workload: workload.to_string(), from: from.to_string(), epoch: *epoch, to: to.to_string() }
    }

    fn read(&self) -> Result<Planned, String> {
        Ok(Planned {
            workload: agent(&self.workload)?,
            from: member(&self.from)?,
            epoch: self.epoch,
            to: member(&self.to)?,
        })
    }
}

impl EntryRecord {
    /// The opening of a failover, with so many of its members; the others follow as widenings.
    pub(crate) fn opened(origin: &Origin, lost: &Lost, members: &[String]) -> Self {
        let (by, to_regions) = match origin {
            Origin::Detector => (None, Vec::new()),
            Origin::Operator { by, to_regions } => (Some(by.clone()), texts(to_regions)),
        };
        Self::Opened { by, to_regions, members: members.to_vec(), regions: texts(&lost.regions) }
    }

    /// The entries that it stands for, of a failover with this name.
    ///
    /// # Errors
    /// [`RecordError::Value`] names the key.
    pub(crate) fn into_entries(self, id: FailoverId, key: &str) -> Result<Vec<Entry>, RecordError> {
        self.read(id).map_err(|problem| RecordError::Value { key: key.to_owned(), problem })
    }

    fn read(self, id: FailoverId) -> Result<Vec<Entry>, String> {
        let one = match self {
            Self::Opened { by, to_regions, members, regions } => Entry::Opened {
                id,
                origin: match by {
                    None => Origin::Detector,
                    Some(by) => Origin::Operator { by, to_regions: labels(&to_regions)? },
                },
                lost: Lost {
                    members: members.iter().map(|id| member(id)).collect::<Result<_, _>>()?,
                    regions: labels(&regions)?,
                },
            },
            Self::Confirmed => Entry::Confirmed,
            Self::Planned { plans } => {
                Entry::Planned(plans.iter().map(PlannedRecord::read).collect::<Result<_, _>>()?)
            }
            Self::Widened { members } => {
                return members.iter().map(|id| member(id).map(Entry::Widened)).collect();
            }
            Self::Returned { member: id } => Entry::Returned(member(&id)?),
        };
        Ok(vec![one])
    }
}

/// A failover that ended, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EndedRecord {
    id: u64,
    by: Option<String>,
    to_regions: Vec<String>,
    members: Vec<String>,
    regions: Vec<String>,
    phase: String,
    began_at_ms: u64,
    took_ms: u64,
    overdue: bool,
    running: usize,
    left: usize,
    workloads: Vec<MovedRecord>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct MovedRecord {
    workload: String,
    from: String,
    to: Option<String>,
    reason: Option<String>,
}

impl EndedRecord {
    /// The record of a failover that ended.
    pub(crate) fn of(id: FailoverId, info: &FailoverInfo) -> Self {
        let moved = |moved: &MovedInfo| MovedRecord {
            workload: moved.workload.to_string(),
            from: moved.from.to_string(),
            to: moved.to.as_ref().map(ToString::to_string),
            reason: moved.reason.clone(),
        };
        Self {
            id: id.0,
            by: info.by.clone(),
            to_regions: texts(&info.to_regions),
            members: texts(&info.lost.members),
            regions: texts(&info.lost.regions),
            phase: info.phase.clone(),
            began_at_ms: info.began_at.0,
            took_ms: info.took_ms,
            overdue: info.overdue,
            running: info.progress.running,
            left: info.progress.left,
            workloads: info.workloads.iter().map(moved).collect(),
        }
    }

    /// The failover.
    ///
    /// # Errors
    /// [`RecordError::Value`] names the key.
    pub(crate) fn into_info(self, key: &str) -> Result<FailoverInfo, RecordError> {
        self.read().map_err(|problem| RecordError::Value { key: key.to_owned(), problem })
    }

    fn read(self) -> Result<FailoverInfo, String> {
        let moved = |moved: &MovedRecord| {
            Ok::<_, String>(MovedInfo {
                workload: agent(&moved.workload)?,
                from: member(&moved.from)?,
                to: moved.to.as_deref().map(member).transpose()?,
                reason: moved.reason.clone(),
            })
        };
        Ok(FailoverInfo {
            id: Some(FailoverId(self.id)),
            by: self.by,
            to_regions: labels(&self.to_regions)?,
            lost: Lost {
                members: self.members.iter().map(|id| member(id)).collect::<Result<_, _>>()?,
                regions: labels(&self.regions)?,
            },
            phase: self.phase,
            began_at: WallMs(self.began_at_ms),
            took_ms: self.took_ms,
            overdue: self.overdue,
            progress: Progress { running: self.running, left: self.left, ..Progress::default() },
            workloads: self.workloads.iter().map(moved).collect::<Result<_, _>>()?,
        })
    }
}

/// A workload away from home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DisplacedRecord {
    workload: String,
    home: String,
    member: String,
    epoch: u64,
    #[serde(default)]
    by_hand: bool,
    attempts: u32,
}

impl DisplacedRecord {
    /// The record of a displaced workload.
    pub(crate) fn of(displaced: &Displaced) -> Self {
        let Displaced { placed: Placed { workload, home, member, epoch }, by_hand, attempts } = displaced;
        Self {
            workload: workload.to_string(),
            home: home.to_string(),
            member: member.to_string(),
            epoch: *epoch,
            by_hand: *by_hand,
            attempts: *attempts,
        }
    }

    /// The displaced workload.
    ///
    /// # Errors
    /// [`RecordError::Value`] names the key.
    pub(crate) fn into_displaced(self, key: &str) -> Result<Displaced, RecordError> {
        self.read().map_err(|problem| RecordError::Value { key: key.to_owned(), problem })
    }

    fn read(self) -> Result<Displaced, String> {
        let placed = Placed {
            workload: agent(&self.workload)?,
            home: member(&self.home)?,
            member: member(&self.member)?,
            epoch: self.epoch,
        };
        Ok(Displaced { placed, by_hand: self.by_hand, attempts: self.attempts })
    }
}

pub(crate) fn texts<T: ToString>(values: &BTreeSet<T>) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn agent(text: &str) -> Result<AgentName, String> {
    AgentName::parse(text).map_err(|error| error.to_string())
}

fn member(text: &str) -> Result<MemberId, String> {
    MemberId::parse(text).map_err(|error| error.to_string())
}

fn labels(texts: &[String]) -> Result<BTreeSet<Label>, String> {
    texts.iter().map(|text| Label::parse(text).map_err(|error| error.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;

    #[test]
    fn what_is_written_of_failovers_is_read_back() {
        let (id, home) = (FailoverId(0x1f), member("m").unwrap());
        let lost = Lost { members: [home.clone()].into(), regions: labels(&["us".to_owned()]).unwrap() };
        let to_regions = labels(&["eu".to_owned()]).unwrap();
        let operator = Origin::Operator { by: "ann".to_owned(), to_regions: to_regions.clone() };
        let plan = Planned { workload: agent("w").unwrap(), from: home.clone(), epoch: 3, to: home.clone() };
        let (plans, members) = (vec![PlannedRecord::of(&plan)], vec!["m".to_owned()]);
        for (record, entry) in [
            (
                EntryRecord::opened(&operator, &lost, &members),
                Entry::Opened { id, origin: operator, lost: lost.clone() },
            ),
            (
                EntryRecord::opened(&Origin::Detector, &lost, &members),
                Entry::Opened { id, origin: Origin::Detector, lost: lost.clone() },
            ),
            (EntryRecord::Confirmed, Entry::Confirmed),
            (EntryRecord::Planned { plans }, Entry::Planned(vec![plan])),
            (EntryRecord::Widened { members: vec!["m".to_owned()] }, Entry::Widened(home.clone())),
            (EntryRecord::Returned { member: "m".to_owned() }, Entry::Returned(home.clone())),
        ] {
            let read: EntryRecord = decode("k", &encode(&record)).unwrap();
            assert_eq!(read.into_entries(id, "k").unwrap(), [entry]);
        }
        assert_eq!(parse_journal_key(&journal_key(id, 7)), Some((id, 7)));
        assert!(journal_key(id, 9) < journal_key(id, 10), "keys are in order");
        let moved = |to: Option<MemberId>, reason: Option<&str>| MovedInfo {
            workload: agent("w").unwrap(),
            from: home.clone(),
            to,
            reason: reason.map(str::to_owned),
        };
        let info = FailoverInfo {
            id: Some(id),
            by: None,
            to_regions,
            lost,
            phase: "partial".to_owned(),
            began_at: WallMs(5),
            took_ms: 6,
            overdue: true,
            progress: Progress { running: 1, left: 1, ..Progress::default() },
            workloads: vec![moved(Some(home.clone()), None), moved(None, Some("no room"))],
        };
        let read: EndedRecord = decode("k", &encode(&EndedRecord::of(id, &info))).unwrap();
        assert_eq!(read.into_info("k").unwrap(), info);
        let placed = Placed { workload: agent("w").unwrap(), home: home.clone(), member: home, epoch: 8 };
        let displaced = Displaced { placed, by_hand: true, attempts: 2 };
        let read: DisplacedRecord = decode("k", &encode(&DisplacedRecord::of(&displaced))).unwrap();
        assert_eq!(read.into_displaced("k").unwrap(), displaced);
    }
}
