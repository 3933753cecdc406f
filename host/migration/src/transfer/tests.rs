//! Rounds of copying over a connection that loses, repeats, cuts and corrupts.
//!
//! Invariant: whatever the connection does, the target never holds a chunk that differs from the manifest,
//! and a round ends complete or failed. The hash function is a weak one of this test; only its changing with
//! the bytes matters.

use pilothouse_core::time::Now;
use proptest::prelude::*;

use super::*;

const CHUNK: u32 = CHUNK_BYTES_MIN;
const MIGRATION: MigrationId = MigrationId(4);

struct Weak;

impl Digester for Weak {
    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut sum = [0xcbf2_9ce4_8422_2325u64; 4];
        for (at, byte) in parts.iter().flat_map(|part| part.iter()).enumerate() {
            let lane = &mut sum[at % 4];
            *lane = (*lane ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(7);
        }
        let mut bytes = [0; 32];
        sum.iter().zip(bytes.chunks_mut(8)).for_each(|(lane, out)| out.copy_from_slice(&lane.to_le_bytes()));
        bytes
    }
}

fn manifest(round: u32, state: &[u8]) -> Manifest {
    let digests = state.chunks(CHUNK as usize).map(|chunk| ChunkDigest(Weak.digest(&[chunk]))).collect();
    Manifest::new(MIGRATION, round, state.len() as u64, CHUNK, digests).unwrap()
}

fn bytes_of(state: &[u8], index: u32) -> &[u8] {
    state.chunks(CHUNK as usize).nth(index as usize).unwrap()
}

fn header(round: u32, index: u32) -> ChunkHeader {
    ChunkHeader { key: ChunkKey { migration: MIGRATION, round, index }, compressed: false }
}

fn state(chunks: usize, seed: u8) -> Vec<u8> {
    (0..chunks * CHUNK as usize - 100).map(|at| (at / 97) as u8 ^ seed).collect()
}

fn ranges(pairs: &[(u32, u32)]) -> Vec<std::ops::Range<u32>> {
    pairs.iter().map(|(start, end)| *start..*end).collect()
}

/// What the connection does with one chunk.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Arrives,
    Lost,
    Twice,
    Corrupt,
    Truncated,
    WriteFails,
    Breaks,
}

/// Runs a round; returns how many chunks went over the wire.
fn run(
    sender: (Sender, Vec<Command>),
    receiver: &mut Receiver,
    state: &[u8],
    luck: &mut impl Iterator<Item = Luck>,
) -> (SenderState, u32) {
    let (mut sender, mut commands) = sender;
    let (mut now, mut chunks) = (Now(0), 0);
    while matches!(sender.state(), SenderState::Offering | SenderState::Sending) {
        let mut events = Vec::new();
        for command in std::mem::take(&mut commands) {
            match command {
                Command::OfferManifest => {
                    let wanted = receiver.open(sender.manifest().clone()).unwrap();
                    events.push(Event::Wanted(sender.manifest().round(), wanted));
                }
                Command::SendChunk(key) => {
                    chunks += 1;
                    deliver(key, receiver, state, luck.next().unwrap_or(Luck::Arrives), &mut events);
                }
                Command::Complete | Command::Fail => {}
            }
        }
        if events.is_empty() {
            now = sender.next_deadline().unwrap();
            events.push(Event::Tick);
        }
        commands = events.into_iter().flat_map(|event| sender.step(event, now)).collect();
        assert!(sender.next_deadline().is_none_or(|at| at > now), "no deadline stays in the past");
    }
    (sender.state(), chunks)
}

fn deliver(key: ChunkKey, receiver: &mut Receiver, state: &[u8], luck: Luck, events: &mut Vec<Event>) {
    let good = bytes_of(state, key.index);
    let mut bytes = good.to_vec();
    match luck {
        Luck::Lost => return,
        Luck::Breaks => return events.push(Event::Reconnected),
        Luck::Corrupt => bytes[0] ^= 1,
        Luck::Truncated => bytes.truncate(bytes.len() - 1),
        Luck::Arrives | Luck::Twice | Luck::WriteFails => {}
    }
    for _ in 0..if matches!(luck, Luck::Twice) { 2 } else { 1 } {
        let header = ChunkHeader { key, compressed: false };
        match receiver.offer(header, &bytes, &Weak) {
            Ok(Accepted::Write { offset_bytes }) => {
                assert_eq!(offset_bytes, u64::from(key.index) * u64::from(CHUNK));
                assert_eq!(bytes, good, "only what the manifest names is written");
                if receiver.written(key, !matches!(luck, Luck::WriteFails)) {
                    events.push(Event::Acknowledged(key));
                }
            }
            Ok(Accepted::Held) => events.push(Event::Acknowledged(key)),
            Ok(Accepted::Writing) => {}
            Err(_) => events.push(Event::Refused(key)),
        }
    }
}

fn begin(round: u32, state: &[u8]) -> (Sender, Vec<Command>) {
    Sender::begin(manifest(round, state), Window { chunks: 4, ..Window::default() }, Now(0))
}

