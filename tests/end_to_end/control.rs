//! The gRPC control service, call by call.
//!
//! one server of the real binary with four clusters that registered by gRPC -> each call, and what it refuses
//!
//! Invariant tested: no call lacks what its REST twin has, and what one refuses the other refuses with the same words.

use pilothouse_proto::federation as federation_wire;
use pilothouse_proto::federation::federation_service_client::FederationServiceClient;
use pilothouse_proto::pilothouse as wire;
use pilothouse_proto::pilothouse::control_client::ControlClient;
use pilothouse_proto::pilothouse::place_request::Hold;
use pilothouse_tests::{Server, wait_for};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// A server, and both gRPC services of it.
pub(crate) struct Federation {
    pub(crate) server: Server,
    runtime: Runtime,
    channel: Channel,
}

impl Federation {
    /// Four clusters with 8 cores and 2 devices each, two in each region.
    pub(crate) fn start(config: &str) -> Self {
        let server = Server::start_with(config).unwrap();
        let runtime = Runtime::new().unwrap();
        let address = format!("http://{}", server.address);
        let channel = runtime.block_on(Channel::from_shared(address).unwrap().connect()).unwrap();
        let federation = Self { server, runtime, channel };
        for (name, region) in [("eu-a", "eu"), ("eu-b", "eu"), ("us-a", "us"), ("us-b", "us")] {
            federation.register(name, region);
        }
        federation
    }

    fn register(&self, name: &str, region: &str) {
        let (cpu_millis, memory_mib, storage_mib, accelerator_millis) = (8_000, 16_384, 100_000, 2_000);
        let cluster = federation_wire::RegisterClusterRequest {
            cluster_id: name.to_owned(),
            endpoint: format!("https://{name}.example"),
            region: region.to_owned(),
            max_agents: 100,
            compliance: vec!["gdpr".to_owned()],
            accelerator_model: "A100".to_owned(),
            resources: Some(federation_wire::Resources {
                cpu_millis,
                memory_mib,
                storage_mib,
                accelerator_millis,
            }),
            ..Default::default()
        };
        self.runtime.block_on(self.federation().register_cluster(cluster)).unwrap();
        let load = federation_wire::Load {
            cpu_utilization: Some(0.2),
            latency_ms: Some(10.0),
            ..Default::default()
        };
        self.load(name, load).unwrap();
    }

    fn load(&self, name: &str, load: federation_wire::Load) -> Result<(), Status> {
        let report = federation_wire::LoadReportRequest { cluster_id: name.to_owned(), load: Some(load) };
        self.runtime.block_on(self.federation().report_load(report)).map(drop)
    }

    pub(crate) fn federation(&self) -> FederationServiceClient<Channel> {
        FederationServiceClient::new(self.channel.clone())
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
    }

    pub(crate) fn grpc<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Status> {
        self.runtime.block_on(call).map(tonic::Response::into_inner)
    }

