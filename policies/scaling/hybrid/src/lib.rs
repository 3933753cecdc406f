//! Scales for what arrives, what waits, what was promised and what is coming, whichever needs most.
//!
//! Rule, with arrivals `l`/s, service time `S`, waiting work `Q` and the lead (start of a replica and one period):
//! - tracking `l S / target-utilisation`: arrivals, because utilisation cannot exceed 1 and is blind in overload;
//! - queue `(l + Q' / drain-s) S`, `Q'` being the queue when a replica started now is ready;
//! - promise: the fewest servers of M/M/n with which `late-share` waits longer than `wait-ms` (Erlang C);
//! - forecast `F (1 + e) S / 0.9`: Holt's damped trend, or yesterday's same time where samples reach back two days and it was
//!   better, raised by the 90 % quantile `e` of its recent errors, if at least half of such forecasts held;
//! - surges that come back at a phase of the clock (see `surge`).
//!
//! Up at once. Down to the largest of these over the last two minutes, and for five minutes to no less than a fifth more
//! than now. Missing, absurd or contradictory samples never scale down. Everything follows from the samples, so instances
//! need no state and any two of them agree. Sources: autoscaling of Kubernetes (stabilisation), Gandhi et al. 2012
//! (capacity for queues), and the files' headers.

mod holt;
mod season;
mod slo;
mod surge;

use holt::Quality;
use pilothouse_sdk::scaling::{Reading, Readings, Request, Scaling, Target, limited};
use pilothouse_sdk::{About, Refusal, Settings, export_scaling};
use season::Season;
use surge::Surges;

/// Replicas started for a forecast serve this share of what they could.
const FORECAST_TARGET: f64 = 0.9;
/// A forecast counts if this share of the last ones held.
const RELIABLE: f64 = 0.5;
/// For this long the size stays [`BAND`] above what is needed now if it was needed, s.
const BAND_S: f64 = 300.0;
const BAND: f64 = 0.2;
/// A size may double, or grow by this many, at once; by more only if the queue proves the need.
const STEP: u32 = 4;

const TRACKING: u32 = 0;
const WAITING: u32 = 1;
const PROMISE: u32 = 2;
const FORESEEN: u32 = 3;
const SURGE: u32 = 4;
const STABLE: u32 = 5;
const UNKNOWN: u32 = 6;

/// The policy.
#[derive(Debug)]
pub struct Hybrid {
    target: f64,
    drain_s: f64,
    wait_s: f64,
    late_share: f64,
    stable_s: f64,
    forecast: bool,
    season_s: f64,
    surge_chance: f64,
}
export_scaling!(Hybrid);

/// So many replicas, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Need {
    replicas: f64,
    reason: u32,
}

/// What is expected when a replica started now is ready.
#[derive(Debug)]
struct Outlook {
    /// Holt's forecast at every reading, raised by its error; 0 where it does not count.
    bounds: Vec<f64>,
    /// The better forecast now, without being raised.
    expected: f64,
    /// The same, raised; 0 if it does not count.
    bound: f64,
    reliability: f64,
}

