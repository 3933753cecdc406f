//! Any directory, through any order and loss of chunks, round by round, and what cannot be carried.
//!
//! Invariant: what arrives is what was there, or nothing does.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt as _, PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A thing in a directory, as tests want it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    Directory(u32),
    File(u32, Vec<u8>),
    Link(String),
}

type Things = BTreeMap<String, Thing>;

fn make(root: &Path, things: &Things) {
    for entry in std::fs::read_dir(root).unwrap().flatten() {
        tree::erase(&entry.path()).unwrap();
    }
    change(root, &Things::new(), things);
}

/// Changes only what differs, in place, as programs do.
fn change(root: &Path, old: &Things, new: &Things) {
    let kind = |thing: &Thing| std::mem::discriminant(thing);
    for (path, thing) in old.iter().rev() {
        if new.get(path).is_none_or(|new| kind(new) != kind(thing)) {
            tree::erase(&root.join(path)).unwrap();
        }
    }
    for (path, thing) in new.iter().filter(|(path, thing)| old.get(*path) != Some(*thing)) {
        let real = root.join(path);
        match thing {
            Thing::Directory(_) => std::fs::create_dir_all(&real).unwrap(),
            Thing::File(_, bytes) => {
                if let Some(Thing::File(..)) = old.get(path) {
                    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o600)).unwrap();
                }
                std::fs::write(&real, bytes).unwrap();
            }
            Thing::Link(target) => {
                tree::erase(&real).unwrap();
                symlink(target, &real).unwrap();
            }
        }
        if let Thing::Directory(mode) | Thing::File(mode, _) = thing {
            std::fs::set_permissions(&real, PermissionsExt::from_mode(*mode)).unwrap();
        }
    }
}

fn seen(root: &Path) -> Things {
    let thing = |(path, found): (String, walk::Found)| {
        let thing = match found {
            walk::Found::Directory { mode } => Thing::Directory(mode),
            walk::Found::File { mode, .. } => Thing::File(mode, std::fs::read(root.join(&path)).unwrap()),
            walk::Found::Link { target } => Thing::Link(target),
        };
        (path, thing)
    };
    walk::walk(root).unwrap().into_iter().map(thing).collect()
}

fn file(bytes: impl Into<Vec<u8>>) -> Thing {
    Thing::File(0o644, bytes.into())
}

fn things(list: &[(&str, Thing)]) -> Things {
    list.iter().map(|(path, thing)| ((*path).to_owned(), thing.clone())).collect()
}

/// Sends a round with this order of chunks; what comes late is dropped with `lose`. Returns how many were sent.
fn round(image: &Image, staging: &mut Staging, order: &[prop::sample::Index], lose: usize) -> usize {
    let layout = image.layout();
    staging.fit(layout.chunk_bytes(), layout.image_bytes()).unwrap();
    let held = staging.held().unwrap();
    let lacking: Vec<u32> = (0..)
        .zip(layout.digests().iter().zip(&held))
        .filter(|(_, (a, b))| a != b)
        .map(|(at, _)| at)
        .collect();
    let repeats = order.iter().filter(|_| !lacking.is_empty()).map(|pick| *pick.get(&lacking));
    let all: Vec<u32> = repeats.chain(lacking.iter().rev().skip(lose).copied()).collect();
    for index in &all {
        let bytes = image.read_chunk(*index).unwrap();
        assert_eq!(digest(&[&bytes]), layout.digests()[*index as usize]);
        staging.write_chunk(*index, &bytes).unwrap();
    }
    lacking.len()
}

