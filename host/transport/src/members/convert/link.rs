//! What goes over a link.

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::MemberKind;
use pilothouse_proto::pilothouse as wire;

use super::order::{order_in, order_out, reply_in, reply_out};
use super::spec::{condition_in, condition_out, job_in, job_out};
use super::{Wrong, label_if_any, member, member_if_any, needed, room_in, room_out, text, workload, wrong};
use crate::members::message::{
    Answer, Assign, Exception, FromMember, Halt, Heartbeat, Held, HeldRole, Hello, MachineLoad, News,
    ReplicaGranted, ReplicaPlace, ReplicaReport, StartFrom, ToMember, Welcome,
};

/// Reads what a member says; `from` is whose link it is (of a hello: ignored).
///
/// # Errors
/// [`Wrong`] names the field.
pub fn from_member_in(message: wire::FromMember, from: &MemberId) -> Result<FromMember, Wrong> {
    use wire::from_member::Item;
    let wire::FromMember { item } = message;
    Ok(match needed("item", item)? {
        Item::Hello(hello) => FromMember::Hello(hello_in(hello)?),
        Item::Heartbeat(heartbeat) => FromMember::Heartbeat(heartbeat_in(heartbeat)?),
        Item::Reply(reply) => {
            let (reply, ticket) = reply_in(reply, from)?;
            FromMember::Reply(reply, ticket)
        }
        Item::Replica(wire::ReplicaReport { workload: name, epoch, synced, number }) => {
            let synced = member_if_any("synced", &synced)?;
            FromMember::Replica(ReplicaReport { workload: workload(&name)?, epoch, synced, number })
        }
        Item::News(wire::WorkloadNews { workload: name, epoch, condition, detail, restarts }) => {
            let condition = needed("condition", condition_in(condition)?)?;
            FromMember::News(News { workload: workload(&name)?, epoch, condition, detail, restarts })
        }
    })
}

/// Writes what a member says.
#[must_use]
pub fn from_member_out(message: &FromMember) -> wire::FromMember {
    use wire::from_member::Item;
    let item = match message {
        FromMember::Hello(hello) => Item::Hello(hello_out(hello)),
        FromMember::Heartbeat(Heartbeat { sent_at_ms, load, held }) => Item::Heartbeat(wire::Heartbeat {
            sent_at_ms: *sent_at_ms,
            load: Some(load_out(*load)),
            held: held.iter().map(held_out).collect(),
        }),
        FromMember::Reply(reply, ticket) => Item::Reply(reply_out(reply, ticket.as_ref())),
        FromMember::Replica(ReplicaReport { workload, epoch, synced, number }) => {
            Item::Replica(wire::ReplicaReport {
                workload: workload.to_string(),
                epoch: *epoch,
                synced: text(synced.as_ref()),
                number: *number,
            })
        }
        FromMember::News(News { workload, epoch, condition, detail, restarts }) => {
            Item::News(wire::WorkloadNews {
                workload: workload.to_string(),
                epoch: *epoch,
                condition: condition_out(Some(*condition)),
                detail: detail.clone(),
                restarts: *restarts,
            })
        }
    };
    wire::FromMember { item: Some(item) }
}

/// Reads what a host says.
///
/// # Errors
/// [`Wrong`] names the field.
pub fn to_member_in(message: wire::ToMember) -> Result<ToMember, Wrong> {
    use wire::to_member::Item;
    let wire::ToMember { item } = message;
    Ok(match needed("item", item)? {
        Item::Welcome(wire::Welcome { heartbeat_interval_ms, lease_ms, host_id }) => {
            ToMember::Welcome(Welcome { heartbeat_interval_ms, lease_ms, host: host_id })
        }
        Item::Answer(wire::HeartbeatAnswer { sent_at_ms, exceptions }) => {
            let exceptions = exceptions.into_iter().map(exception_in).collect::<Result<_, _>>()?;
            ToMember::Answer(Answer { sent_at_ms, exceptions })
        }
        Item::Order(order) => ToMember::Order(Box::new(order_in(order)?)),
        Item::Assign(assign) => ToMember::Assign(Box::new(assign_in(assign)?)),
        Item::Halt(wire::Halt { workload: name, epoch, erase }) => {
            ToMember::Halt(Halt { workload: workload(&name)?, epoch, erase })
        }
        Item::Replica(granted) => {
            let wire::ReplicaGranted {
                workload: name,
                epoch,
                replica,
                number,
                next_member,
                next_endpoint,
                next_ticket,
            } = granted;
            ToMember::Replica(ReplicaGranted {
                workload: workload(&name)?,
                epoch,
                replica: member_if_any("replica", &replica)?,
                number,
                next: place_in(&next_member, next_endpoint, next_ticket)?,
            })
        }
    })
}

