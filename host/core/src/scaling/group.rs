//! The machine of one group.

use super::window::{SampleError, Window};
use crate::id::Label;
use crate::policy::request::{ScalingRequest, ScalingSample, ScalingTarget};
use crate::time::Now;

/// Periods after which the newest sample is too old to shrink on.
const STALE_PERIODS: u64 = 2;
/// Most replicas of a group.
const REPLICAS_MAX: u32 = 100_000;

/// What an operator says of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// Its name.
    pub name: Label,
    /// Fewest replicas.
    pub min_replicas: u32,
    /// Most replicas.
    pub max_replicas: u32,
    /// Time between decisions, ms.
    pub period_ms: u32,
    /// How long a replica takes to become ready, ms.
    pub start_ms: u32,
    /// Time after any change in which the count does not go down, ms.
    pub cooldown_ms: u64,
    /// Most replicas added by one decision.
    pub step_up_max: u32,
    /// Most replicas taken off by one decision.
    pub step_down_max: u32,
    /// How sure a policy must be to take replicas off, 0..1.
    pub confidence_min: f32,
    /// Region whose clusters are filled first.
    pub region: Option<Label>,
    /// Members that run this service feed the window with their reports.
    pub service: Option<Label>,
}

/// What is wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct SpecError {
    /// The field.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl GroupSpec {
    /// Checks limits against each other.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        let wrong = |field, problem: String| Err(SpecError { field, problem });
        if self.max_replicas > REPLICAS_MAX || self.max_replicas == 0 {
            return wrong("max_replicas", format!("must be 1 to {REPLICAS_MAX}, is {}", self.max_replicas));
        }
        if self.min_replicas > self.max_replicas {
            let problem = format!("{} is more than max_replicas ({})", self.min_replicas, self.max_replicas);
            return wrong("min_replicas", problem);
        }
        if !(100..=3_600_000).contains(&self.period_ms) {
            return wrong("period_ms", format!("must be 100 to 3600000, is {}", self.period_ms));
        }
        for (field, step) in [("step_up_max", self.step_up_max), ("step_down_max", self.step_down_max)] {
            if step == 0 {
                return wrong(field, "must be at least 1, or nothing ever changes".to_owned());
            }
        }
        if !(0.0..=1.0).contains(&self.confidence_min) {
            return wrong("confidence_min", format!("must be 0 to 1, is {}", self.confidence_min));
        }
        Ok(())
    }
}

/// What happens to a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something was measured.
    Sample(ScalingSample),
    /// Time went by; asks the policy if a period is over. The seed is for its randomness.
    Tick {
        /// Randomness of a decision.
        seed: u64,
    },
    /// What the policy answered.
    Advice(ScalingTarget),
    /// No policy answered.
    NoAdvice,
    /// An operator wants this many.
    Manual(u32),
    /// An operator changed the specification; it was checked.
    Configure(GroupSpec),
}

/// What the shell does.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Ask the policy.
    Ask(ScalingRequest),
    /// The count changed: start or stop replicas, tell everybody.
    Change(Change),
    /// Advice was not followed, or only in part.
    Hold(Held),
    /// The sample was refused.
    Refuse(SampleError),
}

/// A change of the count.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Before.
    pub from: u32,
    /// After.
    pub to: u32,
    /// Why.
    pub why: Why,
}

/// Where a change came from.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// The policy's advice, within the limits.
    Advice(ScalingTarget),
    /// An operator.
    Manual,
    /// The limits moved.
    Limits,
}

/// Why advice was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// Nothing was measured lately.
    #[error("the newest sample is missing or too old to scale down on")]
    StaleSamples,
    /// The last change is too recent.
    #[error("the last change is more recent than the cooldown")]
    Cooldown,
    /// The policy is not sure.
    #[error("the policy is less sure than the group demands")]
    Unsure,
    /// The policy did not answer.
    #[error("no policy answered")]
    NoAdvice,
}

/// A group and its count.
#[derive(Debug, Clone)]
pub struct Group {
    spec: GroupSpec,
    replicas: u32,
    window: Window,
    last_change: Option<Now>,
    /// When the policy was to be asked last.
    asked: Option<Now>,
}

impl Group {
    /// A group with a checked specification, at its current count.
    #[must_use]
    pub fn new(spec: GroupSpec, replicas: u32) -> Self {
        let replicas = replicas.clamp(spec.min_replicas, spec.max_replicas);
        Self { spec, replicas, window: Window::default(), last_change: None, asked: None }
    }

    /// Its specification.
    #[must_use]
    pub fn spec(&self) -> &GroupSpec {
        &self.spec
    }

