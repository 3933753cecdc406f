//! How many sessions move when a member is lost and comes back.
//!
//! every key asked once -> a member is lost -> asked again -> it returns -> asked again -> [`Disruption`]
//!
//! Invariant: members carry no load meanwhile, so whatever moves moves because of the loss.

use pilothouse_core::fleet::facts::mix;

use super::host::Host;
use super::simulation::Balancer;

/// Sessions that moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disruption {
    /// Sessions that the lost member had.
    pub owned: usize,
    /// Sessions that moved though their member lived.
    pub others_moved: usize,
    /// Sessions that had no member after the loss.
    pub homeless: usize,
    /// Sessions that the member's return moved.
    pub stolen: usize,
    /// Most sessions that one of the others took over.
    pub most_inherited: usize,
}

/// Loses one of `members` equal members that share `sessions`.
pub fn disruption(
    members: usize,
    sessions: u64,
    lost: usize,
    seed: u64,
    balancer: Balancer<'_>,
) -> Disruption {
    let mut host = Host::new(&vec![1.0; members]);
    let mut owners = |host: &Host, round: u64| -> Vec<Option<usize>> {
        let ask = |session: u64| {
            let owner = host.decide(mix(seed ^ mix(session) ^ round), Some(mix(session)), round, balancer)?;
            host.undo(owner);
            Some(owner)
        };
        (0..sessions).map(ask).collect()
    };
    let before = owners(&host, 1);
    host.set_away(lost, true);
    let after = owners(&host, 2);
    host.set_away(lost, false);
    let returned = owners(&host, 3);
    let mut inherited = vec![0_usize; members];
    let mut sum = Disruption::default();
    for ((before, after), returned) in before.iter().zip(&after).zip(&returned) {
        let owned = *before == Some(lost);
        sum.owned += usize::from(owned);
        sum.others_moved += usize::from(!owned && before != after);
        sum.homeless += usize::from(after.is_none());
        sum.stolen += usize::from(after != returned);
        let heir = after.filter(|_| owned).and_then(|heir| inherited.get_mut(heir));
        if let Some(count) = heir {
            *count += 1;
        }
    }
    sum.most_inherited = inherited.into_iter().max().unwrap_or_default();
    sum
}
