//! The generator behind Python's `random.Random`, so that seeded choices stay what they were under Ansible.
//!
//! MT19937 by Matsumoto and Nishimura (1998); seeding and drawing as the Python manual's `random` page describes.

use sha2::{Digest as _, Sha512};

const SIZE: usize = 624;

/// The generator's state.
pub(super) struct Twister {
    state: [u32; SIZE],
    at: usize,
}

impl Twister {
    /// Seeds from a number.
    pub(super) fn of_number(number: u64) -> Self {
        let mut words = Vec::new();
        let mut rest = number;
        while rest > 0 || words.is_empty() {
            #[expect(clippy::cast_possible_truncation, reason = "the low word is meant")]
            words.push(rest as u32);
            rest >>= 32;
        }
        Self::of_words(&words)
    }

    /// Seeds from text: its bytes followed by their SHA-512, as one big-endian number.
    pub(super) fn of_text(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend_from_slice(&Sha512::digest(text));
        let mut words: Vec<u32> = bytes
            .rchunks(4)
            .map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
            .collect();
        while words.len() > 1 && words.last() == Some(&0) {
            words.pop();
        }
        Self::of_words(&words)
    }

    fn of_words(key: &[u32]) -> Self {
        let mut state = [0_u32; SIZE];
        let mut last = 19_650_218_u32;
        for (at, word) in state.iter_mut().enumerate() {
            if at > 0 {
                #[expect(clippy::cast_possible_truncation, reason = "below 624")]
                let at = at as u32;
                last = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(at);
            }
            *word = last;
        }
        let (mut i, mut j) = (1, 0);
        let before = |state: &[u32; SIZE], i: usize| state[i - 1] ^ (state[i - 1] >> 30);
        for _ in 0..SIZE.max(key.len()) {
            #[expect(clippy::cast_possible_truncation, reason = "a seed has few words")]
            let add = key[j].wrapping_add(j as u32);
            state[i] = (state[i] ^ before(&state, i).wrapping_mul(1_664_525)).wrapping_add(add);
            i += 1;
            j = (j + 1) % key.len();
            if i >= SIZE {
                state[0] = state[SIZE - 1];
                i = 1;
            }
        }
        for _ in 0..SIZE - 1 {
            #[expect(clippy::cast_possible_truncation, reason = "below 624")]
            let less = i as u32;
            state[i] =
                (state[i] ^ before(&state, i).wrapping_mul(1_566_083_941)).wrapping_sub(less);
            i += 1;
            if i >= SIZE {
                state[0] = state[SIZE - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        Self { state, at: SIZE }
    }

    fn word(&mut self) -> u32 {
        if self.at >= SIZE {
            for at in 0..SIZE {
                let joined =
                    (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % SIZE] & 0x7fff_ffff);
                let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[at] = self.state[(at + 397) % SIZE] ^ (joined >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn bits(&mut self, count: u32) -> u64 {
        if count <= 32 {
            return u64::from(self.word() >> (32 - count));
        }
        let low = u64::from(self.word());
        low | u64::from(self.word() >> (64 - count)) << 32
    }

    /// Returns a number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let count = u64::BITS - limit.leading_zeros();
        loop {
            let drawn = self.bits(count.max(1));
            if drawn < limit {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // python3 -c 'import random; r=random.Random(S); print([r.randrange(60) for _ in range(4)])', CPython 3.11.
    #[test]
    fn seeded_draws_are_those_of_python() {
        let draw = |mut twister: Twister| [60; 4].map(|limit| twister.below(limit));
        assert_eq!(draw(Twister::of_text("web1")), PYTHON_WEB1);
        assert_eq!(draw(Twister::of_number(42)), PYTHON_42);
    }

    const PYTHON_WEB1: [u64; 4] = [52, 20, 16, 49];
    const PYTHON_42: [u64; 4] = [40, 7, 1, 47];
}
