//! Balancing, judged: how long do tasks take, against a balancer that always knows everything?
//!
//! Invariant: a fault sends the task to any member and is counted; a refused task never ends, so nobody gains by refusing.

use pilothouse_core::eligible::EligibleClass;
use pilothouse_core::fleet::Fleet;
use pilothouse_core::policy::Decision;
use pilothouse_core::policy::fault::{PolicyError, Refusal};
use pilothouse_core::policy::request::{BalancingRequest, Choice};
use serde::Deserialize;

use super::{Backdrop, Kind, Known, Metric, Rival, RunError, Simulation, Trial, Who};
use crate::balancing::{Balancer, Outcome, Scenario, Service, bound, reference, simulate};
use crate::faults::{Answer, Faults};
use crate::plot::Frame;
use crate::scenario::{Checks, Origin};
use crate::statistics::Better;

/// Most reports and publications of one run.
const REPORTS_MAX: f64 = 1e7;
const MS_PER_NS: f64 = 1e-6;

/// Parameters in a scenario file: those of the simulator.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Parameters(Scenario);

pub(crate) const METRICS: &[Metric] = &[
    Metric {
        key: "p99",
        name: "99th percentile",
        unit: "× bound",
        better: Better::Lower,
        meaning: "response time that 99 % of the tasks do not exceed, over that of the least loaded of all members with knowledge that is always fresh",
    },
    Metric {
        key: "mean",
        name: "mean",
        unit: "ms",
        better: Better::Lower,
        meaning: "mean response time, service included",
    },
    Metric {
        key: "p999",
        name: "99.9th percentile",
        unit: "ms",
        better: Better::Lower,
        meaning: "response time that 99.9 % of the tasks do not exceed",
    },
    Metric {
        key: "queue",
        name: "longest queue",
        unit: "tasks",
        better: Better::Lower,
        meaning: "most tasks that waited at one member at any time",
    },
    Metric {
        key: "imbalance",
        name: "imbalance",
        unit: "× mean",
        better: Better::Lower,
        meaning: "work of the busiest member over the mean, each by its speed",
    },
    Metric {
        key: "affinity",
        name: "met their member",
        unit: "%",
        better: Better::Higher,
        meaning: "share of the tasks of known sessions that went where the session's last task had gone",
    },
    Metric {
        key: "refused",
        name: "refused",
        unit: "%",
        better: Better::Lower,
        meaning: "share of the tasks that got no usable answer",
    },
];

