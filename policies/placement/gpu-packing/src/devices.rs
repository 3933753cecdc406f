//! The devices of a row, four to a word, summed up without a branch.
//!
//! Invariant: a device has at most [`WHOLE`] thousandths, so that four lanes of 16 bits never carry into each other.

/// One device, in thousandths.
pub(crate) const WHOLE: u16 = 1_000;

/// A one in each lane.
const ONES: u64 = 0x0001_0001_0001_0001;
/// The top bit of each lane.
const TOPS: u64 = ONES << 15;
/// Larger than any device, in each lane.
const NEVER: u64 = TOPS - ONES;

/// Sums over the devices of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Devices {
    /// Free thousandths of all.
    pub(crate) millis: u16,
    /// Devices that are wholly free.
    pub(crate) wholes: u16,
    /// The fullest device that holds the share; above [`WHOLE`] if none does, 0 if there is no share.
    pub(crate) fullest: u16,
}

impl Devices {
    /// The devices of these words; `share` is below [`WHOLE`].
    #[inline]
    pub(crate) fn of(words: [u64; 4], share: u16) -> Self {
        let [a, b, c, d] = words;
        Self {
            millis: ((a + b + c + d).wrapping_mul(ONES) >> 48) as u16,
            wholes: words.map(|word| at_least(word, WHOLE).count_ones() as u16).into_iter().sum(),
            fullest: if share > 0 { fullest(words, share) } else { 0 },
        }
    }

    /// Whether whole devices and a share fit, the share on another device than the whole ones.
    #[inline]
    pub(crate) fn hold(self, wholes: u16) -> bool {
        let begins_whole = u16::from(self.fullest == WHOLE);
        (self.fullest <= WHOLE) & (self.wholes >= wholes.saturating_add(begins_whole))
    }
}

#[inline]
fn fullest(words: [u64; 4], share: u16) -> u16 {
    let [a, b, c, d] = words.map(|word| holding(word, share));
    let least = smaller(smaller(a, b), smaller(c, d));
    let least = smaller(least, least >> 32);
    smaller(least, least >> 16) as u16
}

/// The top bits of the lanes with at least so much.
#[inline]
fn at_least(word: u64, millis: u16) -> u64 {
    (word + TOPS - ONES * u64::from(millis)) & TOPS
}

/// All bits of the lanes whose top bit is set.
#[inline]
fn spread(tops: u64) -> u64 {
    (tops >> 15) * u64::from(u16::MAX)
}

/// The lanes that hold the share, [`NEVER`] in the others.
#[inline]
fn holding(word: u64, share: u16) -> u64 {
    let keep = spread(at_least(word, share));
    word & keep | NEVER & !keep
}

/// The smaller of each pair of lanes.
#[inline]
fn smaller(a: u64, b: u64) -> u64 {
    let take_b = spread(((a | TOPS) - (b & !TOPS)) & TOPS);
    b & take_b | a & !take_b
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::mix;

    fn plainly(devices: &[u16; 16], share: u16) -> Devices {
        let holding = devices.iter().copied().filter(|&free| free >= share).min();
        Devices {
            millis: devices.iter().sum(),
            wholes: devices.iter().filter(|&&free| free == WHOLE).count() as u16,
            fullest: if share > 0 { holding.unwrap_or(NEVER as u16) } else { 0 },
        }
    }

    #[test]
    fn sums_are_those_of_one_device_after_the_other() {
        for seed in 0..20_000_u64 {
            let drawn = |place: u64| mix(seed * 17 + place);
            let devices: [u16; 16] = std::array::from_fn(|device| match drawn(device as u64) % 4 {
                0 => 0,
                1 => WHOLE,
                _ => (drawn(99 + device as u64) % 1_001) as u16,
            });
            let share = (drawn(50) % 1_100).saturating_sub(100) as u16;
            let mut words = [0; 4];
            for (device, &free) in devices.iter().enumerate() {
                words[device / 4] |= u64::from(free) << (16 * (device % 4));
            }
            assert_eq!(Devices::of(words, share), plainly(&devices, share), "{devices:?} {share}");
        }
    }
}
