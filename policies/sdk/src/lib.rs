//! What a policy author depends on: one trait to implement, one line to export.
//!
//! ```
//! use pilothouse_sdk::balancing::{Balancing, Request};
//! use pilothouse_sdk::{About, Choice, Class, Fleet, Refusal, Rng, Settings, export_balancing};
//!
//! /// Any eligible member, all equally likely.
//! #[derive(Debug)]
//! pub struct Any;
//! export_balancing!(Any);
//!
//! impl Balancing for Any {
//!     const ABOUT: About = About { reasons: &["drawn at random"], ..About::new("any", "1.0.0", "Any member.") };
//!
//!     fn new(_settings: &mut Settings) -> Self {
//!         Self
//!     }
//!
//!     fn choose(&mut self, _fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
//!         let row = class.nth(Rng::new(request.seed).below(class.count()));
//!         Ok(Choice { row, score: 0.0, reason: 0 })
//!     }
//! }
//! ```
//!
//! host's pushes -> [`Fleet`] and [`Class`] (columns kept current) -> your decision -> host
//!
//! Invariant: a decision depends on its request, the mirror and the host's [`state`] alone. Natively everything runs
//! without Wasm (see [`testing`]); exports exist for the wasm target only.

mod about;
pub mod agent;
pub mod balancing;
#[doc(hidden)]
pub mod bindings;
mod class;
mod fleet;
#[doc(hidden)]
pub mod instance;
pub mod placement;
mod rng;
pub mod room;
pub mod routing;
pub mod scaling;
pub mod scan;
mod settings;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use about::{About, Column};
pub use bindings::base::pilothouse::host::types::{Candidate, Choice, Refusal};
pub use class::Class;
pub use fleet::{Block, DEVICES, Fleet, LANES};
pub use rng::{Rng, mix, unit};
pub use settings::{Problem, Settings, Value};