/// Writes what a host says.
#[must_use]
pub fn to_member_out(message: &ToMember) -> wire::ToMember {
    use wire::to_member::Item;
    let item = match message {
        ToMember::Welcome(Welcome { heartbeat_interval_ms, lease_ms, host }) => {
            Item::Welcome(wire::Welcome {
                heartbeat_interval_ms: *heartbeat_interval_ms,
                lease_ms: *lease_ms,
                host_id: host.clone(),
            })
        }
        ToMember::Answer(Answer { sent_at_ms, exceptions }) => Item::Answer(wire::HeartbeatAnswer {
            sent_at_ms: *sent_at_ms,
            exceptions: exceptions.iter().map(exception_out).collect(),
        }),
        ToMember::Order(ordered) => Item::Order(order_out(ordered)),
        ToMember::Assign(assign) => Item::Assign(assign_out(assign)),
        ToMember::Halt(Halt { workload, epoch, erase }) => {
            Item::Halt(wire::Halt { workload: workload.to_string(), epoch: *epoch, erase: *erase })
        }
        ToMember::Replica(ReplicaGranted { workload, epoch, replica, number, next }) => {
            let (next_member, next_endpoint, next_ticket) = place_out(next.as_ref());
            Item::Replica(wire::ReplicaGranted {
                workload: workload.to_string(),
                epoch: *epoch,
                replica: text(replica.as_ref()),
                number: *number,
                next_member,
                next_endpoint,
                next_ticket,
            })
        }
    };
    wire::ToMember { item: Some(item) }
}

fn hello_in(hello: wire::Hello) -> Result<Hello, Wrong> {
    let wire::Hello {
        member_id,
        boot,
        endpoint,
        hostname,
        region,
        zone,
        kind,
        capabilities,
        capacity,
        room,
        drivers,
        labels,
    } = hello;
    let capability = |text: &String| Label::parse(text).map_err(|error| wrong("capabilities", error));
    Ok(Hello {
        member: member("member_id", &member_id)?,
        boot,
        endpoint,
        hostname,
        region: label_if_any("region", &region)?,
        zone: label_if_any("zone", &zone)?,
        kind: match kind.as_str() {
            "" | "cluster" => MemberKind::Cluster,
            "node" => MemberKind::Node,
            "orchestrator" => MemberKind::Orchestrator,
            other => return Err(wrong("kind", format!("cluster or node, not `{}`", other.escape_debug()))),
        },
        capabilities: capabilities.iter().map(capability).collect::<Result<_, _>>()?,
        capacity,
        room: room_in(room),
        drivers: drivers.into_iter().collect(),
        labels: labels.into_iter().collect(),
    })
}

fn hello_out(hello: &Hello) -> wire::Hello {
    let Hello {
        member,
        boot,
        endpoint,
        hostname,
        region,
        zone,
        kind,
        capabilities,
        capacity,
        room,
        drivers,
        labels,
    } = hello.clone();
    let kind = match kind {
        MemberKind::Cluster => "cluster",
        MemberKind::Node => "node",
        MemberKind::Orchestrator => "orchestrator",
    };
    wire::Hello {
        member_id: member.to_string(),
        boot,
        endpoint,
        hostname,
        region: text(region.as_ref()),
        zone: text(zone.as_ref()),
        kind: kind.to_owned(),
        capabilities: capabilities.iter().map(ToString::to_string).collect(),
        capacity,
        room: room_out(room),
        drivers: drivers.into_iter().collect(),
        labels: labels.into_iter().collect(),
    }
}

fn heartbeat_in(heartbeat: wire::Heartbeat) -> Result<Heartbeat, Wrong> {
    let wire::Heartbeat { sent_at_ms, load, held } = heartbeat;
    let wire::Load { cpu, memory, disk, load_average, active } = load.unwrap_or_default();
    let load = MachineLoad { cpu, memory, disk, load_average, active };
    Ok(Heartbeat { sent_at_ms, load, held: held.into_iter().map(held_in).collect::<Result<_, _>>()? })
}

fn load_out(load: MachineLoad) -> wire::Load {
    let MachineLoad { cpu, memory, disk, load_average, active } = load;
    wire::Load { cpu, memory, disk, load_average, active }
}

