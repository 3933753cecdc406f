//! What every store must do, whatever it is made of: the embedded one today, etcd later.
//!
//! fresh store -> one property -> nothing, or a panic that names the property
//!
//! Invariant: a property uses the contract only, waits for events and never for time. What only one implementation promises
//! (files, recovery, clocks) is tested beside it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a suite fails by panicking")]

use std::sync::Arc;

use crate::contract::{Check, Entry, LeaseId, Op, Store, Txn, TxnOutcome, WatchEvent};
use crate::error::StoreError;
use crate::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Longer than a test.
const HOUR_MS: u64 = 3_600_000;

/// Runs every property on stores made by `make`; the second value is kept alive as long as its store.
///
/// # Panics
/// If a property does not hold.
pub async fn run<G>(make: impl AsyncFn(usize) -> (Arc<dyn Store>, G)) {
    macro_rules! properties {
        ($($property:ident),* $(,)?) => {{
            let mut round = 0;
            $(
                let (store, _guard) = make(round).await;
                $property(&*store).await;
                round += 1;
            )*
            round
        }};
    }
    let properties = properties!(
        a_written_value_is_read_back_with_its_revisions,
        a_range_is_ordered_bounded_and_can_be_paged,
        of_two_writers_with_the_same_check_one_wins,
        every_kind_of_check_decides,
        a_transaction_is_applied_whole_or_not_at_all,
        transactions_are_applied_in_the_order_of_calls,
        a_transaction_without_effect_does_not_move_the_revision,
        changes_are_complete_and_in_order,
        a_watch_sees_every_change_once_whatever_its_start,
        what_is_compacted_is_refused_and_the_rest_is_kept,
        a_revoked_lease_takes_its_keys_in_one_revision,
        a_lease_that_is_not_kept_alive_ends,
        a_key_written_again_without_its_lease_outlives_it,
        what_is_too_large_is_refused,
    );
    tracing::debug!(properties, "the suite holds");
}

async fn a_written_value_is_read_back_with_its_revisions(store: &dyn Store) {
    assert_eq!(store.get("a").unwrap(), None);
    store.txn(Txn::put("a", b"1".to_vec())).await.unwrap();
    store.txn(Txn::put("a", b"2".to_vec())).await.unwrap();
    let entry = store.get("a").unwrap().unwrap();
    assert_eq!((entry.value.as_slice(), entry.create_revision, entry.mod_revision), (b"2".as_slice(), 1, 2));
    store.txn(Txn::delete("a")).await.unwrap();
    assert_eq!((store.get("a").unwrap(), store.revision()), (None, 3));
}

async fn a_range_is_ordered_bounded_and_can_be_paged(store: &dyn Store) {
    for key in ["b/2", "a/1", "b/1", "b", "c", "b/3"] {
        store.txn(Txn::put(key, Vec::new())).await.unwrap();
    }
    let keys = |page: Result<Vec<Entry>, StoreError>| {
        page.unwrap().into_iter().map(|entry| entry.key).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(store.range("b/", 10)), "b/1 b/2 b/3");
    assert_eq!(keys(store.range("b/", 2)), "b/1 b/2");
    assert_eq!(keys(store.range_after("b/", "b/2", 2)), "b/3");
    assert_eq!(keys(store.range_after("b/", "b/3", 2)), "");
    assert_eq!(keys(store.range_after("b/", "a", 2)), "b/1 b/2");
    assert_eq!(keys(store.range("", 0)), "");
}

async fn of_two_writers_with_the_same_check_one_wins(store: &dyn Store) {
    let claim = |value: u8| Txn {
        checks: vec![Check::Absent("x".into())],
        ops: vec![Op::Put("x".into(), vec![value])],
    };
    let (first, second) = (store.txn(claim(1)), store.txn(claim(2)));
    assert_eq!((second.await.unwrap().applied, first.await.unwrap().applied), (false, true));
    let stale = Txn { checks: vec![Check::ModRevision("x".into(), 99)], ops: vec![Op::Delete("x".into())] };
    assert!(!store.txn(stale).await.unwrap().applied);
    let fresh =
        Txn { checks: vec![Check::ModRevision("x".into(), 1)], ops: vec![Op::Put("x".into(), vec![3])] };
    assert!(store.txn(fresh).await.unwrap().applied);
}

