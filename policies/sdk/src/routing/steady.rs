//! Hysteresis: a flow keeps its target until another one is clearly better.
//!
//! Invariant: what a flow has is kept in the host's pins, so all instances agree; a target that is less healthy than its
//! challenger is never kept.

use super::{Ranked, Request};
use crate::state::Pins;
use crate::{Class, Column, Fleet, Settings, mix};

const FLOWS_MAX: u32 = 4_096;
const PIN_TTL_MS: u64 = 600_000;
/// Health of members whose score is unknown, as the host counts them.
const HEALTH_UNKNOWN: f32 = 0.5;

/// When to leave a target for a better one: the gain must exceed `share` of the cost and `absolute`.
#[derive(Debug)]
pub struct Steady {
    pins: Pins,
    share: f32,
    absolute: f32,
}

impl Steady {
    /// Reads `hysteresis`, the share (0.1 unless set); `absolute` is in the unit of the costs.
    pub fn of(settings: &mut Settings, absolute: f32) -> Self {
        let share = settings.number("hysteresis", 0.1, 0.0..=1.0) as f32;
        Self { pins: Pins::open("flows", FLOWS_MAX, PIN_TTL_MS), share, absolute }
    }

    /// What the flow had, if it is still eligible.
    #[must_use]
    pub fn current(&self, class: &Class, request: &Request) -> Option<u32> {
        self.pins.get(key(request)).filter(|&row| class.contains(row))
    }

    /// What the flow gets: the best of `order`, unless what it had is nearly as good and not the only one of both above
    /// `limit`. `None` only for an empty order.
    ///
    /// Needs [`Column::HealthScore`].
    #[must_use]
    pub fn choose(
        &self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        order: &[Ranked],
        limit: f32,
    ) -> Option<Ranked> {
        let best = *order.first()?;
        let current = self.current(class, request);
        let kept = order.iter().copied().find(|ranked| Some(ranked.row) == current).filter(|kept| {
            let gain = kept.cost - best.cost;
            let small = gain <= self.share * kept.cost.abs() || gain <= self.absolute;
            let within = kept.cost <= limit || best.cost > limit;
            small && within && kept.cost.is_finite() && health(fleet, kept.row) >= health(fleet, best.row)
        });
        let chosen = kept.unwrap_or(best);
        if current != Some(chosen.row) {
            self.pins.set(key(request), chosen.row);
        }
        Some(chosen)
    }
}

fn key(request: &Request) -> u64 {
    mix(u64::from(request.class) << 8 | u64::from(request.traffic_class))
}

fn health(fleet: &Fleet, row: u32) -> f32 {
    let health = fleet.f32(Column::HealthScore, row);
    if health.is_nan() { HEALTH_UNKNOWN } else { health }
}