#[test]
fn a_second_round_reads_and_sends_only_what_changed() {
    let (dir, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut large = vec![7; 1 << 20];
    large.iter_mut().zip(0u32..).for_each(|(byte, at)| *byte = (at / 1_000) as u8);
    let first =
        things(&[("d", Thing::Directory(0o755)), ("d/large", file(large.clone())), ("small", file("a"))]);
    make(dir.path(), &first);
    let image = Image::scan(dir.path(), None, Reading::Changed).unwrap();
    let mut staging = Staging::open(&work.path().join("incoming-1")).unwrap();
    assert_eq!(round(&image, &mut staging, &[], 0), 66);
    staging.place(image.layout().digests()).unwrap();

    std::fs::File::options()
        .write(true)
        .open(dir.path().join("d/large"))
        .unwrap()
        .write_all_at(b"xy", 40_000)
        .unwrap();
    std::fs::write(dir.path().join("new"), "b").unwrap();
    let second = Image::scan(dir.path(), Some(image.layout()), Reading::Changed).unwrap();
    assert_eq!(second.layout().dirty_bytes(image.layout()), 3 * 16_384, "the table, a chunk of each file");
    assert_eq!(round(&second, &mut staging, &[], 0), 3);
    let target = work.path().join("state");
    staging.commit(second.layout().digests(), &target).unwrap();
    assert_eq!(seen(&target), seen(dir.path()));
    let third = Image::scan(dir.path(), Some(second.layout()), Reading::All).unwrap();
    assert_eq!(
        (third.layout().digests(), third.layout().dirty_bytes(second.layout())),
        (second.layout().digests(), 0)
    );
    assert!(!work.path().join("incoming-1").exists());
}

#[test]
fn a_file_that_changed_within_a_tick_of_the_clock_is_read_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, "1").unwrap();
    let mut image = Image::scan(dir.path(), None, Reading::Changed).unwrap();
    for at in 0..200 {
        std::fs::write(&path, format!("{}", at % 10)).unwrap();
        image = Image::scan(dir.path(), Some(image.layout()), Reading::Changed).unwrap();
        assert_eq!(image.read_chunk(1).unwrap()[0], b'0' + at % 10, "{at}");
    }
}

