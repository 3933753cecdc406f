//! Who a policy is and which columns it needs.

/// What a policy says of itself; make it from [`About::new`] and the fields it needs.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// `[a-z0-9-]{1,63}`
    pub name: &'static str,
    /// Semantic version.
    pub version: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The columns it reads; others are not pushed and read as unknown.
    pub columns: &'static [Column],
    /// JSON Schema of its settings; empty = none.
    pub settings_schema: &'static str,
    /// Texts of its reason codes.
    pub reasons: &'static [&'static str],
    /// Names of the parts of its scores.
    pub factors: &'static [&'static str],
    /// What it promises of its behaviour, for `pilothouse policy conform` to check; names as in `host/docs/conformance.md`.
    pub properties: &'static [&'static str],
}

impl About {
    /// A policy without columns, settings, reasons and factors.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            version,
            summary,
            columns: &[],
            settings_schema: "",
            reasons: &[],
            factors: &[],
            properties: &[],
        }
    }

    /// The settings' schema with the declared properties in it, under the keyword that the host reads.
    #[doc(hidden)]
    #[must_use]
    pub fn schema(&self) -> String {
        if self.properties.is_empty() {
            return self.settings_schema.to_owned();
        }
        let keyword = format!("\"x-pilothouse-properties\":[\"{}\"]", self.properties.join("\",\""));
        match self.settings_schema.trim_start().strip_prefix('{') {
            None => format!("{{\"type\":\"object\",\"additionalProperties\":false,{keyword}}}"),
            Some(rest) if rest.trim_start().starts_with('}') => format!("{{{keyword}{rest}"),
            Some(rest) => format!("{{{keyword},{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_properties_stand_in_the_schema() {
        let schema = |settings_schema, properties| {
            About { settings_schema, properties, ..About::new("a", "1.0.0", "A.") }.schema()
        };
        assert_eq!(schema("", &[]), "");
        assert_eq!(schema("{\"a\":1}", &["x", "y"]), "{\"x-pilothouse-properties\":[\"x\",\"y\"],\"a\":1}");
        assert_eq!(schema("{}", &["x"]), "{\"x-pilothouse-properties\":[\"x\"]}");
        let alone =
            "{\"type\":\"object\",\"additionalProperties\":false,\"x-pilothouse-properties\":[\"x\"]}";
        assert_eq!(schema("", &["x"]), alone);
    }
}

/// How a column is laid out; see `sync-block` in `wit/host/lifecycle.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Half,
    Whole,
    Bits,
    Class,
}

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident $text:literal $layout:ident;)*) => {
        /// A column of the fleet. `f32` columns are NaN where nothing is known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Column { $($(#[$doc])* $name),* }

        impl Column {
            /// How many columns there are.
            pub const COUNT: usize = [$(Self::$name),*].len();

            /// The name that the host knows.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            pub(crate) const fn layout(self) -> Layout {
                match self { $(Self::$name => Layout::$layout),* }
            }
        }
    };
}

columns! {
    /// CPU utilisation, 0..1.
    Cpu "cpu" Half;
    /// Memory utilisation, 0..1.
    Memory "memory" Half;
    /// Disk utilisation, 0..1.
    Disk "disk" Half;
    /// Load average over a minute.
    LoadAverage "load-average" Half;
    /// The member's own response time, ms.
    LatencyMs "latency-ms" Half;
    /// Share of failed requests, 0..1.
    ErrorRate "error-rate" Half;
    /// Price of an hour.
    CostPerHour "cost-per-hour" Half;
    /// Carbon intensity, g CO2e/kWh.
    CarbonGPerKwh "carbon-g-per-kwh" Half;
    /// Routing weight, 0 = no new work.
    Weight "weight" Half;
    /// 1 healthy, 0.5 degraded or unknown, 0 unhealthy.
    HealthScore "health-score" Half;
    /// Region's symbol.
    Region "region" Half;
    /// Zone's symbol.
    Zone "zone" Half;
    /// Symbol of a node's cluster.
    Cluster "cluster" Half;
    /// Agents or tasks running.
    Active "active" Half;
    /// Most it can run, 0 = unlimited.
    Capacity "capacity" Half;
    /// Work that waits.
    QueueDepth "queue-depth" Half;
    /// Operator's preference, higher first.
    Priority "priority" Half;
    /// Free CPU, thousandths of a core.
    CpuMillisFree "cpu-millis-free" Half;
    /// Free memory, MiB.
    MemoryMibFree "memory-mib-free" Half;
    /// Free storage, MiB.
    StorageMibFree "storage-mib-free" Half;
    /// Free accelerators, thousandths.
    AcceleratorMillisFree "accelerator-millis-free" Half;
    /// Total CPU; 0 = unknown.
    CpuMillisTotal "cpu-millis-total" Half;
    /// Total memory; 0 = unknown.
    MemoryMibTotal "memory-mib-total" Half;
    /// Total storage; 0 = unknown.
    StorageMibTotal "storage-mib-total" Half;
    /// Total accelerators; 0 = none.
    AcceleratorMillisTotal "accelerator-millis-total" Half;
    /// Host's monotonic clock at the last report, ms, 0 = never.
    ReportedAtMs "reported-at-ms" Whole;
    /// Stable hash of the member's id, the same on every host.
    Identity "identity" Whole;
    /// Capability bits.
    Capabilities "capabilities" Bits;
    /// Service bits.
    Services "services" Bits;
    /// Free thousandths of each accelerator device; read it with `Fleet::devices` or `Block::devices`.
    AcceleratorDevices "accelerator-devices" Bits;
    /// Round-trip time from the class's source, ms; read it with `Class::rtt_ms`.
    RttMs "rtt-ms" Class;
}
