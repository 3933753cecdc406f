//! The whole server in this process, on one worker, against an empty handler of the same kind; and swaps under load.
//!
//! Clients run on a runtime of their own, on the other core. The empty handlers use the same protocol stack and the same
//! messages, so the difference is what a decision costs end to end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pilothouse_core::id::MemberId;
use pilothouse_core::policy::Family;
use pilothouse_core::slot::SlotId;
use pilothouse_node::{Config, Running};
use pilothouse_proto::federation as wire;
use pilothouse_proto::federation::federation_service_client::FederationServiceClient;
use pilothouse_proto::federation::federation_service_server::{FederationService, FederationServiceServer};
use pilothouse_transport::service::{Activation, ControlPlane as _, RouteQuery};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status};

use crate::measure::{nanoseconds, row, table};
use crate::world;

const MEMBERS: u32 = 100;
const CONNECTIONS: usize = 4;
/// Requests in flight on each gRPC connection.
const STREAMS: usize = 16;
const RUN: Duration = Duration::from_secs(3);

pub fn run() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (server, clients) = (runtime()?, runtime()?);
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.data_dir = data.path().to_owned();
    let running = server.block_on(async {
        let running = pilothouse_node::start(&config, None).await?;
        for index in 0..MEMBERS {
            running.control.register(world::registration(index)?).await?;
            running.control.report(&MemberId::parse(&format!("m-{index}"))?, &world::load(index))?;
        }
        anyhow::Ok(running)
    })?;
    whole_decision(&running)?;
    rates(&server, &clients, &running)?;
    swaps(&server, &clients, &running)?;
    server.block_on(running.stop());
    Ok(())
}

/// A runtime with one worker.
fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

fn whole_decision(running: &Running) -> anyhow::Result<()> {
    table("A whole decision in the host: eligible set, policy, guardrails, record", &["members", "us"]);
    let query = RouteQuery::default();
    running.control.route(&query)?;
    let each = nanoseconds(100_000, |_| running.control.route(&query).map(|decided| decided.id));
    row(&[MEMBERS.to_string(), format!("{:.2}", each / 1_000.0)]);
    Ok(())
}

fn rates(server: &Runtime, clients: &Runtime, running: &Running) -> anyhow::Result<()> {
    table(
        "End to end on one server worker, 4 connections",
        &["request", "empty handler /s", "Pilothouse /s", "ratio"],
    );
    let empty_grpc = server.block_on(empty_grpc())?;
    let empty_rest = server.block_on(empty_rest())?;
    let line = |name: &str, empty: f64, ours: f64| {
        row(&[name.to_owned(), format!("{empty:.0}"), format!("{ours:.0}"), format!("{:.2}", ours / empty)]);
    };
    // In turns, so that a machine that slows down slows both.
    let best =
        |measure: &dyn Fn(SocketAddr) -> anyhow::Result<f64>, empty, ours| -> anyhow::Result<(f64, f64)> {
            let mut best = (0.0_f64, 0.0_f64);
            for _ in 0..3 {
                best = (best.0.max(measure(empty)?), best.1.max(measure(ours)?));
            }
            Ok(best)
        };
    let grpc = |address| clients.block_on(grpc_rate(address));
    let (empty, ours) = best(&grpc, empty_grpc, running.address)?;
    line("gRPC RouteTask, 64 in flight", empty, ours);
    let rest = |address| clients.block_on(rest_rate(address));
    let (empty, ours) = best(&rest, empty_rest, running.address)?;
    line("REST /api/v1/route, 4 in flight", empty, ours);
    Ok(())
}