impl Scaling for Hybrid {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"target-utilisation":{"type":"number","minimum":0.1,"maximum":1,"default":0.75,"description":"Share of what replicas can serve."},
"drain-s":{"type":"number","minimum":1,"maximum":3600,"default":20,"description":"Waiting work is served within this time, s."},
"wait-ms":{"type":"number","minimum":0,"maximum":3600000,"default":500,"description":"Longest wait that keeps the promise, ms."},
"late-share":{"type":"number","minimum":0.0001,"maximum":0.5,"default":0.01,"description":"Share of the work that may wait longer."},
"scale-down-window-s":{"type":"number","minimum":0,"maximum":3600,"default":120,"description":"Down only to the largest need of this time, s."},
"forecast":{"type":"boolean","default":true,"description":"Scale up for what is foreseen."},
"season-s":{"type":"number","minimum":3600,"maximum":604800,"default":86400,"description":"Length of a season, s."},
"surge-chance":{"type":"number","minimum":0.01,"maximum":1,"default":0.02,"description":"Prepare for surges that come back with at least this chance; 1 = never."}}}"#,
        reasons: &[
            "what arrives, at the target utilisation",
            "work that waits",
            "the promise about waiting",
            "the forecast",
            "a surge that comes back at this time",
            "more was needed a short while ago",
            "samples are missing or absurd",
        ],
        properties: &["limits"],
        ..About::new("hybrid", "1.0.0", "By arrivals, queue, promise and forecast, whichever needs most.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            target: settings.number("target-utilisation", 0.75, 0.1..=1.0),
            drain_s: settings.number("drain-s", 20.0, 1.0..=3_600.0),
            wait_s: settings.number("wait-ms", 500.0, 0.0..=3_600_000.0) / 1_000.0,
            late_share: settings.number("late-share", 0.01, 0.0001..=0.5),
            stable_s: settings.number("scale-down-window-s", 120.0, 0.0..=3_600.0),
            forecast: settings.flag("forecast", true),
            season_s: settings.number("season-s", 86_400.0, 3_600.0..=604_800.0),
            surge_chance: settings.number("surge-chance", 0.02, 0.01..=1.0),
        }
    }

    fn scale(&mut self, request: &Request) -> Result<Target, Refusal> {
        let readings = Readings::of(request);
        let outlook = self.outlook(request, &readings);
        let current = f64::from(request.replicas);
        let target = |need: Need, confidence: f64| Target {
            replicas: limited(need.replicas, request),
            confidence: confidence as f32,
            forecast_per_s: outlook.expected as f32,
            reason: need.reason,
        };
        let hold = Need { replicas: current, reason: UNKNOWN };
        let Some(newest) = readings.newest().filter(|_| readings.service_s.is_finite()) else {
            return Ok(target(hold, 0.0));
        };
        let need = self.need(request, &readings, newest, &outlook);
        let stable = self.stable(request, &readings, &outlook, need);
        let trusted = readings.trusted_for(self.stable_s.max(BAND_S));
        // What is measured counts even where nothing can be foreseen.
        let confidence = if trusted { outlook.reliability.max(RELIABLE) } else { 0.0 };
        if need.replicas >= current {
            Ok(target(stepped(need, request, newest), confidence))
        } else if trusted {
            Ok(target(stable, confidence))
        } else {
            Ok(target(hold, 0.0))
        }
    }
}

impl Hybrid {
    /// What is needed now.
    fn need(&self, request: &Request, readings: &Readings, newest: &Reading, outlook: &Outlook) -> Need {
        let measured = self.measured(request, readings, newest, outlook.bound);
        let surge = (self.surge(request, readings, newest) * readings.service_s / FORECAST_TARGET).ceil();
        if surge > measured.replicas { Need { replicas: surge, reason: SURGE } } else { measured }
    }

    /// What a reading and the forecast made at it ask for.
    fn measured(&self, request: &Request, readings: &Readings, reading: &Reading, bound: f64) -> Need {
        let service_s = readings.service_s;
        let start_s = f64::from(request.start_ms) / 1_000.0;
        let growth = reading.arrivals - f64::from(reading.ready) / service_s;
        let queue = if reading.queue > 0.0 { reading.queue + (growth * start_s).max(0.0) } else { 0.0 };
        let needs = [
            (TRACKING, (reading.arrivals * service_s / self.target).ceil()),
            (WAITING, ((reading.arrivals + queue / self.drain_s) * service_s).ceil()),
            (PROMISE, slo::servers(reading.arrivals, service_s, self.wait_s, self.late_share)),
            (FORESEEN, (bound * service_s / FORECAST_TARGET).ceil()),
        ];
        let nothing = Need { replicas: 0.0, reason: TRACKING };
        needs.into_iter().fold(nothing, |most, (reason, replicas)| {
            if replicas > most.replicas { Need { replicas, reason } } else { most }
        })
    }

