//! Components in registries, as the ecosystem keeps them there.
//!
//! component + signature -> [`Artifact`] (manifest, configuration, one layer) -> [`Registry`] (HTTP) or [`Cache`] (files)
//!
//! Invariant: everything that comes from a registry is bounded before it is read and has the digest it was asked by; whose
//! it is only a signature says. A tag is a wish, a digest an address.

mod artifact;
mod auth;
mod cache;
mod client;
mod reference;

pub(super) use artifact::Artifact;
pub(super) use cache::Cache;
pub(super) use client::Registry;
pub(super) use reference::{Pinned, Reference};
