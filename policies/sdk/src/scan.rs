//! Scans: one score per row, the best row wins.
//!
//! blocks of 64 rows with the bits of those eligible -> your scores of a block -> the best eligible row, or all of them in order
//!
//! Invariant: rows that are not eligible are never chosen, whatever their score; [`NO`] is never chosen at all; ties are
//! broken by the seed alone. Scores come a block at a time so that they compile to SIMD; blocks in which nobody is
//! eligible are skipped.

use crate::fleet::{Block, Fleet, LANES};
use crate::{Candidate, Choice, Class, Refusal, mix};

/// Scores of a block's 64 rows, higher is better.
pub type Scores = [f32; LANES];

/// The score of a row that cannot take the work.
pub const NO: f32 = f32::NEG_INFINITY;

/// The best row, for the reason 0.
///
/// # Errors
/// `nothing-suits` with reason `none` if no eligible row has a score above [`NO`].
pub fn choose(
    fleet: &Fleet,
    class: &Class,
    seed: u64,
    none: u32,
    score: impl FnMut(Block<'_>, u64) -> Scores,
) -> Result<Choice, Refusal> {
    let mut best: Option<(f32, u64, u32)> = None;
    let reaches = |scores: &Scores, best: Option<(f32, u64, u32)>| {
        let most = most(scores);
        most > NO && best.is_none_or(|(top, ..)| most >= top)
    };
    let mut score = score;
    for ((index, block), &eligible) in (0_u32..).zip(fleet.blocks()).zip(class.words()) {
        if eligible == 0 {
            continue;
        }
        let mut scores = score(block, eligible);
        mask(&mut scores, eligible, NO);
        // Most blocks are worse than the best so far, and that is seen without looking at rows.
        if !reaches(&scores, best) {
            continue;
        }
        for (lane, &score) in (0_u32..).zip(&scores).filter(|&(_, &score)| score > NO) {
            let row = index * LANES as u32 + lane;
            if best.is_none_or(|(top, ..)| score >= top) {
                let tie = mix(seed ^ u64::from(row));
                if best.is_none_or(|(top, least, _)| score > top || tie < least) {
                    best = Some((score, tie, row));
                }
            }
        }
    }
    best.map(|(score, _, row)| Choice { row, score, reason: 0 }).ok_or(Refusal::NothingSuits(none))
}

/// The best rows, at most `limit`, the first being what [`choose`] takes; `factors` gives the parts of a row's score.
///
/// # Errors
/// As [`choose`].
pub fn rank(
    fleet: &Fleet,
    class: &Class,
    seed: u64,
    limit: u32,
    none: u32,
    score: impl FnMut(Block<'_>, u64) -> Scores,
    mut factors: impl FnMut(u32) -> Vec<f32>,
) -> Result<Vec<Candidate>, Refusal> {
    let mut rows: Vec<(f32, u64, u32)> = Vec::with_capacity(class.count() as usize);
    each(fleet, class, score, |row, score| {
        if score > NO {
            rows.push((score, mix(seed ^ u64::from(row)), row));
        }
    });
    let better = |a: &(f32, u64, u32), b: &(f32, u64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let limit = (limit as usize).max(1);
    if limit < rows.len() {
        rows.select_nth_unstable_by(limit - 1, better);
        rows.truncate(limit);
    }
    rows.sort_unstable_by(better);
    let candidate = |(score, _, row)| Candidate { row, score, reason: 0, factors: factors(row) };
    let ranked: Vec<Candidate> = rows.into_iter().map(candidate).collect();
    if ranked.is_empty() { Err(Refusal::NothingSuits(none)) } else { Ok(ranked) }
}

/// Puts `otherwise` into the lanes whose bit is not set.
#[inline]
pub fn mask(values: &mut [f32; LANES], bits: u64, otherwise: f32) {
    // Whole blocks are the rule, and copying or masking them costs more than scoring them.
    if bits != u64::MAX {
        for (lane, value) in values.iter_mut().enumerate() {
            *value = if bits >> lane & 1 == 1 { *value } else { otherwise };
        }
    }
}

/// The largest of 64 values; NaN is never it.
#[inline]
#[must_use]
pub fn most(values: &[f32; LANES]) -> f32 {
    // In columns of 16, because a fold of floats in one accumulator does not become SIMD.
    let mut tops = [NO; 16];
    for chunk in values.as_chunks::<16>().0 {
        keep(&mut tops, chunk, |value, top| value > top);
    }
    tops.iter().fold(NO, |top, &value| if value > top { value } else { top })
}

/// Keeps, lane by lane, the better of what was kept and a new value. Comparisons with NaN are false, so NaN is never kept.
#[inline]
pub fn keep<const N: usize>(kept: &mut [f32; N], values: &[f32; N], better: impl Fn(f32, f32) -> bool) {
    for (kept, &value) in kept.iter_mut().zip(values) {
        *kept = if better(value, *kept) { value } else { *kept };
    }
}

/// The lanes of a block whose bit is set.
#[inline]
pub fn lanes(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(lane)
    })
}

/// Visits every eligible row with its score.
#[inline]
fn each(
    fleet: &Fleet,
    class: &Class,
    mut score: impl FnMut(Block<'_>, u64) -> Scores,
    mut visit: impl FnMut(u32, f32),
) {
    for ((index, block), &eligible) in (0_u32..).zip(fleet.blocks()).zip(class.words()) {
        if eligible == 0 {
            continue;
        }
        let scores = score(block, eligible);
        for lane in lanes(eligible) {
            visit(index * LANES as u32 + lane as u32, scores.get(lane).copied().unwrap_or(NO));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::about::Column;
    use crate::class::Parts;

    /// Rows `0 ..< 130`, all eligible but row 0, scored by their row modulo 50.
    fn view() -> (Fleet, Class) {
        let mut fleet = Fleet::new(&[Column::Active]);
        for index in 0..3 {
            let row = |lane: u64| (u64::from(index) * 64 + lane) % 50;
            let words = (0..32).map(|pair| row(2 * pair) | row(2 * pair + 1) << 32).collect();
            fleet.sync(1, 130, index, words);
        }
        (fleet, Class::new(1, Parts { eligible: vec![!1, !0, 3], ..Parts::default() }))
    }

    fn scores(block: Block<'_>, _eligible: u64) -> Scores {
        let values = block.u32(Column::Active);
        std::array::from_fn(|lane| if values[lane] == 48 { NO } else { values[lane] as f32 })
    }

    #[test]
    fn the_best_eligible_row_wins_and_ties_go_by_seed() {
        let (fleet, class) = view();
        let row = |seed| choose(&fleet, &class, seed, 1, scores).unwrap().row;
        let chosen: std::collections::BTreeSet<u32> = (0..64).map(row).collect();
        assert_eq!(chosen, [49, 99].into());
        assert_eq!(row(7), row(7));
    }

    #[test]
    fn ranks_start_with_the_choice_and_leave_out_who_cannot() {
        let (fleet, class) = view();
        for (seed, limit, count) in [(1, 1, 1), (2, 5, 5), (3, 64, 64), (4, 1_000, 127)] {
            let ranked = rank(&fleet, &class, seed, limit, 1, scores, |_| Vec::new()).unwrap();
            assert_eq!(ranked[0].row, choose(&fleet, &class, seed, 1, scores).unwrap().row);
            assert_eq!(ranked.len(), count);
            assert!(ranked.windows(2).all(|pair| pair[0].score >= pair[1].score));
            assert!(ranked.iter().all(|candidate| candidate.row % 50 != 48 && candidate.row != 0));
        }
    }

    #[test]
    fn nobody_who_can_is_a_refusal() {
        let (fleet, class) = view();
        let refused = choose(&fleet, &class, 1, 3, |_, _| [NO; LANES]);
        assert!(matches!(refused, Err(Refusal::NothingSuits(3))));
    }
}
