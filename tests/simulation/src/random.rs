//! All randomness of a run.
//!
//! seed -> [`Random`] -> numbers, chances, choices (SplitMix64, Steele et al. 2014)
//!
//! Invariant: the numbers follow from the seed alone. Entropy of the machine is not here.

use pilothouse_core::fleet::facts::mix;

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Two seeds that differ a little give sequences that have nothing in common.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x5851_f42d_4c95_7f2d)))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below a bound, 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// A place in something of a length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// A number from one to another, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so often of a thousand.
    pub fn chance(&mut self, of_thousand: u64) -> bool {
        self.below(1_000) < of_thousand
    }

    /// One of several.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.index(from.len())).cloned()
    }

    /// The rate of a fault in this run, of a thousand: half of all runs do without it (swarm testing, Groce et al. 2012).
    pub fn rate(&mut self, most: u64) -> u64 {
        if self.chance(500) { 0 } else { self.between(1, most) }
    }
}
