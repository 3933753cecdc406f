//! The command line's grammar.

mod failover;
pub(crate) mod lab;
pub(crate) mod orchestrator;
mod region;
pub(crate) mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::exit;
use crate::output::Output;
pub(crate) use region::{RegionCommand, RttCommand};

pub(crate) use failover::{ChaosCommand, FailbackCommand, FailoverArgs, FailoverCommand, VictimArgs};
use orchestrator::OrchestratorCommand;

/// A WebAssembly-pluggable policy host for federations of clusters.
#[derive(Debug, Parser)]
#[command(name = "pilothouse", version, after_help = exit::HELP)]
pub(crate) struct Args {
    /// Server to talk to.
    #[arg(long, global = true, env = "PILOTHOUSE_SERVER", default_value = "http://127.0.0.1:8151")]
    pub(crate) server: String,
    /// Bearer token.
    #[arg(long, global = true, env = "PILOTHOUSE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// PEM file with the certificates that an https server may have, instead of the public ones.
    #[arg(long, global = true, env = "PILOTHOUSE_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value = "table")]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server. Example: pilothouse serve --data-dir /var/lib/pilothouse
    Serve(ServeArgs),
    /// How the server and its federation are.
    Status,
    /// Clusters of the federation.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Nodes of this cluster.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Which cluster takes a task? Example: pilothouse route --region us-east1 --strategy regional
    Route(RouteArgs),
    /// Which clusters serve a flow, with which shares? Example: pilothouse flow --from europe-west4 --class 0
    Flow(FlowArgs),
    /// Scaling groups, and counts by hand.
    #[command(subcommand)]
    Scale(ScaleCommand),
    /// Where does a workload live? Example: pilothouse place vm-001 --spec cpu:4,memory:8192 --constraints max-latency:50
    Place(Box<PlaceArgs>),
    /// Move work so that the fleet is more even: suggest a plan, execute it.
    #[command(subcommand)]
    Rebalance(RebalanceCommand),
    /// Run the work of regions or members elsewhere, and follow failovers.
    /// Example: pilothouse failover --from-region us-east-1 --to-regions eu-west-1,ap-south-1
    Failover(FailoverArgs),
    /// Bring displaced work home: list, approve, forget.
    #[command(subcommand)]
    Failback(FailbackCommand),
    /// Put members, regions or ways under faults for a time, if the server allows it.
    #[command(subcommand)]
    Chaos(ChaosCommand),
    /// Room that is held: list, confirm, release.
    #[command(subcommand)]
    Reservation(ReservationCommand),
    /// Assign an agent to a node. Example: pilothouse assign codex --service wrapper
    Assign(AssignArgs),
    /// Take an agent off its node.
    Unassign {
        /// The agent.
        agent: String,
    },
    /// Agents and their nodes.
    Assignments,
    /// Regions: how they are, what they have, how far apart they are.
    #[command(subcommand)]
    Region(RegionCommand),
    /// Measured round-trip times from regions to members.
    #[command(subcommand)]
    Rtt(RttCommand),
    /// Policies: list, inspect, load, activate, roll back, history; sign, verify, push, pull, publish.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Keys: whose signatures the server believes.
    #[command(subcommand)]
    Keys(trust::KeysCommand),
    /// Slots: where policies are plugged in.
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Peer orchestrators and delegated tasks.
    #[command(subcommand)]
    Orchestrator(OrchestratorCommand),
    /// Follow what happens. Example: pilothouse events --since 0
    Events {
        /// Start after this event; without it, from now on.
        #[arg(long)]
        since: Option<u64>,
        /// Print what there is and end.
        #[arg(long)]
        no_follow: bool,
    },
    /// Configuration: print the default, check a file, print the schema.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running server for many decisions and show how fast it was.
    Bench {
        /// Decisions in all.
        #[arg(long, default_value_t = 10_000)]
        requests: u32,
        /// Connections at once.
        #[arg(long, default_value_t = 4)]
        connections: u32,
    },
    /// Which policy is better? Simulators, statistics and reports; no server needed.
    #[command(subcommand)]
    Lab(lab::LabCommand),
    /// A tour: a sample federation, every strategy, a live swap, a bad policy.
    Demo {
        /// End after the tour instead of serving on.
        #[arg(long)]
        exit: bool,
        /// Address of the demo's own server.
        #[arg(long, default_value = "127.0.0.1:8151")]
        listen: SocketAddr,
        /// Data folder of the demo's own server.
        #[arg(long, default_value = ".pilothouse/demo")]
        data_dir: PathBuf,
    },
    /// Completions for a shell. Example: pilothouse completions bash > /etc/bash_completion.d/pilothouse
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Compiles a component from stdin to stdout; the server runs this as a child.
    #[command(hide = true)]
    Compile,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// Configuration file; see `pilothouse config default`.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Folder of the store, policies and caches.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Watched folder of policies.
    #[arg(long)]
    pub(crate) policy_dir: Option<PathBuf>,
    /// Name of this node.
    #[arg(long)]
    pub(crate) node_id: Option<String>,
    /// File with the bearer token.
    #[arg(long)]
    pub(crate) token_file: Option<PathBuf>,
    /// Let the host's clock run so many times as fast, for rehearsals; only on loopback.
    #[arg(long)]
    pub(crate) time_factor: Option<u32>,
    /// Write the address to this file when ready.
    #[arg(long)]
    pub(crate) ready_file: Option<PathBuf>,
    /// Logs as JSON lines.
    #[arg(long)]
    pub(crate) log_json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// All clusters.
    List,
    /// One cluster.
    Get {
        /// Its id.
        id: String,
    },
    /// Register a cluster. Example: pilothouse cluster register https://c1.example --region us-east1
    Register(RegisterArgs),
    /// Remove a cluster.
    Unregister {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RegisterArgs {
    /// Where the cluster answers.
    pub(crate) endpoint: String,
    /// Its id; made from the endpoint if left out.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Its region.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Its zone.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Most agents it can run.
    #[arg(long)]
    pub(crate) max_agents: Option<u32>,
    /// Relative weight.
    #[arg(long)]
    pub(crate) weight: Option<f32>,
    /// A capability; may be given several times.
    #[arg(long = "capability")]
    pub(crate) capabilities: Vec<String>,
    /// What it has in all: cpu (cores), memory (MiB), storage (GiB), gpu (devices).
    #[arg(long, default_value = "")]
    pub(crate) resources: String,
    /// What it is certified for; may be given several times.
    #[arg(long)]
    pub(crate) compliance: Vec<String>,
    /// Model of its accelerators.
    #[arg(long)]
    pub(crate) accelerator_model: Option<String>,
    /// Price of an hour.
    #[arg(long)]
    pub(crate) cost_per_hour: Option<f32>,
    /// Carbon intensity, g CO2e/kWh.
    #[arg(long)]
    pub(crate) carbon_g_per_kwh: Option<f32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// All nodes.
    List,
    /// One node.
    Get {
        /// Its id.
        id: String,
    },
    /// Register a node. Example: pilothouse node register node-2 10.0.0.2:8151 --max-agents 20
    Register(Box<NodeRegisterArgs>),
    /// Remove a node.
    Unregister {
        /// Its id.
        id: String,
    },
    /// Stop giving a node new work.
    Drain {
        /// Its id.
        id: String,
    },
    /// Give it work again.
    Undrain {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NodeRegisterArgs {
    /// Its id.
    pub(crate) id: String,
    /// Where it answers, HOST:PORT.
    pub(crate) address: String,
    /// leader, worker, replica or standby.
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Most agents it can run.
    #[arg(long)]
    pub(crate) max_agents: Option<u32>,
    /// A service it runs; may be given several times.
    #[arg(long = "service")]
    pub(crate) services: Vec<String>,
    /// A capability; may be given several times.
    #[arg(long = "capability")]
    pub(crate) capabilities: Vec<String>,
    /// Its region.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Its zone.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// What it has in all: cpu (cores), memory (MiB), storage (GiB), gpu (devices).
    #[arg(long, default_value = "")]
    pub(crate) resources: String,
    /// What it is certified for; may be given several times.
    #[arg(long)]
    pub(crate) compliance: Vec<String>,
    /// Model of its accelerators.
    #[arg(long)]
    pub(crate) accelerator_model: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RouteArgs {
    /// Strategy, if not the default one.
    #[arg(long)]
    pub(crate) strategy: Option<String>,
    /// Region the task comes from.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Session it belongs to.
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// A capability it needs; may be given several times.
    #[arg(long = "capability")]
    pub(crate) capabilities: Vec<String>,
    /// How many alternatives to rank.
    #[arg(long, default_value_t = 0)]
    pub(crate) alternatives: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScaleCommand {
    /// Make, change, show and remove groups.
    #[command(subcommand)]
    Group(GroupCommand),
    /// Set a group's count. Example: pilothouse scale to web 25
    To {
        /// The group.
        group: String,
        /// This many.
        replicas: u32,
    },
    /// More replicas. Example: pilothouse scale up web 5
    Up {
        /// The group.
        group: String,
        /// So many more.
        by: u32,
    },
    /// Fewer replicas. Example: pilothouse scale down web 3
    Down {
        /// The group.
        group: String,
        /// So many fewer.
        by: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// All groups.
    List,
    /// One group.
    Get {
        /// Its name.
        name: String,
    },
    /// Make a group, or change one. Example: pilothouse scale group set web --min 5 --max 100 --region eu-west-1
    Set(GroupArgs),
    /// Forget a group; its replicas stay.
    Remove {
        /// Its name.
        name: String,
    },
    /// Tell what was measured. Example: pilothouse scale group sample web --queue-depth 70
    Sample(SampleArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GroupArgs {
    /// Its name.
    pub(crate) name: String,
    /// Fewest replicas; 5 unless the server is configured otherwise.
    #[arg(long)]
    pub(crate) min: Option<u32>,
    /// Most replicas; 100 unless the server is configured otherwise.
    #[arg(long)]
    pub(crate) max: Option<u32>,
    /// Where a new group starts; the fewest if left out.
    #[arg(long)]
    pub(crate) replicas: Option<u32>,
    /// Time between decisions, ms; 15000 if left out.
    #[arg(long)]
    pub(crate) period_ms: Option<u32>,
    /// How long a replica takes to become ready, ms; 30000 if left out.
    #[arg(long)]
    pub(crate) start_ms: Option<u32>,
    /// Time after any change in which the count does not go down, ms; 120000 unless the server is configured otherwise.
    #[arg(long)]
    pub(crate) cooldown_ms: Option<u64>,
    /// Slot that decides: queue-depth, predictive, hybrid or another one of the family scaling.
    #[arg(long)]
    pub(crate) strategy: Option<String>,
    /// Region whose clusters are filled first.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Members that run this service feed the group with their load reports.
    #[arg(long)]
    pub(crate) service: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SampleArgs {
    /// The group.
    pub(crate) name: String,
    /// Waiting work.
    #[arg(long)]
    pub(crate) queue_depth: Option<f32>,
    /// Arriving work per second.
    #[arg(long)]
    pub(crate) arrivals_per_s: Option<f32>,
    /// Finished work per second.
    #[arg(long)]
    pub(crate) completions_per_s: Option<f32>,
    /// Mean utilisation of ready replicas, 0..1.
    #[arg(long)]
    pub(crate) utilisation: Option<f32>,
    /// Mean time to serve one piece of work, ms.
    #[arg(long)]
    pub(crate) service_ms: Option<f32>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FlowArgs {
    /// Region the flow comes from.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Zone it comes from.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// latency, cost, load-balanced, geo-proximity, hybrid or another routing slot.
    #[arg(long)]
    pub(crate) strategy: Option<String>,
    /// Traffic class: 0 = most urgent .. 7 = scavenger.
    #[arg(long, default_value_t = 3)]
    pub(crate) class: u8,
    /// Wanted round-trip time, ms; 0 = no wish.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) latency_goal_ms: f32,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlaceArgs {
    /// Assign this workload to the place; without it the place is only told.
    pub(crate) workload: Option<String>,
    /// What it takes: cpu (cores), memory (MiB), storage (GiB), gpu (devices).
    #[arg(long, default_value = "")]
    pub(crate) spec: String,
    /// What its place must be, for example max-latency:50,min-health:80,region:eu-west-1|eu-north-1,apart:web@zone.
    #[arg(long, default_value = "")]
    pub(crate) constraints: String,
    /// What would be nice: capability, together, apart, spread.
    #[arg(long, default_value = "")]
    pub(crate) prefer: String,
    /// Region its users are in.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// A capability it needs; may be given several times.
    #[arg(long = "capability")]
    pub(crate) capabilities: Vec<String>,
    /// multi-factor, bin-pack, spread, cost-aware, gpu-packing or another placement slot.
    #[arg(long)]
    pub(crate) strategy: Option<String>,
    /// Workloads that belong together.
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Higher is more important.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i32,
    /// How many of them; their names end in -1, -2 and so on.
    #[arg(long)]
    pub(crate) count: Option<u32>,
    /// Hold the room for so long instead of assigning, ms.
    #[arg(long, conflicts_with = "workload")]
    pub(crate) reserve_ms: Option<u64>,
    /// Evict less important workloads if nobody has room.
    #[arg(long)]
    pub(crate) preempt: bool,
    /// How many alternatives to rank.
    #[arg(long, default_value_t = 3)]
    pub(crate) alternatives: u32,
    /// Workloads from a file (.toml with [[workloads]], or .json): name, spec, constraints, prefer, region, strategy, group,
    /// priority, count.
    #[arg(long, conflicts_with_all = ["workload", "spec", "constraints", "prefer", "count"])]
    pub(crate) file: Option<PathBuf>,
    /// All of them or none.
    #[arg(long)]
    pub(crate) whole: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RebalanceCommand {
    /// Ask the placement policy for a plan. Nothing moves yet.
    Suggest {
        /// cluster or node.
        #[arg(long, default_value = "cluster")]
        kind: String,
    },
    /// Plans that wait.
    List,
    /// Execute a plan. Example: pilothouse rebalance execute r-1-1
    Execute {
        /// The plan.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReservationCommand {
    /// Reservations in force.
    List,
    /// Assign a workload to the room. Example: pilothouse reservation confirm 1 vm-001
    Confirm {
        /// The reservation.
        id: String,
        /// The workload.
        workload: String,
    },
    /// Give the room back.
    Release {
        /// The reservation.
        id: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AssignArgs {
    /// The agent.
    pub(crate) agent: String,
    /// A service the node must run; may be given several times.
    #[arg(long = "service")]
    pub(crate) services: Vec<String>,
    /// Strategy, if not the default one.
    #[arg(long)]
    pub(crate) strategy: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// All policies that the server knows; with `--output json` also the schemas of their settings.
    List,
    /// One policy: what it is, imports, reads and may use. Example: pilothouse policy inspect scaling/hybrid
    Inspect {
        /// NAME, FAMILY/NAME or digest of one that the server knows, or the path of a .wasm file (no server needed).
        policy: String,
    },
    /// Does a component keep the policy contract? No server needed. Example: pilothouse policy conform mine.wasm --html report.html
    Conform(crate::commands::conform::ConformArgs),
    /// Load a component. Example: pilothouse policy load mine.wasm --activate balancing/default
    Load {
        /// The component.
        file: PathBuf,
        /// Make it active in this slot at once.
        #[arg(long)]
        activate: Option<String>,
        #[command(flatten)]
        bring: Box<trust::BringArgs>,
    },
    /// Make a policy active. Example: pilothouse policy activate balancing/default round-robin
    Activate {
        /// The slot.
        slot: String,
        /// Name or digest of one that the server knows, the path of a .wasm file, or oci://REGISTRY/NAME@sha256:DIGEST.
        policy: String,
        /// Settings as JSON.
        #[arg(long)]
        settings: Option<String>,
        /// Even if it is in quarantine.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        bring: Box<trust::BringArgs>,
    },
    /// Bring the revision before back.
    Rollback {
        /// The slot.
        slot: String,
    },
    /// What happened to a slot, newest first.
    History {
        /// The slot.
        slot: String,
    },
    #[command(flatten)]
    Trust(trust::TrustCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SlotCommand {
    /// All slots.
    List,
    /// One slot.
    Get {
        /// For example balancing/default.
        slot: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the commented default configuration.
    Default,
    /// Check a file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
}
