//! Many clients place at once on few members: nothing is oversubscribed, and nothing that fits is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pilothouse_core::id::AgentName;
use pilothouse_core::member::Resources;
use pilothouse_core::placement::Terms;
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::placement::{Hold, PlaceQuery, PlacementPlane as _};

use super::*;

const MEMBERS: u32 = 5;
const CORES: u32 = 40;
const CLIENTS: u32 = 8;

fn query(hold: Hold) -> PlaceQuery {
    let needs = Resources { cpu_millis: 1_000, ..Resources::default() };
    let requirement = Requirement { kind: Some(MemberKind::Cluster), needs, ..Requirement::default() };
    PlaceQuery { terms: Terms { requirement, ..Terms::default() }, hold, ..PlaceQuery::default() }
}

/// One client: assigns, reserves, confirms, releases and unassigns until nobody has room; how many it still holds.
async fn client(control: Control, number: u32) -> u32 {
    let mut held = 0;
    for turn in 0_u32.. {
        let name = AgentName::parse(&format!("w-{number}-{turn}")).unwrap();
        let wish = if turn % 3 == 0 { Hold::Reserve { ttl_ms: 60_000 } } else { Hold::Assign(name.clone()) };
        let placed = match control.place(query(wish)).await {
            Ok(placed) => placed,
            Err(ServiceError::NoneEligible(_)) => return held,
            Err(ServiceError::Contended { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        held += 1;
        match (placed.reservation, turn % 5) {
            (Some(reservation), 0) => {
                control.release(reservation.id).unwrap();
                held -= 1;
            }
            (Some(reservation), _) => drop(control.confirm(reservation.id, name).await.unwrap()),
            (None, 0) => {
                control.unassign(name).await.unwrap();
                held -= 1;
            }
            (None, _) => {}
        }
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_are_filled_to_the_last_core_and_never_beyond() {
    let (running, _dir) = server(0).await;
    let control = running.control.clone();
    for index in 0..MEMBERS {
        let resources = Resources { cpu_millis: CORES * 1_000, ..Resources::default() };
        control.register(Registration { resources, ..cluster(index) }).await.unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (control, done) = (control.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                for member in control.members(Some(MemberKind::Cluster)) {
                    assert!(member.used.cpu_millis <= CORES * 1_000, "{:?}", member.used);
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let mut clients: JoinSet<u32> = (0..CLIENTS).map(|number| client(control.clone(), number)).collect();
    let mut held = 0;
    while let Some(one) = clients.join_next().await {
        held += one.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    watcher.await.unwrap();
    assert_eq!(held, MEMBERS * CORES, "every core is held by somebody");
    let used: u32 =
        control.members(Some(MemberKind::Cluster)).iter().map(|member| member.used.cpu_millis).sum();
    assert_eq!(used, MEMBERS * CORES * 1_000);
    running.stop().await;
}
