//! The client's random generator: the keystream of ChaCha20, whose code a client has anyway.

use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher},
};
use rand_core::{CryptoRng, Error, RngCore, SeedableRng};

/// Gives what `rand_chacha::ChaCha20Rng` gives as long as whole words of 4 bytes are taken; 256 GiB at most.
pub(crate) struct Random(ChaCha20);

impl SeedableRng for Random {
    type Seed = [u8; 32];

    fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20::new(&seed.into(), &[0; 12].into()))
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.fill(0);
        self.0.apply_keystream(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Random {}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn it_is_the_known_generator() {
        let (mut own, mut known) = (Random::from_seed([7; 32]), ChaCha20Rng::from_seed([7; 32]));
        for words in 0..100 {
            assert_eq!(own.next_u64(), known.next_u64());
            assert_eq!(own.next_u32(), known.next_u32());
            let (mut ours, mut theirs) = (vec![1; 4 * words], vec![2; 4 * words]);
            own.fill_bytes(&mut ours);
            known.fill_bytes(&mut theirs);
            assert_eq!(ours, theirs);
        }
    }
}