    /// The size to which the group may shrink.
    fn stable(&self, request: &Request, readings: &Readings, outlook: &Outlook, need: Need) -> Need {
        let recent = readings.last(self.stable_s.max(BAND_S));
        let short = recent.len() - readings.last(self.stable_s).len();
        let long = recent.len() - readings.last(BAND_S).len();
        let bounds = outlook.bounds.iter().skip(readings.list.len() - recent.len());
        let band = need.replicas + (BAND * need.replicas).ceil();
        let mut largest = need.replicas;
        for (index, (reading, &bound)) in recent.iter().zip(bounds).enumerate() {
            let then = self.measured(request, readings, reading, bound).replicas;
            let within = if index >= long { then.min(band) } else { 0.0 };
            largest = largest.max(if index >= short { then } else { within });
        }
        let replicas = largest.min(f64::from(request.replicas));
        Need { replicas, reason: if replicas > need.replicas { STABLE } else { need.reason } }
    }

    fn outlook(&self, request: &Request, readings: &Readings) -> Outlook {
        let lead_s = (f64::from(request.start_ms) + f64::from(request.period_ms)) / 1_000.0;
        let ahead = (lead_s / readings.spacing_s).round().max(1.0) as usize;
        let list = &readings.list;
        let foreseen = holt::foreseen(list, readings.spacing_s, ahead);
        let came = list.iter().skip(ahead).map(|reading| reading.arrivals);
        let holt = Quality::of(foreseen.iter().copied().zip(came).rev());
        let raise = |quality: Quality, rate: f64| {
            let counts = self.forecast && quality.reliability >= RELIABLE;
            if counts { rate * (1.0 + quality.error) } else { 0.0 }
        };
        let mut expected = foreseen.last().copied().unwrap_or(f64::NAN);
        let mut quality = holt;
        if let Some((of_season, rate)) =
            self.season(readings, lead_s).filter(|(of, _)| of.distance < holt.distance)
        {
            (quality, expected) = (of_season, rate);
        }
        Outlook {
            bounds: foreseen.iter().map(|&rate| raise(holt, rate)).collect(),
            expected,
            bound: raise(quality, expected.max(0.0)),
            reliability: quality.reliability,
        }
    }

    /// The forecast of the season and how good it was lately.
    fn season(&self, readings: &Readings, lead_s: f64) -> Option<(Quality, f64)> {
        let season = Season::of(readings, self.season_s)?;
        let now = season.foreseen(readings.newest()?.at_s, lead_s)?;
        let pairs = readings.list.iter().rev().take(2 * holt::ERRORS);
        let pairs =
            pairs.filter_map(|came| Some((season.foreseen(came.at_s - lead_s, lead_s)?, came.arrivals)));
        Some((Quality::of(pairs), now))
    }

    /// Arrivals per second to prepare for because of a surge, 0 if none is near.
    fn surge(&self, request: &Request, readings: &Readings, newest: &Reading) -> f64 {
        if self.surge_chance >= 1.0 {
            return 0.0;
        }
        let surges = Surges::of(readings);
        let ready_s = newest.at_s + f64::from(request.start_ms) / 1_000.0;
        let until_s = ready_s + f64::from(request.period_ms) / 1_000.0;
        let coming = surges.recurring(ready_s, until_s).filter(|(chance, _)| *chance >= self.surge_chance);
        coming.map_or(0.0, |(_, rise)| usual(readings) + rise)
    }
}

/// The median of the last minutes' arrivals.
fn usual(readings: &Readings) -> f64 {
    let mut rates: Vec<f64> = readings.last(BAND_S).iter().map(|reading| reading.arrivals).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// One number that is far too large must not start everything: without a queue a size only doubles.
fn stepped(need: Need, request: &Request, newest: &Reading) -> Need {
    let most = f64::from(request.replicas.saturating_add(request.replicas.max(STEP)));
    let proven = newest.queue > 0.0 || need.reason == SURGE;
    Need { replicas: if proven { need.replicas } else { need.replicas.min(most) }, ..need }
}

#[cfg(test)]
mod tests;
