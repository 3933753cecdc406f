//! A plan: the policy's moves, one after the other, on a what-if copy of the loads.
//!
//! advice -> [`Plan`] of the moves that pass, and a reason for each that does not
//!
//! Invariant: a move passes only if its target ends below its source by the margin. Hence the higher of the two falls, no
//! plan raises the highest utilisation, and moving back never passes. The policy's order is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::load::quotient;
use super::{Advice, Cause, Imbalance, MemberLoad, Recent, Resident, Rules, View};
use crate::id::{AgentName, MemberId};
use crate::room::Lack;
use crate::time::Now;

/// Most proposed moves that are looked at.
pub const ADVICE_MAX: usize = 1_024;

/// Names a plan: the run of the host, and a counter in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId {
    /// Which run of the host, so that an id from before a restart never names another plan.
    pub boot: u32,
    /// Counts plans within the run.
    pub sequence: u64,
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r-{:x}-{:x}", self.boot, self.sequence)
    }
}

impl PlanId {
    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (boot, sequence) = text.strip_prefix("r-")?.split_once('-')?;
        Some(Self {
            boot: u32::from_str_radix(boot, 16).ok()?,
            sequence: u64::from_str_radix(sequence, 16).ok()?,
        })
    }
}

/// One migration of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// What moves.
    pub workload: AgentName,
    /// From where.
    pub from: MemberId,
    /// To where.
    pub to: MemberId,
    /// The ownership epoch that must still be in force when it is committed.
    pub epoch: u64,
    /// The load that moves.
    pub load: u64,
    /// Gain in the policy's score.
    pub gain: f32,
}

/// Why a proposed move is not in the plan.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Why {
    /// The policy named a workload that it was not shown; its fault.
    #[error("no workload has this handle")]
    UnknownWorkload,
    /// The policy named a row without a member; its fault.
    #[error("no member has this row")]
    UnknownMember,
    /// The policy moves a workload twice, or to where it is; its fault.
    #[error("the workload already is where the plan wants it")]
    Repeated,
    /// The gain is too small, or not a number.
    #[error("the policy gains {gain}, at least {demanded} is demanded")]
    Gain {
        /// What the policy promised.
        gain: f32,
        /// What the rules demand.
        demanded: f32,
    },
    /// The target violates a hard constraint of the workload.
    #[error("the target does not meet the workload's requirement")]
    Ineligible,
    /// The target takes no work, or nobody knows how much it can take.
    #[error("the target takes no work")]
    NotTaking,
    /// The target has no room.
    #[error(transparent)]
    Room(Lack),
    /// It does not win by the margin.
    #[error("the target would end at {after:.3}, too close to the {before:.3} of the source")]
    Margin {
        /// Utilisation of the source before the move.
        before: f64,
        /// Utilisation of the target after it.
        after: f64,
    },
    /// The workload moved too recently.
    #[error("the workload moved too recently")]
    Cooldown,
    /// As much as allowed is moved in this window already.
    #[error("the budget of this window is used up")]
    Budget,
}

/// A proposed move that is not in the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Which, if it exists.
    pub workload: Option<AgentName>,
    /// Where to, if that exists.
    pub to: Option<MemberId>,
    /// Why.
    pub why: Why,
}

/// Moves that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name.
    pub id: PlanId,
    /// Why it was made.
    pub cause: Cause,
    /// Epoch of the fleet that it was made on, for the record.
    pub epoch: u64,
    /// After this it is no longer executed.
    pub valid_until: Now,
    /// The fleet before.
    pub before: Imbalance,
    /// The fleet after.
    pub after: Imbalance,
    /// Fewest moves that could reach balance: what the plan is to be compared with.
    pub moves_min: u64,
    /// In the policy's order.
    pub moves: Vec<Move>,
    /// What was proposed and did not pass.
    pub refused: Vec<Refused>,
}

/// Why a plan is not executed: the fleet is no longer what it was.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Stale {
    /// It waited too long.
    #[error("the plan is too old")]
    Expired,
    /// A workload is gone or has another owner.
    #[error("`{0}` is no longer where the plan found it")]
    Moved(AgentName),
    /// A move no longer passes.
    #[error("moving `{workload}` no longer passes: {why}")]
    NoLongerPasses {
        /// What should have moved.
        workload: AgentName,
        /// Why not.
        why: Why,
    },
}

