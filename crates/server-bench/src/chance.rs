//! Chance that comes out the same for the same seed.

/// A generator of the family xorshift64*.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The generator of a seed; `part` tells apart those of one run.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        let mut chance = Self((seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1);
        chance.next();
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_chance() {
        let draw = |seed, part| {
            let mut chance = Chance::new(seed, part);
            (0..100).map(|_| chance.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
        assert!((0..10).all(|number| draw(7, 1).contains(&number)));
    }
}
