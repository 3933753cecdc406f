//! What a scaling group takes for what an operator left out.

/// Defaults of new groups; the documented queue scaler's where it has one (Godel, phase 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupDefaults {
    /// Never fewer replicas.
    pub min_replicas: u32,
    /// Never more.
    pub max_replicas: u32,
    /// Time between decisions, ms.
    pub period_ms: u32,
    /// How long a replica takes to become ready, ms.
    pub start_ms: u32,
    /// Time after any change in which the count does not go down, ms.
    pub cooldown_ms: u64,
    /// Most replicas added, or taken off, by one decision.
    pub step_max: u32,
    /// How sure a policy must be to take replicas off, 0..1.
    pub confidence_min: f32,
}

impl Default for GroupDefaults {
    fn default() -> Self {
        Self {
            min_replicas: 5,
            max_replicas: 100,
            period_ms: 15_000,
            start_ms: 30_000,
            cooldown_ms: 120_000,
            step_max: 1_000,
            confidence_min: 0.5,
        }
    }
}