async fn every_kind_of_check_decides(store: &dyn Store) {
    let key = || "k".to_owned();
    let applied = async |check| {
        store.txn(Txn { checks: vec![check], ops: vec![Op::Put(key(), vec![1])] }).await.unwrap().applied
    };
    assert!(!applied(Check::Exists(key())).await);
    assert!(!applied(Check::Version(key(), 0)).await);
    assert!(!applied(Check::Value(key(), Vec::new())).await);
    assert!(applied(Check::Absent(key())).await);
    assert!(applied(Check::Exists(key())).await);
    assert!(applied(Check::Version(key(), 2)).await);
    assert!(applied(Check::Value(key(), vec![1])).await);
    assert!(applied(Check::ModRevision(key(), 4)).await);
    for refused in [
        Check::Absent(key()),
        Check::Version(key(), 4),
        Check::Value(key(), vec![2]),
        Check::ModRevision(key(), 4),
    ] {
        assert!(!applied(refused).await);
    }
    assert_eq!(store.get("k").unwrap().unwrap().version, 5);
}

async fn a_transaction_is_applied_whole_or_not_at_all(store: &dyn Store) {
    let ops = vec![Op::Put("p".into(), vec![1]), Op::Put("q".into(), vec![2])];
    let refused = Txn { checks: vec![Check::ModRevision("p".into(), 1)], ops: ops.clone() };
    assert!(!store.txn(refused).await.unwrap().applied);
    assert_eq!(store.range("", 10).unwrap(), []);
    store.txn(Txn { checks: Vec::new(), ops }).await.unwrap();
    assert_eq!(
        store.range("", 10).unwrap().iter().map(|entry| entry.mod_revision).collect::<Vec<_>>(),
        [1, 1]
    );
}

async fn transactions_are_applied_in_the_order_of_calls(store: &dyn Store) {
    let pending: Vec<_> = (0..200_u8).map(|value| store.txn(Txn::put("last", vec![value]))).collect();
    for (waiting, revision) in pending.into_iter().zip(1..) {
        assert_eq!(waiting.await.unwrap().revision, revision);
    }
    assert_eq!(store.get("last").unwrap().unwrap().value, [199]);
}

async fn a_transaction_without_effect_does_not_move_the_revision(store: &dyn Store) {
    store.txn(Txn::put("a", Vec::new())).await.unwrap();
    for txn in [Txn::default(), Txn::delete("missing")] {
        assert_eq!(store.txn(txn).await.unwrap(), TxnOutcome { applied: true, revision: 1 });
    }
    let refused = Txn { checks: vec![Check::Absent("a".into())], ops: vec![Op::Delete("a".into())] };
    assert_eq!(store.txn(refused).await.unwrap(), TxnOutcome { applied: false, revision: 1 });
    assert_eq!(store.revision(), 1);
}

async fn changes_are_complete_and_in_order(store: &dyn Store) {
    for (key, value) in [("w/1", 1), ("other", 0), ("w/2", 2), ("w/1", 3)] {
        store.txn(Txn::put(key, vec![value])).await.unwrap();
    }
    store.txn(Txn::delete("w/2")).await.unwrap();
    let events = store.changes("w/", 1).unwrap();
    let seen: Vec<_> =
        events.iter().map(|event| (event.revision, event.key.as_str(), event.value.is_some())).collect();
    assert_eq!(seen, [(3, "w/2", true), (4, "w/1", true), (5, "w/2", false)]);
}

async fn a_watch_sees_every_change_once_whatever_its_start(store: &dyn Store) {
    let write = async |value: u8| {
        let ops = vec![Op::Put("w/a".into(), vec![value]), Op::Put("w/b".into(), vec![value])];
        store.txn(Txn { checks: Vec::new(), ops }).await.unwrap();
        store.txn(Txn::put("other", vec![value])).await.unwrap();
    };
    for value in 0..10 {
        write(value).await;
    }
    let mut early = store.watch("w/", 0).unwrap();
    let mut late = store.watch("w/", 2 * 7).unwrap();
    for value in 10..20 {
        write(value).await;
    }
    for (watch, first) in [(&mut early, 0), (&mut late, 7)] {
        for value in first..20_u8 {
            let events = watch.next().await.unwrap();
            let revision = 2 * u64::from(value) + 1;
            let event = |key: &str| WatchEvent { revision, key: key.into(), value: Some(vec![value]) };
            assert_eq!(events, [event("w/a"), event("w/b")]);
        }
    }
    store.txn(Txn::delete("w/a")).await.unwrap();
    let removed = WatchEvent { revision: 41, key: "w/a".into(), value: None };
    assert_eq!(late.next().await.unwrap(), [removed]);
}

