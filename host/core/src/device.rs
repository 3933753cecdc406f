//! Accelerator devices of one member: how much of each is free.
//!
//! what the member reported (or the books of the host) -> [`Devices::free_of`] -> column `accelerator-devices`
//!
//! Invariant: taking never leaves less than nothing on a device, and what was taken is what is missing. The rule of who
//! gets which device stands here alone: whole devices first, then the smallest remainder that fits (best fit). Which
//! physical device that is, is the member's affair.

use crate::fleet::column::BIT_WORDS;

/// Most devices of a member that are told apart.
pub const DEVICES_MAX: usize = 16;

/// One whole device, in thousandths.
pub const DEVICE_MILLIS: u16 = 1_000;

/// Most that is told apart, in thousandths.
pub const DEVICES_MILLIS_MAX: u32 = 16_000;

const PER_WORD: usize = 4;
const BITS: usize = 16;

/// Free thousandths of up to [`DEVICES_MAX`] devices; a device that is absent or fully used has 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Devices([u16; DEVICES_MAX]);

impl Devices {
    /// Devices by their free thousandths. Those past [`DEVICES_MAX`] are left out, more than a whole device is a whole one.
    #[must_use]
    pub fn new(free_millis: impl IntoIterator<Item = u16>) -> Self {
        let mut devices = Self::default();
        for (place, millis) in devices.0.iter_mut().zip(free_millis) {
            *place = millis.min(DEVICE_MILLIS);
        }
        devices
    }

    /// A guess where nothing but the free total is known: that many whole devices, then a remainder.
    #[must_use]
    pub fn from_total(free_millis: u32) -> Self {
        let mut left = free_millis;
        Self::new(std::iter::from_fn(|| {
            let millis = u16::try_from(left).unwrap_or(DEVICE_MILLIS).min(DEVICE_MILLIS);
            left -= u32::from(millis);
            Some(millis)
        }))
    }

    /// The free devices of a member by the host's `books`: what it reported, less the work that the host has placed since;
    /// the books themselves if it reported nothing.
    #[must_use]
    pub fn free_of(reported: Option<Self>, books: Self) -> Self {
        let Some(reported) = reported else { return books };
        let placed_since = reported.free_millis().saturating_sub(books.free_millis());
        reported.take(placed_since).unwrap_or(books)
    }

    /// What is left without the other, device by device, never below nothing.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.with(other, u16::saturating_sub)
    }

    /// Both together, device by device.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u16::saturating_add)
    }

    fn with(mut self, other: Self, apply: fn(u16, u16) -> u16) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(place, millis)| *place = apply(*place, millis));
        self
    }

    /// Free thousandths, device by device.
    #[must_use]
    pub fn millis(&self) -> &[u16; DEVICES_MAX] {
        &self.0
    }

    /// Free thousandths of all devices.
    #[must_use]
    pub fn free_millis(&self) -> u32 {
        self.0.iter().copied().map(u32::from).sum()
    }

    /// What is left after a workload took `needs_millis`; `None` if it does not fit. Whole devices come first, the rest is
    /// taken from the device with the smallest free share that holds it.
    #[must_use]
    pub fn take(mut self, needs_millis: u32) -> Option<Self> {
        let mut left = needs_millis;
        while left > 0 {
            let part = u16::try_from(left).unwrap_or(DEVICE_MILLIS).min(DEVICE_MILLIS);
            let device = self.0.iter_mut().filter(|free| **free >= part).min()?;
            *device -= part;
            left -= u32::from(part);
        }
        Some(self)
    }

    /// As the column holds it: device `d` in word `d / 4` from bit `16 * (d % 4)`.
    #[must_use]
    pub fn words(&self) -> [u64; BIT_WORDS] {
        let mut words = [0; BIT_WORDS];
        for (word, devices) in words.iter_mut().zip(self.0.chunks(PER_WORD)) {
            for (place, &millis) in devices.iter().enumerate() {
                *word |= u64::from(millis) << (BITS * place);
            }
        }
        words
    }

    /// The reverse of [`Devices::words`].
    #[must_use]
    pub fn from_words(words: [u64; BIT_WORDS]) -> Self {
        let places = (0..PER_WORD).map(|place| BITS * place);
        #[expect(clippy::cast_possible_truncation, reason = "takes 16 bits on purpose")]
        Self::new(words.into_iter().flat_map(|word| places.clone().map(move |place| (word >> place) as u16)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices<const N: usize>(millis: [u16; N]) -> Devices {
        Devices::new(millis)
    }

    #[test]
    fn a_total_is_whole_devices_then_a_remainder() {
        assert_eq!(Devices::from_total(0), devices([]));
        assert_eq!(Devices::from_total(2_300), devices([1_000, 1_000, 300]));
        assert_eq!(Devices::from_total(70_000), devices([1_000; DEVICES_MAX]), "bounded");
    }

    #[test]
    fn a_share_takes_the_smallest_device_that_holds_it_and_whole_ones_come_whole() {
        for (free, needs, left) in [
            (devices([1_000, 600, 300]), 300, Some(devices([1_000, 600, 0]))),
            (devices([1_000, 600, 300]), 400, Some(devices([1_000, 200, 300]))),
            (devices([1_000, 600, 300]), 1_000, Some(devices([0, 600, 300]))),
            (devices([1_000, 600, 300]), 1_500, Some(devices([0, 100, 300]))),
            (devices([600, 600]), 700, None),
            (devices([600, 600]), 1_000, None),
            (devices([]), 0, Some(devices([]))),
        ] {
            assert_eq!(free.take(needs), left, "{needs} of {free:?}");
        }
    }

    #[test]
    fn a_report_is_reduced_by_what_was_placed_since() {
        let reported = Some(devices([1_000, 500]));
        for (books, free) in [
            (4_000, devices([1_000, 500])),
            (1_500, devices([1_000, 500])),
            (1_000, devices([1_000, 0])),
            (0, devices([])),
        ] {
            assert_eq!(
                Devices::free_of(reported, Devices::from_total(books)),
                free,
                "{books} left by the books"
            );
        }
        let books = devices([400, 400]);
        assert_eq!(Devices::free_of(None, books), books, "two shares on two devices are not one device");
        let torn = Some(devices([600, 600]));
        let books = devices([500]);
        assert_eq!(Devices::free_of(torn, books), books, "placed where the report has no room");
    }

    #[test]
    fn words_come_back_as_they_were() {
        let free = Devices::new((0..16).map(|device| device * 60));
        assert_eq!(Devices::from_words(free.words()), free);
        assert_eq!(devices([1, 2, 3, 4, 5]).words(), [1 | 2 << 16 | 3 << 32 | 4 << 48, 5, 0, 0]);
    }
}
