//! Shares that move step by step, so that sources which see the same empty member do not all jump on it.
//!
//! Load answers late and to everybody at once, so moves for its sake are damped; a path's cost is the flow's own, so
//! when that changes the flow follows at once. The last shares are a cache of the instance: losing them costs one
//! undamped answer. Invariant: at most 512 flows are remembered.

use std::collections::BTreeMap;

use super::Request;
use crate::Settings;

const FLOWS_MAX: usize = 512;
const PERIOD_MS: f32 = 10_000.0;
/// A path's cost changed if it did by more than this share of it.
const CHANGE_MIN: f32 = 0.1;

/// A member's part in a flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// The member.
    pub row: u32,
    /// Its share; all of a flow sum up to 1.
    pub share: f32,
    /// What it costs apart from its load; changes of it are followed at once. 0 if that does not matter.
    pub path_cost: f32,
}

/// The last shares of each flow.
#[derive(Debug)]
pub struct Gradual {
    shift: f32,
    flows: BTreeMap<(u32, u8), (u64, Vec<Part>)>,
}

impl Gradual {
    /// Reads `shift`, the share of a flow that may move in 10 s; 0.1 unless set.
    pub fn of(settings: &mut Settings) -> Self {
        Self { shift: settings.number("shift", 0.1, 0.001..=1.0) as f32, flows: BTreeMap::new() }
    }

    /// Moves from the flow's last shares towards the wanted ones (all members that could take part, also those of share 0),
    /// as far as the time allows; at once if a path changed. Members that are not listed lose their share at once.
    pub fn moved(&mut self, request: &Request, mut wanted: Vec<Part>) -> Vec<(u32, f32)> {
        let key = (request.class, request.traffic_class);
        while self.flows.len() >= FLOWS_MAX && !self.flows.contains_key(&key) {
            self.flows.pop_first();
        }
        if let Some((at_ms, last)) = self.flows.get(&key) {
            let elapsed_ms = request.now_ms.saturating_sub(*at_ms) as f32;
            let step = if path_changed(last, &wanted) {
                1.0
            } else {
                (self.shift * elapsed_ms / PERIOD_MS).min(1.0)
            };
            let kept: f32 = wanted.iter().map(|part| share(last, part.row)).sum();
            if kept > 0.0 {
                for part in &mut wanted {
                    let had = share(last, part.row) / kept;
                    part.share = had + step * (part.share - had);
                }
            }
        }
        let shares = wanted.iter().map(|part| (part.row, part.share)).collect();
        self.flows.insert(key, (request.now_ms, wanted));
        shares
    }
}

fn share(parts: &[Part], row: u32) -> f32 {
    parts.iter().find(|part| part.row == row).map_or(0.0, |part| part.share)
}

/// Whether a path that is used or wanted costs clearly more or less than at the last answer.
fn path_changed(last: &[Part], wanted: &[Part]) -> bool {
    wanted.iter().any(|now| {
        last.iter().find(|before| before.row == now.row).is_some_and(|before| {
            let matters = now.share > 0.0 || before.share > 0.0;
            matters && (now.path_cost - before.path_cost).abs() > CHANGE_MIN * before.path_cost.abs()
        })
    })
}