const PLOTS: &[Frame<'static>] =
    &[Frame { title: "Backlog: tasks that wait", x: "time, s", y: "waiting per member" }];

const BOUND: &str = "all known";
const RIVALS: &[Rival] = &[
    Rival {
        name: BOUND,
        kind: Kind::Bound,
        does: "the least loaded of all members, by a host that hears of every end at once",
    },
    Rival::reference("random", "any member, whatever its weight"),
    Rival::reference("in turn", "every member in turn, whatever its weight"),
    Rival::reference("least of all", "the least loaded of all members by what the host knows, however old"),
];

/// Members with queues.
#[derive(Debug)]
pub struct Balancing {
    scenario: Scenario,
}

impl Parameters {
    pub(crate) fn check(&self, checks: &mut Checks) {
        let Scenario { members, workers, slow_share, slow_speed, utilisation, tasks, warm_up, .. } = self.0;
        checks.within("balancing.members", members as f64, 1.0, 10_000.0);
        checks.within("balancing.workers", workers as f64, 1.0, 10_000.0);
        checks.within("balancing.slow-share", slow_share, 0.0, 1.0);
        checks.within("balancing.slow-speed", slow_speed, 0.01, 1.0);
        checks.within("balancing.utilisation", utilisation, 0.01, 2.0);
        checks.within("balancing.tasks", tasks as f64, 100.0, 1e7);
        checks.within("balancing.warm-up", warm_up, 0.0, 0.9);
        match self.0.service {
            Service::Bimodal { short_ms, long_ms, long_share } => {
                checks.within("balancing.service.bimodal.short-ms", short_ms, 0.001, 1e5);
                checks.within("balancing.service.bimodal.long-ms", long_ms, 0.001, 1e5);
                checks.within("balancing.service.bimodal.long-share", long_share, 0.0, 1.0);
            }
            Service::Exponential { mean_ms } => {
                checks.within("balancing.service.exponential.mean-ms", mean_ms, 0.001, 1e5);
            }
            Service::Pareto { mean_ms, shape } => {
                checks.within("balancing.service.pareto.mean-ms", mean_ms, 0.001, 1e5);
                checks.within("balancing.service.pareto.shape", shape, 1.1, 100.0);
            }
        }
        if let Some(sessions) = self.0.sessions {
            checks.within("balancing.sessions.count", sessions.count as f64, 1.0, 1e6);
            checks.within("balancing.sessions.exponent", sessions.exponent, 0.0, 5.0);
        }
        if let Some(loss) = self.0.loss {
            checks.within("balancing.loss.member", loss.member as f64, 0.0, members as f64 - 1.0);
            checks.within("balancing.loss.after", loss.after, 0.0, 1.0);
        }
        self.check_reports(checks);
    }

    fn check_reports(&self, checks: &mut Checks) {
        let Some(reports) = self.0.knowledge.reports else { return };
        for (key, value, least) in [
            ("balancing.knowledge.reports.period-ms", reports.period_ms, 1.0),
            ("balancing.knowledge.reports.delay-ms", reports.delay_ms, 0.0),
            ("balancing.knowledge.reports.publish-ms", reports.publish_ms, 1.0),
        ] {
            checks.within(key, value as f64, least, 1e7);
        }
        let lasts_ms = self.0.tasks as f64 * self.0.gap_ns() * MS_PER_NS;
        let count = lasts_ms
            * (self.0.members as f64 / reports.period_ms.max(1) as f64
                + 1.0 / reports.publish_ms.max(1) as f64);
        if count > REPORTS_MAX {
            let problem = format!(
                "{count:.0} reports and publications in a run are too many; use longer times or fewer tasks"
            );
            checks.problem("balancing.knowledge.reports", problem);
        }
    }

    pub(crate) fn prepare(&self) -> (Balancing, Origin) {
        (Balancing { scenario: self.0.clone() }, Origin::Synthetic)
    }
}

impl Simulation for Balancing {
    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn plots(&self) -> &'static [Frame<'static>] {
        PLOTS
    }

    fn backdrops(&self, _seed: u64) -> Vec<Option<Backdrop>> {
        vec![None]
    }

    fn rivals(&self) -> &'static [Rival] {
        RIVALS
    }

    fn known(&self) -> Vec<Known> {
        Vec::new()
    }

    fn run(&self, seed: u64, who: Who<'_>) -> Result<Trial, RunError> {
        let best = bound(&self.scenario, seed);
        let mut faults = Faults::default();
        let run = |balancer: Balancer<'_>| simulate(&self.scenario, seed, &mut [balancer]);
        let outcome = match who {
            Who::Policy(policy) => {
                let Decision::Balancing(port) = policy.decision() else {
                    return Err(RunError::Family { family: "balancing" });
                };
                run(&mut |fleet, class, request| {
                    guarded(&mut faults, fleet, class, request, &|| port.choose(fleet, class, request))
                })
            }
            Who::Rival(BOUND) => best.clone(),
            Who::Rival("random") => run(&mut reference::random),
            Who::Rival("in turn") => run(&mut reference::round_robin()),
            Who::Rival("least of all") => run(&mut reference::least_of_all),
            Who::Rival(name) => return Err(RunError::Rival { name }),
        };
        Ok(Trial { values: values(&outcome, &best), curves: vec![outcome.backlog], faults })
    }
}

fn guarded(
    faults: &mut Faults,
    fleet: &Fleet,
    class: &EligibleClass,
    request: &BalancingRequest,
    ask: &dyn Fn() -> Result<Choice, PolicyError>,
) -> Result<Choice, PolicyError> {
    if faults.is_exhausted() {
        return reference::random(fleet, class, request);
    }
    match faults.judge(ask()) {
        Answer::Given(choice) => Ok(choice),
        Answer::Refused => Err(PolicyError::Refused(Refusal::Unsupported)),
        Answer::Broke => reference::random(fleet, class, request),
    }
}

fn values(outcome: &Outcome, best: &Outcome) -> Vec<f64> {
    let all = outcome.response_ms.len() as f64 + outcome.refused as f64;
    vec![
        outcome.p99_ms() / best.p99_ms(),
        outcome.mean_ms(),
        outcome.quantile_ms(0.999),
        outcome.queue_max as f64,
        outcome.imbalance(),
        100.0 * outcome.affinity(),
        100.0 * outcome.refused as f64 / all,
    ]
}
