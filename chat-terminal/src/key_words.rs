//! A server's key in words that two people can compare aloud.

use chat_core::{client::Ended, keys::Fingerprint};

/// The English list of BIP-39: 2,048 words, each known by its first four letters.
const LIST: &str = include_str!("key_words.txt");

/// Bits of a word.
const BITS: u32 = 11;

/// Words of a key: 66 bits.
const WORDS: u32 = 6;

/// The first 66 bits of a key's hash in six words, the highest bits first.
pub fn key_words(key: &Fingerprint) -> String {
    let bits = u128::from_be_bytes(key.0);
    let words = (1..=WORDS).map(|n| {
        let index = (bits >> (u128::BITS - n * BITS)) & ((1 << BITS) - 1);
        // The list has a word for each.
        LIST.lines().nth(index as usize).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The end of a client that does not take a server for the one it wants, for a person.
pub(crate) fn distrust(ended: &Ended) -> String {
    match ended {
        Ended::WrongServer { key } => format!(
            "another server is at that address than before, or than the link names: its key is \
             \"{}\". Whoever runs the server can tell you the words of its own, and give you a link",
            key_words(&key.fingerprint())
        ),
        ended => ended.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use chat_core::{keys::PublicKey, link::Fragment};

    use super::*;

    #[test]
    fn a_key_has_the_words_that_others_find() {
        assert_eq!(LIST.lines().count(), 1 << BITS);
        // By another implementation; the first stands in the specification.
        for (key, words) in [
            (
                core::array::from_fn(|n| n as u8),
                "mercy cave liquid scrub rule object",
            ),
            ([7; 32], "trophy apart section finger quantum radar"),
        ] {
            assert_eq!(key_words(&PublicKey(key).fingerprint()), words);
        }
        let key = Some(PublicKey(core::array::from_fn(|n| n as u8)).fingerprint());
        let link = Fragment { key, invite: None }.to_string();
        assert_eq!(link, "#k=i0SaCWDr0zAEn8Ik-73t0g");
        let last = Fingerprint([0xff; 16]);
        assert_eq!(key_words(&last), ["zoo"; 6].join(" "));
    }
}
