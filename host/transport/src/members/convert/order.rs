//! Orders of migrations, their replies and tickets.

use pilothouse_core::time::Now;
use pilothouse_migration::id::{Attempt, MigrationId};
use pilothouse_migration::order::{Key, Order, Refusal, Reply, Report, Sent, StandbyFrom, Task};
use pilothouse_migration::step::Step;
use pilothouse_migration::ticket::{Code, Ticket};
use pilothouse_migration::transfer::StateDigest;
use pilothouse_proto::pilothouse as wire;

use super::spec::{job_in, job_out};
use super::{Wrong, bytes32, member, member_if_any, needed, room_in, room_out, text, workload, wrong};
use crate::members::message::Ordered;

fn key_in(key: Option<wire::OrderKey>) -> Result<Key, Wrong> {
    let wire::OrderKey { migration, step, entry, number } = needed("key", key)?;
    let step = Step::parse(&step)
        .ok_or_else(|| wrong("key.step", format!("`{}` is no step", step.escape_debug())))?;
    Ok(Key { migration: MigrationId(migration), step, attempt: Attempt { entry, number } })
}

fn key_out(key: Key) -> Option<wire::OrderKey> {
    let Key { migration, step, attempt: Attempt { entry, number } } = key;
    Some(wire::OrderKey { migration: migration.0, step: step.name().to_owned(), entry, number })
}

pub(super) fn order_in(order: wire::Order) -> Result<Ordered, Wrong> {
    let wire::Order { key, workload: name, epoch, task, spec, spec_version, source, target_endpoint, ticket } =
        order;
    let task = task_in(needed("task", task)?)?;
    let target = match ticket {
        None => None,
        Some(ticket) => {
            let (ticket, code) = ticket_in(ticket)?;
            Some((target_endpoint, ticket, code))
        }
    };
    Ok(Ordered {
        order: Order { key: key_in(key)?, workload: workload(&name)?, epoch, task },
        job: spec.map(|spec| job_in(spec, spec_version)).transpose()?,
        source: member_if_any("source", &source)?,
        target,
    })
}

pub(super) fn order_out(ordered: &Ordered) -> wire::Order {
    let Ordered { order: Order { key, workload, epoch, task }, job, source, target } = ordered;
    let (target_endpoint, ticket) = match target {
        None => (String::new(), None),
        Some((endpoint, ticket, code)) => (endpoint.clone(), Some(ticket_out(ticket, code))),
    };
    wire::Order {
        key: key_out(*key),
        workload: workload.to_string(),
        epoch: *epoch,
        task: Some(task_out(task)),
        spec: job.as_ref().map(job_out),
        spec_version: job.as_ref().map_or(0, |job| job.version),
        source: text(source.as_ref()),
        target_endpoint,
        ticket,
    }
}

fn task_in(task: wire::order::Task) -> Result<Task, Wrong> {
    use wire::order::Task as Wire;
    Ok(match task {
        Wire::Reserve(wire::Reserve { room, hold_ms }) => Task::Reserve { resources: room_in(room), hold_ms },
        Wire::Send(wire::Send { to, round, last, compress }) => {
            Task::Send { to: member("to", &to)?, round, last, compress }
        }
        Wire::Freeze(wire::Empty {}) => Task::Freeze,
        Wire::StartStandby(wire::StartStandby { from }) => {
            Task::StartStandby(match needed("start_standby.from", from)? {
                wire::start_standby::From::Received(digest) => {
                    StandbyFrom::Received(StateDigest(bytes32("received", &digest)?))
                }
                wire::start_standby::From::LastKnown(wire::Empty {}) => StandbyFrom::LastKnown,
                wire::start_standby::From::Nothing(wire::Empty {}) => StandbyFrom::Nothing,
            })
        }
        Wire::Verify(wire::Verify { lease_ms }) => Task::Verify { lease_ms },
        Wire::Activate(wire::Empty {}) => Task::Activate,
        Wire::Stop(wire::Empty {}) => Task::Stop,
        Wire::Release(wire::Empty {}) => Task::Release,
        Wire::Resume(wire::Empty {}) => Task::Resume,
        Wire::Abort(wire::Empty {}) => Task::Abort,
    })
}

fn task_out(task: &Task) -> wire::order::Task {
    use wire::order::Task as Wire;
    let empty = wire::Empty {};
    match task {
        Task::Reserve { resources, hold_ms } => {
            Wire::Reserve(wire::Reserve { room: room_out(*resources), hold_ms: *hold_ms })
        }
        Task::Send { to, round, last, compress } => {
            Wire::Send(wire::Send { to: to.to_string(), round: *round, last: *last, compress: *compress })
        }
        Task::Freeze => Wire::Freeze(empty),
        Task::StartStandby(from) => {
            let from = match from {
                StandbyFrom::Received(digest) => wire::start_standby::From::Received(digest.0.to_vec()),
                StandbyFrom::LastKnown => wire::start_standby::From::LastKnown(empty),
                StandbyFrom::Nothing => wire::start_standby::From::Nothing(empty),
            };
            Wire::StartStandby(wire::StartStandby { from: Some(from) })
        }
        Task::Verify { lease_ms } => Wire::Verify(wire::Verify { lease_ms: *lease_ms }),
        Task::Activate => Wire::Activate(empty),
        Task::Stop => Wire::Stop(empty),
        Task::Release => Wire::Release(empty),
        Task::Resume => Wire::Resume(empty),
        Task::Abort => Wire::Abort(empty),
    }
}

