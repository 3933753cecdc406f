//! The suite, and what only the embedded store promises.

use std::sync::Mutex;

use super::*;

fn open(dir: &tempfile::TempDir) -> Embedded {
    Embedded::open(dir.path()).unwrap()
}

#[tokio::test]
async fn the_suite_holds() {
    crate::suite::run(async |_round| {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(open(&dir));
        (store, dir)
    })
    .await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3_u32 {
        let store = open(&dir);
        assert_eq!((store.boot(), store.revision()), (round, u64::from(round) - 1));
        assert_eq!(store.range("k", 100).unwrap().len(), round as usize - 1);
        store.txn(Txn::put(format!("k{round}"), vec![1])).await.unwrap();
        assert_eq!(store.revision(), u64::from(round));
    }
    assert_eq!(open(&dir).changes("", 0).unwrap().len(), 3);
}

#[tokio::test]
async fn dropping_the_store_commits_what_is_queued_and_ends_its_watches() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let mut watch = store.watch("", 0).unwrap();
    let pending: Vec<_> = (0..100).map(|key| store.txn(Txn::put(format!("{key}"), Vec::new()))).collect();
    drop(store);
    assert!(matches!(watch.next().await, Err(StoreError::Closed)));
    for outcome in pending {
        assert!(outcome.await.unwrap().applied);
    }
    assert_eq!(open(&dir).range("", 1_000).unwrap().len(), 100);
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(&dir);
    let error = Embedded::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let set = |format| {
        let store = open(&dir);
        let write = store.shared.database().begin_write().unwrap();
        write.open_table(META).unwrap().insert(META_FORMAT, format).unwrap();
        write.commit().unwrap();
    };
    set(FORMAT + 1);
    for _ in 0..2 {
        let error = Embedded::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::NewerFormat { found: 2, known: FORMAT }), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_entry_is_named_and_the_others_still_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for key in ["a", "b"] {
        store.txn(Txn::put(key, vec![1])).await.unwrap();
    }
    let write = store.shared.database().begin_write().unwrap();
    write.open_table(ENTRIES).unwrap().insert("a", [0_u8; 60].as_slice()).unwrap();
    write.commit().unwrap();
    let corrupt = |error| matches!(error, StoreError::Corrupt { key } if key == "a");
    assert!(corrupt(store.get("a").unwrap_err()));
    let both =
        Txn { checks: Vec::new(), ops: vec![Op::Put("b".into(), vec![2]), Op::Put("a".into(), vec![2])] };
    let (refused, good) = (store.txn(both), store.txn(Txn::put("c", vec![3])));
    assert!(corrupt(refused.await.unwrap_err()));
    assert!(good.await.unwrap().applied);
    assert_eq!(store.get("b").unwrap().unwrap().value, [1]);
    store.txn(Txn::delete("a")).await.unwrap();
    assert_eq!(store.range("", 10).unwrap().len(), 2);
}

#[tokio::test]
async fn history_is_bounded_by_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let writes = crate::HISTORY_REVISIONS + 50;
    let pending: Vec<_> = (0..writes).map(|_| store.txn(Txn::put("k", Vec::new()))).collect();
    for outcome in pending {
        outcome.await.unwrap();
    }
    assert!(matches!(store.changes("", 49), Err(StoreError::Compacted { oldest: 50, .. })));
    assert_eq!(store.changes("", 50).unwrap().len() as u64, crate::HISTORY_REVISIONS);
}

#[tokio::test]
async fn history_is_bounded_by_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let writes = crate::HISTORY_BYTES_MAX / VALUE_BYTES_MAX as u64 + 6;
    for _ in 0..writes {
        store.txn(Txn::put("k", vec![0; VALUE_BYTES_MAX])).await.unwrap();
    }
    let error = store.changes("", 0).unwrap_err();
    let StoreError::Compacted { oldest, .. } = error else { panic!("{error}") };
    let kept: u64 = store
        .changes("", oldest)
        .unwrap()
        .iter()
        .map(|event| event.value.as_ref().unwrap().len() as u64)
        .sum();
    assert!((crate::HISTORY_BYTES_MAX / 2..=crate::HISTORY_BYTES_MAX).contains(&kept), "{kept}");
}

#[test]
fn a_full_queue_is_told_to_the_caller() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let _reserved = store.shared.queued_bytes.fetch_add(QUEUE_BYTES_MAX + 1, Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(store.txn(Txn::put("k", vec![1])));
    assert!(matches!(refused, Err(StoreError::Busy)));
    store.shared.queued_bytes.fetch_sub(QUEUE_BYTES_MAX + 1, Ordering::Relaxed);
    assert!(runtime.block_on(store.txn(Txn::put("k", vec![1]))).unwrap().applied);
}

#[tokio::test]
async fn a_lease_ends_by_the_given_clock_and_a_restart_renews_it() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(Mutex::new(Duration::ZERO));
    let clock: MonotonicClock = {
        let now = Arc::clone(&now);
        Arc::new(move || *now.lock().unwrap())
    };
    let advance = |ms| *now.lock().unwrap() += Duration::from_millis(ms);
    let reopen = || Embedded::open_with_clock(dir.path(), Arc::clone(&clock)).unwrap();
    let store = reopen();
    let lease = store.grant_lease(1_000).await.unwrap();
    let put = Txn { checks: Vec::new(), ops: vec![Op::PutLeased("k".into(), vec![1], lease)] };
    store.txn(put).await.unwrap();
    advance(900);
    assert!(store.keep_alive(lease).await.unwrap());
    advance(900);
    assert!(store.keep_alive(lease).await.unwrap(), "kept alive in time");
    advance(900);
    drop(store);
    let store = reopen();
    advance(900);
    assert!(store.keep_alive(lease).await.unwrap(), "renewed by the restart");
    let mut watch = store.watch("k", 1).unwrap();
    advance(1_000);
    let events = watch.next().await.unwrap();
    assert_eq!(events, [WatchEvent { revision: 2, key: "k".into(), value: None }]);
    assert!(!store.keep_alive(lease).await.unwrap());
}