async fn what_is_compacted_is_refused_and_the_rest_is_kept(store: &dyn Store) {
    for value in 0..5 {
        store.txn(Txn::put("k", vec![value])).await.unwrap();
    }
    let mut behind = store.watch("k", 2).unwrap();
    store.compact(3).await.unwrap();
    for refused in
        [store.changes("k", 2).map(|_| ()), store.watch("k", 2).map(|_| ()), behind.next().await.map(|_| ())]
    {
        assert!(matches!(refused, Err(StoreError::Compacted { wanted: 2, oldest: 3 })), "{refused:?}");
    }
    let kept: Vec<_> = store.changes("k", 3).unwrap().iter().map(|event| event.revision).collect();
    assert_eq!(kept, [4, 5]);
    assert_eq!(store.get("k").unwrap().unwrap().value, [4]);
}

/// A lease that ends only when told to, with two keys.
async fn leased_pair(store: &dyn Store, ttl_ms: u64) -> LeaseId {
    let lease = store.grant_lease(ttl_ms).await.unwrap();
    let put = |key: &str| Op::PutLeased(key.into(), vec![1], lease);
    store.txn(Txn { checks: Vec::new(), ops: vec![put("l/a"), put("l/b")] }).await.unwrap();
    lease
}

async fn a_revoked_lease_takes_its_keys_in_one_revision(store: &dyn Store) {
    let lease = leased_pair(store, HOUR_MS).await;
    assert_eq!(store.get("l/a").unwrap().unwrap().lease, Some(lease));
    assert!(store.keep_alive(lease).await.unwrap());
    assert_eq!(store.revoke_lease(lease).await.unwrap(), TxnOutcome { applied: true, revision: 2 });
    assert_eq!(store.range("l/", 10).unwrap(), []);
    assert!(!store.keep_alive(lease).await.unwrap());
    assert!(!store.revoke_lease(lease).await.unwrap().applied);
    let late = store.txn(Txn { checks: Vec::new(), ops: vec![Op::PutLeased("l/a".into(), vec![1], lease)] });
    assert!(matches!(late.await, Err(StoreError::LeaseEnded { .. })));
}

async fn a_lease_that_is_not_kept_alive_ends(store: &dyn Store) {
    let other = leased_pair(store, HOUR_MS).await;
    let short = store.grant_lease(20).await.unwrap();
    // The lease may have ended before the write; both are what the contract says.
    let put = Txn { checks: Vec::new(), ops: vec![Op::PutLeased("s".into(), vec![1], short)] };
    if store.txn(put).await.is_ok() {
        let mut watch =
            store.watch("s", store.get("s").unwrap().map_or(1, |entry| entry.mod_revision)).unwrap();
        if store.get("s").unwrap().is_some() {
            assert_eq!(watch.next().await.unwrap()[0].value, None);
        }
    }
    assert_eq!(store.get("s").unwrap(), None);
    assert!(store.keep_alive(other).await.unwrap());
    assert_eq!(store.range("l/", 10).unwrap().len(), 2);
}

async fn a_key_written_again_without_its_lease_outlives_it(store: &dyn Store) {
    let lease = leased_pair(store, HOUR_MS).await;
    store.txn(Txn::put("l/a", vec![2])).await.unwrap();
    store.revoke_lease(lease).await.unwrap();
    let left: Vec<_> =
        store.range("l/", 10).unwrap().into_iter().map(|entry| (entry.key, entry.lease)).collect();
    assert_eq!(left, [("l/a".to_owned(), None)]);
}

async fn what_is_too_large_is_refused(store: &dyn Store) {
    for txn in
        [Txn::put("k", vec![0; VALUE_BYTES_MAX + 1]), Txn::put("k".repeat(KEY_BYTES_MAX + 1), Vec::new())]
    {
        assert!(matches!(store.txn(txn).await, Err(StoreError::TooLarge { .. })));
    }
    assert_eq!(store.revision(), 0);
}
