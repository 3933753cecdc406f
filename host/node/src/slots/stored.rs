//! Slots, their history and their state in the store.

use std::collections::BTreeMap;

use pilothouse_core::id::Digest;
use pilothouse_core::policy::fault::FaultKind;
use pilothouse_core::policy::state::{PinTableImage, SlotStateImage};
use pilothouse_core::slot::{
    HISTORY_MAX, Happening, History, HistoryEntry, Origin, Revision, RevisionId, SlotId, SlotMachine,
};
use pilothouse_core::time::WallMs;
use pilothouse_store::{Op, Store, Txn};
use serde::{Deserialize, Serialize};

use crate::records::{RecordError, decode, encode};

/// Pins of one stored value: some 250 KiB.
const PINS_PER_VALUE: usize = 4_096;
/// Most records of one kind read at start.
const RECORDS_MAX: usize = 100_000;

/// A slot from the store.
#[derive(Debug, Default)]
pub(super) struct SlotRecord {
    pub(super) active: Option<Revision>,
    pub(super) previous: Option<Revision>,
    pub(super) generation: u64,
    pub(super) history: History,
    pub(super) state: SlotStateImage,
}

#[derive(Serialize, Deserialize)]
struct SlotWire {
    active: Option<RevisionWire>,
    previous: Option<RevisionWire>,
    generation: u64,
}

#[derive(Serialize, Deserialize)]
struct RevisionWire {
    component: String,
    settings_digest: String,
    name: String,
    version: String,
    origin: String,
    settings: String,
}

