//! Perfect foresight: what the load would have cost at least.

use super::run::limited;
use super::{Queue, Run, Setup, Tick, Trace};

/// In every period the fewest replicas with which nobody waits too long, ready when they are needed.
///
/// Greedy: what a period leaves waiting within the promise, the next one begins with. The group's upper limit does
/// not bind it, so that it always keeps the promise.
#[must_use]
pub fn oracle(trace: &Trace, setup: &Setup) -> Run {
    let mut queue = Queue::default();
    let mut run = Run::default();
    for counts in trace.per_second.chunks(setup.period_s.max(1) as usize) {
        let arrivals: f64 = counts.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a period is short")]
        let length = counts.len() as f64;
        // What is still waiting at the end may wait for `wait_max_s` more: no size below this can do.
        let least = (queue.waiting + arrivals) / (setup.served_per_s * (length + setup.wait_max_s));
        let mut replicas = limited(least.floor(), &Setup { max_replicas: u32::MAX, ..*setup });
        let tick = loop {
            let mut after = queue;
            let capacity = f64::from(replicas) * setup.served_per_s;
            let mut tick =
                Tick { replicas, ready: replicas, arrivals, forecast_per_s: f32::NAN, ..Tick::default() };
            for &count in counts {
                let second = after.pass(count, capacity, setup.wait_max_s);
                tick.served += second.served;
                tick.late += second.late;
            }
            if tick.late <= 0.0 || replicas == u32::MAX {
                queue = after;
                break Tick { waiting: after.waiting, ..tick };
            }
            replicas += 1;
        };
        run.replica_s += f64::from(replicas) * length;
        run.ticks.push(tick);
    }
    run
}
