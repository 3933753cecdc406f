//! What every store must do, whatever it is made of: the embedded one today, etcd later.
//!
//! One function per property; [`run`] gives each a fresh store.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a suite fails by panicking")]

use std::sync::Arc;

use crate::contract::{Check, Op, Store, Txn};
use crate::error::StoreError;
use crate::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Runs every property on stores made by `make`; the second value is kept alive as long as its store.
///
/// # Panics
/// If a property does not hold.
pub async fn run<G>(make: impl AsyncFn(usize) -> (Arc<dyn Store>, G)) {
    let (store, _guard) = make(0).await;
    a_written_value_is_read_back_with_its_revisions(&*store).await;
    let (store, _guard) = make(1).await;
    a_range_is_ordered_and_bounded(&*store).await;
    let (store, _guard) = make(2).await;
    of_two_writers_with_the_same_check_one_wins(&*store).await;
    let (store, _guard) = make(3).await;
    a_transaction_is_applied_whole_or_not_at_all(&*store).await;
    let (store, _guard) = make(4).await;
    transactions_are_applied_in_the_order_of_calls(&*store).await;
    let (store, _guard) = make(5).await;
    changes_are_complete_and_in_order(&*store).await;
    let (store, _guard) = make(6).await;
    what_is_too_large_is_refused(&*store).await;
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

async fn a_range_is_ordered_and_bounded(store: &dyn Store) {
    for key in ["b/2", "a/1", "b/1", "b", "c"] {
        store.txn(Txn::put(key, Vec::new())).await.unwrap();
    }
    let keys =
        |limit| store.range("b/", limit).unwrap().into_iter().map(|entry| entry.key).collect::<Vec<_>>();
    assert_eq!((keys(10), keys(1)), (vec!["b/1".to_owned(), "b/2".to_owned()], vec!["b/1".to_owned()]));
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

async fn what_is_too_large_is_refused(store: &dyn Store) {
    for txn in
        [Txn::put("k", vec![0; VALUE_BYTES_MAX + 1]), Txn::put("k".repeat(KEY_BYTES_MAX + 1), Vec::new())]
    {
        assert!(matches!(store.txn(txn).await, Err(StoreError::TooLarge { .. })));
    }
    assert_eq!(store.revision(), 0);
}
