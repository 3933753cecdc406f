//! What can be believed of a group's samples.
//!
//! Invariant: missing, absurd, late or contradictory samples take away trust and add nothing; a policy that scales
//! down only on [`Readings::trusted_for`] never does it for want of data.

use super::{Request, Sample};

/// Nothing that is measured in a group is larger.
const ABSURD: f32 = 1e9;
/// How much busy replicas may differ from work in service (Little's law) before one of them is wrong.
const MISMATCH: f64 = 0.2;
/// The same for small groups, replicas.
const MISMATCH_LEAST: f64 = 0.25;
/// A sample is missing where the next one is later than this many usual distances.
const GAP: f64 = 1.5;

/// One believable sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Seconds on the host's clock.
    pub at_s: f64,
    /// Work arriving, per second.
    pub arrivals: f64,
    /// Work finished, per second.
    pub completions: f64,
    /// Waiting work.
    pub queue: f64,
    /// Replicas that served.
    pub ready: u32,
}

/// Believable samples, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Readings {
    /// The samples.
    pub list: Vec<Reading>,
    /// Mean time to serve one piece of work, s: the median of the last readings. NaN = unknown.
    pub service_s: f64,
    /// The usual distance of two samples, at least the period, s.
    pub spacing_s: f64,
    now_s: f64,
    /// The time of the last reading before a sample that could not be believed; -infinity if all could.
    doubt_s: f64,
    balanced: bool,
}

