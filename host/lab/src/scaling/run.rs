//! The clockwork: load in, a decision every period, replicas that take their time to start.

use pilothouse_core::policy::request::{ScalingRequest, ScalingSample, ScalingTarget};

use super::{Queue, Setup, Trace};

/// Samples that a request carries at most.
const SAMPLES_MAX: usize = 4_096;

/// Anything that sizes a group.
pub trait Strategy {
    /// How many replicas? `None` = leave it as it is.
    fn decide(&mut self, request: &ScalingRequest) -> Option<ScalingTarget>;
}

/// One period of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tick {
    /// Replicas paid for, starting ones included.
    pub replicas: u32,
    /// Replicas that served at its end.
    pub ready: u32,
    /// Work that arrived.
    pub arrivals: f64,
    /// Work that was served.
    pub served: f64,
    /// Work that arrived and had to wait too long.
    pub late: f64,
    /// Work waiting at its end.
    pub waiting: f64,
    /// The last second in it with late work, counted from the beginning of the run.
    pub last_late_s: Option<usize>,
    /// What the decision at its end expected, arrivals per second; NaN = nothing.
    pub forecast_per_s: f32,
}

/// What happened, period by period.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// In order of time; the last one may be cut short by the end of the load.
    pub ticks: Vec<Tick>,
    /// Replica seconds paid for.
    pub replica_s: f64,
}

/// Replicas that serve and those that will.
#[derive(Debug, Default)]
pub(super) struct Group {
    ready: u32,
    /// When each batch is ready, and how many; in order of time.
    starting: Vec<(usize, u32)>,
}

impl Group {
    pub(super) fn of(ready: u32) -> Self {
        Self { ready, starting: Vec::new() }
    }

    fn replicas(&self) -> u32 {
        self.ready + self.starting.iter().map(|(_, count)| count).sum::<u32>()
    }

    fn advance(&mut self, second: usize) {
        self.ready +=
            self.starting.iter().filter(|(at, _)| *at <= second).map(|(_, count)| count).sum::<u32>();
        self.starting.retain(|(at, _)| *at > second);
    }

    /// Starts what is missing; what is too much goes at once, the last started first.
    fn resize(&mut self, wanted: u32, ready_at: usize) {
        let now = self.replicas();
        if wanted > now {
            self.starting.push((ready_at, wanted - now));
        }
        let mut surplus = now.saturating_sub(wanted);
        while let Some((at, count)) = self.starting.pop_if(|_| surplus > 0) {
            let stopped = count.min(surplus);
            surplus -= stopped;
            if count > stopped {
                self.starting.push((at, count - stopped));
            }
        }
        self.ready -= surplus.min(self.ready);
    }
}

/// Runs a strategy through a load. The group begins with what its first minute needs at 70 % utilisation.
pub fn simulate(trace: &Trace, setup: &Setup, strategy: &mut dyn Strategy) -> Run {
    let mut group = Group::of(first_size(trace, setup));
    let mut queue = Queue::default();
    let mut run = Run::default();
    let mut request = ScalingRequest {
        seed: 0,
        now_ms: 0,
        replicas: 0,
        min_replicas: setup.min_replicas,
        max_replicas: setup.max_replicas,
        start_ms: setup.start_s.saturating_mul(1_000),
        period_ms: setup.period_s.saturating_mul(1_000),
        last_change_ms: 0,
        samples: Vec::new(),
    };
    let mut end = 0;
    for counts in trace.per_second.chunks(setup.period_s.max(1) as usize) {
        let mut tick = Tick { forecast_per_s: f32::NAN, ..Tick::default() };
        let mut capacity = 0.0;
        for &arrivals in counts {
            group.advance(end);
            let offered = f64::from(group.ready) * setup.served_per_s;
            let second = queue.pass(arrivals, offered, setup.wait_max_s);
            tick.arrivals += arrivals;
            tick.served += second.served;
            tick.late += second.late;
            tick.last_late_s = if second.late > 0.0 { Some(end) } else { tick.last_late_s };
            capacity += offered;
            run.replica_s += f64::from(group.replicas());
            end += 1;
        }
        (tick.replicas, tick.ready, tick.waiting) = (group.replicas(), group.ready, queue.waiting);
        observe(&mut request, &tick, end, counts.len(), capacity, setup);
        if let Some(target) = strategy.decide(&request) {
            tick.forecast_per_s = target.forecast_per_s;
            apply(&mut group, &mut request, target, end, setup);
        }
        run.ticks.push(tick);
    }
    run
}

fn first_size(trace: &Trace, setup: &Setup) -> u32 {
    let minute: Vec<f64> = trace.per_second.iter().copied().take(60).collect();
    #[expect(clippy::cast_precision_loss, reason = "at most 60")]
    let mean = minute.iter().sum::<f64>() / minute.len().max(1) as f64;
    limited((mean / (0.7 * setup.served_per_s)).ceil(), setup)
}

/// Within the group's limits.
pub(super) fn limited(replicas: f64, setup: &Setup) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; NaN becomes 0")]
    let replicas = replicas as u32;
    replicas.min(setup.max_replicas).max(setup.min_replicas)
}

/// Takes the sample that the host would take at the end of a period.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "samples are f32")]
fn observe(
    request: &mut ScalingRequest,
    tick: &Tick,
    end: usize,
    length: usize,
    capacity: f64,
    setup: &Setup,
) {
    let at_ms = end as u64 * 1_000;
    request.now_ms = at_ms;
    request.seed = at_ms;
    request.replicas = tick.replicas;
    if request.samples.len() >= SAMPLES_MAX {
        request.samples.remove(0);
    }
    request.samples.push(ScalingSample {
        at_ms,
        arrivals_per_s: (tick.arrivals / length as f64) as f32,
        completions_per_s: (tick.served / length as f64) as f32,
        queue_depth: tick.waiting as f32,
        utilisation: if capacity > 0.0 { (tick.served / capacity) as f32 } else { f32::NAN },
        service_ms: (1_000.0 / setup.served_per_s) as f32,
        ready_replicas: tick.ready,
    });
}

fn apply(group: &mut Group, request: &mut ScalingRequest, target: ScalingTarget, end: usize, setup: &Setup) {
    let wanted = limited(f64::from(target.replicas), setup);
    let down = wanted < request.replicas;
    if wanted == request.replicas || (down && target.confidence < setup.confidence_min) {
        return;
    }
    group.resize(wanted, end + setup.start_s as usize);
    request.last_change_ms = request.now_ms;
}
