//! What members say to each other.

use std::ops::Range;

use pilothouse_migration::transfer::{ChunkDigest, StateDigest};
use pilothouse_proto::pilothouse as wire;

use super::order::{ticket_in, ticket_out};
use super::spec::{job_in, job_out};
use super::{Wrong, bytes32, member, needed, workload, wrong};
use crate::members::message::{
    PeerCall, ReplicaAnswer, ReplicaChange, ReplicaFile, ReplicaItem, ReplicaOpen, ReplicaWrite,
    TransferAnswer, TransferItem,
};

pub(crate) fn call_in(call: wire::CallRequest) -> Result<PeerCall, Wrong> {
    let wire::CallRequest { workload: name, body, timeout_ms, idempotency_key, epoch } = call;
    Ok(PeerCall { workload: workload(&name)?, body, timeout_ms, idempotency_key, epoch })
}

pub(crate) fn call_out(call: PeerCall) -> wire::CallRequest {
    let PeerCall { workload, body, timeout_ms, idempotency_key, epoch } = call;
    wire::CallRequest { workload: workload.to_string(), body, timeout_ms, idempotency_key, epoch }
}

pub(crate) fn transfer_in(item: wire::TransferItem) -> Result<TransferItem, Wrong> {
    use wire::transfer_item::Item;
    let wire::TransferItem { item } = item;
    Ok(match needed("item", item)? {
        Item::Ticket(ticket) => {
            let (ticket, code) = ticket_in(ticket)?;
            TransferItem::Ticket(ticket, code)
        }
        Item::Manifest(wire::Manifest { round, state_bytes, chunk_bytes, digests }) => {
            let (each, rest) = digests.as_chunks::<32>();
            if !rest.is_empty() {
                return Err(wrong("digests", "is not a multiple of 32 bytes"));
            }
            let digests = each.iter().copied().map(ChunkDigest).collect();
            TransferItem::Manifest { round, state_bytes, chunk_bytes, digests }
        }
        Item::Chunk(wire::Chunk { round, index, compressed, bytes }) => {
            TransferItem::Chunk { round, index, compressed, bytes }
        }
    })
}

pub(crate) fn transfer_out(item: TransferItem) -> wire::TransferItem {
    use wire::transfer_item::Item;
    let item = match item {
        TransferItem::Ticket(ticket, code) => Item::Ticket(ticket_out(&ticket, &code)),
        TransferItem::Manifest { round, state_bytes, chunk_bytes, digests } => {
            let digests = digests.iter().flat_map(|digest| digest.0).collect();
            Item::Manifest(wire::Manifest { round, state_bytes, chunk_bytes, digests })
        }
        TransferItem::Chunk { round, index, compressed, bytes } => {
            Item::Chunk(wire::Chunk { round, index, compressed, bytes })
        }
    };
    wire::TransferItem { item: Some(item) }
}

pub(crate) fn transfer_answer_in(answer: wire::TransferAnswer) -> Result<TransferAnswer, Wrong> {
    use wire::transfer_answer::Item;
    let wire::TransferAnswer { item } = answer;
    Ok(match needed("item", item)? {
        Item::Missing(ranges) => TransferAnswer::Missing(ranges_in(&ranges)?),
        Item::Written(ranges) => TransferAnswer::Written(ranges_in(&ranges)?),
        Item::Complete(digest) => TransferAnswer::Complete(StateDigest(bytes32("complete", &digest)?)),
        Item::Refused(wire::TransferRefused { code, text }) => TransferAnswer::Refused(code, text),
    })
}

pub(crate) fn transfer_answer_out(answer: TransferAnswer) -> wire::TransferAnswer {
    use wire::transfer_answer::Item;
    let item = match answer {
        TransferAnswer::Missing(ranges) => Item::Missing(ranges_out(&ranges)),
        TransferAnswer::Written(ranges) => Item::Written(ranges_out(&ranges)),
        TransferAnswer::Complete(digest) => Item::Complete(digest.0.to_vec()),
        TransferAnswer::Refused(code, text) => Item::Refused(wire::TransferRefused { code, text }),
    };
    wire::TransferAnswer { item: Some(item) }
}