#[derive(Serialize, Deserialize)]
struct EntryWire {
    number: u64,
    at_ms: u64,
    revision: Option<RevisionWire>,
    by: Option<String>,
    what: String,
    detail: String,
    fault: Option<String>,
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct ValuesWire {
    counters: Vec<(String, u64)>,
    cells: Vec<(String, u64, Vec<f64>)>,
    pins: Vec<(String, u32, u64, usize)>,
}

type PinsWire = Vec<(u64, u32, u64, u64)>;

pub(super) fn read_all(store: &dyn Store) -> anyhow::Result<BTreeMap<SlotId, SlotRecord>> {
    let mut records: BTreeMap<SlotId, SlotRecord> = BTreeMap::new();
    for entry in store.range("slots/", RECORDS_MAX)? {
        let id = SlotId::parse(entry.key.trim_start_matches("slots/"))?;
        let wire: SlotWire = decode(&entry.key, &entry.value)?;
        let record = records.entry(id).or_default();
        record.active = wire.active.map(|wire| revision(&entry.key, wire)).transpose()?;
        record.previous = wire.previous.map(|wire| revision(&entry.key, wire)).transpose()?;
        record.generation = wire.generation;
    }
    for (id, record) in &mut records {
        let mut entries = Vec::new();
        for entry in store.range(&format!("history/{id}/"), RECORDS_MAX)? {
            entries.push(history_entry(&entry.key, decode(&entry.key, &entry.value)?)?);
        }
        record.history = History::restore(entries);
    }
    for entry in store.range("state/", RECORDS_MAX)? {
        let Some(slot) = entry.key.strip_prefix("state/").and_then(|rest| rest.strip_suffix("/values"))
        else {
            continue;
        };
        let id = SlotId::parse(slot)?;
        let image = read_state(store, &id, decode(&entry.key, &entry.value)?)?;
        records.entry(id).or_default().state = image;
    }
    Ok(records)
}

fn read_state(store: &dyn Store, id: &SlotId, wire: ValuesWire) -> anyhow::Result<SlotStateImage> {
    let mut pins = Vec::new();
    for (name, capacity, ttl_ms, parts) in wire.pins {
        let mut entries = Vec::new();
        for part in 0..parts {
            let key = pins_key(id, &name, part);
            if let Some(entry) = store.get(&key)? {
                entries.extend(decode::<PinsWire>(&key, &entry.value)?);
            }
        }
        pins.push(PinTableImage { name, capacity, ttl_ms, entries });
    }
    Ok(SlotStateImage { counters: wire.counters, pins, cells: wire.cells })
}

fn pins_key(id: &SlotId, table: &str, part: usize) -> String {
    format!("state/{id}/pins/{table}/{part:04}")
}

/// The transaction that stores a slot and what its history gained; the second value is where it goes on.
pub(super) fn write(machine: &SlotMachine, from: u64) -> (Txn, u64) {
    let id = machine.id();
    let wire = SlotWire {
        active: machine.active().map(revision_wire),
        previous: machine.previous().map(revision_wire),
        generation: machine.generation(),
    };
    let mut ops = vec![Op::Put(format!("slots/{id}"), encode(&wire))];
    let mut next = from;
    // The newest stored entry is written again, because a fault may have been counted with it.
    for entry in machine.history().entries().filter(|entry| entry.number + 1 >= from) {
        next = entry.number + 1;
        ops.push(Op::Put(history_key(id, entry.number), encode(&entry_wire(entry))));
        if let Some(old) = entry.number.checked_sub(HISTORY_MAX as u64) {
            ops.push(Op::Delete(history_key(id, old)));
        }
    }
    let surplus = ops.len().saturating_sub(pilothouse_store::OPS_MAX);
    ops.drain(1..1 + surplus);
    (Txn { checks: Vec::new(), ops }, next)
}

fn history_key(id: &SlotId, number: u64) -> String {
    format!("history/{id}/{number:012}")
}

/// The transactions that store a slot's state, if it is not what was stored last.
pub(super) fn state_writes(
    id: &SlotId,
    image: &SlotStateImage,
    flushed: &mut BTreeMap<SlotId, u64>,
) -> Vec<Txn> {
    let pins: Vec<_> = image
        .pins
        .iter()
        .map(|table| {
            (table.name.clone(), table.capacity, table.ttl_ms, table.entries.len().div_ceil(PINS_PER_VALUE))
        })
        .collect();
    let wire = ValuesWire { counters: image.counters.clone(), cells: image.cells.clone(), pins };
    let values = encode(&wire);
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(&values);
    for table in &image.pins {
        for (key, row, identity, _) in &table.entries {
            [*key, u64::from(*row), *identity].iter().for_each(|part| hash.update(&part.to_le_bytes()));
        }
    }
    if flushed.insert(id.clone(), hash.digest()) == Some(hash.digest()) {
        return Vec::new();
    }
    let mut txns = Vec::new();
    for table in &image.pins {
        for (part, entries) in table.entries.chunks(PINS_PER_VALUE).enumerate() {
            txns.push(Txn::put(pins_key(id, &table.name, part), encode(&entries)));
        }
    }
    txns.push(Txn::put(format!("state/{id}/values"), values));
    txns
}

fn revision_wire(revision: &Revision) -> RevisionWire {
    let Revision { id, name, version, origin, settings } = revision;
    RevisionWire {
        component: id.component.to_string(),
        settings_digest: id.settings.to_string(),
        name: name.clone(),
        version: version.clone(),
        origin: origin.to_string(),
        settings: settings.clone(),
    }
}

fn revision(key: &str, wire: RevisionWire) -> Result<Revision, RecordError> {
    let digest = |text: &str| {
        Digest::parse(text).ok_or_else(|| RecordError::Value {
            key: key.to_owned(),
            problem: format!("`{text}` is not a digest"),
        })
    };
    Ok(Revision {
        id: RevisionId { component: digest(&wire.component)?, settings: digest(&wire.settings_digest)? },
        name: wire.name,
        version: wire.version,
        origin: match wire.origin.strip_prefix("file:") {
            Some(path) => Origin::File(path.to_owned()),
            None if wire.origin == "builtin" => Origin::Builtin,
            None => match wire.origin.strip_prefix("oci://") {
                Some(reference) => Origin::Registry(reference.to_owned()),
                None => Origin::Api,
            },
        },
        settings: wire.settings,
    })
}

fn entry_wire(entry: &HistoryEntry) -> EntryWire {
    let (what, detail, fault, count) = match &entry.what {
        Happening::Requested => ("requested", String::new(), None, 0),
        Happening::Refused(reason) => ("refused", reason.clone(), None, 0),
        Happening::Superseded => ("superseded", String::new(), None, 0),
        Happening::Activated => ("activated", String::new(), None, 0),
        Happening::NotServing(reason) => ("not-serving", reason.clone(), None, 0),
        Happening::RolledBack => ("rolled-back", String::new(), None, 0),
        Happening::Faulted { kind, detail, count } => ("faulted", detail.clone(), Some(kind.name()), *count),
        Happening::Quarantined { for_ms } => ("quarantined", String::new(), None, *for_ms),
        Happening::Restored => ("restored", String::new(), None, 0),
    };
    EntryWire {
        number: entry.number,
        at_ms: entry.at.0,
        revision: entry.revision.as_ref().map(revision_wire),
        by: entry.by.clone(),
        what: what.to_owned(),
        detail,
        fault: fault.map(str::to_owned),
        count,
    }
}

fn history_entry(key: &str, wire: EntryWire) -> Result<HistoryEntry, RecordError> {
    let bad = |problem: String| RecordError::Value { key: key.to_owned(), problem };
    let what = match wire.what.as_str() {
        "requested" => Happening::Requested,
        "refused" => Happening::Refused(wire.detail),
        "superseded" => Happening::Superseded,
        "activated" => Happening::Activated,
        "not-serving" => Happening::NotServing(wire.detail),
        "rolled-back" => Happening::RolledBack,
        "faulted" => {
            let name = wire.fault.unwrap_or_default();
            let kind = FaultKind::ALL.iter().copied().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| bad(format!("`{name}` is not a fault")))?;
            Happening::Faulted { kind, detail: wire.detail, count: wire.count }
        }
        "quarantined" => Happening::Quarantined { for_ms: wire.count },
        "restored" => Happening::Restored,
        other => return Err(bad(format!("`{other}` is not a happening"))),
    };
    let revision = wire.revision.map(|wire| self::revision(key, wire)).transpose()?;
    Ok(HistoryEntry { number: wire.number, at: WallMs(wire.at_ms), revision, by: wire.by, what })
}
