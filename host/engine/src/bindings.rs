//! The contract in Rust types: host imports and the lifecycle by `bindgen!`, the families' decisions by hand.
//!
//! The families are small, and by hand their hot functions are looked up once and called without a copy in between.

use wasmtime::component::{ComponentType, Lift, Lower};

pub(crate) mod host {
    wasmtime::component::bindgen!({
        path: "../../wit/host",
        world: "pilothouse:host/base",
        imports: { default: trappable },
        with: {
            "pilothouse:host/state.counter": crate::imports::CounterHandle,
            "pilothouse:host/state.pins": crate::imports::PinsHandle,
            "pilothouse:host/state.cell": crate::imports::CellHandle,
        },
    });
}

pub(crate) mod agent {
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/agent"],
        world: "pilothouse:agent/component",
        imports: { default: trappable },
        with: { "pilothouse:host/log": crate::bindings::host::pilothouse::host::log },
    });
}

pub(crate) use host::exports::pilothouse::host::lifecycle;
pub(crate) use host::pilothouse::host::{fleet, log, state, types};

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Choice {
    pub(crate) row: u32,
    pub(crate) score: f32,
    pub(crate) reason: u32,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Candidate {
    pub(crate) row: u32,
    pub(crate) score: f32,
    pub(crate) reason: u32,
    pub(crate) factors: Vec<f32>,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Refusal {
    #[component(name = "nothing-suits")]
    NothingSuits(u32),
    #[component(name = "unsupported")]
    Unsupported,
    #[component(name = "other")]
    Other(String),
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct BalancingRequest {
    pub(crate) class: u32,
    pub(crate) seed: u64,
    #[component(name = "now-ms")]
    pub(crate) now_ms: u64,
    pub(crate) session: Option<u64>,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Resources {
    #[component(name = "cpu-millis")]
    pub(crate) cpu_millis: u32,
    #[component(name = "memory-mib")]
    pub(crate) memory_mib: u32,
    #[component(name = "storage-mib")]
    pub(crate) storage_mib: u32,
    #[component(name = "accelerator-millis")]
    pub(crate) accelerator_millis: u32,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct PlacementRequest {
    pub(crate) class: u32,
    pub(crate) seed: u64,
    #[component(name = "now-ms")]
    pub(crate) now_ms: u64,
    pub(crate) needs: Resources,
    pub(crate) priority: i32,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Resident {
    pub(crate) workload: u32,
    pub(crate) row: u32,
    pub(crate) needs: Resources,
    pub(crate) priority: i32,
    #[component(name = "age-ms")]
    pub(crate) age_ms: u64,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Move {
    pub(crate) workload: u32,
    pub(crate) to: u32,
    pub(crate) gain: f32,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct RoutingRequest {
    pub(crate) class: u32,
    pub(crate) seed: u64,
    #[component(name = "now-ms")]
    pub(crate) now_ms: u64,
    #[component(name = "traffic-class")]
    pub(crate) traffic_class: u8,
    #[component(name = "latency-goal-ms")]
    pub(crate) latency_goal_ms: f32,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct RouteTarget {
    pub(crate) row: u32,
    pub(crate) weight: u32,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Route {
    pub(crate) targets: Vec<RouteTarget>,
    pub(crate) fallbacks: Vec<u32>,
    #[component(name = "ttl-ms")]
    pub(crate) ttl_ms: u32,
    pub(crate) reason: u32,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct ScalingSample {
    #[component(name = "at-ms")]
    pub(crate) at_ms: u64,
    #[component(name = "arrivals-per-s")]
    pub(crate) arrivals_per_s: f32,
    #[component(name = "completions-per-s")]
    pub(crate) completions_per_s: f32,
    #[component(name = "queue-depth")]
    pub(crate) queue_depth: f32,
    pub(crate) utilisation: f32,
    #[component(name = "service-ms")]
    pub(crate) service_ms: f32,
    #[component(name = "ready-replicas")]
    pub(crate) ready_replicas: u32,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct ScalingRequest {
    pub(crate) seed: u64,
    #[component(name = "now-ms")]
    pub(crate) now_ms: u64,
    pub(crate) replicas: u32,
    #[component(name = "min-replicas")]
    pub(crate) min_replicas: u32,
    #[component(name = "max-replicas")]
    pub(crate) max_replicas: u32,
    #[component(name = "start-ms")]
    pub(crate) start_ms: u32,
    #[component(name = "period-ms")]
    pub(crate) period_ms: u32,
    #[component(name = "last-change-ms")]
    pub(crate) last_change_ms: u64,
    pub(crate) samples: Vec<ScalingSample>,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct ScalingTarget {
    pub(crate) replicas: u32,
    pub(crate) confidence: f32,
    #[component(name = "forecast-per-s")]
    pub(crate) forecast_per_s: f32,
    pub(crate) reason: u32,
}
