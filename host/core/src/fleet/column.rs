//! The columns of the fleet snapshot: names, types and where each sits in a block.
//!
//! A block is one run of 64-bit words for 64 rows, so a column is a contiguous range of words. The order here
//! is the host's own; guests get the columns they declared, in the order in which they declared them.

/// Rows in a block: one bit per row fits a word.
pub const BLOCK_ROWS: usize = 64;

/// Words of capability or service bits per row: 256 distinct names per host. Also those of its devices.
pub const BIT_WORDS: usize = 4;

/// How a column's values are laid out in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Two values a word, the lower row in the lower half.
    F32,
    /// As `F32`.
    U32,
    /// One value a word.
    U64,
    /// All rows' first word, then all rows' second word, and so on.
    Bits,
}

impl ColumnType {
    /// Words that 64 rows take.
    #[must_use]
    pub const fn words(self) -> usize {
        match self {
            Self::F32 | Self::U32 => BLOCK_ROWS / 2,
            Self::U64 => BLOCK_ROWS,
            Self::Bits => BLOCK_ROWS * BIT_WORDS,
        }
    }
}

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident $text:literal $kind:ident;)*) => {
        /// A column of the snapshot.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column { $($(#[$doc])* $name),* }

        impl Column {
            /// Every column, in the host's order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name policies use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The type of its values.
            #[must_use]
            pub const fn kind(self) -> ColumnType {
                match self { $(Self::$name => ColumnType::$kind),* }
            }
        }
    };
}

columns! {
    /// CPU utilisation, 0..1, NaN unknown.
    Cpu "cpu" F32;
    /// Memory utilisation, 0..1, NaN unknown.
    Memory "memory" F32;
    /// Disk utilisation, 0..1, NaN unknown.
    Disk "disk" F32;
    /// Load average over a minute, NaN unknown.
    LoadAverage "load-average" F32;
    /// The member's own response time, ms, NaN unknown.
    LatencyMs "latency-ms" F32;
    /// Share of failed requests, 0..1, NaN unknown.
    ErrorRate "error-rate" F32;
    /// Price of an hour, NaN unknown.
    CostPerHour "cost-per-hour" F32;
    /// Carbon intensity, g CO2e/kWh, NaN unknown.
    CarbonGPerKwh "carbon-g-per-kwh" F32;
    /// Routing weight, never negative; 0 = no new work.
    Weight "weight" F32;
    /// 1 healthy, 0.5 degraded or unknown, 0 unhealthy.
    HealthScore "health-score" F32;
    /// Region's symbol.
    Region "region" U32;
    /// Zone's symbol.
    Zone "zone" U32;
    /// Symbol of the cluster that a node belongs to.
    Cluster "cluster" U32;
    /// Agents or tasks running.
    Active "active" U32;
    /// Most it can run, 0 = unlimited.
    Capacity "capacity" U32;
    /// Work that waits.
    QueueDepth "queue-depth" U32;
    /// Operator's preference, higher first.
    Priority "priority" U32;
    /// Free CPU, thousandths of a core.
    CpuMillisFree "cpu-millis-free" U32;
    /// Free memory, MiB.
    MemoryMibFree "memory-mib-free" U32;
    /// Free storage, MiB.
    StorageMibFree "storage-mib-free" U32;
    /// Free accelerators, thousandths.
    AcceleratorMillisFree "accelerator-millis-free" U32;
    /// Total CPU, thousandths of a core; 0 = unknown.
    CpuMillisTotal "cpu-millis-total" U32;
    /// Total memory, MiB; 0 = unknown.
    MemoryMibTotal "memory-mib-total" U32;
    /// Total storage, MiB; 0 = unknown.
    StorageMibTotal "storage-mib-total" U32;
    /// Total accelerators, thousandths; 0 = none.
    AcceleratorMillisTotal "accelerator-millis-total" U32;
    /// Host's monotonic clock at the last report, ms, 0 = never.
    ReportedAtMs "reported-at-ms" U64;
    /// Stable hash of the member's id, the same on every host.
    Identity "identity" U64;
    /// Capability bits.
    Capabilities "capabilities" Bits;
    /// Service bits.
    Services "services" Bits;
    /// Free thousandths of each of 16 accelerator devices, 16 bits each ([`crate::device::Devices::words`]).
    AcceleratorDevices "accelerator-devices" Bits;
}

/// The name of the per-class column of round-trip times; it travels with `sync-class`, not in blocks.
pub const RTT_COLUMN: &str = "rtt-ms";

/// Word offset of every column, by its index in [`Column::ALL`].
const OFFSETS: [usize; Column::ALL.len()] = {
    let mut offsets = [0; Column::ALL.len()];
    let mut index = 0;
    let mut at = 0;
    while index < Column::ALL.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            offsets[index] = at;
            at += Column::ALL[index].kind().words();
        }
        index += 1;
    }
    offsets
};

/// Words in a block.
pub const BLOCK_WORDS: usize = {
    let mut index = 0;
    let mut at = 0;
    while index < Column::ALL.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            at += Column::ALL[index].kind().words();
        }
        index += 1;
    }
    at
};

impl Column {
    /// Where the column's words are in a block.
    #[must_use]
    pub const fn range(self) -> std::ops::Range<usize> {
        #[expect(clippy::indexing_slicing, reason = "the discriminant counts the entries of ALL")]
        let start = OFFSETS[self as usize];
        start..start + self.kind().words()
    }

    /// The column with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|column| column.name() == name)
    }
}
