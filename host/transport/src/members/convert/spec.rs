//! What a workload is.

use pilothouse_core::id::Digest;
use pilothouse_core::workload::{
    Checkpoint, Component, Condition, Driver, Durability, HealthCheck, Hook, Probe, Process, Restart, Spec,
};
use pilothouse_proto::pilothouse as wire;

use super::{Wrong, needed, room_in, room_out, wrong};
use crate::members::message::Job;

pub(super) fn job_in(spec: wire::WorkloadSpec, version: u64) -> Result<Job, Wrong> {
    let wire::WorkloadSpec { driver, needs, durability, restart, stop_grace_ms } = spec;
    let spec = Spec {
        driver: match needed("spec.driver", driver)? {
            wire::workload_spec::Driver::Process(process) => Driver::Process(process_in(process)?),
            wire::workload_spec::Driver::Component(wire::ComponentSpec { digest, settings }) => {
                let digest = Digest::parse(&digest);
                let digest = digest.ok_or_else(|| wrong("spec.digest", "is not 64 hexadecimal digits"))?;
                Driver::Component(Component { digest, settings })
            }
        },
        durability: match wire::Durability::try_from(durability) {
            Ok(wire::Durability::None) => Durability::None,
            Ok(wire::Durability::Local) => Durability::Local,
            Ok(wire::Durability::Unspecified | wire::Durability::Replicated) => Durability::Replicated,
            Err(_) => return Err(wrong("spec.durability", "is not known here")),
        },
        restart: match wire::RestartPolicy::try_from(restart) {
            Ok(wire::RestartPolicy::Unspecified | wire::RestartPolicy::Always) => Restart::Always,
            Ok(wire::RestartPolicy::OnFailure) => Restart::OnFailure,
            Ok(wire::RestartPolicy::Never) => Restart::Never,
            Err(_) => return Err(wrong("spec.restart", "is not known here")),
        },
        stop_grace_ms,
    };
    spec.check().map_err(|error| wrong("spec", error))?;
    Ok(Job { spec, version, needs: room_in(needs) })
}

pub(super) fn job_out(job: &Job) -> wire::WorkloadSpec {
    let Job { spec, version: _, needs } = job;
    let Spec { driver, durability, restart, stop_grace_ms } = spec;
    let driver = match driver {
        Driver::Process(process) => wire::workload_spec::Driver::Process(process_out(process)),
        Driver::Component(Component { digest, settings }) => {
            let digest = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
            wire::workload_spec::Driver::Component(wire::ComponentSpec { digest, settings: settings.clone() })
        }
    };
    let durability = match durability {
        Durability::None => wire::Durability::None,
        Durability::Local => wire::Durability::Local,
        Durability::Replicated => wire::Durability::Replicated,
    };
    let restart = match restart {
        Restart::Always => wire::RestartPolicy::Always,
        Restart::OnFailure => wire::RestartPolicy::OnFailure,
        Restart::Never => wire::RestartPolicy::Never,
    };
    wire::WorkloadSpec {
        driver: Some(driver),
        needs: room_out(*needs),
        durability: durability.into(),
        restart: restart.into(),
        stop_grace_ms: *stop_grace_ms,
    }
}

fn process_in(process: wire::ProcessSpec) -> Result<Process, Wrong> {
    let wire::ProcessSpec { command, environment, health, checkpoint, call_path } = process;
    Ok(Process {
        command,
        environment: environment.into_iter().collect(),
        health: health.map(health_in).transpose()?,
        checkpoint: checkpoint.map(checkpoint_in).transpose()?,
        call_path: if call_path.is_empty() { "/".to_owned() } else { call_path },
    })
}

fn process_out(process: &Process) -> wire::ProcessSpec {
    let Process { command, environment, health, checkpoint, call_path } = process;
    wire::ProcessSpec {
        command: command.clone(),
        environment: environment.clone().into_iter().collect(),
        health: health.as_ref().map(health_out),
        checkpoint: checkpoint.as_ref().map(checkpoint_out),
        call_path: call_path.clone(),
    }
}

fn health_in(health: wire::HealthCheck) -> Result<HealthCheck, Wrong> {
    let wire::HealthCheck { probe, interval_ms, timeout_ms, failures_max } = health;
    let probe = match needed("health.probe", probe)? {
        wire::health_check::Probe::HttpPath(path) => Probe::Http { path },
        wire::health_check::Probe::Tcp(_) => Probe::Tcp,
        wire::health_check::Probe::Command(wire::ProbeCommand { command }) => Probe::Command(command),
    };
    Ok(HealthCheck { probe, interval_ms, timeout_ms, failures_max })
}

fn health_out(health: &HealthCheck) -> wire::HealthCheck {
    let HealthCheck { probe, interval_ms, timeout_ms, failures_max } = health;
    let probe = match probe {
        Probe::Http { path } => wire::health_check::Probe::HttpPath(path.clone()),
        Probe::Tcp => wire::health_check::Probe::Tcp(true),
        Probe::Command(command) => {
            wire::health_check::Probe::Command(wire::ProbeCommand { command: command.clone() })
        }
    };
    wire::HealthCheck {
        probe: Some(probe),
        interval_ms: *interval_ms,
        timeout_ms: *timeout_ms,
        failures_max: *failures_max,
    }
}

fn checkpoint_in(checkpoint: wire::Checkpoint) -> Result<Checkpoint, Wrong> {
    let wire::Checkpoint { hook, timeout_ms } = checkpoint;
    let hook = match needed("checkpoint.hook", hook)? {
        wire::checkpoint::Hook::Signal(name) => Hook::Signal(name),
        wire::checkpoint::Hook::HttpPath(path) => Hook::Http { path },
    };
    Ok(Checkpoint { hook, timeout_ms })
}

fn checkpoint_out(checkpoint: &Checkpoint) -> wire::Checkpoint {
    let Checkpoint { hook, timeout_ms } = checkpoint;
    let hook = match hook {
        Hook::Signal(name) => wire::checkpoint::Hook::Signal(name.clone()),
        Hook::Http { path } => wire::checkpoint::Hook::HttpPath(path.clone()),
    };
    wire::Checkpoint { hook: Some(hook), timeout_ms: *timeout_ms }
}

pub(super) fn condition_in(condition: i32) -> Result<Option<Condition>, Wrong> {
    Ok(match wire::Condition::try_from(condition) {
        Ok(wire::Condition::Unspecified) => None,
        Ok(wire::Condition::Starting) => Some(Condition::Starting),
        Ok(wire::Condition::Healthy) => Some(Condition::Healthy),
        Ok(wire::Condition::Unhealthy) => Some(Condition::Unhealthy),
        Ok(wire::Condition::BackingOff) => Some(Condition::BackingOff),
        Ok(wire::Condition::Ended) => Some(Condition::Ended),
        Err(_) => return Err(wrong("condition", "is not known here")),
    })
}

pub(super) fn condition_out(condition: Option<Condition>) -> i32 {
    let condition = match condition {
        None => wire::Condition::Unspecified,
        Some(Condition::Starting) => wire::Condition::Starting,
        Some(Condition::Healthy) => wire::Condition::Healthy,
        Some(Condition::Unhealthy) => wire::Condition::Unhealthy,
        Some(Condition::BackingOff) => wire::Condition::BackingOff,
        Some(Condition::Ended) => wire::Condition::Ended,
    };
    condition.into()
}
