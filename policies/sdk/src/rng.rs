//! Randomness from a request's seed: the same seed, the same draws.

/// A small generator (splitmix64, Steele et al. 2014): fast, and good enough for choices.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator for one decision.
    #[inline]
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `0 ..< limit` (0 if the limit is 0), by multiply-shift (Lemire 2019); the bias is below 2^-32.
    #[inline]
    pub fn below(&mut self, limit: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(limit)) >> 32) as u32
    }

    /// Uniform in `0.0 ..< 1.0`.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// Two different ranks below `limit`; the same one twice if there is only one.
    #[inline]
    pub fn two_below(&mut self, limit: u32) -> (u32, u32) {
        let first = self.below(limit);
        let second = self.below(limit.saturating_sub(1));
        (first, if limit > 1 && second >= first { second + 1 } else { second })
    }
}

/// A bijective mixer: every input bit reaches every output bit.
#[inline]
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Bits as a number in `0.0 ..< 1.0`.
#[inline]
#[must_use]
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_within_their_limit_different_and_even() {
        let mut counts = [0_u32; 5];
        for seed in 0..50_000 {
            let (a, b) = Rng::new(seed).two_below(5);
            assert!(a != b && a < 5 && b < 5);
            counts[a as usize] += 1;
            counts[b as usize] += 1;
        }
        assert!(counts.iter().all(|&count| count.abs_diff(20_000) < 800), "{counts:?}");
        assert_eq!((Rng::new(1).two_below(1), Rng::new(1).below(0)), ((0, 0), 0));
    }
}