impl Plan {
    /// Checks what a policy proposed.
    pub(super) fn make(
        id: PlanId,
        cause: Cause,
        advice: Advice<'_>,
        rules: &Rules,
        recent: &Recent,
        view: View<'_>,
    ) -> Self {
        let mut what_if = WhatIf::of(rules, recent, view);
        let rows: BTreeMap<u32, &MemberId> =
            view.snapshot.members.iter().map(|member| (member.row, &member.id)).collect();
        let (mut moves, mut refused) = (Vec::new(), Vec::new());
        for proposed in advice.iter().take(ADVICE_MAX) {
            let resident = view.snapshot.residents.get(proposed.workload as usize);
            let to = rows.get(&proposed.to).copied();
            let checked = match (resident, to) {
                (None, _) => Err(Why::UnknownWorkload),
                (_, None) => Err(Why::UnknownMember),
                (Some(resident), Some(to)) => what_if.admit(resident, to, proposed.gain),
            };
            match checked {
                Ok(admitted) => moves.push(admitted),
                Err(why) => refused.push(Refused {
                    workload: resident.map(|resident| resident.workload.clone()),
                    to: to.cloned(),
                    why,
                }),
            }
        }
        Self {
            id,
            cause,
            epoch: view.snapshot.epoch,
            valid_until: view.now.plus_ms(rules.valid_ms),
            before: Imbalance::of(&view.snapshot.members),
            after: what_if.imbalance(),
            moves_min: view.snapshot.moves_min(rules.imbalance_max),
            moves,
            refused,
        }
    }

    /// Checks all moves again, on the fleet as it is now.
    ///
    /// # Errors
    /// [`Stale`]; one move that no longer passes makes the whole plan stale, because the others were chosen beside it.
    pub(super) fn recheck(&self, rules: &Rules, recent: &Recent, view: View<'_>) -> Result<(), Stale> {
        if view.now > self.valid_until {
            return Err(Stale::Expired);
        }
        let residents: BTreeMap<&AgentName, &Resident> =
            view.snapshot.residents.iter().map(|resident| (&resident.workload, resident)).collect();
        let mut what_if = WhatIf::of(rules, recent, view);
        for planned in &self.moves {
            let same =
                |resident: &&&Resident| resident.member == planned.from && resident.epoch == planned.epoch;
            let resident = residents.get(&planned.workload).filter(same);
            let resident = resident.ok_or_else(|| Stale::Moved(planned.workload.clone()))?;
            what_if
                .admit(resident, &planned.to, planned.gain)
                .map_err(|why| Stale::NoLongerPasses { workload: planned.workload.clone(), why })?;
        }
        Ok(())
    }
}

/// The loads as they would be after the moves admitted so far.
struct WhatIf<'a> {
    rules: &'a Rules,
    recent: &'a Recent,
    view: View<'a>,
    members: BTreeMap<&'a MemberId, MemberLoad>,
    moved: BTreeSet<&'a AgentName>,
    budget: usize,
}

impl<'a> WhatIf<'a> {
    fn of(rules: &'a Rules, recent: &'a Recent, view: View<'a>) -> Self {
        let members = view.snapshot.members.iter().map(|member| (&member.id, member.clone())).collect();
        let budget = recent.budget(rules, view.snapshot.workloads, view.now);
        Self { rules, recent, view, members, moved: BTreeSet::new(), budget }
    }

    fn imbalance(&self) -> Imbalance {
        Imbalance::of(self.members.values())
    }

    fn admit(&mut self, resident: &'a Resident, to: &MemberId, gain: f32) -> Result<Move, Why> {
        let Rules { gain_min, margin, .. } = *self.rules;
        if self.moved.contains(&resident.workload) || resident.member == *to {
            return Err(Why::Repeated);
        }
        // A gain that is not a number is not a gain.
        if gain.is_nan() || gain < gain_min {
            return Err(Why::Gain { gain, demanded: gain_min });
        }
        let source = self.members.get(&resident.member).ok_or(Why::UnknownMember)?;
        let target = self.members.get(to).ok_or(Why::UnknownMember)?;
        if !target.takes_work || target.capacity == 0 {
            return Err(Why::NotTaking);
        }
        if !(self.view.eligible)(resident, to) {
            return Err(Why::Ineligible);
        }
        target.room.fits(resident.needs).map_err(Why::Room)?;
        let before = source.utilisation();
        let after = quotient(target.load.saturating_add(resident.load), target.capacity);
        if resident.load == 0 || after > before * (1.0 - margin) {
            return Err(Why::Margin { before, after });
        }
        if self.recent.cools_down(self.rules, &resident.workload, self.view.now) {
            return Err(Why::Cooldown);
        }
        if self.moved.len() >= self.budget {
            return Err(Why::Budget);
        }
        self.carry_out(resident, to);
        Ok(Move {
            workload: resident.workload.clone(),
            from: resident.member.clone(),
            to: to.clone(),
            epoch: resident.epoch,
            load: resident.load,
            gain,
        })
    }

    fn carry_out(&mut self, resident: &'a Resident, to: &MemberId) {
        if let Some(source) = self.members.get_mut(&resident.member) {
            source.load = source.load.saturating_sub(resident.load);
            source.room.give_back(resident.needs);
        }
        if let Some(target) = self.members.get_mut(to) {
            target.load = target.load.saturating_add(resident.load);
            // It fits: that was checked just now.
            let _fits = target.room.take(resident.needs);
        }
        self.moved.insert(&resident.workload);
    }
}