impl Readings {
    /// Sifts the samples of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let now_s = seconds(request.now_ms);
        let mut list: Vec<Reading> = Vec::with_capacity(request.samples.len());
        let mut doubt_s = f64::NEG_INFINITY;
        for sample in &request.samples {
            let last_s = list.last().map_or(f64::NEG_INFINITY, |last| last.at_s);
            match believe(sample).filter(|reading| reading.at_s > last_s && reading.at_s <= now_s) {
                Some(reading) => list.push(reading),
                None => doubt_s = last_s,
            }
        }
        let spacing_s = spacing(&list).max(f64::from(request.period_ms) / 1_000.0);
        let balanced = request.samples.last().is_some_and(balanced);
        Self { list, service_s: service_s(&request.samples), spacing_s, now_s, doubt_s, balanced }
    }

    /// The newest one.
    #[must_use]
    pub fn newest(&self) -> Option<&Reading> {
        self.list.last()
    }

    /// Those of the last seconds.
    #[must_use]
    pub fn last(&self, seconds: f64) -> &[Reading] {
        let from = self.list.partition_point(|reading| reading.at_s < self.now_s - seconds);
        self.list.get(from..).unwrap_or_default()
    }

    /// Whether the last seconds are known without a gap, so that what they say suffices to scale down.
    #[must_use]
    pub fn trusted_for(&self, seconds: f64) -> bool {
        let since = self.now_s - seconds - self.spacing_s;
        let longest_s = GAP * self.spacing_s;
        let recent = self.last(seconds + self.spacing_s);
        let begins = recent.first().is_some_and(|first| first.at_s - since <= longest_s);
        let ends = recent.last().is_some_and(|last| self.now_s - last.at_s <= longest_s);
        let whole = recent.iter().zip(recent.iter().skip(1)).all(|(a, b)| b.at_s - a.at_s <= longest_s);
        begins && ends && whole && self.doubt_s < since && self.balanced && self.service_s.is_finite()
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn believe(sample: &Sample) -> Option<Reading> {
    let sane = |value: f32| (0.0..=ABSURD).contains(&value);
    // Idle replicas have no service time; any other number than "unknown" must make sense.
    let service = sample.service_ms.is_nan() || (sane(sample.service_ms) && sample.service_ms > 0.0);
    let known = sane(sample.arrivals_per_s) && sane(sample.completions_per_s) && sane(sample.queue_depth);
    let utilisation = sample.utilisation.is_nan() || (0.0..=2.0).contains(&sample.utilisation);
    (service && known && utilisation).then(|| Reading {
        at_s: seconds(sample.at_ms),
        arrivals: f64::from(sample.arrivals_per_s),
        completions: f64::from(sample.completions_per_s),
        queue: f64::from(sample.queue_depth),
        ready: sample.ready_replicas,
    })
}

/// Busy replicas and the rate of completions, if both are known.
fn busy(sample: &Sample) -> Option<(f64, f64)> {
    let busy = f64::from(sample.utilisation) * f64::from(sample.ready_replicas);
    let completions = f64::from(sample.completions_per_s);
    (busy.is_finite() && completions.is_finite()).then_some((busy, completions))
}

/// Little's law for the replicas: work in service = completions x service time. True where it cannot be checked.
fn balanced(sample: &Sample) -> bool {
    let service_s = f64::from(sample.service_ms) / 1_000.0;
    let Some((busy, completions)) = busy(sample).filter(|_| service_s.is_finite()) else { return true };
    let in_service = completions * service_s;
    (busy - in_service).abs() <= MISMATCH * busy.max(in_service) + MISMATCH_LEAST
}

/// The median of the last known service times; where none is reported, from utilisation by Little's law.
fn service_s(samples: &[Sample]) -> f64 {
    let known = samples.iter().rev().filter(|sample| believe(sample).is_some()).filter_map(|sample| {
        let reported = f64::from(sample.service_ms) / 1_000.0;
        let derived = || busy(sample).map(|(busy, completions)| busy / completions);
        let service_s = if reported.is_finite() { Some(reported) } else { derived() };
        service_s.filter(|service_s| service_s.is_finite() && *service_s > 0.0)
    });
    let mut last: Vec<f64> = known.take(9).collect();
    median(&mut last)
}

/// The median distance of the last readings, s.
fn spacing(list: &[Reading]) -> f64 {
    let tail = list.get(list.len().saturating_sub(16)..).unwrap_or_default();
    let mut distances: Vec<f64> =
        tail.iter().zip(tail.iter().skip(1)).map(|(a, b)| b.at_s - a.at_s).collect();
    median(&mut distances).max(0.0)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::scaling::load;

    fn trusted(change: fn(&mut Request)) -> bool {
        let mut request = load(&[100.0; 40], 4);
        change(&mut request);
        Readings::of(&request).trusted_for(300.0)
    }

    #[test]
    fn whole_histories_are_trusted() {
        assert!(trusted(|_| ()));
        assert!(trusted(|request| request.samples[2].arrivals_per_s = f32::NAN), "long ago");
        assert!(trusted(|request| request.samples[39].service_ms = f32::NAN), "known from the others");
        assert!(trusted(|request| request.now_ms += 10_000), "not yet due");
    }

    #[test]
    fn anything_wrong_takes_away_trust() {
        assert!(!trusted(|request| request.samples.clear()));
        assert!(!trusted(|request| drop(request.samples.drain(..30))), "too short");
        assert!(!trusted(|request| drop(request.samples.drain(30..31))), "a gap");
        assert!(!trusted(|request| request.now_ms += 30_000), "stale");
        assert!(!trusted(|request| request.samples[39].at_ms = 0), "time goes back");
        assert!(!trusted(|request| request.samples[30].at_ms += 1 << 40), "from the future");
        assert!(!trusted(|request| request.samples[39].utilisation = 0.1), "idle replicas that serve");
        assert!(!trusted(|request| for sample in &mut request.samples {
            (sample.service_ms, sample.utilisation) = (f32::NAN, f32::NAN);
        }));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 1e30] {
            let mut request = load(&[100.0; 40], 4);
            request.samples[25].queue_depth = value;
            assert!(!Readings::of(&request).trusted_for(300.0), "{value}");
        }
    }

    #[test]
    fn service_times_follow_from_utilisation_where_none_is_reported() {
        let mut request = load(&[100.0; 40], 4);
        request.samples.iter_mut().for_each(|sample| sample.service_ms = f32::NAN);
        assert!((Readings::of(&request).service_s - 0.02).abs() < 1e-6);
    }
}
