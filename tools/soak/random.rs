//! Chance from a seed: SplitMix64, so that a seed names the same choices on every machine.

use std::{ops::Range, time::Duration};

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream that the seed names.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for somebody else: what one does then changes nothing for the other.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range, which is not empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.draw() % (range.end - range.start).max(1)
    }

    /// A length of time, in a range of milliseconds.
    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// One of them, if there is any.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.draw() % u64::try_from(from.len()).ok().filter(|length| *length > 0)?;
        from.get(usize::try_from(index).ok()?)
    }

    /// One of them, by weight.
    pub(crate) fn weigh<T: Copy>(&mut self, from: &[(u64, T)]) -> Option<T> {
        let total: u64 = from.iter().map(|(weight, _)| weight).sum();
        let mut left = self.within(0..total);
        from.iter().find_map(|(weight, choice)| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some(*choice),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_the_same_numbers_everywhere() {
        // The first numbers of the reference implementation for this seed.
        let mut random = Random::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(std::array::from_fn(|_| random.draw()), expected);
    }

    #[test]
    fn weights_count_and_ranges_hold() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 3];
        for _ in 0..4000 {
            counts[random.weigh(&[(1, 0), (0, 1), (3, 2)]).unwrap()] += 1;
            assert!((5..9).contains(&random.within(5..9)));
        }
        assert!(counts[1] == 0 && (800..1200).contains(&counts[0]), "{counts:?}");
        assert_eq!(random.pick::<u8>(&[]), None);
    }
}