/// A reply says who it is from by the link it comes on.
pub(super) fn reply_in(
    reply: wire::OrderReply,
    from: &pilothouse_core::id::MemberId,
) -> Result<(Reply, Option<(Ticket, Code)>), Wrong> {
    use wire::order_reply::Report as Wire;
    let wire::OrderReply { key, workload: name, epoch, report, ticket } = reply;
    let report = match needed("report", report)? {
        Wire::Done(wire::Empty {}) => Report::Done,
        Wire::Sent(wire::Sent { bytes, elapsed_us, dirty_bytes, digest }) => {
            let digest = StateDigest(bytes32("sent.digest", &digest)?);
            Report::Sent(Sent { bytes, elapsed_us, dirty_bytes, digest })
        }
        Wire::ProgressBytes(bytes) => Report::Progress { bytes },
        Wire::Verified(digest) => Report::Verified(StateDigest(bytes32("verified", &digest)?)),
        Wire::Refused(refused) => Report::Refused(refusal_in(refused)?),
    };
    let reply = Reply { key: key_in(key)?, workload: workload(&name)?, from: from.clone(), epoch, report };
    Ok((reply, ticket.map(ticket_in).transpose()?))
}

pub(super) fn reply_out(reply: &Reply, ticket: Option<&(Ticket, Code)>) -> wire::OrderReply {
    use wire::order_reply::Report as Wire;
    let Reply { key, workload, from: _, epoch, report } = reply;
    let report = match report {
        Report::Done => Wire::Done(wire::Empty {}),
        Report::Sent(Sent { bytes, elapsed_us, dirty_bytes, digest }) => Wire::Sent(wire::Sent {
            bytes: *bytes,
            elapsed_us: *elapsed_us,
            dirty_bytes: *dirty_bytes,
            digest: digest.0.to_vec(),
        }),
        Report::Progress { bytes } => Wire::ProgressBytes(*bytes),
        Report::Verified(digest) => Wire::Verified(digest.0.to_vec()),
        Report::Refused(refusal) => Wire::Refused(refusal_out(refusal)),
    };
    wire::OrderReply {
        key: key_out(*key),
        workload: workload.to_string(),
        epoch: *epoch,
        report: Some(report),
        ticket: ticket.map(|(ticket, code)| ticket_out(ticket, code)),
    }
}

fn refusal_in(refused: wire::OrderRefused) -> Result<Refusal, Wrong> {
    let wire::OrderRefused { code, known_epoch, text } = refused;
    Ok(match code.as_str() {
        "stale-epoch" => Refusal::StaleEpoch { known: known_epoch },
        "stale-attempt" => Refusal::StaleAttempt,
        "no-room" => Refusal::NoRoom,
        "occupied" => Refusal::Occupied,
        "missing" => Refusal::Missing,
        "digest-differs" => Refusal::DigestDiffers,
        "lease-over" => Refusal::LeaseOver,
        "failed" => Refusal::failed(&text),
        other => return Err(wrong("refused.code", format!("`{}` is not known here", other.escape_debug()))),
    })
}

fn refusal_out(refusal: &Refusal) -> wire::OrderRefused {
    let (code, known_epoch) = match refusal {
        Refusal::StaleEpoch { known } => ("stale-epoch", *known),
        Refusal::StaleAttempt => ("stale-attempt", 0),
        Refusal::NoRoom => ("no-room", 0),
        Refusal::Occupied => ("occupied", 0),
        Refusal::Missing => ("missing", 0),
        Refusal::DigestDiffers => ("digest-differs", 0),
        Refusal::LeaseOver => ("lease-over", 0),
        Refusal::Failed(_) => ("failed", 0),
    };
    wire::OrderRefused { code: code.to_owned(), known_epoch, text: refusal.to_string() }
}

pub(super) fn ticket_in(ticket: wire::Ticket) -> Result<(Ticket, Code), Wrong> {
    let wire::Ticket { migration, workload: name, source, target, epoch, expires_at_ms, code } = ticket;
    let ticket = Ticket {
        migration: MigrationId(migration),
        workload: workload(&name)?,
        source: member("ticket.source", &source)?,
        target: member("ticket.target", &target)?,
        epoch,
        expires_at: Now(expires_at_ms),
    };
    Ok((ticket, Code(bytes32("ticket.code", &code)?)))
}

pub(super) fn ticket_out(ticket: &Ticket, code: &Code) -> wire::Ticket {
    let Ticket { migration, workload, source, target, epoch, expires_at } = ticket;
    wire::Ticket {
        migration: migration.0,
        workload: workload.to_string(),
        source: source.to_string(),
        target: target.to_string(),
        epoch: *epoch,
        expires_at_ms: expires_at.0,
        code: code.0.to_vec(),
    }
}
