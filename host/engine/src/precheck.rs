//! Looks at a component before anything is compiled: compiling is the one step that a guest can make slow.
//!
//! bytes -> [`check`] -> [`Outline`] (family, imports, exports) | [`LoadError`]
//!
//! Invariant: everything is bounded by [`Bounds`] and the constants beside it, nested modules and components included, and
//! only `pilothouse:*` interfaces of a version that this host has may be imported.

use pilothouse_core::policy::Family;
use wasmparser::{
    ComponentExternalKind, Encoding, FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload,
    ValidPayload, Validator,
};

/// What a component may have. Compiling happens in a child with a bound on its time; these keep most of what would be slow
/// from getting there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Largest component, bytes.
    pub component_bytes: usize,
    /// Most functions, nested modules together.
    pub functions: u32,
    /// Largest function body, bytes.
    pub body_bytes: usize,
    /// Deepest nesting of blocks. A `switch` of an interpreter's loop nests once a case.
    pub nesting: u32,
    /// All custom sections together, bytes.
    pub custom_bytes: usize,
    /// Most nested core modules; the canonical ABI's adapters and stubs of WASI need some.
    pub modules: u32,
    /// CPU time of a compile, seconds; it may take half as much again on the wall clock.
    pub compile_cpu_s: u64,
}

impl Bounds {
    /// For policies as Rust, C and JavaScript (QuickJS) give them.
    pub const STANDARD: Self = Self {
        component_bytes: 4 << 20,
        functions: 20_000,
        body_bytes: 128 << 10,
        nesting: 320,
        custom_bytes: 256 << 10,
        modules: 16,
        compile_cpu_s: 10,
    };

    /// For policies that bring a large interpreter, as Python: `large-components` of a server.
    pub const LARGE: Self = Self {
        component_bytes: 32 << 20,
        functions: 40_000,
        body_bytes: 512 << 10,
        nesting: 1_000,
        custom_bytes: 1 << 20,
        modules: 64,
        compile_cpu_s: 60,
    };
}

/// Most locals of a function. With nesting they decide how long compiling takes.
const LOCALS_MAX: u64 = 1_000;
/// Most targets of a branch table.
const BRANCH_TARGETS_MAX: u32 = 4_096;
/// Most data segments.
const DATA_SEGMENTS_MAX: u32 = 10_000;
/// Most nested components.
const COMPONENTS_MAX: u32 = 32;

const FILE: &str = "the file (bytes)";
const FUNCTIONS: &str = "the number of functions";
const BODY: &str = "a function body (bytes)";
const NESTING: &str = "the nesting of blocks";
const CUSTOM: &str = "the custom sections together (bytes)";
const MODULES: &str = "the number of core modules";

/// The version of `wit/` that this host has.
const HOST_VERSION: (u64, u64) = (0, 1);
/// Interfaces of `pilothouse:host` that a policy may import.
const HOST_INTERFACES: [&str; 4] = ["types", "fleet", "state", "log"];

/// Why a component was refused. Every text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not a component at all.
    #[error("not a WebAssembly component: {found}; build it for wasm32-unknown-unknown and componentize it")]
    NotAComponent {
        /// What it looks like instead.
        found: &'static str,
    },
    /// Broken or cut off.
    #[error("the component is malformed or truncated at byte {offset}: {problem}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What the validator says.
        problem: String,
    },
    /// Larger than a policy may be.
    #[error("{what} is {found}, at most {limit} is allowed{}", remedy(.what, .found))]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// Wants something that the host does not offer.
    #[error(
        "it imports `{import}`, which this host does not offer; it offers pilothouse:host/{{types,fleet,state,log}}@0.1"
    )]
    Import {
        /// The import.
        import: String,
    },
    /// Was built for another version of the contract.
    #[error(
        "it was built for {interface}@{found}; this host has version 0.1 of that interface: rebuild the policy against wit/ 0.1, or use a host that has {found}"
    )]
    Version {
        /// The interface, without its version.
        interface: String,
        /// The version that it wants.
        found: String,
    },
    /// Is an agent that wants more than agents get.
    #[error(
        "it imports `{import}`, which agents do not get; they get pilothouse:host/log@0.1 and nothing else"
    )]
    AgentImport {
        /// The import.
        import: String,
    },
    /// Is no agent of a known version.
    #[error(
        "it exports no agent interface that this host knows ({found}); export pilothouse:agent/agent@0.1.x"
    )]
    NoAgent {
        /// What it exports.
        found: String,
    },
    /// Is no policy of a known family and version.
    #[error(
        "it exports no policy interface that this host knows ({found}); export pilothouse:FAMILY/FAMILY@0.1.x with FAMILY one of placement, balancing, routing, scaling"
    )]
    Family {
        /// What it exports.
        found: String,
    },
    /// Its exports do not have the shape that `wit/` says.
    #[error("it does not fit the policy contract: {problem}; rebuild it against wit/ 0.1")]
    Contract {
        /// What does not fit.
        problem: String,
    },
    /// Compiling failed or took too long.
    #[error("compiling failed: {problem}")]
    Compile {
        /// What happened.
        problem: String,
    },
    /// What it says of itself is no good.
    #[error("its description is no good: {problem}")]
    Description {
        /// What is wrong.
        problem: String,
    },
}

