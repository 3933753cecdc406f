//! Placement: where does a workload live?

use crate::instance::ranked;
use crate::{About, Candidate, Choice, Class, Fleet, Refusal, Settings};

pub use crate::bindings::placement::exports::pilothouse::placement::placement::{
    Move, Request, Resident, Resources,
};

/// A placement policy. Export it with [`crate::export_placement!`].
pub trait Placement: Sized {
    /// Who it is.
    const ABOUT: About;

    /// Reads the settings and opens state. Wrong settings are noted in `settings`.
    fn new(settings: &mut Settings) -> Self;

    /// Picks one eligible row; the class has at least one.
    ///
    /// # Errors
    /// A refusal, if none suits.
    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal>;

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

    /// Picks with alternatives: what [`Placement::place`] picks, then the others by score.
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
        let chosen = self.place(fleet, class, request)?;
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

    /// Moves that would make the fleet better.
    ///
    /// # Errors
    /// `unsupported` unless the policy offers it.
    fn suggest_moves(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        residents: &[Resident],
        limit: u32,
    ) -> Result<Vec<Move>, Refusal> {
        let _ = (fleet, class, request, residents, limit);
        Err(Refusal::Unsupported)
    }

    /// Residents of a row that should yield.
    ///
    /// # Errors
    /// `unsupported` unless the policy offers it.
    fn choose_victims(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        row: u32,
        residents: &[Resident],
    ) -> Result<Vec<u32>, Refusal> {
        let _ = (fleet, class, request, row, residents);
        Err(Refusal::Unsupported)
    }
}

/// Makes a type the policy of this component.
#[macro_export]
macro_rules! export_placement {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;
            $crate::lifecycle_exports!($crate::placement::Placement, $policy);
            use $crate::placement::{Move, Placement as _, Request, Resident};
            use $crate::{Candidate, Choice, Refusal};

            impl $crate::bindings::placement::exports::pilothouse::placement::placement::Guest for Export {
                fn place(request: Request) -> Result<Choice, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| {
                        instance.decide(request.class, |policy, fleet, class| policy.place(fleet, class, &request))
                    })
                }

                fn rank(request: Request, limit: u32) -> Result<Vec<Candidate>, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| {
                        instance
                            .decide(request.class, |policy, fleet, class| policy.rank(fleet, class, &request, limit))
                    })
                }

                fn place_many(requests: Vec<Request>) -> Vec<Result<Choice, Refusal>> {
                    INSTANCE.with_borrow_mut(|instance| {
                        requests
                            .iter()
                            .map(|request| {
                                instance
                                    .decide(request.class, |policy, fleet, class| policy.place(fleet, class, request))
                            })
                            .collect()
                    })
                }

                fn suggest_moves(
                    request: Request,
                    residents: Vec<Resident>,
                    limit: u32,
                ) -> Result<Vec<Move>, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| {
                        instance.decide(request.class, |policy, fleet, class| {
                            policy.suggest_moves(fleet, class, &request, &residents, limit)
                        })
                    })
                }

                fn choose_victims(request: Request, row: u32, residents: Vec<Resident>) -> Result<Vec<u32>, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| {
                        instance.decide(request.class, |policy, fleet, class| {
                            policy.choose_victims(fleet, class, &request, row, &residents)
                        })
                    })
                }
            }

            $crate::bindings::placement::export_placement_decision!(Export with_types_in $crate::bindings::placement);
        };
    };
}
