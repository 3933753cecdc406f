//! Requests and instances for scaling policies.

use crate::mix;
use crate::scaling::{Request, Sample, Scaling, Target};
use crate::settings::{Problem, Settings, Value};

/// Replicas serve so much a second in [`load`].
pub const SERVED_PER_S: f32 = 50.0;

/// A group of some replicas, all ready, that has seen arrivals per second at ends of periods of 15 s; what it cannot serve is
/// turned away, so that nothing waits. A replica serves 50 a second and takes 30 s to start.
#[must_use]
pub fn load(arrivals_per_s: &[f32], replicas: u32) -> Request {
    let capacity = SERVED_PER_S * replicas as f32;
    let sample = |(period, &rate): (u64, &f32)| Sample {
        at_ms: period * 15_000,
        arrivals_per_s: rate,
        completions_per_s: rate.min(capacity),
        queue_depth: 0.0,
        utilisation: rate.min(capacity) / capacity,
        service_ms: 1_000.0 / SERVED_PER_S,
        ready_replicas: replicas,
    };
    let samples: Vec<Sample> = (1..).zip(arrivals_per_s).map(sample).collect();
    Request {
        seed: 1,
        now_ms: samples.last().map_or(0, |last| last.at_ms),
        replicas,
        min_replicas: 0,
        max_replicas: 1_000,
        start_ms: 30_000,
        period_ms: 15_000,
        last_change_ms: 0,
        samples,
    }
}

/// An instance with settings.
///
/// # Errors
/// What the policy says of its settings.
pub fn configured<P: Scaling>(settings: &[(&str, Value)]) -> Result<P, Vec<Problem>> {
    let values = settings.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
    let mut settings = Settings::new(values);
    let policy = P::new(&mut settings);
    let problems = settings.finish();
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

/// What a policy with default settings answers.
///
/// # Panics
/// If it refuses its defaults or the request.
#[must_use]
pub fn answer<P: Scaling>(request: &Request) -> Target {
    let mut policy =
        configured::<P>(&[]).unwrap_or_else(|problems| panic!("defaults are refused: {problems:?}"));
    policy.scale(request).unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
}

/// A request that says "scale down", with something wrong in its last minutes: a number that is missing or absurd, a sample
/// that is missing, late or from the future, or a clock that went back. The seed says what and where.
#[must_use]
pub fn spoiled(seed: u64) -> Request {
    let draw = |what: u64, below: u64| (mix(seed ^ mix(what)) % below) as usize;
    let mut request = load(&[40.0; 60], 10);
    let last = request.samples.len() - 1;
    let place = last - draw(1, 4);
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::MAX][draw(2, 5)];
    let sample = &mut request.samples[place];
    match draw(3, 9) {
        0 => sample.arrivals_per_s = bad,
        1 => sample.completions_per_s = bad,
        2 => sample.queue_depth = bad,
        3 => sample.service_ms = if bad.is_nan() { 0.0 } else { bad },
        4 => sample.at_ms = 5,
        5 => sample.at_ms = u64::MAX,
        6 => drop(request.samples.drain(place - 1..place)),
        7 => request.now_ms += 40_000,
        _ => request.samples[last].utilisation = 0.9,
    }
    request
}
