//! What a run came to.

/// Sums of a run; figures are made of them at the end.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    pub(super) flows: f64,
    pub(super) flow_hours: f64,
    pub(super) paid_ms: f64,
    pub(super) oracle_ms: f64,
    pub(super) near_oracle: f64,
    pub(super) switches: f64,
    pub(super) price: f64,
    pub(super) cheapest: f64,
    pub(super) work: f64,
    pub(super) overload: f64,
    pub(super) unanswered: f64,
}

impl Report {
    /// Mean round-trip time paid over the mean of the best possible in each slice; 1 is perfect.
    #[must_use]
    pub fn rtt_ratio(&self) -> f64 {
        self.paid_ms / self.oracle_ms
    }

    /// Round-trip time paid beyond the best possible, over all flows and slices, ms.
    #[must_use]
    pub fn regret_ms(&self) -> f64 {
        self.paid_ms - self.oracle_ms
    }

    /// Share of the flows' work that paid at most 10 % more than the best possible.
    #[must_use]
    pub fn near_oracle_share(&self) -> f64 {
        self.near_oracle / self.flows
    }

    /// Changes of a flow's main target, per flow and hour.
    #[must_use]
    pub fn switches_per_hour(&self) -> f64 {
        self.switches / self.flow_hours
    }

    /// Mean price paid over the price of the cheapest candidate.
    #[must_use]
    pub fn price_ratio(&self) -> f64 {
        self.price / self.cheapest
    }

    /// Share of all work that arrived above its target's capacity.
    #[must_use]
    pub fn overload_share(&self) -> f64 {
        self.overload / self.work
    }

    /// Share of flows that got no usable answer.
    #[must_use]
    pub fn unanswered_share(&self) -> f64 {
        self.unanswered / (self.flows + self.unanswered)
    }

    /// Adds another run's sums, for figures over several draws of candidates.
    pub fn add(&mut self, other: &Self) {
        self.flows += other.flows;
        self.flow_hours += other.flow_hours;
        self.paid_ms += other.paid_ms;
        self.oracle_ms += other.oracle_ms;
        self.near_oracle += other.near_oracle;
        self.switches += other.switches;
        self.price += other.price;
        self.cheapest += other.cheapest;
        self.work += other.work;
        self.overload += other.overload;
        self.unanswered += other.unanswered;
    }
}