fn ranges_in(ranges: &wire::Missing) -> Result<Vec<Range<u32>>, Wrong> {
    let (pairs, rest) = ranges.ranges.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong("ranges", "is no list of pairs"));
    }
    Ok(pairs.iter().map(|[first, end]| *first..*end).collect())
}

fn ranges_out(ranges: &[Range<u32>]) -> wire::Missing {
    wire::Missing { ranges: ranges.iter().flat_map(|range| [range.start, range.end]).collect() }
}

pub(crate) fn replica_in(item: wire::ReplicaItem) -> Result<ReplicaItem, Wrong> {
    use wire::replica_item::Item;
    let wire::ReplicaItem { item } = item;
    Ok(match needed("item", item)? {
        Item::Open(wire::ReplicaOpen { workload: name, epoch, owner, ticket, spec, spec_version }) => {
            ReplicaItem::Open(Box::new(ReplicaOpen {
                workload: workload(&name)?,
                epoch,
                owner: member("owner", &owner)?,
                ticket,
                job: job_in(needed("spec", spec)?, spec_version)?,
            }))
        }
        Item::Write(wire::ReplicaWrite { workload: name, epoch, version, files, removed, whole }) => {
            let file = |file| {
                let wire::ReplicaFile { path, offset, bytes, length } = file;
                ReplicaFile { path, offset, bytes, length }
            };
            let change = ReplicaChange { files: files.into_iter().map(file).collect(), removed, whole };
            ReplicaItem::Write(ReplicaWrite { workload: workload(&name)?, epoch, version, change })
        }
        Item::Close(wire::ReplicaClose { workload: name, epoch }) => {
            ReplicaItem::Close { workload: workload(&name)?, epoch }
        }
    })
}

pub(crate) fn replica_out(item: ReplicaItem) -> wire::ReplicaItem {
    use wire::replica_item::Item;
    let item = match item {
        ReplicaItem::Open(open) => {
            let ReplicaOpen { workload, epoch, owner, ticket, job } = *open;
            Item::Open(wire::ReplicaOpen {
                workload: workload.to_string(),
                epoch,
                owner: owner.to_string(),
                ticket,
                spec: Some(job_out(&job)),
                spec_version: job.version,
            })
        }
        ReplicaItem::Write(ReplicaWrite { workload, epoch, version, change }) => {
            let ReplicaChange { files, removed, whole } = change;
            let file = |file| {
                let ReplicaFile { path, offset, bytes, length } = file;
                wire::ReplicaFile { path, offset, bytes, length }
            };
            let (workload, files) = (workload.to_string(), files.into_iter().map(file).collect());
            Item::Write(wire::ReplicaWrite { workload, epoch, version, files, removed, whole })
        }
        ReplicaItem::Close { workload, epoch } => {
            Item::Close(wire::ReplicaClose { workload: workload.to_string(), epoch })
        }
    };
    wire::ReplicaItem { item: Some(item) }
}

pub(crate) fn replica_answer_in(answer: wire::ReplicaAnswer) -> Result<ReplicaAnswer, Wrong> {
    let wire::ReplicaAnswer { workload: name, epoch, version, refused } = answer;
    let refused = Some(refused).filter(|code| !code.is_empty());
    Ok(ReplicaAnswer { workload: workload(&name)?, epoch, version, refused })
}

pub(crate) fn replica_answer_out(answer: ReplicaAnswer) -> wire::ReplicaAnswer {
    let ReplicaAnswer { workload, epoch, version, refused } = answer;
    wire::ReplicaAnswer {
        workload: workload.to_string(),
        epoch,
        version,
        refused: refused.unwrap_or_default(),
    }
}
