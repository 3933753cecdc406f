//! A sample of a group from what members report.

use crate::id::Label;
use crate::member::{Member, Status};
use crate::policy::request::ScalingSample;
use crate::time::Now;

/// Sums over the members that run `service`. `None` if there are none, or if one of them that should report is not
/// online: a member that nobody can reach is not one without work.
#[must_use]
pub fn sample_of<'a>(
    members: impl Iterator<Item = &'a Member>,
    service: &Label,
    now: Now,
) -> Option<ScalingSample> {
    let (mut waiting, mut working, mut busy, mut reporting) = (0.0, 0_u32, Mean::default(), 0_u32);
    let mut latency = Mean::default();
    for member in members.filter(|member| member.registration.services.contains(service)) {
        if !matches!(member.status, Status::Online | Status::Draining) {
            return None;
        }
        waiting += member.load.queue_depth? as f32;
        working = working.saturating_add(member.active());
        busy.add(member.load.cpu);
        latency.add(member.load.latency_ms);
        reporting += 1;
    }
    (reporting > 0).then(|| ScalingSample {
        at_ms: now.0,
        arrivals_per_s: f32::NAN,
        completions_per_s: f32::NAN,
        queue_depth: waiting,
        utilisation: busy.value(),
        service_ms: latency.value(),
        ready_replicas: working,
    })
}

/// Mean of what is known; NaN without anything.
#[derive(Default)]
struct Mean {
    sum: f32,
    count: f32,
}

impl Mean {
    fn add(&mut self, value: Option<f32>) {
        if let Some(value) = value {
            (self.sum, self.count) = (self.sum + value, self.count + 1.0);
        }
    }

    fn value(&self) -> f32 {
        if self.count > 0.0 { self.sum / self.count } else { f32::NAN }
    }
}
