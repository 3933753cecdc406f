//! Guests written by hand: a complete balancing policy as WebAssembly text, in which a case replaces what it wants broken.

use std::path::Path;
use std::sync::Arc;

use pilothouse_engine::{Budget, Cache, Compiler, Pool, PoolConfig, PoolError, Runtime};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

pub(crate) const LIFECYCLE: &str = "pilothouse:host/lifecycle@0.1.0";
const BALANCING: &str = "pilothouse:balancing/balancing@0.1.0";

/// A runtime that compiles in this process and keeps nothing.
pub(crate) fn runtime() -> Runtime {
    Runtime::start(Compiler::here(), Cache::none()).unwrap()
}

/// One instance of a guest with the budget of its family.
pub(crate) fn pool(runtime: &Runtime, bytes: &[u8]) -> Result<Pool, PoolError> {
    let loaded = Arc::new(runtime.load(bytes).unwrap());
    // A wide deadline: these tests are about what a guest does, on a machine that may be busy.
    let budget = Budget { deadline_ms: 5_000, ..Budget::of(loaded.family()) };
    Pool::new(loaded, "", PoolConfig { seats: 1, budget, state: Arc::default(), seed: 1 })
}

/// What a guest does where a case says nothing: it answers row 0.
pub(crate) struct Guest {
    /// Body of `describe`; the description is at 64, the name's text at 16.
    pub(crate) describe: &'static str,
    /// Body of `configure`: leaves the address of its result.
    pub(crate) configure: &'static str,
    /// Body of `cabi_realloc`: leaves the address of new memory.
    pub(crate) realloc: &'static str,
    /// Body of `choose`: leaves the address of its result.
    pub(crate) choose: &'static str,
    /// More fields of the module.
    pub(crate) more: &'static str,
    /// Imports of the module.
    pub(crate) imports: &'static str,
    /// The policy's name, at most 16 bytes.
    pub(crate) name: &'static str,
    /// Its only column; empty = none.
    pub(crate) column: &'static str,
}

/// The honest one, to change.
pub(crate) const HONEST: Guest = Guest {
    describe: "(i32.const 64)",
    configure: "(i32.const 200)",
    realloc: "(global.set $next (i32.add (global.get $next) (local.get $size)))
        (i32.sub (global.get $next) (local.get $size))",
    choose: "(i32.const 256)",
    more: "",
    imports: "",
    name: "by-hand",
    column: "",
};

impl Guest {
    fn text(&self) -> String {
        let Self { describe, configure, realloc, choose, more, imports, name, column } = self;
        let (name_length, column_length) = (name.len(), column.len());
        let columns = u32::from(!column.is_empty());
        let word = |number: usize| {
            (number as u32).to_le_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
        };
        let text = |address: usize, length: usize| format!("{}{}", word(address), word(length));
        let description = [
            text(16, name_length),
            text(40, 5),
            text(16, 0),
            text(160, columns as usize),
            text(0, 0),
            text(0, 0),
            text(0, 0),
        ]
        .concat();
        let column_entry = text(176, column_length);
        format!(
            r#"(module
  {imports}
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 4096))
  (data (i32.const 16) "{name}") (data (i32.const 40) "1.0.0")
  (data (i32.const 64) "{description}") (data (i32.const 160) "{column_entry}") (data (i32.const 176) "{column}")
  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) {realloc})
  (func (export "{LIFECYCLE}#describe") (result i32) {describe})
  (func (export "{LIFECYCLE}#configure") (param i32 i32) (result i32) {configure})
  (func (export "{LIFECYCLE}#sync-block") (param i64 i32 i32 i32 i32))
  (func (export "{LIFECYCLE}#sync-class") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (global.set $next (i32.const 4096)))
  (func (export "{LIFECYCLE}#drop-class") (param i32))
  (func (export "{BALANCING}#choose") (param i32 i64 i64 i32 i64) (result i32) {choose})
  (func (export "{BALANCING}#rank") (param i32 i64 i64 i32 i64 i32) (result i32) (i32.const 256))
  (func (export "{BALANCING}#choose-many") (param i32 i32) (result i32) (i32.const 256))
  {more})"#
        )
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let text = self.text();
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut resolve = wit_parser::Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        resolve.push_dir(wit.join("host")).unwrap();
        let (package, _) = resolve.push_dir(wit.join("balancing")).unwrap();
        let world = resolve.select_world(&[package], Some("policy")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }
}
