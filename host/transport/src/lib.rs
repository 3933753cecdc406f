//! REST, gRPC and events on one port.
//!
//! connection -> [`server`] (accept loop, limits) -> guard (name, token, origin) -> [`rest`] | [`grpc`] | [`orchestrator`] ->
//! [`service::ControlPlane`]
//!
//! Invariant: this is the only crate that names tonic and axum. Nothing is decided here: requests are checked for form,
//! converted, and handed on; errors become a status in exactly one place per protocol.

pub mod grpc;
pub mod members;
pub mod orchestrator;
pub mod rest;
pub mod server;
pub mod service;
pub mod tls;
