//! Routing: which members serve this source and traffic class?
//!
//! A policy ranks the eligible rows ([`ranked`]), keeps what it had where that is good enough ([`Steady`]), moves
//! shares step by step ([`Gradual`]) and makes its answer of them ([`answer`]). What is unknown is NaN, and [`ranked`] puts it last.

mod answer;
mod gradual;
mod load;
mod steady;

use crate::{About, Class, Fleet, Refusal, Settings};

pub use crate::bindings::routing::exports::pilothouse::routing::routing::{Answer, Request, Target};
pub use answer::{Lifetime, Ranked, answer, expected_ms, near, ranked};
pub use gradual::{Gradual, Part};
pub use load::Load;
pub use steady::Steady;

/// A routing policy. Export it with [`crate::export_routing!`].
pub trait Routing: Sized {
    /// Who it is.
    const ABOUT: About;

    /// Reads the settings and opens state. Wrong settings are noted in `settings`.
    fn new(settings: &mut Settings) -> Self;

    /// Routes one flow; the class has at least one eligible row.
    ///
    /// # Errors
    /// A refusal, if none suits.
    fn route(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Answer, Refusal>;
}

/// Makes a type the policy of this component.
#[macro_export]
macro_rules! export_routing {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;
            $crate::lifecycle_exports!($crate::routing::Routing, $policy);
            use $crate::Refusal;
            use $crate::routing::{Answer, Request, Routing as _};

            impl $crate::bindings::routing::exports::pilothouse::routing::routing::Guest for Export {
                fn route(request: Request) -> Result<Answer, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| {
                        instance.decide(request.class, |policy, fleet, class| policy.route(fleet, class, &request))
                    })
                }

                fn route_many(requests: Vec<Request>) -> Vec<Result<Answer, Refusal>> {
                    requests.into_iter().map(Self::route).collect()
                }
            }

            $crate::bindings::routing::export_routing_decision!(Export with_types_in $crate::bindings::routing);
        };
    };
}