async fn grpc_rate(address: SocketAddr) -> anyhow::Result<f64> {
    let (count, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = FederationServiceClient::connect(format!("http://{address}")).await?;
        for _ in 0..STREAMS {
            let (mut client, count) = (client.clone(), Arc::clone(&count));
            tasks.push(tokio::spawn(async move {
                while started.elapsed() < RUN {
                    client.route_task(wire::RouteTaskRequest::default()).await?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            }));
        }
    }
    for task in tasks {
        task.await??;
    }
    Ok(count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

/// A connection that asks for one decision at a time.
struct Rest(tokio::net::TcpStream);

impl Rest {
    async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    async fn ask(&mut self) -> anyhow::Result<()> {
        const ASK: &[u8] = b"POST /api/v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
        self.0.write_all(ASK).await?;
        let mut answer = Vec::with_capacity(2_048);
        loop {
            anyhow::ensure!(self.0.read_buf(&mut answer).await? > 0, "the connection was closed");
            let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&answer[..head])?.to_ascii_lowercase();
            anyhow::ensure!(text.starts_with("http/1.1 200"), "refused: {text}");
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
            if answer.len() >= head + 4 + length.parse::<usize>()? {
                return Ok(());
            }
        }
    }
}

async fn rest_rate(address: SocketAddr) -> anyhow::Result<f64> {
    let (count, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (mut connection, count) = (Rest::connect(address).await?, Arc::clone(&count));
        tasks.push(tokio::spawn(async move {
            while started.elapsed() < RUN {
                connection.ask().await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

/// Latency of REST decisions while nothing changes, and while a strategy is swapped ten times a second.
fn swaps(server: &Runtime, clients: &Runtime, running: &Running) -> anyhow::Result<()> {
    table("Swaps under load, 4 connections", &["", "requests", "failed", "p50 us", "p99 us"]);
    let line = |name: &str, (mut latencies, failed): (Vec<f64>, u64)| {
        latencies.sort_by(f64::total_cmp);
        let at = |share: f64| {
            latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
        };
        row(&[
            name.to_owned(),
            latencies.len().to_string(),
            failed.to_string(),
            format!("{:.0}", at(0.5)),
            format!("{:.0}", at(0.99)),
        ]);
    };
    line("quiet", clients.block_on(latencies(running.address))?);
    let stop = Arc::new(AtomicBool::new(false));
    let (control, stopped) = (running.control.clone(), Arc::clone(&stop));
    let swapping = server.spawn(async move {
        let mut swaps = 0_usize;
        while !stopped.load(Ordering::Relaxed) {
            let policy = ["random", "least-loaded"][swaps % 2].to_owned();
            let slot = SlotId::default_of(Family::Balancing);
            let activation =
                Activation {
                    slot,
                    policy,
                    settings: String::new(),
                    force: false,
                    signature: None,
                    allow_downgrade: false,
                    by: "bench".to_owned(),
                };
            control.activate(activation).await?;
            swaps += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(swaps)
    });
    let during = clients.block_on(latencies(running.address))?;
    stop.store(true, Ordering::Relaxed);
    let swaps = server.block_on(swapping)??;
    line(&format!("{swaps} swaps"), during);
    Ok(())
}

async fn latencies(address: SocketAddr) -> anyhow::Result<(Vec<f64>, u64)> {
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Rest::connect(address).await?;
        tasks.push(tokio::spawn(async move {
            let (mut latencies, mut failed) = (Vec::new(), 0);
            while started.elapsed() < RUN {
                let asked = Instant::now();
                match connection.ask().await {
                    Ok(()) => latencies.push(asked.elapsed().as_secs_f64() * 1e6),
                    Err(_) => failed += 1,
                }
            }
            (latencies, failed)
        }));
    }
    let (mut all, mut failed) = (Vec::new(), 0);
    for task in tasks {
        let (latencies, lost) = task.await?;
        all.extend(latencies);
        failed += lost;
    }
    Ok((all, failed))
}

async fn empty_rest() -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = axum::Router::new().route("/api/v1/route", axum::routing::post(|| async { "{}" }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn empty_grpc() -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = FederationServiceServer::new(Empty);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    Ok(address)
}

/// Answers `RouteTask` with nothing, and nothing else.
struct Empty;

type Unary<T> = Result<Response<T>, Status>;

fn no<T>() -> Unary<T> {
    Err(Status::unimplemented("this server is empty"))
}

#[tonic::async_trait]
impl FederationService for Empty {
    type StreamEventsStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<wire::ClusterEvent, Status>> + Send>>;

    async fn route_task(&self, _: Request<wire::RouteTaskRequest>) -> Unary<wire::RouteTaskResponse> {
        Ok(Response::new(wire::RouteTaskResponse::default()))
    }
    async fn health_check(&self, _: Request<wire::HealthCheckRequest>) -> Unary<wire::HealthCheckResponse> {
        no()
    }
    async fn register_cluster(
        &self,
        _: Request<wire::RegisterClusterRequest>,
    ) -> Unary<wire::RegisterClusterResponse> {
        no()
    }
    async fn unregister_cluster(
        &self,
        _: Request<wire::UnregisterClusterRequest>,
    ) -> Unary<wire::UnregisterClusterResponse> {
        no()
    }
    async fn get_capacity(&self, _: Request<wire::CapacityRequest>) -> Unary<wire::CapacityResponse> {
        no()
    }
    async fn report_load(&self, _: Request<wire::LoadReportRequest>) -> Unary<wire::LoadReportResponse> {
        no()
    }
    async fn migrate_agent(
        &self,
        _: Request<wire::MigrateAgentRequest>,
    ) -> Unary<wire::MigrateAgentResponse> {
        no()
    }
    async fn stream_events(
        &self,
        _: Request<tonic::Streaming<wire::ClusterEvent>>,
    ) -> Unary<Self::StreamEventsStream> {
        no()
    }
    async fn list_clusters(
        &self,
        _: Request<wire::ListClustersRequest>,
    ) -> Unary<wire::ListClustersResponse> {
        no()
    }
}
