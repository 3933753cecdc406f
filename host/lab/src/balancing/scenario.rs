//! What is simulated: members, work, and what hosts know.
//!
//! Invariant: utilisation is that of the whole fleet with its slow members counted at their speed, so a value below 1 can be
//! served by somebody who shares well. Nothing is drawn here.

use serde::Deserialize;

/// Nanoseconds of a millisecond.
pub(super) const NS_PER_MS: f64 = 1e6;

/// One run's parameters. [`Scenario::default`] is the published reference: 100 members with 4 workers each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// Members.
    pub members: usize,
    /// Tasks that a member serves at once; more wait in order of arrival.
    pub workers: usize,
    /// Share of the members that are slow, `0..=1`.
    pub slow_share: f64,
    /// Speed of a slow member; the others have speed 1. Weights tell the policy.
    pub slow_speed: f64,
    /// How long tasks take at speed 1.
    pub service: Service,
    /// Work that arrives over work that the fleet can do, `0..`.
    pub utilisation: f64,
    /// Tasks that arrive, as a Poisson process.
    pub tasks: usize,
    /// Share of the tasks that arrive before anything is measured, `0..1`.
    pub warm_up: f64,
    /// What a balancer's host knows.
    pub knowledge: Knowledge,
    /// Whether tasks belong to sessions.
    pub sessions: Option<Sessions>,
    /// A member that is lost on the way.
    pub loss: Option<Loss>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            members: 100,
            workers: 4,
            slow_share: 0.0,
            slow_speed: 0.5,
            service: Service::BIMODAL,
            utilisation: 0.7,
            tasks: 100_000,
            warm_up: 0.1,
            knowledge: Knowledge::FRESH,
            sessions: None,
            loss: None,
        }
    }
}

impl Scenario {
    /// Speed of each member; the slow ones are spread evenly over the rows.
    #[must_use]
    pub fn speeds(&self) -> Vec<f64> {
        let slow_before = |member: usize| (member as f64 * self.slow_share).floor();
        let is_slow = |member| slow_before(member + 1) > slow_before(member);
        (0..self.members).map(|member| if is_slow(member) { self.slow_speed } else { 1.0 }).collect()
    }

    /// Mean time between two arrivals, ns.
    #[must_use]
    pub fn gap_ns(&self) -> f64 {
        let work_per_ns = self.speeds().iter().sum::<f64>() * self.workers as f64 * self.utilisation;
        self.service.mean_ms() * NS_PER_MS / work_per_ns
    }
}

/// Distribution of service times at speed 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Service {
    /// Two kinds of tasks, each with exponential times.
    Bimodal {
        /// Mean of the short kind, ms.
        short_ms: f64,
        /// Mean of the long kind, ms.
        long_ms: f64,
        /// Share of the long kind, `0..=1`.
        long_share: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean, ms.
        mean_ms: f64,
    },
    /// Pareto: a tail without a scale.
    Pareto {
        /// Mean, ms.
        mean_ms: f64,
        /// Exponent of the tail, above 1.
        shape: f64,
    },
}

impl Service {
    /// 5 ms for 95 % of the tasks and 105 ms for the others: a mean of 10 ms, and a p99 of 169 ms without any queue.
    pub const BIMODAL: Self = Self::Bimodal { short_ms: 5.0, long_ms: 105.0, long_share: 0.05 };

    /// Mean, ms.
    #[must_use]
    pub const fn mean_ms(self) -> f64 {
        match self {
            Self::Bimodal { short_ms, long_ms, long_share } => {
                short_ms * (1.0 - long_share) + long_ms * long_share
            }
            Self::Exponential { mean_ms } | Self::Pareto { mean_ms, .. } => mean_ms,
        }
    }
}

/// What a balancer's host learns, beside the tasks it sent itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Knowledge {
    /// Whether callers tell it at once that a task ended.
    pub outcomes: bool,
    /// Load reports of the members.
    pub reports: Option<Reports>,
}

impl Knowledge {
    /// Every end is told at once: a single host knows exactly what each member has.
    pub const FRESH: Self = Self { outcomes: true, reports: None };

    /// Reports alone, each on time.
    #[must_use]
    pub const fn reported(period_ms: u64) -> Self {
        Self {
            outcomes: false,
            reports: Some(Reports { period_ms, delay_ms: 0, publish_ms: default_publish_ms() }),
        }
    }
}

/// How members report their load. Their periods are shifted evenly, as those of machines started at any time are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reports {
    /// Time between two reports of a member, ms.
    pub period_ms: u64,
    /// Time from measuring to the host, ms.
    #[serde(default)]
    pub delay_ms: u64,
    /// Time between two snapshots that the host publishes to decisions, ms.
    #[serde(default = "default_publish_ms")]
    pub publish_ms: u64,
}

/// That of a host's default configuration.
const fn default_publish_ms() -> u64 {
    20
}

/// Sessions with popularities by Zipf's law.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sessions {
    /// Distinct sessions.
    pub count: usize,
    /// Exponent: the n-th session has a share proportional to `n^-exponent`.
    pub exponent: f64,
}

/// A member disappears; its tasks start again elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Loss {
    /// Which one.
    pub member: usize,
    /// Share of the arrivals after which it happens, `0..1`.
    pub after: f64,
}