    fn all<T>(&self, call: impl Future<Output = Result<tonic::Response<Streaming<T>>, Status>>) -> Vec<T> {
        let mut stream = self.grpc(call).unwrap();
        let mut all = Vec::new();
        while let Some(message) = self.runtime.block_on(stream.next()) {
            all.push(message.unwrap());
        }
        all
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.server.ok("POST", path, Some(&body.to_string())).unwrap()
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> Value {
        let said = self.server.cli(&[&["--output", "json"], arguments].concat()).unwrap();
        serde_json::from_str(&said).unwrap()
    }
}

fn terms(cpu_millis: u32, accelerator_millis: u32) -> Option<wire::Terms> {
    let needs = wire::Resources { cpu_millis, accelerator_millis, ..Default::default() };
    Some(wire::Terms { needs: Some(needs), ..Default::default() })
}

#[test]
fn places_are_told_reserved_confirmed_and_given_back() {
    let to = Federation::start("");
    let held = wire::PlaceRequest {
        terms: terms(8_000, 0),
        hold: Some(Hold::ReserveMs(60_000)),
        alternatives: 2,
        ..Default::default()
    };
    let first = to.grpc(to.control().place(held.clone())).unwrap();
    assert_eq!((first.vm_id.as_str(), first.alternatives.len(), first.ownership_epoch), ("", 2, None));
    assert!(first.reasoning.contains(&first.target_cluster) && first.score.is_some(), "{first:?}");
    let second = to.grpc(to.control().place(held.clone())).unwrap().reservation.unwrap();
    let reservation = first.reservation.unwrap();
    let list = to.all(to.control().list_reservations(wire::ListReservationsRequest {}));
    assert_eq!(list.len(), 2);
    let kept = list.iter().find(|held| held.id == reservation.id).unwrap();
    assert_eq!(kept.terms.as_ref().unwrap().needs, terms(8_000, 0).unwrap().needs);
    let confirm = wire::ConfirmReservationRequest { id: reservation.id.clone(), workload: "vm-1".to_owned() };
    let owned = to.grpc(to.control().confirm_reservation(confirm.clone())).unwrap();
    assert_eq!((owned.workload.as_str(), &owned.member_id), ("vm-1", &first.target_cluster));
    let again = to.grpc(to.control().confirm_reservation(confirm)).unwrap_err();
    assert_eq!(again.code(), Code::NotFound, "{again}");
    let released =
        to.grpc(to.control().release_reservation(wire::ReservationRequest { id: second.id.clone() }));
    assert_eq!(released.unwrap().member_id, second.member_id);
    assert!(to.all(to.control().list_reservations(wire::ListReservationsRequest {})).is_empty());
}

#[test]
fn many_are_placed_in_the_order_asked_and_whole_means_all_or_none() {
    let to = Federation::start("");
    let item = |name: &str, cpu_millis, count| wire::BulkWorkload {
        workload: Some(wire::PlaceRequest {
            terms: terms(cpu_millis, 0),
            hold: Some(Hold::Workload(name.to_owned())),
            ..Default::default()
        }),
        count,
    };
    let bulk = |count, whole| {
        let workloads = vec![item("small", 1_000, count), item("big", 8_000, 0)];
        wire::PlaceBulkRequest { workloads, whole }
    };
    let refused = to.grpc(to.control().place_bulk(bulk(25, true))).map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "33 cores are more than 32: {refused}");
    let answers = to.all(to.control().place_bulk(bulk(25, false)));
    let names: Vec<&str> = answers.iter().map(|answer| answer.workload.as_str()).collect();
    assert_eq!((names.len(), names[0], names[25]), (26, "small-1", "big"));
    use wire::bulk_answer::Answer;
    let problems: Vec<&str> = answers
        .iter()
        .filter_map(|answer| match answer.answer.as_ref().unwrap() {
            Answer::Problem(problem) => Some(problem.as_str()),
            Answer::Place(_) => None,
        })
        .collect();
    assert!(problems.len() == 1 && problems[0].contains("resources cut"), "{problems:?}");
}

#[test]
fn a_plan_is_suggested_listed_and_executed_once() {
    let to = Federation::start("[rebalance]\nmoved-share-max = 1.0\n");
    for number in 0..6 {
        let place = wire::PlaceRequest {
            terms: terms(1_000, 0),
            hold: Some(Hold::Workload(format!("w-{number}"))),
            strategy: "bin-pack".to_owned(),
            ..Default::default()
        };
        to.grpc(to.control().place(place)).unwrap();
    }
    let suggest = |kind: &str| wire::SuggestRebalancingRequest { kind: kind.to_owned() };
    let plan = to.grpc(to.control().suggest_rebalancing(suggest(""))).unwrap();
    assert!(plan.cause.contains("asked by grpc") && !plan.moves.is_empty(), "{plan:?}");
    assert!(plan.imbalance_after < plan.imbalance_before, "{plan:?}");
    let waiting = to.all(to.control().list_rebalancing_plans(wire::ListRebalancingPlansRequest {}));
    assert_eq!(waiting, std::slice::from_ref(&plan));
    let wrong = to.grpc(to.control().suggest_rebalancing(suggest("vm"))).unwrap_err();
    assert_eq!((wrong.code(), wrong.message().contains("cluster or node")), (Code::InvalidArgument, true));
    let execute = wire::ExecuteRebalancingRequest { plan_id: plan.id.clone() };
    let done = to.grpc(to.control().execute_rebalancing(execute.clone())).unwrap();
    assert_eq!((done.plan_id, done.moved.len()), (plan.id, plan.moves.len()));
    assert!(to.grpc(to.control().execute_rebalancing(execute)).is_err(), "only once");
}

