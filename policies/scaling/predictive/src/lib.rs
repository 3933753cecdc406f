//! Scales for the load that a straight line foresees.
//!
//! Rule (documented for Godel, phase 4): least squares over the arrivals of 5 minutes; the size serves the upper bound of the
//! 90 % prediction interval at the time when a new replica is ready, and never less than what arrives and waits now. Down only
//! to the largest size that the last two minutes asked for.
//!
//! Confidence: R², or how narrow the interval is where there is no trend to explain, times the share of the last 60 intervals
//! that held what came, of the 90 % they promise. Missing or absurd samples never scale down.

use pilothouse_sdk::scaling::{Line, Reading, Readings, Request, Scaling, Target, limited};
use pilothouse_sdk::{About, Refusal, Settings, export_scaling};

/// Samples that one line goes through: the documented 5 minutes.
const WINDOW_S: f64 = 300.0;
/// How many past intervals are checked.
const CHECKED: usize = 60;
/// What an interval promises.
const PROMISED: f64 = 0.9;

const FORESEEN: u32 = 0;
const NOW: u32 = 1;
const STABLE: u32 = 2;
const UNKNOWN: u32 = 3;

/// The policy.
#[derive(Debug)]
pub struct Predictive {
    target: f64,
    drain_s: f64,
    stable_s: f64,
}
export_scaling!(Predictive);

/// A forecast and what it asks for.
#[derive(Debug, Clone, Copy)]
struct Forecast {
    expected: f64,
    margin: f64,
    r_squared: f64,
}

impl Scaling for Predictive {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"target-utilisation":{"type":"number","minimum":0.1,"maximum":1,"default":0.8,"description":"Share of what a replica can serve."},
"drain-s":{"type":"number","minimum":1,"maximum":3600,"default":30,"description":"Waiting work is served within this time."},
"scale-down-window-s":{"type":"number","minimum":0,"maximum":3600,"default":120,"description":"Down only to the largest size wanted in this time."}}}"#,
        reasons: &[
            "a line through five minutes foresees this load",
            "what arrives and waits now",
            "more was wanted a short while ago",
            "samples are missing or absurd",
        ],
        properties: &["limits"],
        ..About::new("predictive", "1.0.0", "For the load that a regression foresees, at its upper bound.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            target: settings.number("target-utilisation", 0.8, 0.1..=1.0),
            drain_s: settings.number("drain-s", 30.0, 1.0..=3_600.0),
            stable_s: settings.number("scale-down-window-s", 120.0, 0.0..=3_600.0),
        }
    }

    fn scale(&mut self, request: &Request) -> Result<Target, Refusal> {
        let readings = Readings::of(request);
        let lead_s = (f64::from(request.start_ms) + f64::from(request.period_ms)) / 1_000.0;
        // A line says little about what is further away than half its length.
        let horizon_s = lead_s.min(WINDOW_S / 2.0);
        let held = readings.last(self.stable_s);
        let wants: Vec<(f64, u32)> = (0..held.len().max(1))
            .filter_map(|back| self.want(&readings, readings.list.len().checked_sub(back + 1)?, horizon_s))
            .collect();
        let Some(&(now, reason)) = wants.first().filter(|(replicas, _)| replicas.is_finite()) else {
            return Ok(hold(request));
        };
        let largest = wants.iter().map(|(replicas, _)| *replicas).fold(now, f64::max);
        let current = f64::from(request.replicas);
        let (wanted, reason) = if now >= current { (now, reason) } else { (largest.min(current), STABLE) };
        if wanted < current && !readings.trusted_for(self.stable_s.max(WINDOW_S)) {
            return Ok(hold(request));
        }
        let forecast = forecast(&readings.list, horizon_s);
        Ok(Target {
            replicas: limited(wanted, request),
            confidence: forecast.map_or(0.0, |forecast| confidence(&readings, forecast, horizon_s)) as f32,
            forecast_per_s: forecast.map_or(f64::NAN, |forecast| forecast.expected) as f32,
            reason: if wanted == now && reason == FORESEEN { FORESEEN } else { reason },
        })
    }
}

impl Predictive {
    /// The size that was right at a reading, as far as one could know then, and why.
    fn want(&self, readings: &Readings, index: usize, horizon_s: f64) -> Option<(f64, u32)> {
        let known = readings.list.get(..=index)?;
        let newest = known.last()?;
        let now = newest.arrivals + newest.queue / self.drain_s;
        let foreseen = forecast(known, horizon_s).map_or(0.0, |forecast| forecast.expected + forecast.margin);
        let rate = now.max(foreseen);
        let replicas = (rate * readings.service_s / self.target).ceil();
        Some((replicas, if foreseen > now { FORESEEN } else { NOW }))
    }
}

