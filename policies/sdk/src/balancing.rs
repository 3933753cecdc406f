//! Balancing: which member takes this task now?

use crate::instance::ranked;
use crate::{About, Candidate, Choice, Class, Fleet, Refusal, Settings};

pub use crate::bindings::balancing::exports::pilothouse::balancing::balancing::Request;

/// A balancing policy. Export it with [`crate::export_balancing!`].
pub trait Balancing: Sized {
    /// Who it is.
    const ABOUT: About;

    /// Reads the settings and opens state. Wrong settings are noted in `settings`.
    fn new(settings: &mut Settings) -> Self;

    /// Picks one eligible row; the class has at least one.
    ///
    /// # Errors
    /// A refusal, if none suits.
    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal>;

    /// Many picks of one class, in order; live counts do not change between them. Worth writing where it can ask the
    /// host once for all of them.
    fn choose_many(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        requests: &[Request],
    ) -> Vec<Result<Choice, Refusal>> {
        requests.iter().map(|request| self.choose(fleet, class, request)).collect()
    }

    /// How good a row is, higher is better; orders the alternatives.
    fn score(&mut self, fleet: &Fleet, class: &Class, request: &Request, row: u32) -> f32 {
        let _ = (fleet, class, request, row);
        0.0
    }

    /// The parts of a row's score, in the order of `ABOUT.factors`.
    fn factors(&mut self, fleet: &Fleet, class: &Class, request: &Request, row: u32) -> Vec<f32> {
        let _ = (fleet, class, request, row);
        Vec::new()
    }

    /// Picks with alternatives: what [`Balancing::choose`] picks, then the others by score.
    ///
    /// # Errors
    /// A refusal, if none suits.
    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal> {
        let chosen = self.choose(fleet, class, request)?;
        let policy = std::cell::RefCell::new(self);
        Ok(ranked(
            class,
            request.seed,
            limit,
            chosen,
            |row| policy.borrow_mut().score(fleet, class, request, row),
            |row| policy.borrow_mut().factors(fleet, class, request, row),
        ))
    }
}

/// Makes a type the policy of this component.
#[macro_export]
macro_rules! export_balancing {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;
            $crate::lifecycle_exports!($crate::balancing::Balancing, $policy);
            use $crate::balancing::{Balancing as _, Request};
            use $crate::{Candidate, Choice, Refusal};

            impl $crate::bindings::balancing::exports::pilothouse::balancing::balancing::Guest for Export {
                fn choose(request: Request) -> Result<Choice, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| {
                        instance.decide(request.class, |policy, fleet, class| policy.choose(fleet, class, &request))
                    })
                }

                fn rank(request: Request, limit: u32) -> Result<Vec<Candidate>, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| {
                        instance
                            .decide(request.class, |policy, fleet, class| policy.rank(fleet, class, &request, limit))
                    })
                }

                fn choose_many(requests: Vec<Request>) -> Vec<Result<Choice, Refusal>> {
                    let mut answers = Vec::with_capacity(requests.len());
                    INSTANCE.with_borrow_mut(|instance| {
                        for same in requests.chunk_by(|a, b| a.class == b.class) {
                            let class = same.first().map_or(0, |first| first.class);
                            let chosen = instance.decide(class, |policy, fleet, class| {
                                Ok(policy.choose_many(fleet, class, same))
                            });
                            match chosen {
                                Ok(chosen) => answers.extend(chosen),
                                Err(refusal) => answers.extend(same.iter().map(|_| Err(refusal.clone()))),
                            }
                        }
                    });
                    answers
                }
            }

            $crate::bindings::balancing::export_balancing_decision!(Export with_types_in $crate::bindings::balancing);
        };
    };
}