#[test]
fn free_devices_of_a_load_report_decide_who_can_take_a_whole_one() {
    let to = Federation::start("");
    for (name, millis) in
        [("eu-a", vec![500, 500]), ("eu-b", vec![999, 0]), ("us-a", vec![0, 1_000]), ("us-b", vec![])]
    {
        let free_devices = Some(federation_wire::Devices { millis });
        to.load(name, federation_wire::Load { free_devices, ..Default::default() }).unwrap();
    }
    let whole = wire::PlaceRequest { terms: terms(0, 1_000), ..Default::default() };
    let placed = wait_for(|| to.grpc(to.control().place(whole.clone())).ok().filter(|one| one.eligible == 1));
    assert_eq!(placed.unwrap().target_cluster, "us-a", "two halves are not one");
    for millis in [vec![1_001], vec![70_000], vec![0; 17]] {
        let free_devices = Some(federation_wire::Devices { millis });
        let load = federation_wire::Load { free_devices, ..Default::default() };
        let refused = to.load("eu-a", load).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("free_devices"), "{refused}");
    }
}

#[test]
fn regions_and_round_trips_are_told_as_by_rest() {
    let to = Federation::start("[[rtt]]\nfrom = \"eu\"\nto = \"us\"\nms = 90.0\n");
    let regions = to.grpc(to.control().list_regions(wire::ListRegionsRequest {})).unwrap().regions;
    let names: Vec<&str> = regions.iter().map(|region| region.id.as_str()).collect();
    assert_eq!(names, ["eu", "us"]);
    let eu = wire::RegionRequest { id: "eu".to_owned() };
    let wire::RegionStatus { region, lags } = to.grpc(to.control().get_region(eu)).unwrap();
    let region = region.unwrap();
    assert_eq!((region.clusters, region.healthy, region.max_agents), (2, 2, 200));
    assert_eq!(region.total.unwrap().accelerator_millis, 4_000);
    assert_eq!((lags[0].rtt_ms, lags[0].known.as_str()), (Some(90.0), "configured"));
    let sample = |rtt_ms| wire::SampleRoundTripRequest {
        source: "eu".to_owned(),
        target: "us-a".to_owned(),
        rtt_ms: Some(rtt_ms),
    };
    to.grpc(to.control().sample_round_trip(sample(40.0))).unwrap();
    let outcome = wire::ReportOutcomeRequest {
        member_id: "us-b".to_owned(),
        success: true,
        source: "eu".to_owned(),
        rtt_ms: Some(45.0),
    };
    to.grpc(to.control().report_outcome(outcome)).unwrap();
    let list = |target: &str| wire::ListRoundTripsRequest { target: target.to_owned(), ..Default::default() };
    let ways = to.all(to.control().list_round_trips(list("")));
    let told: Vec<_> = ways.iter().map(|way| (way.target.as_str(), way.last_ms, way.fresh)).collect();
    assert_eq!(told, [("us-a", Some(40.0), true), ("us-b", Some(45.0), true)]);
    assert_eq!(to.all(to.control().list_round_trips(list("us-b"))).len(), 1);
    let absurd = to.grpc(to.control().sample_round_trip(sample(-1.0))).unwrap_err();
    assert_eq!(absurd.code(), Code::InvalidArgument);
}

