//! What a window of samples says: how fresh it is, and the line through a reading.
//!
//! Invariant: readings that are unknown (NaN), negative or infinite are left out, never taken as zero.

use super::{Request, Sample};

/// Periods after which the newest sample no longer says anything about now.
const STALE_PERIODS: u64 = 2;

/// The newest sample, unless it is too old to act on.
#[must_use]
pub fn fresh(request: &Request) -> Option<&Sample> {
    let newest = request.samples.last()?;
    let age_ms = request.now_ms.checked_sub(newest.at_ms)?;
    (age_ms <= STALE_PERIODS * u64::from(request.period_ms)).then_some(newest)
}

/// A reading that can be: known, finite, not negative.
#[must_use]
pub fn known(value: f32) -> Option<f64> {
    (value.is_finite() && value >= 0.0).then_some(f64::from(value))
}

/// A line through readings by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// The reading now.
    pub now: f64,
    /// Change per second.
    pub per_s: f64,
    /// Share of the variance that the line explains, 0..1.
    pub fit: f64,
    /// Standard deviation of readings around the line.
    pub spread: f64,
    /// How many readings it was drawn through.
    pub readings: usize,
}

impl Line {
    /// Through the known readings of the last `window_ms`; `None` with fewer than three, or all at one time.
    #[must_use]
    pub fn through(request: &Request, window_ms: u64, reading: impl Fn(&Sample) -> f32) -> Option<Self> {
        let since = request.now_ms.saturating_sub(window_ms);
        let points: Vec<(f64, f64)> = request
            .samples
            .iter()
            .filter(|sample| (since..=request.now_ms).contains(&sample.at_ms))
            .filter_map(|sample| {
                let seconds_ago = (request.now_ms - sample.at_ms) as f64 / 1_000.0;
                Some((-seconds_ago, known(reading(sample))?))
            })
            .collect();
        if points.len() < 3 {
            return None;
        }
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            points.iter().map(|&(x, y)| of(x - mean_x, y - mean_y)).sum()
        };
        let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        if xx <= 0.0 {
            return None;
        }
        let per_s = xy / xx;
        let left = (yy - per_s * xy).max(0.0);
        Some(Self {
            now: mean_y - per_s * mean_x,
            per_s,
            fit: if yy > 0.0 { 1.0 - left / yy } else { 1.0 },
            spread: (left / (count - 2.0)).sqrt(),
            readings: points.len(),
        })
    }

    /// The reading to expect in so many seconds, never below zero.
    #[must_use]
    pub fn in_seconds(&self, seconds: f64) -> f64 {
        (self.now + self.per_s * seconds).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(depths: &[f32]) -> Request {
        let sample = |(index, &queue_depth): (usize, &f32)| Sample {
            at_ms: 15_000 * index as u64,
            arrivals_per_s: f32::NAN,
            completions_per_s: f32::NAN,
            queue_depth,
            utilisation: f32::NAN,
            service_ms: f32::NAN,
            ready_replicas: 1,
        };
        Request {
            seed: 0,
            now_ms: 15_000 * (depths.len() as u64).saturating_sub(1),
            replicas: 1,
            min_replicas: 1,
            max_replicas: 10,
            start_ms: 0,
            period_ms: 15_000,
            last_change_ms: 0,
            samples: depths.iter().enumerate().map(sample).collect(),
        }
    }

    #[test]
    fn a_line_finds_slope_and_fit_and_ignores_what_is_unknown() {
        let line = |depths: &[f32]| Line::through(&request(depths), 300_000, |sample| sample.queue_depth);
        let rising = line(&[0.0, 15.0, f32::NAN, 45.0, 60.0]).unwrap();
        assert!((rising.per_s - 1.0).abs() < 1e-9 && (rising.fit - 1.0).abs() < 1e-9);
        assert!((rising.in_seconds(10.0) - 70.0).abs() < 1e-6);
        let flat = line(&[5.0; 4]).unwrap();
        assert_eq!((flat.per_s, flat.fit), (0.0, 1.0));
        assert_eq!(line(&[1.0, 2.0]), None, "two readings are no trend");
        assert_eq!(line(&[f32::NAN, -1.0, f32::INFINITY, 3.0]), None);
    }

    #[test]
    fn only_the_window_counts_and_an_old_sample_is_not_fresh() {
        let mut request = request(&[100.0, 100.0, 100.0, 0.0, 0.0, 0.0]);
        let line = Line::through(&request, 30_000, |sample| sample.queue_depth).unwrap();
        assert_eq!((line.now, line.readings), (0.0, 3));
        assert!(fresh(&request).is_some());
        request.now_ms += 30_001;
        assert!(fresh(&request).is_none());
        request.now_ms = 0;
        assert!(fresh(&request).is_none(), "a sample of the future says nothing about now");
    }
}