#[test]
fn a_chunk_of_a_file_that_changed_is_kept_or_refused_never_wrong() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a");
    let bytes: Vec<u8> = (0..KEPT_BYTES_MAX + (1 << 20)).map(|at| (at / 4_096) as u8 | 1).collect();
    std::fs::write(&path, &bytes).unwrap();
    let image = Image::scan(dir.path(), None, Reading::Changed).unwrap();
    std::fs::write(&path, vec![9; bytes.len() / 2]).unwrap();
    let chunks = u32::try_from(image.layout().digests().len()).unwrap();
    let (mut good, mut changed) = (0, 0);
    for index in 0..chunks {
        match image.read_chunk(index) {
            Ok(bytes) => {
                assert_eq!(digest(&[&bytes]), image.layout().digests()[index as usize]);
                good += 1;
            }
            Err(ChunkError::Changed(at)) => {
                assert_eq!(at, index);
                changed += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        good >= KEPT_BYTES_MAX / u64::from(image.layout().chunk_bytes()) && changed > 0,
        "{good} {changed}"
    );
    assert!(matches!(image.read_chunk(chunks), Err(ChunkError::OutOfRange(_))));
    std::fs::remove_file(&path).unwrap();
    assert!((0..chunks).any(|at| matches!(image.read_chunk(at), Err(ChunkError::Changed(_)))));
}

#[test]
fn holes_cost_nothing_and_stay_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let (dir, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sparse = std::fs::File::create(dir.path().join("sparse")).unwrap();
    sparse.set_len(8 << 30).unwrap();
    sparse.write_all_at(b"end", (8 << 30) - 3).unwrap();
    let image = Image::scan(dir.path(), None, Reading::Changed).unwrap();
    let mut staging = Staging::open(work.path()).unwrap();
    assert_eq!(round(&image, &mut staging, &[], 0), 2, "the table and the end");
    staging.commit(image.layout().digests(), &dir.path().join("copy")).unwrap();
    let copy = std::fs::metadata(dir.path().join("copy/sparse")).unwrap();
    assert_eq!(copy.len(), 8 << 30);
    assert!(copy.blocks() * 512 < 4 << 20, "{} blocks", copy.blocks());
}

#[test]
fn an_older_copy_saves_the_way_of_what_it_has() {
    let (dir, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let noise = |seed: u32, chunks: u32| -> Vec<u8> {
        (0..chunks * 512).flat_map(|at| digest(&[&(seed * 100_000 + at).to_le_bytes()])).collect()
    };
    let both = things(&[("a", file(noise(1, 9))), ("b", file(noise(2, 3)))]);
    make(dir.path(), &both);
    let older = work.path().join("older");
    std::fs::create_dir(&older).unwrap();
    // The same content under another name and place.
    make(&older, &things(&[("other", file(noise(9, 1))), ("z", both["a"].clone())]));
    let image = Image::scan(dir.path(), None, Reading::Changed).unwrap();
    let layout = image.layout();
    let mut staging = Staging::open(&work.path().join("incoming")).unwrap();
    staging.fit(layout.chunk_bytes(), layout.image_bytes()).unwrap();
    let mut held = staging.held().unwrap();
    assert_eq!(staging.adopt(&older, layout.digests(), &mut held).unwrap(), 9);
    assert_eq!(held, staging.held().unwrap(), "what is said to be held is in the file");
    assert_eq!(round(&image, &mut staging, &[], 0), 1 + 3);
    staging.commit(layout.digests(), &older).unwrap();
    assert_eq!(seen(&older), both, "the older copy was replaced");
}

#[test]
fn what_cannot_be_carried_is_named() {
    let dir = TempDir::new().unwrap();
    let problem = |name: &str| match Image::scan(dir.path(), None, Reading::Changed) {
        Err(error @ StateError::Entry { .. }) => {
            assert!(error.to_string().contains(name), "{error}");
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        other => panic!("{name}: {other:?}"),
    };
    symlink("/etc/passwd", dir.path().join("absolute")).unwrap();
    problem("absolute");
    symlink("../x", dir.path().join("up")).unwrap();
    problem("up");
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let image = Image::scan(dir.path(), None, Reading::Changed).unwrap();
    assert_eq!(image.layout().content_bytes(), 0, "sockets are left out");
    let missing = Image::scan(&dir.path().join("missing"), None, Reading::Changed);
    assert!(matches!(missing, Err(StateError::Io { .. })));
}

#[test]
fn more_entries_than_may_be_are_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::File::create(dir.path().join("0")).unwrap();
    for at in 1..=ENTRIES_MAX {
        std::fs::hard_link(
            dir.path().join(format!("{}", (at - 1) / 1_000 * 1_000)),
            dir.path().join(format!("{at}")),
        )
        .unwrap_or_else(|_| {
            std::fs::File::create(dir.path().join(format!("{at}"))).unwrap();
        });
    }
    assert!(matches!(Image::scan(dir.path(), None, Reading::Changed), Err(StateError::TooLarge { .. })));
}

#[test]
fn an_image_that_lies_touches_nothing_outside() {
    let work = TempDir::new().unwrap();
    let victim = work.path().join("victim");
    std::fs::write(&victim, "whole").unwrap();
    let link = |target: &str| table::Entry::Link { target: target.into() };
    let file = table::Entry::File { mode: 0o644, length: 1, region: table::Region { start: 1, chunks: 1 } };
    for entries in [
        vec![("../victim", file.clone())],
        vec![("/tmp/victim", file.clone())],
        vec![("l", link("..")), ("l/victim", file.clone())],
        vec![("l", link("../.."))],
        vec![("d/../../victim", file.clone())],
    ] {
        let entries: table::Table =
            entries.into_iter().map(|(path, entry)| (path.to_owned(), entry)).collect();
        let bytes = table::encode(&entries).unwrap();
        let mut image = table::head(4_096, 0, u32::try_from(bytes.len()).unwrap()).to_vec();
        image.extend(bytes);
        image.resize(4_096, 0);
        let mut staging = Staging::open(&work.path().join("incoming")).unwrap();
        staging.fit(4_096, 8_192).unwrap();
        staging.write_chunk(0, &image).unwrap();
        staging.write_chunk(1, &[1; 4_096]).unwrap();
        let digests = staging.held().unwrap();
        assert!(staging.commit(&digests, &work.path().join("state")).is_err(), "{entries:?}");
        assert_eq!(std::fs::read(&victim).unwrap(), b"whole");
        assert!(!work.path().join("state").exists());
    }
    let mut staging = Staging::open(&work.path().join("incoming")).unwrap();
    for (chunk_bytes, image_bytes) in
        [(0, 0), (4_096, 0), (4_096, 4_097), (1 << 21, 1 << 21), (4_096, 4_096 << 19)]
    {
        assert!(staging.fit(chunk_bytes, image_bytes).is_err(), "{chunk_bytes} {image_bytes}");
    }
    staging.fit(4_096, 4_096).unwrap();
    assert!(staging.write_chunk(1, &[0; 4_096]).is_err() && staging.write_chunk(0, &[0; 4_095]).is_err());
    assert!(staging.commit(&[], &work.path().join("state")).is_err(), "an image of zeros is none");
}

fn any_things() -> impl Strategy<Value = Things> {
    let bytes = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 1..100),
        (1usize..70_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        (1usize..70_000, any::<u32>()).prop_map(|(length, seed)| {
            let parts =
                (0..length as u32 / 32 + 1).flat_map(|at| digest(&[&seed.to_le_bytes(), &at.to_le_bytes()]));
            parts.take(length).collect()
        }),
    ];
    let thing = prop_oneof![
        4 => (prop::sample::select(vec![0o644, 0o600, 0o755, 0o444]), bytes).prop_map(|(mode, bytes)| Thing::File(mode, bytes)),
        2 => prop::sample::select(vec![0o755, 0o700]).prop_map(Thing::Directory),
        1 => prop::sample::select(vec!["a", "missing", "./b/c"]).prop_map(|target| Thing::Link(target.into())),
    ];
    let name = prop::sample::select(vec!["a", "b", "c", "d d", "ä"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    prop::collection::btree_map(path, thing, 0..10).prop_map(|things| {
        // Only what has a directory to be in.
        let mut kept = Things::new();
        for (path, thing) in things {
            let fits = path::parent(&path)
                .is_none_or(|parent| matches!(kept.get(parent), Some(Thing::Directory(_))));
            if fits {
                kept.insert(path, thing);
            }
        }
        kept
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_directory_arrives_whatever_happens_to_chunks_and_between_rounds(
        states in prop::collection::vec(any_things(), 1..4),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        lose in 0usize..4,
        crash in any::<bool>(),
    ) {
        let (dir, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (incoming, target) = (work.path().join("incoming"), work.path().join("state"));
        std::fs::create_dir(&target).unwrap();
        std::fs::write(target.join("old"), "old").unwrap();
        let mut staging = Staging::open(&incoming).unwrap();
        let (mut layout, mut before) = (None::<Layout>, Things::new());
        for things in &states {
            change(dir.path(), &before, things);
            before = things.clone();
            prop_assert_eq!(&seen(dir.path()), things);
            let image = Image::scan(dir.path(), layout.as_ref(), Reading::Changed).unwrap();
            round(&image, &mut staging, &order, lose);
            if crash {
                staging = Staging::open(&incoming).unwrap();
            }
            prop_assert!(round(&image, &mut staging, &[], 0) <= lose, "a resumed round sends what was lost");
            prop_assert_eq!(staging.held().unwrap(), image.layout().digests());
            staging.place(image.layout().digests()).unwrap();
            layout = Some(image.layout().clone());
        }
        staging.commit(layout.unwrap().digests(), &target).unwrap();
        prop_assert_eq!(&seen(&target), states.last().unwrap());
    }
}

fn send(copy: &mut SecondCopy, version: Version, image: &Image, older: Option<&Layout>) -> usize {
    let part = if older.is_some() { Part::Change } else { Part::Whole };
    let mut deltas: Vec<Delta> = Differences::new(image, older).map(Result::unwrap).collect();
    if deltas.is_empty() {
        deltas.push(Delta::default());
    }
    let count = deltas.len();
    let mut bytes = 0;
    for (at, delta) in deltas.iter().enumerate() {
        assert_eq!(copy.write(version, part, at as u32, at + 1 == count, delta).unwrap(), at + 1 == count);
        bytes += delta
            .changes
            .iter()
            .map(|(_, change)| if let Change::File { bytes, .. } = change { bytes.len() } else { 0 })
            .sum::<usize>();
    }
    bytes
}

fn version(number: u64) -> Version {
    Version { epoch: 3, number }
}

#[test]
fn a_second_copy_gets_only_what_changed_and_takes_it_once() {
    let (dir, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = things(&[
        ("d", Thing::Directory(0o755)),
        ("d/large", file(vec![1; 3 << 20])),
        ("gone", file("x")),
        ("l", Thing::Link("d".into())),
    ]);
    make(dir.path(), &first);
    let image = Image::scan(dir.path(), None, Reading::All).unwrap();
    let mut copy = SecondCopy::open(work.path()).unwrap();
    let nothing = Delta::default();
    assert!(matches!(copy.write(version(1), Part::Change, 0, true, &nothing), Err(Refused::Missing)));
    assert_eq!(send(&mut copy, version(1), &image, None), (3 << 20) + 1);
    let mut second = first.clone();
    second.remove("gone");
    let mut large = vec![1; 3 << 20];
    large[70_000] = 2;
    second.insert("d/large".into(), file(large));
    change(dir.path(), &first, &second);
    let next = Image::scan(dir.path(), Some(image.layout()), Reading::All).unwrap();
    assert_eq!(send(&mut copy, version(2), &next, Some(image.layout())), 16_384);
    assert!(matches!(copy.write(version(2), Part::Change, 0, true, &nothing), Err(Refused::Stale(_))));
    assert!(matches!(
        copy.write(Version { epoch: 2, number: 9 }, Part::Whole, 0, true, &nothing),
        Err(Refused::Stale(_))
    ));
    assert_eq!(seen(&copy.files().unwrap()), second);
    let place = TempDir::new().unwrap();
    let target = place.path().join("state");
    std::fs::create_dir(&target).unwrap();
    assert_eq!(copy.take(&target).unwrap(), version(2));
    assert_eq!(seen(&target), second);
}

#[test]
fn what_leaves_the_copy_is_refused_and_changes_nothing() {
    let work = TempDir::new().unwrap();
    let mut copy = SecondCopy::open(work.path()).unwrap();
    let small = |offset, length| Change::File { mode: 0o644, offset, bytes: vec![1], length };
    let delta = |path: &str, change: Change| Delta { changes: vec![(path.into(), change)] };
    copy.write(version(1), Part::Whole, 0, true, &delta("a", small(0, 1))).unwrap();
    for wrong in [
        delta("../x", small(0, 1)),
        delta("/x", small(0, 1)),
        delta("x", Change::Link { target: "/etc".into() }),
        delta("x", small(1, 1)),
        delta("x", small(u64::MAX, 1)),
        delta("x", small(0, u64::MAX)),
        delta("x", Change::File { mode: 0, offset: 0, bytes: vec![0; DELTA_BYTES_MAX + 1], length: 1 << 30 }),
    ] {
        assert!(copy.write(version(2), Part::Change, 0, true, &wrong).is_err());
        assert!(copy.write(version(2), Part::Whole, 0, true, &wrong).is_err());
    }
    assert_eq!(copy.version(), Some(version(1)));
    assert_eq!(seen(&copy.files().unwrap()), things(&[("a", file([1]))]));
}

#[test]
fn a_version_that_does_not_fit_the_log_is_refused_and_the_log_is_settled_when_full() {
    let work = TempDir::new().unwrap();
    let mut copy = SecondCopy::open(work.path()).unwrap();
    copy.write(version(1), Part::Whole, 0, true, &Delta::default()).unwrap();
    let part = |byte| Delta {
        changes: vec![(
            "a".into(),
            Change::File { mode: 0o644, offset: 0, bytes: vec![byte; 1 << 20], length: 1 << 20 },
        )],
    };
    for number in 2..70 {
        copy.write(version(number), Part::Change, 0, true, &part(number as u8)).unwrap();
    }
    assert!(
        std::fs::metadata(work.path().join("log")).unwrap().len() < 10 << 20,
        "it was settled in between"
    );
    let refused = (0..70).find_map(|at| copy.write(version(70), Part::Change, at, false, &part(0)).err());
    assert!(matches!(refused, Some(Refused::TooLarge)));
    assert!(matches!(copy.write(version(70), Part::Change, 3, true, &part(0)), Err(Refused::Gap(3))));
    assert_eq!(copy.version(), Some(version(69)));
    assert_eq!(seen(&copy.files().unwrap()), things(&[("a", file(vec![69; 1 << 20]))]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whenever_the_process_is_killed_a_second_copy_is_one_whole_version(
        states in prop::collection::vec(any_things(), 2..5),
        cut in any::<prop::sample::Index>(),
        settle_at in any::<prop::sample::Index>(),
        half_applied in any::<bool>(),
    ) {
        let (dir, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut copy = SecondCopy::open(work.path()).unwrap();
        let (mut layout, mut before) = (None::<Layout>, Things::new());
        let mut ends = vec![0];
        let settle_at = settle_at.index(states.len());
        for (number, things) in states.iter().enumerate() {
            change(dir.path(), &before, things);
            before = things.clone();
            let image = Image::scan(dir.path(), layout.as_ref(), Reading::All).unwrap();
            send(&mut copy, version(number as u64), &image, layout.as_ref());
            layout = Some(image.layout().clone());
            if number == settle_at {
                copy.settle().unwrap();
                ends = vec![0];
            } else {
                ends.push(std::fs::metadata(work.path().join("log")).unwrap().len());
            }
        }
        // The log as a kill in the middle of a write leaves it.
        let log = work.path().join("log");
        let bytes = std::fs::read(&log).unwrap();
        let kept = cut.index(bytes.len() + 1);
        drop(copy);
        std::fs::write(&log, &bytes[..kept]).unwrap();
        if half_applied {
            // Applied, but not marked: the log is applied once more.
            let marker = std::fs::read(work.path().join("marker")).unwrap();
            SecondCopy::open(work.path()).unwrap();
            std::fs::write(work.path().join("marker"), marker).unwrap();
            std::fs::write(&log, &bytes[..kept]).unwrap();
        }
        let mut copy = SecondCopy::open(work.path()).unwrap();
        let complete = ends.iter().filter(|end| **end <= kept as u64 && **end > 0).count();
        let first_in_log = states.len() - ends.iter().filter(|end| **end > 0).count();
        let expected = first_in_log + complete - 1;
        prop_assert_eq!(copy.version(), Some(version(expected as u64)));
        prop_assert_eq!(&seen(&copy.files().unwrap()), &states[expected]);
    }
}
