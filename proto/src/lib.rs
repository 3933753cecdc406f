//! Generated protobuf types and services.
//!
//! Invariant: what is here is made from the `.proto` files at build time; nothing is edited by hand.

/// `package federation`
#[expect(missing_docs, reason = "generated; the .proto file has the documentation")]
pub mod federation {
    #![allow(
        clippy::all,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        clippy::unwrap_used,
        clippy::too_many_lines,
        reason = "generated"
    )]
    tonic::include_proto!("federation");
}

/// `package pilothouse.v1`
#[expect(missing_docs, reason = "generated; the .proto file has the documentation")]
pub mod pilothouse {
    #![allow(
        clippy::all,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        clippy::unwrap_used,
        clippy::too_many_lines,
        reason = "generated"
    )]
    tonic::include_proto!("pilothouse.v1");
}

/// Descriptors of all services, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