#[test]
fn groups_are_made_scaled_listed_and_forgotten() {
    let to = Federation::start("");
    let put = wire::PutGroupRequest {
        name: "web".to_owned(),
        max_replicas: Some(20),
        region: "eu".to_owned(),
        ..Default::default()
    };
    let made = to.grpc(to.control().put_group(put.clone())).unwrap();
    assert_eq!((made.replicas, made.min_replicas, made.cooldown_ms), (5, 5, 120_000), "documented defaults");
    let scale = |wanted| wire::ScaleGroupRequest { name: "web".to_owned(), wanted };
    use wire::scale_group_request::Wanted;
    for (wanted, replicas) in [(Wanted::Replicas(12), 12), (Wanted::By(-2), 10), (Wanted::By(100), 20)] {
        let scaled = to.grpc(to.control().scale_group(scale(Some(wanted)))).unwrap();
        assert_eq!((scaled.replicas, scaled.places.values().sum::<u32>()), (replicas, replicas));
    }
    assert_eq!(to.grpc(to.control().list_groups(wire::ListGroupsRequest {})).unwrap().groups.len(), 1);
    let unwise = wire::PutGroupRequest { strategy: "no-such".to_owned(), ..put.clone() };
    let unknown = to.grpc(to.control().put_group(unwise)).unwrap_err();
    assert_eq!((unknown.code(), unknown.message().contains("no-such")), (Code::NotFound, true), "{unknown}");
    let web = wire::GroupRequest { name: "web".to_owned() };
    assert!(to.grpc(to.control().remove_group(web.clone())).unwrap().removed);
    assert_eq!(to.grpc(to.control().get_group(web)).unwrap_err().code(), Code::NotFound);
}

/// What gRPC says of a request, and path and body of its REST twin.
type Twin = (fn(&Federation) -> Status, &'static str, &'static str);

const REFUSED: &[Twin] = &[
    (
        |to| {
            let flow = wire::RouteFlowRequest { traffic_class: 8, ..Default::default() };
            to.grpc(to.control().route_flow(flow)).unwrap_err()
        },
        "/api/v1/flows",
        r#"{"traffic_class": 8}"#,
    ),
    (
        |to| {
            let requirement = Some(wire::Requirement { kind: "vm".to_owned(), ..Default::default() });
            let flow = wire::RouteFlowRequest { requirement, ..Default::default() };
            to.grpc(to.control().route_flow(flow)).unwrap_err()
        },
        "/api/v1/flows",
        r#"{"requirement": {"kind": "vm"}}"#,
    ),
    (
        |to| {
            let place = wire::PlaceRequest { preempt: true, ..Default::default() };
            to.grpc(to.control().place(place)).unwrap_err()
        },
        "/api/v1/place",
        r#"{"preempt": true}"#,
    ),
    (
        |to| {
            let outcome = wire::ReportOutcomeRequest {
                member_id: "eu-a".to_owned(),
                rtt_ms: Some(1.0),
                ..Default::default()
            };
            to.grpc(to.control().report_outcome(outcome)).unwrap_err()
        },
        "/api/v1/outcomes",
        r#"{"member": "eu-a", "success": false, "rtt_ms": 1.0}"#,
    ),
    (
        |to| {
            let scale = wire::ScaleGroupRequest { name: "web".to_owned(), wanted: None };
            to.grpc(to.control().scale_group(scale)).unwrap_err()
        },
        "/api/v1/groups/web/scale",
        "{}",
    ),
    (
        |to| {
            let put = wire::PutGroupRequest {
                name: "web".to_owned(),
                min_replicas: Some(101),
                ..Default::default()
            };
            to.grpc(to.control().put_group(put)).unwrap_err()
        },
        "/api/v1/groups",
        r#"{"name": "web", "min_replicas": 101}"#,
    ),
];

#[test]
fn what_rest_refuses_grpc_refuses_with_the_same_words() {
    let to = Federation::start("");
    for (refused, path, body) in REFUSED {
        let (status, problem) = to.server.ask("POST", path, Some(body)).unwrap();
        let said = refused(&to);
        assert_eq!((status, said.code()), (400, Code::InvalidArgument), "{path} {body}: {said}");
        assert_eq!(problem["detail"], said.message(), "{path} {body}");
    }
}