    /// Replicas wanted.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// What was measured.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// When the count last changed.
    #[must_use]
    pub fn last_change(&self) -> Option<Now> {
        self.last_change
    }

    /// One step.
    pub fn step(&mut self, event: Event, now: Now) -> Option<Command> {
        match event {
            Event::Sample(sample) => self.window.push(sample, now).err().map(Command::Refuse),
            Event::Tick { seed } => self.tick(seed, now),
            Event::Advice(advice) => self.advised(advice, now),
            Event::NoAdvice => Some(Command::Hold(Held::NoAdvice)),
            Event::Manual(wanted) => self.change(wanted, Why::Manual, now),
            Event::Configure(spec) => {
                self.spec = spec;
                self.change(self.replicas, Why::Limits, now)
            }
        }
    }

    fn tick(&mut self, seed: u64, now: Now) -> Option<Command> {
        let period_ms = u64::from(self.spec.period_ms);
        let due = self.asked.map_or(now, |asked| asked.plus_ms(period_ms));
        if now < due {
            return None;
        }
        // A late look keeps the beat, or periods would grow by how late looks are; a whole period late begins a new one.
        self.asked = Some(if now.since_ms(due) < period_ms { due } else { now });
        Some(Command::Ask(ScalingRequest {
            seed,
            now_ms: now.0,
            replicas: self.replicas,
            min_replicas: self.spec.min_replicas,
            max_replicas: self.spec.max_replicas,
            start_ms: self.spec.start_ms,
            period_ms: self.spec.period_ms,
            last_change_ms: self.last_change.map_or(0, |at| at.0),
            samples: self.window.to_vec(),
        }))
    }

    fn advised(&mut self, advice: ScalingTarget, now: Now) -> Option<Command> {
        let low = self.replicas.saturating_sub(self.spec.step_down_max);
        let high = self.replicas.saturating_add(self.spec.step_up_max);
        let wanted = advice.replicas.clamp(low, high);
        if wanted < self.replicas
            && let Some(held) = self.shrinking_is_held(&advice, now)
        {
            return Some(Command::Hold(held));
        }
        self.change(wanted, Why::Advice(advice), now)
    }

    fn shrinking_is_held(&self, advice: &ScalingTarget, now: Now) -> Option<Held> {
        let stale_ms = STALE_PERIODS * u64::from(self.spec.period_ms);
        if self.window.age_ms(now).is_none_or(|age_ms| age_ms > stale_ms) {
            return Some(Held::StaleSamples);
        }
        if self.last_change.is_some_and(|at| now.0.saturating_sub(at.0) < self.spec.cooldown_ms) {
            return Some(Held::Cooldown);
        }
        // A confidence that is no number is no confidence.
        let sure = advice.confidence >= self.spec.confidence_min;
        (!sure).then_some(Held::Unsure)
    }

