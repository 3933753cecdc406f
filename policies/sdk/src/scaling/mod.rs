//! Scaling: how many replicas should a group have?
//!
//! [`Readings`] are the samples that can be believed; [`Line`] is a straight line through some of them.

mod line;
mod readings;

use crate::{About, Refusal, Settings};

pub use line::Line;
pub use readings::{Reading, Readings};

pub use crate::bindings::scaling::exports::pilothouse::scaling::scaling::{Request, Sample, Target};

/// A scaling policy. Export it with [`crate::export_scaling!`].
pub trait Scaling: Sized {
    /// Who it is.
    const ABOUT: About;

    /// Reads the settings and opens state. Wrong settings are noted in `settings`.
    fn new(settings: &mut Settings) -> Self;

    /// Decides for one group.
    ///
    /// # Errors
    /// A refusal, if it cannot say.
    fn scale(&mut self, request: &Request) -> Result<Target, Refusal>;
}

/// Within the limits of the request; the lower one wins if they cross.
#[must_use]
pub fn limited(replicas: f64, request: &Request) -> u32 {
    (replicas as u32).min(request.max_replicas).max(request.min_replicas)
}

/// Makes a type the policy of this component.
#[macro_export]
macro_rules! export_scaling {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;
            $crate::lifecycle_exports!($crate::scaling::Scaling, $policy);
            use $crate::Refusal;
            use $crate::scaling::{Request, Scaling as _, Target};

            impl $crate::bindings::scaling::exports::pilothouse::scaling::scaling::Guest for Export {
                fn scale(request: Request) -> Result<Target, Refusal> {
                    INSTANCE.with_borrow_mut(|instance| match &mut instance.policy {
                        Some(policy) => policy.scale(&request),
                        None => Err(Refusal::Other("not configured".to_owned())),
                    })
                }

                fn scale_many(requests: Vec<Request>) -> Vec<Result<Target, Refusal>> {
                    requests.into_iter().map(Self::scale).collect()
                }
            }

            $crate::bindings::scaling::export_scaling_decision!(Export with_types_in $crate::bindings::scaling);
        };
    };
}
