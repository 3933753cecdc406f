//! Samples of a group in the order of their time.

use std::collections::VecDeque;

use crate::policy::request::ScalingSample;
use crate::time::Now;

/// Most samples kept; a policy is shown all of them.
pub const SAMPLES_MAX: usize = 4_096;

/// Why a sample was not taken.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SampleError {
    /// Nothing was measured.
    #[error("the sample has no reading at all; leave out only what is unknown")]
    Empty,
    /// A reading that cannot be.
    #[error("`{field}` is {value}; it must be a number from 0 up{}", if *.field == "utilisation" { " to 1" } else { "" })]
    Absurd {
        /// The reading.
        field: &'static str,
        /// The value given.
        value: f32,
    },
}

/// A bounded window: the oldest sample leaves when it is full.
#[derive(Debug, Clone, Default)]
pub struct Window {
    samples: VecDeque<ScalingSample>,
}

impl Window {
    /// Takes a sample that arrived `now`; what a sender says of the time is not asked, because clocks differ.
    ///
    /// # Errors
    /// [`SampleError`]; unknown readings are NaN and fine.
    pub fn push(&mut self, mut sample: ScalingSample, now: Now) -> Result<(), SampleError> {
        let readings = [
            ("arrivals_per_s", sample.arrivals_per_s, f32::MAX),
            ("completions_per_s", sample.completions_per_s, f32::MAX),
            ("queue_depth", sample.queue_depth, f32::MAX),
            ("utilisation", sample.utilisation, 1.0),
            ("service_ms", sample.service_ms, f32::MAX),
        ];
        for (field, value, most) in readings {
            if !value.is_nan() && !(0.0..=most).contains(&value) {
                return Err(SampleError::Absurd { field, value });
            }
        }
        if readings.iter().all(|(_, value, _)| value.is_nan()) {
            return Err(SampleError::Empty);
        }
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        sample.at_ms = now.0.max(self.newest().map_or(0, |newest| newest.at_ms));
        self.samples.push_back(sample);
        Ok(())
    }

    /// The newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<&ScalingSample> {
        self.samples.back()
    }

    /// How many samples there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// All samples, oldest first.
    #[must_use]
    pub fn to_vec(&self) -> Vec<ScalingSample> {
        self.samples.iter().copied().collect()
    }

    /// Age of the newest sample, ms; `None` without one.
    #[must_use]
    pub fn age_ms(&self, now: Now) -> Option<u64> {
        self.newest().map(|newest| now.0.saturating_sub(newest.at_ms))
    }
}
