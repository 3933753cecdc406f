//! The sample federation: a dozen clusters that report a simulated load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_lab::load::utilisation;
use pilothouse_lab::world::{SITES, Site};
use pilothouse_node::control::Control;
use pilothouse_transport::service::ControlPlane as _;

/// Simulated hours per report: a day passes in about a minute and a half.
const HOURS_PER_REPORT: f64 = 0.05;

fn id(site: &Site) -> anyhow::Result<MemberId> {
    Ok(MemberId::parse(&format!("cluster-{}", site.region))?)
}

pub(super) async fn register(control: &Control) -> anyhow::Result<()> {
    for site in &SITES {
        let registration = Registration {
            id: id(site)?,
            kind: MemberKind::Cluster,
            endpoint: format!("https://{}.clusters.example", site.region),
            hostname: String::new(),
            region: Some(Label::parse(site.region)?),
            zone: None,
            cluster: None,
            role: Role::Worker,
            capacity: site.max_agents,
            weight: 1.0,
            capabilities: site
                .capabilities
                .iter()
                .map(|name| Label::parse(name))
                .collect::<Result<_, _>>()?,
            services: Default::default(),
            compliance: Default::default(),
            accelerator_model: None,
            cost_per_hour: site.cost_per_hour,
            carbon_g_per_kwh: site.carbon_g_per_kwh,
            resources: Resources {
                cpu_millis: site.max_agents * 1_000,
                memory_mib: site.max_agents * 4_096,
                ..Resources::default()
            },
        };
        control.register(registration).await?;
    }
    report_all(control, 9.0)
}

fn report_all(control: &Control, hour: f64) -> anyhow::Result<()> {
    for site in &SITES {
        let share = utilisation(site, hour, 42);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count of agents"
        )]
        let active = (share * site.max_agents as f32 * 0.6) as u32;
        let report = LoadReport {
            cpu: Some(share),
            memory: Some(share * 0.8),
            active: Some(active),
            latency_ms: Some(5.0 + 20.0 * share),
            error_rate: Some(0.0),
            ..LoadReport::default()
        };
        control.report(&id(site)?, &report)?;
    }
    control.hub.publish();
    Ok(())
}

/// Reports twenty times a second until it is told to stop.
pub(super) fn keep_reporting(control: Control, stop: Arc<AtomicBool>) -> anyhow::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("simulated-load".to_owned()).spawn(move || {
        let mut hour = 9.0;
        while !stop.load(Ordering::Relaxed) {
            hour += HOURS_PER_REPORT;
            // A cluster that an operator removed meanwhile is simply gone.
            let _ = report_all(&control, hour);
            std::thread::park_timeout(Duration::from_millis(50));
        }
    })?;
    Ok(thread)
}