#[test]
fn a_second_round_sends_only_what_changed_and_both_ends_have_one_digest() {
    let mut receiver = Receiver::new(MIGRATION, 1 << 20);
    let mut bytes = state(10, 7);
    let sure = &mut std::iter::empty();
    assert_eq!(run(begin(1, &bytes), &mut receiver, &bytes, sure), (SenderState::Complete, 10));
    bytes[5] ^= 1;
    bytes[9 * CHUNK as usize] ^= 1;
    assert_eq!(run(begin(2, &bytes), &mut receiver, &bytes, sure), (SenderState::Complete, 2));
    assert_eq!(receiver.complete(&Weak), Some(manifest(2, &bytes).state_digest(&Weak)));
}

#[test]
fn a_state_may_grow_shrink_and_be_empty() {
    let mut receiver = Receiver::new(MIGRATION, 1 << 20);
    let (small, large) = (state(3, 1), state(6, 1));
    let sure = &mut std::iter::empty();
    // The short last chunk of the small state changes when the state grows.
    for (round, bytes, chunks) in
        [(1, &small[..], 3), (2, &large, 4), (3, &small, 1), (4, &[], 0), (5, &small, 3)]
    {
        assert_eq!(run(begin(round, bytes), &mut receiver, bytes, sure), (SenderState::Complete, chunks));
        assert_eq!(receiver.complete(&Weak), Some(manifest(round, bytes).state_digest(&Weak)), "{round}");
    }
}

#[test]
fn a_target_that_restarts_gets_only_what_it_lost() {
    let bytes = state(8, 3);
    let digests = manifest(1, &bytes).digests()[..5].to_vec();
    let mut receiver = Receiver::resumed(MIGRATION, 1 << 20, CHUNK, digests);
    assert_eq!(
        run(begin(1, &bytes), &mut receiver, &bytes, &mut std::iter::empty()),
        (SenderState::Complete, 3)
    );
}

#[test]
fn c14_what_does_not_fit_the_manifest_is_refused_with_its_reason() {
    let bytes = state(3, 0);
    let whole = bytes_of(&bytes, 1);
    let mut flipped = whole.to_vec();
    flipped[17] ^= 0x80;
    let foreign =
        ChunkHeader { key: ChunkKey { migration: MigrationId(8), ..header(2, 1).key }, compressed: false };
    let length = |found| Err(ChunkRefused::Length { expected: 4096, found });
    for (header, bytes_sent, answer) in [
        (header(1, 1), whole, Err(ChunkRefused::Stale)),
        (header(3, 1), whole, Err(ChunkRefused::Stale)),
        (foreign, whole, Err(ChunkRefused::Stale)),
        (header(2, 3), whole, Err(ChunkRefused::OutOfRange(3))),
        (header(2, u32::MAX), whole, Err(ChunkRefused::OutOfRange(u32::MAX))),
        (header(2, 1), &whole[1..], length(4095)),
        (header(2, 1), &bytes[..4097], length(4097)),
        (header(2, 1), &flipped, Err(ChunkRefused::Corrupt)),
        (header(2, 0), bytes_of(&bytes, 2), length(3996)),
        (header(2, 1), whole, Ok(Accepted::Write { offset_bytes: 4096 })),
    ] {
        let mut receiver = Receiver::new(MIGRATION, 1 << 20);
        assert_eq!(
            receiver.offer(header, bytes_sent, &Weak),
            Err(ChunkRefused::Stale),
            "before any manifest"
        );
        receiver.open(manifest(2, &bytes)).unwrap();
        let before = receiver.clone();
        assert_eq!(receiver.offer(header, bytes_sent, &Weak), answer);
        assert!(answer.is_ok() || receiver == before, "a refusal changes nothing");
    }
}

#[test]
fn a_chunk_under_writing_is_not_written_twice_and_held_only_when_durable() {
    let bytes = state(3, 0);
    let mut receiver = Receiver::new(MIGRATION, 1 << 20);
    receiver.open(manifest(1, &bytes)).unwrap();
    let offer = |receiver: &mut Receiver| receiver.offer(header(1, 1), bytes_of(&bytes, 1), &Weak);
    assert!(matches!(offer(&mut receiver), Ok(Accepted::Write { .. })));
    assert_eq!(offer(&mut receiver), Ok(Accepted::Writing));
    assert_eq!(receiver.missing(), ranges(&[(0, 3)]));
    assert!(!receiver.written(header(1, 1).key, false), "a failed write is not acknowledged");
    assert!(matches!(offer(&mut receiver), Ok(Accepted::Write { .. })));
    assert!(receiver.written(header(1, 1).key, true));
    assert!(!receiver.written(header(1, 1).key, true), "nor is a write that nobody asked for");
    assert_eq!(offer(&mut receiver), Ok(Accepted::Held));
    assert_eq!(receiver.missing(), [0..1, 2..3]);
}

