//! What is on disk: tables and the form of their records.
//!
//! entry or change -> checksum + fields -> bytes -> the same entry or change, or an error
//!
//! Invariant: every record carries a checksum over its key and all of its bytes, so a damaged or misplaced record is noticed
//! and never read as data. When records are written and dropped is not here.

use redb::TableDefinition;
use xxhash_rust::xxh3::Xxh3;

use crate::contract::{Entry, LeaseId};
use crate::error::StoreError;

/// Version of everything in this file.
pub(super) const FORMAT: u64 = 1;

/// Key -> entry.
pub(super) const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
/// Revision and index within it -> key and change.
pub(super) const HISTORY: TableDefinition<'_, (u64, u32), (&str, &[u8])> = TableDefinition::new("history");
/// Lease -> how long it lives, ms.
pub(super) const LEASES: TableDefinition<'_, LeaseId, u64> = TableDefinition::new("leases");
/// Lease and key that ends with it.
pub(super) const LEASE_KEYS: TableDefinition<'_, (LeaseId, &str), ()> = TableDefinition::new("lease_keys");
/// One of the names below -> number.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// [`FORMAT`] of the file.
pub(super) const META_FORMAT: &str = "format";
/// Number of times the store was opened.
pub(super) const META_BOOT: &str = "boot";
/// Newest revision.
pub(super) const META_REVISION: &str = "revision";
/// Newest revision whose changes are forgotten.
pub(super) const META_COMPACTED: &str = "compacted";
/// Bytes of the history table's records.
pub(super) const META_HISTORY_BYTES: &str = "history_bytes";
/// Newest lease ever granted.
pub(super) const META_LEASE: &str = "lease";

/// Checksum, create revision, modification revision, version, lease.
const ENTRY_HEADER_BYTES: usize = 40;
/// First byte of a change.
const REMOVED: u8 = 0;
const WRITTEN: u8 = 1;

fn checksum(key: &str, place: u64, rest: &[u8]) -> [u8; 8] {
    let mut hash = Xxh3::new();
    hash.update(key.as_bytes());
    hash.update(&[0]);
    hash.update(&place.to_le_bytes());
    hash.update(rest);
    hash.digest().to_le_bytes()
}

/// Splits off the checksum and compares it.
fn verified<'a>(key: &str, place: u64, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, rest) = bytes.split_at_checked(8)?;
    (checksum(key, place, rest) == *sum).then_some(rest)
}

fn sealed(key: &str, place: u64, mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = bytes.get(8..).map(|rest| checksum(key, place, rest)).unwrap_or_default();
    if let Some(head) = bytes.get_mut(..8) {
        head.copy_from_slice(&sum);
    }
    bytes
}

pub(super) fn encode_entry(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENTRY_HEADER_BYTES + entry.value.len());
    for field in [0, entry.create_revision, entry.mod_revision, entry.version, entry.lease.unwrap_or(0)] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&entry.value);
    sealed(&entry.key, 0, bytes)
}

pub(super) fn decode_entry(key: &str, bytes: &[u8]) -> Result<Entry, StoreError> {
    let fields = verified(key, 0, bytes).and_then(|rest| rest.split_at_checked(ENTRY_HEADER_BYTES - 8));
    let (header, value) = fields.ok_or_else(|| StoreError::Corrupt { key: key.to_owned() })?;
    let mut numbers = header.chunks_exact(8).map(|part| part.try_into().map_or(0, u64::from_le_bytes));
    let mut number = || numbers.next().unwrap_or(0);
    Ok(Entry {
        key: key.to_owned(),
        create_revision: number(),
        mod_revision: number(),
        version: number(),
        lease: Some(number()).filter(|lease| *lease != 0),
        value: value.to_vec(),
    })
}

pub(super) fn encode_change(key: &str, revision: u64, value: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.push(if value.is_some() { WRITTEN } else { REMOVED });
    bytes.extend_from_slice(value.unwrap_or_default());
    sealed(key, revision, bytes)
}

pub(super) fn decode_change(key: &str, revision: u64, bytes: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match verified(key, revision, bytes).and_then(<[u8]>::split_first) {
        Some((&WRITTEN, value)) => Ok(Some(value.to_vec())),
        Some((&REMOVED, [])) => Ok(None),
        _ => Err(StoreError::Corrupt { key: key.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let (key, value) = ("k".to_owned(), b"value".to_vec());
        Entry { key, value, mod_revision: 9, create_revision: 7, version: 2, lease: Some(3) }
    }

    fn every_flip_is_noticed(good: &[u8], decodes: impl Fn(&[u8]) -> bool) {
        assert!(decodes(good));
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!decodes(&bad), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(!decodes(&good[..length]), "cut to {length}");
        }
    }

    #[test]
    fn an_entry_survives_and_its_damage_is_noticed() {
        let good = encode_entry(&entry());
        assert_eq!(decode_entry("k", &good).unwrap(), entry());
        every_flip_is_noticed(&good, |bytes| decode_entry("k", bytes).is_ok());
        assert!(decode_entry("other", &good).is_err(), "a record under another key");
    }

    #[test]
    fn a_change_survives_and_its_damage_is_noticed() {
        for value in [None, Some(b"value".as_slice()), Some(b"")] {
            let good = encode_change("k", 5, value);
            assert_eq!(decode_change("k", 5, &good).unwrap().as_deref(), value);
            every_flip_is_noticed(&good, |bytes| decode_change("k", 5, bytes).is_ok());
            assert!(decode_change("k", 6, &good).is_err(), "a record under another revision");
        }
    }
}