    fn change(&mut self, wanted: u32, why: Why, now: Now) -> Option<Command> {
        let to = wanted.clamp(self.spec.min_replicas, self.spec.max_replicas);
        let from = std::mem::replace(&mut self.replicas, to);
        (from != to).then(|| {
            self.last_change = Some(now);
            Command::Change(Change { from, to, why })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn group() -> Group {
        let spec = GroupSpec {
            name: Label::parse("web").unwrap(),
            min_replicas: 2,
            max_replicas: 100,
            period_ms: 15_000,
            start_ms: 30_000,
            cooldown_ms: 2 * MINUTE,
            step_up_max: 15,
            step_down_max: 3,
            confidence_min: 0.5,
            region: None,
            service: None,
        };
        spec.check().unwrap();
        Group::new(spec, 10)
    }

    fn sample() -> ScalingSample {
        ScalingSample {
            at_ms: 0,
            arrivals_per_s: 10.0,
            completions_per_s: 10.0,
            queue_depth: 0.0,
            utilisation: 0.5,
            service_ms: 20.0,
            ready_replicas: 10,
        }
    }

    fn advice(replicas: u32) -> Event {
        Event::Advice(ScalingTarget { replicas, confidence: 1.0, forecast_per_s: f32::NAN, reason: 0 })
    }

    /// Feeds one piece of advice at a minute, with a sample at another; gives the count and what was said.
    fn follow(
        group: &mut Group,
        sampled_ms: Option<u64>,
        advised_ms: u64,
        event: Event,
    ) -> (u32, Option<Command>) {
        if let Some(at) = sampled_ms {
            assert_eq!(group.step(Event::Sample(sample()), Now(at)), None);
        }
        let command = group.step(event, Now(advised_ms));
        (group.replicas(), command)
    }

    #[test]
    fn advice_moves_the_count_within_limits_and_steps() {
        for (wanted, expected) in [(12, 12), (10, 10), (40, 25), (9, 9), (0, 7), (u32::MAX, 25)] {
            let (count, _) = follow(&mut group(), Some(MINUTE), MINUTE, advice(wanted));
            assert_eq!(count, expected, "advised {wanted}");
        }
    }

    #[test]
    fn nothing_shrinks_without_a_fresh_sample_a_sure_policy_and_a_past_cooldown() {
        let held = |command| matches!(command, Some(Command::Hold(_)));
        let (count, command) = follow(&mut group(), None, MINUTE, advice(5));
        assert!(count == 10 && held(command), "no sample at all");
        let (count, command) = follow(&mut group(), Some(MINUTE), 2 * MINUTE, advice(5));
        assert!(count == 10 && held(command), "a sample of a minute ago");
        let unsure = |confidence| {
            Event::Advice(ScalingTarget { replicas: 5, confidence, forecast_per_s: 0.0, reason: 0 })
        };
        for confidence in [0.4, 0.0, f32::NAN] {
            let (count, command) = follow(&mut group(), Some(MINUTE), MINUTE, unsure(confidence));
            assert!(count == 10 && held(command), "confidence {confidence}");
        }
        let mut group = group();
        assert_eq!(follow(&mut group, Some(MINUTE), MINUTE, advice(12)).0, 12);
        assert_eq!(follow(&mut group, Some(2 * MINUTE), 2 * MINUTE, advice(9)).0, 12, "in the cooldown");
        assert_eq!(follow(&mut group, Some(2 * MINUTE), 2 * MINUTE, advice(14)).0, 14, "up is free");
        assert_eq!(
            follow(&mut group, Some(5 * MINUTE), 5 * MINUTE, advice(13)).0,
            13,
            "the cooldown is over"
        );
    }

    #[test]
    fn operators_wishes_are_followed_within_the_limits() {
        for (wanted, expected) in [(25, 25), (0, 2), (1_000, 100)] {
            assert_eq!(follow(&mut group(), None, MINUTE, Event::Manual(wanted)).0, expected);
        }
        let mut group = group();
        let narrow = GroupSpec { min_replicas: 20, ..group.spec().clone() };
        assert_eq!(follow(&mut group, None, MINUTE, Event::Configure(narrow)).0, 20);
    }

    #[test]
    fn the_policy_is_asked_once_a_period_with_all_samples() {
        let mut group = group();
        group.step(Event::Sample(sample()), Now(1_000));
        let asked = |group: &mut Group, at| group.step(Event::Tick { seed: 7 }, Now(at));
        let Some(Command::Ask(request)) = asked(&mut group, 2_000) else { panic!("not asked") };
        assert_eq!((request.samples.len(), request.replicas, request.seed), (1, 10, 7));
        for (at, is_asked) in [
            (16_999, false),
            (17_400, true),
            (31_999, false),
            (32_000, true),
            (80_000, true),
            (94_999, false),
        ] {
            assert_eq!(
                asked(&mut group, at).is_some(),
                is_asked,
                "{at}: the beat is 2,000 + 15,000 n, then 80,000"
            );
        }
    }

    #[test]
    fn samples_that_cannot_be_are_refused_and_the_window_is_bounded() {
        let mut group = group();
        for absurd in [
            ScalingSample { queue_depth: -1.0, ..sample() },
            ScalingSample { arrivals_per_s: f32::INFINITY, ..sample() },
            ScalingSample { utilisation: 1.5, ..sample() },
        ] {
            assert!(
                matches!(group.step(Event::Sample(absurd), Now(1)), Some(Command::Refuse(_))),
                "{absurd:?}"
            );
        }
        for at in 0..5_000 {
            group.step(Event::Sample(sample()), Now(at));
        }
        assert_eq!(group.window().to_vec().len(), super::super::SAMPLES_MAX);
        group.step(Event::Sample(sample()), Now(3));
        assert_eq!(group.window().newest().unwrap().at_ms, 4_999, "time never goes back");
    }

    #[test]
    fn specifications_that_contradict_themselves_are_refused_by_field() {
        let good = group().spec().clone();
        for (spec, field) in [
            (GroupSpec { max_replicas: 0, ..good.clone() }, "max_replicas"),
            (GroupSpec { min_replicas: 101, ..good.clone() }, "min_replicas"),
            (GroupSpec { period_ms: 1, ..good.clone() }, "period_ms"),
            (GroupSpec { step_up_max: 0, ..good.clone() }, "step_up_max"),
            (GroupSpec { confidence_min: f32::NAN, ..good.clone() }, "confidence_min"),
        ] {
            assert_eq!(spec.check().unwrap_err().field, field);
        }
    }
}
