//! Orchestrators talk over WebSocket in the document's JSON.
//!
//! peer <-> [`endpoint`] | [`client`] -> [`session`] (frames, limits) -> [`convert`] (JSON <-> core's words) -> [`port::Federation`]
//!
//! Invariant: nothing a peer sends can stop the host: size and depth are bounded before anything is parsed, what is wrong is
//! answered with a typed complaint, and a peer that does not read is cut off. Nothing is decided here.

pub mod client;
pub mod convert;
pub(crate) mod endpoint;
pub mod port;
pub mod session;
mod wire;