/// What the last five minutes of some readings foresee.
fn forecast(known: &[Reading], horizon_s: f64) -> Option<Forecast> {
    let end_s = known.last()?.at_s;
    let from = known.partition_point(|reading| reading.at_s < end_s - WINDOW_S);
    let line = Line::through(known.get(from..)?.iter().map(|reading| (reading.at_s, reading.arrivals)))?;
    let at = end_s + horizon_s;
    Some(Forecast { expected: line.at(at).max(0.0), margin: line.margin(at), r_squared: line.r_squared })
}

/// How far the forecast can be relied on, 0..1.
fn confidence(readings: &Readings, forecast: Forecast, horizon_s: f64) -> f64 {
    let narrow = if forecast.expected > 0.0 { 1.0 - forecast.margin / forecast.expected } else { 0.0 };
    forecast.r_squared.max(narrow).clamp(0.0, 1.0) * coverage(readings, horizon_s)
}

/// The share of past intervals that held what came, of those that should have; 1 while there are none.
fn coverage(readings: &Readings, horizon_s: f64) -> f64 {
    let ahead = (horizon_s / readings.spacing_s).round().max(1.0) as usize;
    let count = readings.list.len();
    let (mut held, mut checked) = (0.0, 0.0);
    for end in count.saturating_sub(CHECKED + ahead)..count.saturating_sub(ahead) {
        let (Some(known), Some(came)) = (readings.list.get(..=end), readings.list.get(end + ahead)) else {
            continue;
        };
        let Some(forecast) = forecast(known, horizon_s) else { continue };
        checked += 1.0;
        if (came.arrivals - forecast.expected).abs() <= forecast.margin {
            held += 1.0;
        }
    }
    if checked > 0.0 { (held / checked / PROMISED).min(1.0) } else { 1.0 }
}

fn hold(request: &Request) -> Target {
    let replicas = limited(f64::from(request.replicas), request);
    Target { replicas, confidence: 0.0, forecast_per_s: f32::NAN, reason: UNKNOWN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::scaling::{answer, load, spoiled};

    fn ramp(from: f32, step: f32) -> Vec<f32> {
        (0..60_u8).map(|index| from + step * f32::from(index)).collect()
    }

    /// Steady, with a noise of a few percent.
    fn noisy() -> Vec<f32> {
        (0..90_u64)
            .map(|index| 100.0 + (pilothouse_sdk::unit(pilothouse_sdk::mix(index)) * 10.0) as f32)
            .collect()
    }

    #[test]
    fn a_ramp_is_met_where_it_will_be() {
        let target = answer::<Predictive>(&load(&ramp(100.0, 10.0), 20));
        // 690 now, 720 when a replica started now is ready: 720 / 50 / 0.8 = 18.
        assert!((target.forecast_per_s - 720.0).abs() < 1.0 && target.confidence > 0.9, "{target:?}");
        let target = answer::<Predictive>(&load(&ramp(100.0, 10.0), 10));
        assert_eq!((target.replicas, target.reason), (18, FORESEEN));
    }

    #[test]
    fn a_fall_never_counts_below_what_arrives() {
        let target = answer::<Predictive>(&load(&ramp(700.0, -10.0), 30));
        assert!(target.replicas >= 4, "{target:?}");
    }

    #[test]
    fn steady_loads_are_sure_and_scale_down() {
        let target = answer::<Predictive>(&load(&noisy(), 30));
        assert!(target.replicas <= 4 && target.confidence > 0.5, "{target:?}");
    }

    #[test]
    fn work_that_waits_is_drained() {
        let mut request = load(&[100.0; 60], 3);
        request.samples[59].queue_depth = 3_000.0;
        assert_eq!(answer::<Predictive>(&request).replicas, 5);
    }

    #[test]
    fn of_intervals_that_promise_nine_in_ten_about_nine_hold() {
        let readings = Readings::of(&load(&noisy(), 4));
        let share = coverage(&readings, 45.0) * PROMISED;
        assert!((0.8..=1.0).contains(&share), "{share}");
    }

    #[test]
    fn missing_or_absurd_samples_never_scale_down() {
        assert!(answer::<Predictive>(&load(&[40.0; 60], 10)).replicas < 10);
        for seed in 0..2_000 {
            assert!(answer::<Predictive>(&spoiled(seed)).replicas >= 10, "seed {seed}");
        }
    }
}