/// Says so if the wider bounds would do.
fn remedy(what: &str, found: &u64) -> &'static str {
    let large = Bounds::LARGE;
    let most = match what {
        FILE => large.component_bytes as u64,
        FUNCTIONS => large.functions.into(),
        BODY => large.body_bytes as u64,
        NESTING => large.nesting.into(),
        CUSTOM => large.custom_bytes as u64,
        MODULES => large.modules.into(),
        _ => 0,
    };
    if *found <= most { "; a server with `large-components = true` under `[policies]` takes it" } else { "" }
}

/// What a component is, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its family.
    pub family: Family,
    /// The exact name of the family's exported interface.
    pub interface: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
}

/// Checks the bytes of a policy.
///
/// # Errors
/// [`LoadError`] with the first thing that is wrong.
pub fn check(bytes: &[u8], bounds: Bounds) -> Result<Outline, LoadError> {
    walk(bytes, bounds)?.outline()
}

/// Checks the bytes of an agent.
pub(crate) fn check_agent(bytes: &[u8], bounds: Bounds) -> Result<(), LoadError> {
    let walk = walk(bytes, bounds)?;
    let is = |text: &str, interface| {
        text.split_once('@').is_some_and(|(name, version)| name == interface && is_our_version(version))
    };
    if let Some(import) = walk.imports.iter().find(|import| !is(import, "pilothouse:host/log")) {
        return Err(LoadError::AgentImport { import: import.escape_debug().to_string() });
    }
    if walk.exports.iter().any(|export| is(export, "pilothouse:agent/agent")) {
        Ok(())
    } else {
        Err(LoadError::NoAgent { found: walk.found() })
    }
}

fn walk(bytes: &[u8], bounds: Bounds) -> Result<Walk, LoadError> {
    bound(FILE, bytes.len(), bounds.component_bytes)?;
    sniff(bytes)?;
    let mut walk = Walk::within(bounds);
    let mut validator = Validator::new_with_features(parser_features());
    let mut allocations = FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        walk.payload(&payload)?;
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(malformed)? {
            let mut function = function.into_validator(allocations);
            function.validate(&body).map_err(malformed)?;
            allocations = function.into_allocations();
        }
    }
    Ok(walk)
}

/// The proposals that the runtime allows, for the validator.
fn parser_features() -> wasmparser::WasmFeatures {
    use wasmparser::WasmFeatures as F;
    F::MUTABLE_GLOBAL
        | F::SATURATING_FLOAT_TO_INT
        | F::SIGN_EXTENSION
        | F::MULTI_VALUE
        | F::BULK_MEMORY
        | F::REFERENCE_TYPES
        | F::FLOATS
        | F::EXTENDED_CONST
        | F::SIMD
        | F::COMPONENT_MODEL
        | F::GC_TYPES
        | F::CALL_INDIRECT_OVERLONG
        | F::BULK_MEMORY_OPT
}

fn sniff(bytes: &[u8]) -> Result<(), LoadError> {
    let found = match bytes {
        [] => "the file is empty",
        [b'\0', b'a', b's', b'm', ..] => {
            if Parser::is_component(bytes) {
                return Ok(());
            }
            if bytes.len() < 8 { "a file cut off in its header" } else { "a core module" }
        }
        [0x7f, b'E', b'L', b'F', ..] => "a native program (ELF)",
        [0x1f, 0x8b, ..] => "a gzip archive",
        _ if bytes.iter().take(64).all(|byte| byte.is_ascii()) => "a text file",
        _ => "something else",
    };
    Err(LoadError::NotAComponent { found })
}

fn malformed(error: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Malformed { offset: error.offset(), problem: error.message().to_owned() }
}

fn bound(what: &'static str, found: impl TryInto<u64>, limit: impl TryInto<u64>) -> Result<(), LoadError> {
    let (found, limit) = (found.try_into().unwrap_or(u64::MAX), limit.try_into().unwrap_or(u64::MAX));
    if found > limit { Err(LoadError::TooLarge { what, found, limit }) } else { Ok(()) }
}