#[test]
fn rounds_begin_in_order_within_the_room_that_was_reserved() {
    let bytes = state(3, 0);
    let mut receiver = Receiver::new(MIGRATION, 3 * u64::from(CHUNK));
    receiver.open(manifest(2, &bytes)).unwrap();
    let foreign = Manifest::new(MigrationId(8), 3, 0, CHUNK, Vec::new()).unwrap();
    let large = state(4, 0);
    let too_large = RoundRefused::TooLarge { state_bytes: large.len() as u64, room_bytes: 12_288 };
    for (manifest, refusal) in [
        (foreign, RoundRefused::Foreign(MigrationId(8))),
        (manifest(1, &bytes), RoundRefused::Stale { newest: 2 }),
        (manifest(2, &state(3, 9)), RoundRefused::Differs(2)),
        (manifest(3, &large), too_large),
    ] {
        assert_eq!(receiver.open(manifest), Err(refusal));
    }
    assert_eq!(receiver.open(manifest(2, &bytes)), Ok(ranges(&[(0, 3)])), "the round in force goes on");
}

#[test]
fn at_the_bounds_a_manifest_is_refused_and_writing_waits() {
    let new = |bytes, chunk_bytes, digests: usize| {
        Manifest::new(MIGRATION, 1, bytes, chunk_bytes, vec![ChunkDigest([0; 32]); digests]).err()
    };
    let most = CHUNKS_MAX as u64 * u64::from(CHUNK);
    assert_eq!(new(most, CHUNK, CHUNKS_MAX), None);
    let chunks = CHUNKS_MAX as u64 + 1;
    assert_eq!(new(most + 1, CHUNK, CHUNKS_MAX + 1), Some(ManifestError::TooManyChunks { chunks }));
    assert_eq!(new(u64::MAX, CHUNK_BYTES_MAX, 0), Some(ManifestError::TooManyChunks { chunks: 1 << 44 }));
    assert_eq!(new(1, CHUNK, 2), Some(ManifestError::DigestCount { expected: 1, found: 2 }));
    for chunk_bytes in [0, CHUNK_BYTES_MIN - 1, CHUNK_BYTES_MAX + 1] {
        assert_eq!(new(1, chunk_bytes, 1), Some(ManifestError::ChunkLength { chunk_bytes }));
    }

    let bytes = state(WRITING_MAX + 1, 0);
    let mut receiver = Receiver::new(MIGRATION, 1 << 30);
    receiver.open(manifest(1, &bytes)).unwrap();
    let mut offer =
        |index: usize| receiver.offer(header(1, index as u32), bytes_of(&bytes, index as u32), &Weak);
    assert!((0..WRITING_MAX).all(|index| matches!(offer(index), Ok(Accepted::Write { .. }))));
    assert_eq!(offer(WRITING_MAX), Err(ChunkRefused::Busy));
}

#[test]
fn a_target_that_never_answers_fails_the_round_after_the_allowed_resends() {
    let bytes = state(2, 0);
    let (mut sender, _) = begin(1, &bytes);
    let offers = std::iter::from_fn(|| {
        let now = sender.next_deadline()?;
        Some(sender.step(Event::Tick, now))
    });
    let offers: Vec<_> = offers.collect();
    assert_eq!(offers.len(), 6);
    assert_eq!(offers[..5], vec![vec![Command::OfferManifest]; 5]);
    assert_eq!(offers[5], [Command::Fail]);
}

#[test]
fn a_confused_target_gets_no_chunk_twice_and_none_that_does_not_exist() {
    let bytes = state(3, 0);
    for (wanted, sent) in [
        (&[(0, u32::MAX)][..], vec![0, 1, 2]),
        (&[(1, 2), (1, 2), (0, 3)], vec![1, 2]),
        (&[(7, 9), (2, 1)], vec![]),
    ] {
        let (mut sender, _) = begin(1, &bytes);
        let commands = sender.step(Event::Wanted(1, ranges(wanted)), Now(0));
        let chunks = commands.iter().filter_map(|command| match command {
            Command::SendChunk(key) => Some(key.index),
            _ => None,
        });
        assert_eq!(chunks.collect::<Vec<_>>(), sent);
    }
}

fn luck() -> impl Strategy<Value = Luck> {
    use Luck::{Arrives, Breaks, Corrupt, Lost, Truncated, Twice, WriteFails};
    prop::sample::select(vec![Arrives, Arrives, Arrives, Lost, Twice, Corrupt, Truncated, WriteFails, Breaks])
}

proptest! {
    #[test]
    fn whatever_the_connection_does_a_round_ends_and_a_complete_one_is_the_state(
        lucks in prop::collection::vec(luck(), 0..40),
        chunks in 1usize..12,
        flips in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut receiver = Receiver::new(MIGRATION, 1 << 20);
        let mut bytes = state(chunks, 5);
        let mut lucks = lucks.into_iter();
        for round in 1..=3 {
            let (end, _) = run(begin(round, &bytes), &mut receiver, &bytes, &mut lucks);
            let whole = receiver.complete(&Weak);
            let digest = manifest(round, &bytes).state_digest(&Weak);
            prop_assert_eq!(end == SenderState::Complete, whole == Some(digest));
            for flip in &flips {
                let at = flip.index(bytes.len());
                bytes[at] = bytes[at].wrapping_add(1);
            }
        }
    }
}
