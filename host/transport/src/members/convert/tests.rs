//! Every message survives the wire.

use std::collections::BTreeMap;

use pilothouse_core::id::{AgentName, Digest, Label};
use pilothouse_core::member::{MemberKind, Resources};
use pilothouse_core::time::Now;
use pilothouse_core::workload::{
    Checkpoint, Component, Condition, Driver, Durability, HealthCheck, Hook, Probe, Process, Restart, Spec,
};
use pilothouse_migration::id::{Attempt, MigrationId};
use pilothouse_migration::order::{Key, Order, Refusal, Reply, Report, Sent, StandbyFrom, Task};
use pilothouse_migration::step::Step;
use pilothouse_migration::ticket::{Code, Ticket};
use pilothouse_migration::transfer::{ChunkDigest, StateDigest};
use proptest::prelude::*;

use super::*;
use crate::members::message::*;

fn id(text: &str) -> MemberId {
    MemberId::parse(text).unwrap()
}

fn name() -> AgentName {
    AgentName::parse("team/counter").unwrap()
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(
    all: impl IntoIterator<Item = T>,
) -> impl Strategy<Value = T> {
    proptest::sample::select(all.into_iter().collect::<Vec<_>>())
}

fn a_room() -> impl Strategy<Value = Resources> {
    any::<[u32; 4]>().prop_map(|[cpu_millis, memory_mib, storage_mib, accelerator_millis]| Resources {
        cpu_millis,
        memory_mib,
        storage_mib,
        accelerator_millis,
    })
}

fn a_process() -> impl Strategy<Value = Process> {
    let probes =
        [Probe::Tcp, Probe::Http { path: "/up".into() }, Probe::Command(vec!["true".into(), "1".into()])];
    let hooks = [Hook::Signal("USR1".into()), Hook::Http { path: "/save".into() }];
    let health = proptest::option::of((one_of(probes), 1..9_u64, 1..9_u64, 1..9_u32).prop_map(
        |(probe, interval_ms, timeout_ms, failures_max)| HealthCheck {
            probe,
            interval_ms,
            timeout_ms,
            failures_max,
        },
    ));
    let checkpoint = proptest::option::of(
        (one_of(hooks), 1..9_u64).prop_map(|(hook, timeout_ms)| Checkpoint { hook, timeout_ms }),
    );
    (health, checkpoint).prop_map(|(health, checkpoint)| Process {
        command: vec!["cat".into(), "-".into()],
        environment: BTreeMap::from([("A".into(), "1".into())]),
        health,
        checkpoint,
        call_path: "/call".into(),
    })
}

fn a_job() -> impl Strategy<Value = Job> {
    let component =
        any::<[u8; 32]>().prop_map(|bytes| Component { digest: Digest(bytes), settings: "{}".into() });
    let driver = prop_oneof![a_process().prop_map(Driver::Process), component.prop_map(Driver::Component)];
    let durability = one_of([Durability::None, Durability::Local, Durability::Replicated]);
    let restart = one_of([Restart::Always, Restart::OnFailure, Restart::Never]);
    (driver, durability, restart, 0..600_000_u64, any::<u64>(), a_room()).prop_map(
        |(driver, durability, restart, stop_grace_ms, version, needs)| Job {
            spec: Spec { driver, durability, restart, stop_grace_ms },
            version,
            needs,
        },
    )
}

fn a_key() -> impl Strategy<Value = Key> {
    (any::<u64>(), one_of(Step::ALL), any::<[u32; 2]>()).prop_map(|(migration, step, [entry, number])| Key {
        migration: MigrationId(migration),
        step,
        attempt: Attempt { entry, number },
    })
}

fn a_ticket() -> impl Strategy<Value = (Ticket, Code)> {
    any::<([u64; 3], [u8; 32])>().prop_map(|([migration, epoch, at], code)| {
        let (source, target) = (id("a"), id("b"));
        let (migration, expires_at) = (MigrationId(migration), Now(at));
        (Ticket { migration, workload: name(), source, target, epoch, expires_at }, Code(code))
    })
}

fn a_digest() -> impl Strategy<Value = StateDigest> {
    any::<[u8; 32]>().prop_map(StateDigest)
}

fn a_task() -> impl Strategy<Value = Task> {
    let from = prop_oneof![
        a_digest().prop_map(StandbyFrom::Received),
        one_of([StandbyFrom::LastKnown, StandbyFrom::Nothing])
    ];
    prop_oneof![
        (a_room(), any::<u64>()).prop_map(|(resources, hold_ms)| Task::Reserve { resources, hold_ms }),
        any::<(u32, bool, bool)>().prop_map(|(round, last, compress)| Task::Send {
            to: id("b"),
            round,
            last,
            compress
        }),
        from.prop_map(Task::StartStandby),
        any::<u64>().prop_map(|lease_ms| Task::Verify { lease_ms }),
        one_of([Task::Freeze, Task::Activate, Task::Stop, Task::Release, Task::Resume, Task::Abort]),
    ]
}

fn a_report() -> impl Strategy<Value = Report> {
    let sent = (any::<[u64; 3]>(), a_digest()).prop_map(|([bytes, elapsed_us, dirty_bytes], digest)| {
        Report::Sent(Sent { bytes, elapsed_us, dirty_bytes, digest })
    });
    let refusals = [
        Refusal::StaleAttempt,
        Refusal::NoRoom,
        Refusal::Occupied,
        Refusal::Missing,
        Refusal::DigestDiffers,
        Refusal::LeaseOver,
        Refusal::Failed("exit status 1".into()),
    ];
    prop_oneof![
        Just(Report::Done),
        sent,
        any::<u64>().prop_map(|bytes| Report::Progress { bytes }),
        a_digest().prop_map(Report::Verified),
        one_of(refusals).prop_map(Report::Refused),
        any::<u64>().prop_map(|known| Report::Refused(Refusal::StaleEpoch { known })),
    ]
}

fn a_place() -> impl Strategy<Value = Option<ReplicaPlace>> {
    proptest::option::of(any::<Vec<u8>>().prop_map(|ticket| ReplicaPlace {
        member: id("c"),
        endpoint: "127.0.0.1:9".into(),
        ticket,
    }))
}

fn somebody() -> impl Strategy<Value = Option<MemberId>> {
    one_of([None, Some(id("a"))])
}

fn a_condition() -> impl Strategy<Value = Condition> {
    one_of([
        Condition::Starting,
        Condition::Healthy,
        Condition::Unhealthy,
        Condition::BackingOff,
        Condition::Ended,
    ])
}

fn a_held() -> impl Strategy<Value = Held> {
    let roles = [
        HeldRole::Reserved,
        HeldRole::Standby,
        HeldRole::Serving,
        HeldRole::Frozen,
        HeldRole::Stopped,
        HeldRole::Replica,
    ];
    (one_of(roles), proptest::option::of(a_condition()), any::<[u64; 4]>()).prop_map(
        |(role, condition, [epoch, spec_version, state_bytes, dirty_bytes_per_s])| Held {
            workload: name(),
            epoch,
            role,
            spec_version,
            condition,
            state_bytes,
            dirty_bytes_per_s,
        },
    )
}

fn a_hello() -> impl Strategy<Value = Hello> {
    let kind = one_of([MemberKind::Cluster, MemberKind::Node, MemberKind::Orchestrator]);
    let label = one_of([None, Some(Label::parse("eu-1").unwrap())]);
    (kind, label, a_room(), any::<u64>(), any::<u32>()).prop_map(|(kind, label, room, boot, capacity)| {
        Hello {
            member: id("m-1"),
            boot,
            endpoint: "127.0.0.1:1".into(),
            hostname: "box".into(),
            region: label.clone(),
            zone: label.clone(),
            kind,
            capabilities: label.into_iter().collect(),
            capacity,
            room,
            drivers: ["process".to_owned()].into(),
            labels: BTreeMap::from([("rack".into(), "7".into())]),
        }
    })
}

fn from_member() -> impl Strategy<Value = FromMember> {
    let share = proptest::option::of(0.0..1.0_f32);
    let load = (share.clone(), share.clone(), share.clone(), share, any::<u32>()).prop_map(
        |(cpu, memory, disk, load_average, active)| MachineLoad { cpu, memory, disk, load_average, active },
    );
    let reply = (a_key(), any::<u64>(), a_report()).prop_map(|(key, epoch, report)| Reply {
        key,
        workload: name(),
        from: id("m-1"),
        epoch,
        report,
    });
    prop_oneof![
        a_hello().prop_map(FromMember::Hello),
        (any::<u64>(), load, proptest::collection::vec(a_held(), 0..4))
            .prop_map(|(sent_at_ms, load, held)| FromMember::Heartbeat(Heartbeat { sent_at_ms, load, held })),
        (reply, proptest::option::of(a_ticket()))
            .prop_map(|(reply, ticket)| FromMember::Reply(reply, ticket)),
        (somebody(), any::<[u64; 2]>()).prop_map(|(synced, [epoch, number])| {
            FromMember::Replica(ReplicaReport { workload: name(), epoch, synced, number })
        }),
        (a_condition(), any::<u64>(), any::<u32>()).prop_map(|(condition, epoch, restarts)| {
            FromMember::News(News { workload: name(), epoch, condition, detail: "why".into(), restarts })
        }),
    ]
}

fn to_member() -> impl Strategy<Value = ToMember> {
    let exception =
        (somebody(), any::<([u64; 2], bool)>()).prop_map(|(owner, ([epoch, lease_ms], settled))| Exception {
            workload: name(),
            owner,
            epoch,
            settled,
            lease_ms,
        });
    let target =
        proptest::option::of(a_ticket().prop_map(|(ticket, code)| ("127.0.0.1:2".to_owned(), ticket, code)));
    let ordered = (a_key(), any::<u64>(), a_task(), proptest::option::of(a_job()), somebody(), target)
        .prop_map(|(key, epoch, task, job, source, target)| Ordered {
            order: Order { key, workload: name(), epoch, task },
            job,
            source,
            target,
        });
    let from = one_of([StartFrom::Nothing, StartFrom::LastKnown]);
    let assign =
        (any::<[u64; 2]>(), a_job(), from, a_place()).prop_map(|([epoch, lease_ms], job, from, replica)| {
            Assign { workload: name(), epoch, job, from, replica, lease_ms }
        });
    prop_oneof![
        any::<[u64; 2]>().prop_map(|[heartbeat_interval_ms, lease_ms]| {
            ToMember::Welcome(Welcome { heartbeat_interval_ms, lease_ms, host: "h".into() })
        }),
        (any::<u64>(), proptest::collection::vec(exception, 0..4))
            .prop_map(|(sent_at_ms, exceptions)| ToMember::Answer(Answer { sent_at_ms, exceptions })),
        ordered.prop_map(|ordered| ToMember::Order(Box::new(ordered))),
        assign.prop_map(|assign| ToMember::Assign(Box::new(assign))),
        any::<(u64, bool)>().prop_map(|(epoch, erase)| ToMember::Halt(Halt {
            workload: name(),
            epoch,
            erase
        })),
        (somebody(), any::<[u64; 2]>(), a_place()).prop_map(|(replica, [epoch, number], next)| {
            ToMember::Replica(ReplicaGranted { workload: name(), epoch, replica, number, next })
        }),
    ]
}

/// As it is after the wire.
fn carried<T: prost::Message + Default>(message: &T) -> T {
    T::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn what_a_member_says_is_heard(message in from_member()) {
        let heard = from_member_in(carried(&from_member_out(&message)), &id("m-1"));
        prop_assert_eq!(heard, Ok(message));
    }

    #[test]
    fn a_job_comes_back_from_the_disk(job in a_job()) {
        prop_assert_eq!(job_from_bytes(&job_to_bytes(&job)), Ok(job));
    }

    #[test]
    fn what_a_host_says_is_heard(message in to_member()) {
        prop_assert_eq!(to_member_in(carried(&to_member_out(&message))), Ok(message));
    }

    #[test]
    fn chunks_and_manifests_arrive_whole(
        (ticket, code) in a_ticket(),
        digests in proptest::collection::vec(any::<[u8; 32]>(), 0..5),
        bytes in any::<Vec<u8>>(),
        compressed in any::<bool>(),
        range in any::<[u32; 2]>(),
    ) {
        let digests: Vec<_> = digests.into_iter().map(ChunkDigest).collect();
        for item in [
            TransferItem::Ticket(ticket, code),
            TransferItem::Manifest { round: 1, state_bytes: 2, chunk_bytes: 3, digests },
            TransferItem::Chunk { round: 1, index: 2, compressed, bytes },
        ] {
            prop_assert_eq!(transfer_in(carried(&transfer_out(item.clone()))), Ok(item));
        }
        let [start, end] = range;
        for answer in [
            TransferAnswer::Missing(std::iter::once(start..end).collect()),
            TransferAnswer::Written(vec![start..end, 0..1]),
            TransferAnswer::Complete(StateDigest([7; 32])),
            TransferAnswer::Refused("disk".into(), "full".into()),
        ] {
            prop_assert_eq!(transfer_answer_in(carried(&transfer_answer_out(answer.clone()))), Ok(answer));
        }
    }

    #[test]
    fn second_copies_and_calls_arrive_whole(job in a_job(), bytes in any::<Vec<u8>>(), whole in any::<bool>()) {
        let (workload, epoch) = (name(), 3);
        let file = ReplicaFile { path: "a/b".into(), offset: 1, bytes: bytes.clone(), length: 9 };
        let change = ReplicaChange { files: vec![file], removed: vec!["c".into()], whole };
        let (owner, ticket) = (id("a"), vec![1]);
        for item in [
            ReplicaItem::Open(Box::new(ReplicaOpen { workload: name(), epoch, owner, ticket, job })),
            ReplicaItem::Write(ReplicaWrite { workload: name(), epoch, version: 4, change }),
            ReplicaItem::Close { workload: name(), epoch },
        ] {
            prop_assert_eq!(replica_in(carried(&replica_out(item.clone()))), Ok(item));
        }
        for refused in [None, Some("disk".to_owned())] {
            let answer = ReplicaAnswer { workload: name(), epoch, version: 4, refused };
            prop_assert_eq!(replica_answer_in(carried(&replica_answer_out(answer.clone()))), Ok(answer));
        }
        let call =
            PeerCall { workload, body: bytes, timeout_ms: 5, idempotency_key: "k".into(), epoch: 2 };
        prop_assert_eq!(call_in(carried(&call_out(call.clone()))), Ok(call));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let assign = |change: fn(&mut wire::Assign)| {
        let spec = Spec {
            driver: Driver::Process(Process {
                command: vec!["cat".into()],
                call_path: "/".into(),
                ..Process::default()
            }),
            durability: Durability::Local,
            restart: Restart::Never,
            stop_grace_ms: 1,
        };
        let job = Job { spec, version: 1, needs: Resources::default() };
        let (workload, replica) = (name(), None);
        let good = Assign { workload, epoch: 1, job, from: StartFrom::Nothing, replica, lease_ms: 1 };
        let mut message = to_member_out(&ToMember::Assign(Box::new(good)));
        if let Some(wire::to_member::Item::Assign(assign)) = &mut message.item {
            change(assign);
        }
        to_member_in(message).err().map(|wrong| wrong.field)
    };
    assert_eq!(assign(|_| ()), None);
    assert_eq!(assign(|it| it.workload = "a b".into()), Some("workload"));
    assert_eq!(assign(|it| it.from = 0), Some("from"));
    assert_eq!(assign(|it| it.spec = None), Some("spec"));
    assert_eq!(assign(|it| it.replica_member = "\n".into()), Some("replica_member"));
    assert_eq!(to_member_in(wire::ToMember { item: None }).err().map(|wrong| wrong.field), Some("item"));
}