fn held_in(held: wire::Held) -> Result<Held, Wrong> {
    let wire::Held { workload: name, epoch, role, spec_version, condition, state_bytes, dirty_bytes_per_s } =
        held;
    let role = match wire::HeldRole::try_from(role) {
        Ok(wire::HeldRole::Reserved) => HeldRole::Reserved,
        Ok(wire::HeldRole::Standby) => HeldRole::Standby,
        Ok(wire::HeldRole::Serving) => HeldRole::Serving,
        Ok(wire::HeldRole::Frozen) => HeldRole::Frozen,
        Ok(wire::HeldRole::Stopped) => HeldRole::Stopped,
        Ok(wire::HeldRole::Replica) => HeldRole::Replica,
        Ok(wire::HeldRole::Unspecified) | Err(_) => return Err(wrong("held.role", "is not known here")),
    };
    let (workload, condition) = (workload(&name)?, condition_in(condition)?);
    Ok(Held { workload, epoch, role, spec_version, condition, state_bytes, dirty_bytes_per_s })
}

fn held_out(held: &Held) -> wire::Held {
    let Held { workload, epoch, role, spec_version, condition, state_bytes, dirty_bytes_per_s } = held;
    let role = match role {
        HeldRole::Reserved => wire::HeldRole::Reserved,
        HeldRole::Standby => wire::HeldRole::Standby,
        HeldRole::Serving => wire::HeldRole::Serving,
        HeldRole::Frozen => wire::HeldRole::Frozen,
        HeldRole::Stopped => wire::HeldRole::Stopped,
        HeldRole::Replica => wire::HeldRole::Replica,
    };
    wire::Held {
        workload: workload.to_string(),
        epoch: *epoch,
        role: role.into(),
        spec_version: *spec_version,
        condition: condition_out(*condition),
        state_bytes: *state_bytes,
        dirty_bytes_per_s: *dirty_bytes_per_s,
    }
}

fn exception_in(recorded: wire::Recorded) -> Result<Exception, Wrong> {
    let wire::Recorded { workload: name, owner, epoch, settled, lease_ms } = recorded;
    let owner = member_if_any("owner", &owner)?;
    Ok(Exception { workload: workload(&name)?, owner, epoch, settled, lease_ms })
}

fn exception_out(exception: &Exception) -> wire::Recorded {
    let Exception { workload, owner, epoch, settled, lease_ms } = exception;
    wire::Recorded {
        workload: workload.to_string(),
        owner: text(owner.as_ref()),
        epoch: *epoch,
        settled: *settled,
        lease_ms: *lease_ms,
    }
}

fn assign_in(assign: wire::Assign) -> Result<Assign, Wrong> {
    let wire::Assign {
        workload: name,
        epoch,
        spec,
        spec_version,
        from,
        replica_member,
        replica_endpoint,
        replica_ticket,
        lease_ms,
    } = assign;
    let from = match wire::StartFrom::try_from(from) {
        Ok(wire::StartFrom::Nothing) => StartFrom::Nothing,
        Ok(wire::StartFrom::LastKnown) => StartFrom::LastKnown,
        Ok(wire::StartFrom::Unspecified) | Err(_) => return Err(wrong("from", "is not known here")),
    };
    Ok(Assign {
        workload: workload(&name)?,
        epoch,
        job: job_in(needed("spec", spec)?, spec_version)?,
        from,
        replica: place_in(&replica_member, replica_endpoint, replica_ticket)?,
        lease_ms,
    })
}

fn assign_out(assign: &Assign) -> wire::Assign {
    let Assign { workload, epoch, job, from, replica, lease_ms } = assign;
    let (replica_member, replica_endpoint, replica_ticket) = place_out(replica.as_ref());
    let from = match from {
        StartFrom::Nothing => wire::StartFrom::Nothing,
        StartFrom::LastKnown => wire::StartFrom::LastKnown,
    };
    wire::Assign {
        workload: workload.to_string(),
        epoch: *epoch,
        spec: Some(job_out(job)),
        spec_version: job.version,
        from: from.into(),
        replica_member,
        replica_endpoint,
        replica_ticket,
        lease_ms: *lease_ms,
    }
}

fn place_in(id: &str, endpoint: String, ticket: Vec<u8>) -> Result<Option<ReplicaPlace>, Wrong> {
    let id = member_if_any("replica_member", id)?;
    Ok(id.map(|member| ReplicaPlace { member, endpoint, ticket }))
}

fn place_out(place: Option<&ReplicaPlace>) -> (String, String, Vec<u8>) {
    let Some(ReplicaPlace { member, endpoint, ticket }) = place.cloned() else {
        return Default::default();
    };
    (member.to_string(), endpoint, ticket)
}
