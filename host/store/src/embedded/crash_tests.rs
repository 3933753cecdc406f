//! Power cuts and refused writes at every moment, on the simulated disk.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::disk::Overlay;
use super::simulated::Disk;
use super::*;

/// Transactions of one life: several batches, since the writer takes what is queued.
const TXNS_PER_LIFE: u64 = 12;

fn start(disk: &Disk) -> Result<Embedded, StoreError> {
    start_with_cache(disk, 1 << 20)
}

fn start_with_cache(disk: &Disk, cache_bytes: usize) -> Result<Embedded, StoreError> {
    let dir = Path::new("simulated");
    let database = Database::builder()
        .set_cache_size(cache_bytes)
        .create_with_backend(disk.clone())
        .map_err(|error| unusable(dir, error))?;
    let again = disk.clone();
    let view: View = Box::new(move || Database::builder().create_with_backend(Overlay::new(again.clone())?));
    Embedded::start(dir, database, None, view, system_clock())
}

/// A disk with an empty store.
fn formatted() -> Disk {
    let disk = Disk::default();
    drop(start(&disk).unwrap());
    disk
}

/// Numbers that follow from a seed.
fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 20
    }
}

/// What was tried and what was answered, over all lives.
#[derive(Debug, Default)]
struct Ledger {
    tried: u64,
    acknowledged: Vec<u64>,
}

impl Ledger {
    /// Writes until the end of the life or the first refusal; gives the refusal.
    fn live(&mut self, store: &Embedded, random: &mut impl FnMut() -> u64) -> Option<StoreError> {
        let mut pending = Vec::new();
        for _ in 0..TXNS_PER_LIFE {
            self.tried += 1;
            let value = vec![self.tried as u8; (random() % 20_000) as usize];
            let put = |key: String| Op::Put(key, value.clone());
            let number = self.tried;
            let ops = vec![put(format!("a/{number:06}")), put(format!("b/{number:06}")), put("last".into())];
            pending.push((number, store.txn(Txn { checks: Vec::new(), ops })));
            if random().is_multiple_of(3)
                && let Some(error) = self.settle(&mut pending)
            {
                return Some(error);
            }
        }
        self.settle(&mut pending)
    }

    fn settle(&mut self, pending: &mut Vec<(u64, Pending<TxnOutcome>)>) -> Option<StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut refusal = None;
        for (number, outcome) in pending.drain(..) {
            match runtime.block_on(outcome) {
                Ok(_) => self.acknowledged.push(number),
                Err(error) => refusal = Some(error),
            }
        }
        refusal
    }

    fn check(&self, store: &Embedded) {
        let numbers = |prefix: &str| -> Vec<u64> {
            let entries = store.range(prefix, 10_000).unwrap();
            entries.iter().map(|entry| entry.key[2..].parse().unwrap()).collect()
        };
        let present = numbers("a/");
        assert_eq!(present, numbers("b/"), "a transaction is there whole or not at all");
        for number in &self.acknowledged {
            assert!(present.contains(number), "acknowledged and lost: {number}");
        }
        assert_eq!(store.revision(), present.len() as u64);
        assert_eq!(store.changes("", 0).unwrap().len(), present.len() * 3);
        if let Some(newest) = present.last() {
            let last = store.get("last").unwrap().unwrap();
            assert!(last.value.iter().all(|byte| *byte == *newest as u8), "writes are applied in order");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_power_cuts_also_while_recovering(
        seed: u64,
        lives in prop::collection::vec((0..60_u64, prop::collection::vec(0..12_u64, 0..3)), 1..5),
    ) {
        let mut random = numbers(seed);
        let disk = formatted();
        let mut ledger = Ledger::default();
        for (operations, recoveries) in lives {
            // The power fails again and again while the store is opened.
            for operations in recoveries {
                disk.refuse_after(operations, ErrorKind::Other);
                drop(start(&disk));
                disk.cut_power(&mut random);
            }
            let store = start(&disk).unwrap();
            ledger.check(&store);
            disk.refuse_after(operations, ErrorKind::Other);
            ledger.live(&store, &mut random);
            // Not dropped before the cut: a dead process does not tidy up.
            disk.cut_power(&mut random);
            disk.refuse_after(0, ErrorKind::Other);
            drop(store);
            disk.cut_power(&mut random);
        }
        ledger.check(&start(&disk).unwrap());
    }

    #[test]
    fn a_refused_write_stops_writing_for_good_and_reads_go_on(seed: u64, operations in 0..60_u64) {
        let mut random = numbers(seed);
        let disk = formatted();
        let mut ledger = Ledger::default();
        // Without a cache every read goes to the disk.
        let store = start_with_cache(&disk, 0).unwrap();
        ledger.live(&store, &mut random);
        disk.refuse_after(operations, ErrorKind::StorageFull);
        let refusal = (0..16).find_map(|_| ledger.live(&store, &mut random));
        prop_assert!(matches!(refusal, Some(StoreError::DiskFull)), "{:?}", refusal);
        let refused = disk.refused();
        prop_assert!(refused.1 <= 1, "a refused sync is not tried again");
        let refusal = ledger.live(&store, &mut random);
        prop_assert!(matches!(refusal, Some(StoreError::DiskFull)), "{:?}", refusal);
        let entries = store.range("", 10_000).unwrap();
        for number in &ledger.acknowledged {
            let key = format!("a/{number:06}");
            prop_assert!(entries.iter().any(|entry| entry.key == key), "acknowledged, not readable: {}", key);
        }
        drop(store);
        prop_assert_eq!(disk.refused(), refused, "nothing is written after it, nor while closing");
        disk.cut_power(&mut random);
        ledger.check(&start(&disk).unwrap());
    }
}