struct Walk {
    bounds: Bounds,
    depth: u32,
    functions: u32,
    data_segments: u32,
    custom_bytes: usize,
    modules: u32,
    components: u32,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Walk {
    fn within(bounds: Bounds) -> Self {
        Self {
            bounds,
            depth: 0,
            functions: 0,
            data_segments: 0,
            custom_bytes: 0,
            modules: 0,
            components: 0,
            imports: Vec::new(),
            exports: Vec::new(),
        }
    }

    fn payload(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.depth += 1;
                match encoding {
                    Encoding::Module => self.modules += 1,
                    Encoding::Component if self.depth > 1 => self.components += 1,
                    Encoding::Component => {}
                }
                bound(MODULES, self.modules, self.bounds.modules)?;
                bound("the number of nested components", self.components, COMPONENTS_MAX)
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::FunctionSection(section) => {
                self.functions = self.functions.saturating_add(section.count());
                bound(FUNCTIONS, self.functions, self.bounds.functions)
            }
            Payload::DataSection(section) => {
                self.data_segments = self.data_segments.saturating_add(section.count());
                bound("the number of data segments", self.data_segments, DATA_SEGMENTS_MAX)
            }
            Payload::CustomSection(section) => {
                self.custom_bytes = self.custom_bytes.saturating_add(section.data().len());
                bound(CUSTOM, self.custom_bytes, self.bounds.custom_bytes)
            }
            Payload::CodeSectionEntry(body) => check_body(body, self.bounds),
            Payload::ComponentImportSection(section) if self.depth == 1 => {
                for import in section.clone() {
                    self.imports.push(import.map_err(malformed)?.name.name.to_owned());
                }
                Ok(())
            }
            Payload::ComponentExportSection(section) if self.depth == 1 => {
                for export in section.clone() {
                    let export = export.map_err(malformed)?;
                    if export.kind == ComponentExternalKind::Instance {
                        self.exports.push(export.name.name.to_owned());
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn outline(self) -> Result<Outline, LoadError> {
        if let Some((interface, found)) =
            self.imports.iter().chain(&self.exports).find_map(|name| other_version(name))
        {
            return Err(LoadError::Version { interface, found });
        }
        if let Some(import) = self.imports.iter().find(|import| !is_offered(import)) {
            return Err(LoadError::Import { import: import.escape_debug().to_string() });
        }
        let family_of = |name: &String| {
            Family::ALL.iter().copied().find_map(|family| {
                let expected = format!("pilothouse:{0}/{0}", family.name());
                let (interface, version) = name.split_once('@')?;
                (interface == expected && is_our_version(version)).then(|| (family, name.clone()))
            })
        };
        match self.exports.iter().find_map(family_of) {
            Some((family, interface)) => {
                Ok(Outline { family, interface, imports: self.imports, exports: self.exports })
            }
            None => Err(LoadError::Family { found: self.found() }),
        }
    }

    /// Its exports, for people.
    fn found(&self) -> String {
        let found = if self.exports.is_empty() { "nothing".to_owned() } else { self.exports.join(", ") };
        found.chars().take(200).collect::<String>().escape_debug().to_string()
    }
}

fn is_offered(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else { return false };
    let interface = name.strip_prefix("pilothouse:host/");
    interface.is_some_and(|interface| HOST_INTERFACES.contains(&interface)) && is_our_version(version)
}

/// Name and version of an interface that this host has, in a version that it does not have.
fn other_version(name: &str) -> Option<(String, String)> {
    let (interface, version) = name.split_once('@')?;
    let of_host = interface.strip_prefix("pilothouse:host/");
    let known = of_host.is_some_and(|name| name == "lifecycle" || HOST_INTERFACES.contains(&name))
        || Family::ALL.iter().any(|family| interface == format!("pilothouse:{0}/{0}", family.name()));
    let found = || version.chars().take(40).collect::<String>().escape_debug().to_string();
    (known && !is_our_version(version)).then(|| (interface.to_owned(), found()))
}

fn is_our_version(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u64>);
    matches!((parts.next(), parts.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) == HOST_VERSION)
}

fn check_body(body: &FunctionBody<'_>, bounds: Bounds) -> Result<(), LoadError> {
    bound(BODY, body.range().len(), bounds.body_bytes)?;
    let mut locals = 0_u64;
    for local in body.get_locals_reader().map_err(malformed)? {
        locals += u64::from(local.map_err(malformed)?.0);
        bound("the locals of a function", locals, LOCALS_MAX)?;
    }
    let mut depth = 0_u32;
    for operator in body.get_operators_reader().map_err(malformed)? {
        match operator.map_err(malformed)? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                depth += 1;
                bound(NESTING, depth, bounds.nesting)?;
            }
            Operator::End => depth = depth.saturating_sub(1),
            Operator::BrTable { targets } => {
                bound("the targets of a branch table", targets.len(), BRANCH_TARGETS_MAX)?
            }
            _ => {}
        }
    }
    Ok(())
}
