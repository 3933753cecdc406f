//! The gRPC service: nine RPCs by name, found by reflection.

use std::collections::BTreeMap;

use pilothouse_proto::federation as wire;
use pilothouse_proto::federation::federation_service_client::FederationServiceClient;
use pilothouse_tests::Server;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::Channel;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::raw::say;

async fn channel(server: &Server) -> Channel {
    Channel::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap()
}

fn cluster(name: &str, region: &str) -> wire::RegisterClusterRequest {
    wire::RegisterClusterRequest {
        cluster_id: name.to_owned(),
        endpoint: format!("https://{name}.example.com"),
        region: region.to_owned(),
        zone: "a".to_owned(),
        max_agents: 100,
        capabilities: BTreeMap::from([("gpu".to_owned(), true)]).into_iter().collect(),
        weight: None,
        cost_per_hour: None,
        carbon_g_per_kwh: None,
    }
}

#[tokio::test]
async fn reflection_names_the_service() {
    let server = Server::start().unwrap();
    let mut client = ServerReflectionClient::new(channel(&server).await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"federation.FederationService".to_owned()), "{names:?}");
}

#[tokio::test]
async fn all_nine_calls_answer() {
    let server = Server::start().unwrap();
    let mut client = FederationServiceClient::new(channel(&server).await);

    let (_keep_open, outgoing) = tokio::sync::mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut events = client.stream_events(outgoing).await.unwrap().into_inner();

    let east = client.register_cluster(cluster("east", "us-east-1")).await.unwrap().into_inner();
    assert_eq!((east.success, east.cluster_id.as_str()), (true, "east"));
    client.register_cluster(cluster("west", "us-west-1")).await.unwrap();
    let again =
        wire::RegisterClusterRequest { cluster_id: "other".to_owned(), ..cluster("east", "us-east-1") };
    let again = client.register_cluster(again).await.unwrap().into_inner();
    assert_eq!(again.cluster_id, "east", "a known endpoint is its cluster");

    let event = events.next().await.unwrap().unwrap();
    assert_eq!((event.cluster_id.as_str(), event.r#type.as_str()), ("east", "member.registered"));

    let load = wire::Load { cpu_utilization: Some(0.3), active_agents: Some(95), ..Default::default() };
    let report = wire::LoadReportRequest { cluster_id: "east".to_owned(), load: Some(load) };
    let told = client.report_load(report).await.unwrap().into_inner();
    assert_eq!((told.accepted, told.recommendations), (true, vec!["scale-up".to_owned()]));

    let health = wire::HealthCheckRequest { cluster_id: "east".to_owned() };
    let health = client.health_check(health).await.unwrap().into_inner();
    assert_eq!(health.status(), wire::HealthStatus::Healthy);

    let list = client.list_clusters(wire::ListClustersRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.clusters.len(), 2);
    let capacity = client.get_capacity(wire::CapacityRequest::default()).await.unwrap().into_inner();
    assert_eq!((capacity.max_agents, capacity.active_agents, capacity.regions.len()), (200, 95, 2));

    for strategy in
        ["", "least-loaded", "round-robin", "session-affinity", "capability-match", "weighted", "regional"]
    {
        let request = wire::RouteTaskRequest {
            task_type: "code-review".to_owned(),
            preferred_region: "us-east-1".to_owned(),
            required_capabilities: vec!["gpu".to_owned()],
            strategy: strategy.to_owned(),
            session_id: "s".to_owned(),
            alternatives: 1,
        };
        let routed = client.route_task(request).await.unwrap().into_inner();
        assert!(["east", "west"].contains(&routed.cluster_id.as_str()), "{strategy}: {routed:?}");
        assert_eq!(
            (routed.answered_by.as_str(), routed.alternative_cluster_ids.len()),
            ("active", 1),
            "{strategy}"
        );
    }

    let migrate = client.migrate_agent(wire::MigrateAgentRequest::default()).await.unwrap_err();
    assert_eq!(migrate.code(), Code::Unimplemented);
    let gone = wire::UnregisterClusterRequest { cluster_id: "west".to_owned() };
    assert!(client.unregister_cluster(gone.clone()).await.unwrap().into_inner().success);
    assert_eq!(client.unregister_cluster(gone).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn what_cannot_be_routed_says_which_filter_cut_it() {
    let server = Server::start().unwrap();
    let mut client = FederationServiceClient::new(channel(&server).await);
    client.register_cluster(cluster("east", "us-east-1")).await.unwrap();
    let request =
        wire::RouteTaskRequest { required_capabilities: vec!["tpu".to_owned()], ..Default::default() };
    let refused = client.route_task(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().contains("capability cut 1") && refused.message().contains("tpu"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn a_stream_is_not_idle_and_a_channel_outlives_its_idle_connection() {
    let server = Server::start_with("[server]\nidle-timeout-ms = 200\n").unwrap();
    let mut streaming = FederationServiceClient::new(channel(&server).await);
    let mut calling = FederationServiceClient::new(channel(&server).await);
    let (_keep_open, outgoing) = tokio::sync::mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut events = streaming.stream_events(outgoing).await.unwrap().into_inner();
    calling.list_clusters(wire::ListClustersRequest::default()).await.unwrap();
    for _ in 0..3 {
        let said = say(&server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert!(said.contains("ok"), "one that came later was idle, and closed: {said}");
    }
    calling.register_cluster(cluster("east", "us-east-1")).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().r#type, "member.registered");
}
