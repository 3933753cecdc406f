//! Round-trip times as they were last seen, and which of them to measure next.
//!
//! probes and requests -> [`Estimates::observe`] -> [`Estimates::expected_ms`] -> a class's round-trip times
//!
//! Invariant: at most [`SOURCES_MAX`] sources and [`TARGETS_MAX`] targets of each are remembered; who was used longest
//! ago leaves first. Nothing is sent here: the shell probes what [`Estimates::choose_probes`] names and says what came back.

mod path;
mod volatility;

use std::collections::BTreeMap;

use crate::fleet::facts::mix;
use crate::time::Now;

pub use path::Path;
use volatility::Volatility;

/// Most sources remembered.
pub const SOURCES_MAX: usize = 256;
/// Most targets remembered of a source.
pub const TARGETS_MAX: usize = 1_024;

/// One probe of this many explores, the others refresh the best; at least one explores.
const EXPLORE_EVERY: usize = 3;
/// A path that holds with at least this probability has nothing new to tell.
const CERTAIN: f32 = 0.99;

/// What is known of paths from sources to targets.
#[derive(Debug, Clone)]
pub struct Estimates<S, T> {
    sources: BTreeMap<S, Source<T>>,
}

#[derive(Debug, Clone)]
struct Source<T> {
    paths: BTreeMap<T, Path>,
    volatility: Volatility,
    used_at: Now,
}

impl<S, T> Default for Estimates<S, T> {
    fn default() -> Self {
        Self { sources: BTreeMap::new() }
    }
}

impl<S: Ord + Clone, T: Ord + Clone> Estimates<S, T> {
    /// Takes a measured round-trip time, of a probe or of a request. Values that are no time are ignored.
    pub fn observe(&mut self, source: &S, target: &T, rtt_ms: f32, now: Now) {
        if !rtt_ms.is_finite() || rtt_ms < 0.0 {
            return;
        }
        let Source { paths, volatility, .. } = self.entry(source, now);
        match paths.get_mut(target) {
            Some(path) => {
                if let Some((changed, held_ms)) = path.observe(rtt_ms, now) {
                    volatility.observe(changed, held_ms);
                }
            }
            None => insert(paths, target, Path::seen(rtt_ms, now)),
        }
    }

    /// Notes that a probe brought nothing back, so that others get their turn.
    pub fn missed(&mut self, source: &S, target: &T, now: Now) {
        let paths = &mut self.entry(source, now).paths;
        match paths.get_mut(target) {
            Some(path) => path.miss(now),
            None => {
                let mut path = Path::unanswered(now);
                path.miss(now);
                insert(paths, target, path);
            }
        }
    }

    /// What is known of a path.
    #[must_use]
    pub fn path(&self, source: &S, target: &T) -> Option<&Path> {
        self.sources.get(source)?.paths.get(target)
    }

    /// The round-trip time to expect, ms; NaN if the path was never measured.
    #[must_use]
    pub fn expected_ms(&self, source: &S, target: &T, now: Now) -> f32 {
        let known = self.sources.get(source).and_then(|known| Some((known, known.paths.get(target)?)));
        known.map_or(f32::NAN, |(known, path)| path.expected_ms(known.volatility, now))
    }

    /// Every path that is remembered, with the round-trip time to expect, ms.
    pub fn iter(&self, now: Now) -> impl Iterator<Item = (&S, &T, &Path, f32)> {
        self.sources.iter().flat_map(move |(source, known)| {
            let expected_ms = move |path: &Path| path.expected_ms(known.volatility, now);
            known.paths.iter().map(move |(target, path)| (source, target, path, expected_ms(path)))
        })
    }

    /// Forgets the targets that are not wanted any more.
    pub fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        self.sources.values_mut().for_each(|known| known.paths.retain(|target, _| wanted(target)));
        self.sources.retain(|_, known| !known.paths.is_empty());
    }

    /// Which of `targets` to probe now, at most `budget`: two of three refresh the ones that look best, unless they
    /// were seen so recently that nothing new is likely; the others explore what was tried longest ago, never first.
    #[must_use]
    pub fn choose_probes(&self, source: &S, targets: &[T], budget: usize, seed: u64, now: Now) -> Vec<T> {
        let known = self.sources.get(source);
        let volatility = known.map_or_else(Volatility::default, |known| known.volatility);
        let path = |target: &T| known.and_then(|known| known.paths.get(target));
        let mut best: Vec<(f32, &T)> = targets
            .iter()
            .filter_map(|target| Some((path(target)?.expected_ms(volatility, now), target)))
            .filter(|(expected_ms, _)| !expected_ms.is_nan())
            .collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        let refreshed = budget - budget.div_ceil(EXPLORE_EVERY);
        let certain = |target: &T| path(target).is_some_and(|path| path.trust(volatility, now) >= CERTAIN);
        let mut chosen: Vec<T> = best
            .iter()
            .take(refreshed)
            .filter(|(_, target)| !certain(target))
            .map(|(_, target)| (*target).clone())
            .collect();
        let mut others: Vec<(Option<Now>, u64, &T)> = (0_u64..)
            .zip(targets)
            .filter(|(_, target)| !chosen.contains(target))
            .map(|(place, target)| (path(target).map(|path| path.tried_at), mix(seed ^ place), target))
            .collect();
        others.sort();
        chosen.extend(others.iter().take(budget - chosen.len()).map(|(_, _, target)| (*target).clone()));
        chosen
    }

    /// The record of a source, made if missing; the one used longest ago leaves when there are too many.
    fn entry(&mut self, source: &S, now: Now) -> &mut Source<T> {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(source) {
            let oldest = self.sources.iter().min_by_key(|(_, known)| known.used_at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.sources.remove(&key);
            }
        }
        let fresh = || Source { paths: BTreeMap::new(), volatility: Volatility::default(), used_at: now };
        let known = self.sources.entry(source.clone()).or_insert_with(fresh);
        known.used_at = now;
        known
    }
}

fn insert<T: Ord + Clone>(paths: &mut BTreeMap<T, Path>, target: &T, path: Path) {
    if paths.len() >= TARGETS_MAX {
        let oldest = paths.iter().min_by_key(|(_, path)| path.tried_at).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            paths.remove(&key);
        }
    }
    paths.insert(target.clone(), path);
}

#[cfg(test)]
mod tests;
