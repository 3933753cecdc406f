//! One instance of a policy: its mirror and the author's value. The same code runs natively and in Wasm.

use crate::about::About;
use crate::class::Class;
pub use crate::class::Parts;
use crate::fleet::Fleet;
use crate::settings::{Problem, Settings, Value};
use crate::{Candidate, Choice, Refusal, mix};

/// An instance.
#[derive(Debug)]
pub struct Instance<P> {
    pub fleet: Fleet,
    pub policy: Option<P>,
    classes: Vec<Class>,
    versions: u64,
}

impl<P> Default for Instance<P> {
    fn default() -> Self {
        Self { fleet: Fleet::new(&[]), policy: None, classes: Vec::new(), versions: 0 }
    }
}

impl<P> Instance<P> {
    /// Makes the author's value.
    pub fn configure(
        &mut self,
        about: &About,
        values: Vec<(String, Value)>,
        make: impl FnOnce(&mut Settings) -> P,
    ) -> Result<(), Vec<Problem>> {
        let mut settings = Settings::new(values);
        self.fleet = Fleet::new(about.columns);
        self.policy = Some(make(&mut settings));
        let problems = settings.finish();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Takes a block.
    pub fn sync_block(&mut self, epoch: u64, rows: u32, index: u32, words: Vec<u64>) {
        self.fleet.sync(epoch, rows, index, words);
    }

    /// Takes a class.
    pub fn sync_class(&mut self, parts: Parts) {
        self.versions += 1;
        let class = Class::new(self.versions, parts);
        match self.classes.iter_mut().find(|known| known.id() == class.id()) {
            Some(known) => *known = class,
            None => self.classes.push(class),
        }
    }

    /// Forgets a class.
    pub fn drop_class(&mut self, id: u32) {
        self.classes.retain(|class| class.id() != id);
    }

    /// Runs a decision over a class.
    #[inline]
    pub fn decide<R>(
        &mut self,
        class: u32,
        decide: impl FnOnce(&mut P, &Fleet, &Class) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let class = self.classes.iter().find(|known| known.id() == class);
        match (&mut self.policy, class) {
            (Some(policy), Some(class)) if class.count() > 0 => decide(policy, &self.fleet, class),
            (Some(_), Some(_)) => Err(Refusal::NothingSuits(0)),
            (None, _) => Err(Refusal::Other("not configured".to_owned())),
            (_, None) => Err(Refusal::Other("unknown class".to_owned())),
        }
    }
}

/// The chosen row first, then the other eligible ones by score, ties by seed.
pub(crate) fn ranked(
    class: &Class,
    seed: u64,
    limit: u32,
    chosen: Choice,
    mut score: impl FnMut(u32) -> f32,
    mut factors: impl FnMut(u32) -> Vec<f32>,
) -> Vec<Candidate> {
    let mut rest: Vec<(f32, u64, u32)> = class
        .rows()
        .iter()
        .filter(|&&row| row != chosen.row)
        .map(|&row| {
            let score = score(row);
            (if score.is_nan() { f32::MIN } else { score }, mix(seed ^ u64::from(row)), row)
        })
        .collect();
    let places = (limit as usize).saturating_sub(1).min(rest.len());
    let better = |a: &(f32, u64, u32), b: &(f32, u64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if places > 0 && places < rest.len() {
        rest.select_nth_unstable_by(places - 1, better);
    }
    rest.truncate(places);
    rest.sort_unstable_by(better);
    let first = Candidate {
        row: chosen.row,
        score: chosen.score,
        reason: chosen.reason,
        factors: factors(chosen.row),
    };
    let others = rest.into_iter().map(|(score, _, row)| Candidate {
        row,
        score: score.min(chosen.score.max(score)),
        reason: chosen.reason,
        factors: factors(row),
    });
    std::iter::once(first).chain(others).collect()
}

/// The lifecycle exports of a family's world, over a thread-local [`Instance`].
#[doc(hidden)]
#[macro_export]
macro_rules! lifecycle_exports {
    ($trait:path, $policy:ty) => {
        use $crate::bindings::base::exports::pilothouse::host::lifecycle as wire;

        impl wire::Guest for Export {
            fn describe() -> wire::Description {
                let about = <$policy as $trait>::ABOUT;
                let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
                wire::Description {
                    name: about.name.to_owned(),
                    version: about.version.to_owned(),
                    summary: about.summary.to_owned(),
                    columns: about.columns.iter().map(|column| column.name().to_owned()).collect(),
                    settings_schema: about.schema(),
                    reasons: owned(about.reasons),
                    factors: owned(about.factors),
                }
            }

            fn configure(settings: Vec<wire::Setting>) -> Result<(), Vec<wire::SettingProblem>> {
                let values = settings
                    .into_iter()
                    .map(|wire::Setting { path, value }| {
                        let value = match value {
                            wire::SettingValue::Flag(flag) => $crate::Value::Flag(flag),
                            wire::SettingValue::Integer(integer) => $crate::Value::Integer(integer),
                            wire::SettingValue::Number(number) => $crate::Value::Number(number),
                            wire::SettingValue::Text(text) => $crate::Value::Text(text),
                        };
                        (path, value)
                    })
                    .collect();
                let configured = INSTANCE.with_borrow_mut(|instance| {
                    instance.configure(&<$policy as $trait>::ABOUT, values, <$policy as $trait>::new)
                });
                configured.map_err(|problems| {
                    let wire = |$crate::Problem { path, problem }| wire::SettingProblem { path, problem };
                    problems.into_iter().map(wire).collect()
                })
            }

            fn sync_block(epoch: u64, rows: u32, index: u32, words: Vec<u64>) {
                INSTANCE.with_borrow_mut(|instance| instance.sync_block(epoch, rows, index, words));
            }

            fn sync_class(update: wire::ClassUpdate) {
                let parts = $crate::instance::Parts {
                    id: update.class,
                    eligible: update.eligible,
                    required: update.required_capabilities,
                    preferred: update.preferred_capabilities,
                    source_region: update.source_region,
                    source_zone: update.source_zone,
                    rtt_ms: update.rtt_ms,
                };
                INSTANCE.with_borrow_mut(|instance| instance.sync_class(parts));
            }

            fn drop_class(class: u32) {
                INSTANCE.with_borrow_mut(|instance| instance.drop_class(class));
            }
        }

        thread_local!(static INSTANCE: std::cell::RefCell<$crate::instance::Instance<$policy>> =
            std::cell::RefCell::new($crate::instance::Instance::default()));
        $crate::bindings::base::export_lifecycle!(Export with_types_in $crate::bindings::base);
    };
}
