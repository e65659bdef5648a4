//! HPKE (RFC 9180), base mode, one message: X25519, HKDF-SHA256, ChaCha20-Poly1305.

use chacha20poly1305::{
    ChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};
use chat_core::{
    cipher::Rng,
    keys::{DhKey, DhSecret},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

const KEM: &[u8] = b"KEM\x00\x20";
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x03";

/// Seals for a public key. None: the key is of small order, and everybody could open it.
pub(crate) fn seal(
    rng: &mut dyn Rng,
    to: &DhKey,
    info: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Option<([u8; 32], Vec<u8>)> {
    let ephemeral = DhSecret::generate(rng);
    let enc = ephemeral.public().0;
    let shared = shared_secret(&*ephemeral.agree(to)?, &enc, to);
    let (cipher, nonce) = context(&shared, info);
    let payload = Payload { msg: plain, aad };
    let sealed = cipher.encrypt((&nonce).into(), payload).ok()?;
    Some((enc, sealed))
}

/// Opens what was sealed for this key. None: it was sealed for another one or otherwise, or
/// altered.
pub(crate) fn open(
    secret: &DhSecret,
    enc: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let shared = shared_secret(&*secret.agree(&DhKey(*enc))?, enc, &secret.public());
    let (cipher, nonce) = context(&shared, info);
    let payload = Payload { msg: sealed, aad };
    let plain = cipher.decrypt((&nonce).into(), payload).ok()?;
    Some(Zeroizing::new(plain))
}

/// `ExtractAndExpand` of section 4.1.
fn shared_secret(dh: &[u8; 32], enc: &[u8; 32], to: &DhKey) -> Zeroizing<[u8; 32]> {
    let eae_prk = extract(KEM, &[], b"eae_prk", dh);
    expand(&eae_prk, KEM, b"shared_secret", &[enc, &to.0])
}

/// `KeySchedule` of section 5.1, in base mode, and the first nonce.
fn context(shared: &[u8; 32], info: &[u8]) -> (ChaCha20Poly1305, [u8; 12]) {
    let psk_id_hash = hash(SUITE, b"psk_id_hash", &[]);
    let info_hash = hash(SUITE, b"info_hash", info);
    let schedule: [&[u8]; 3] = [&[0], &psk_id_hash, &info_hash];
    let secret = extract(SUITE, shared, b"secret", &[]);
    let key: Zeroizing<[u8; 32]> = expand(&secret, SUITE, b"key", &schedule);
    let nonce: Zeroizing<[u8; 12]> = expand(&secret, SUITE, b"base_nonce", &schedule);
    (ChaCha20Poly1305::new((&*key).into()), *nonce)
}

fn hash(suite: &[u8], label: &[u8], ikm: &[u8]) -> [u8; 32] {
    let ikm = [b"HPKE-v1", suite, label, ikm].concat();
    Hkdf::<Sha256>::extract(None, &ikm).0.into()
}

/// `LabeledExtract`.
fn extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Hkdf<Sha256> {
    let ikm = Zeroizing::new([b"HPKE-v1", suite, label, ikm].concat());
    Hkdf::new(Some(salt), &ikm)
}

/// `LabeledExpand`.
fn expand<const N: usize>(
    prk: &Hkdf<Sha256>,
    suite: &[u8],
    label: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    let length = u16::try_from(N).expect("a key is short").to_be_bytes();
    let labeled = [&[&length, &b"HPKE-v1"[..], suite, label], info].concat();
    let mut out = Zeroizing::new([0; N]);
    prk.expand_multi_info(&labeled, &mut *out)
        .expect("a key is within what HKDF gives");
    out
}

#[cfg(test)]
mod tests {
    use chat_core::keys::{DhKey, DhSecret};
    use rand_core::{CryptoRng, RngCore};

    use super::*;

    /// A generator that gives these bytes, once.
    struct Given(Vec<u8>);

    impl RngCore for Given {
        fn next_u32(&mut self) -> u32 {
            rand_core::impls::next_u32_via_fill(self)
        }

        fn next_u64(&mut self) -> u64 {
            rand_core::impls::next_u64_via_fill(self)
        }

        fn fill_bytes(&mut self, dest: &mut [u8]) {
            dest.copy_from_slice(&self.0.drain(..dest.len()).collect::<Vec<_>>());
        }

        fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(dest);
            Ok(())
        }
    }

    impl CryptoRng for Given {}

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        assert_eq!(text.len(), 2 * N);
        core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex"))
    }

    /// RFC 9180, appendix A.2.1, sequence number 0.
    #[test]
    fn hpke_is_that_of_rfc_9180() {
        let ephemeral: [u8; 32] =
            hex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600");
        let recipient = DhSecret::from_bytes(&hex(
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        ));
        let public = DhKey(hex(
            "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
        ));
        assert_eq!(recipient.public(), public);
        let info: [u8; 20] = hex("4f6465206f6e2061204772656369616e2055726e");
        let aad = b"Count-0";
        let plain = b"Beauty is truth, truth beauty";
        let rng = &mut Given(ephemeral.to_vec());
        let (enc, sealed) = seal(rng, &public, &info, aad, plain).expect("a sound key");
        assert_eq!(
            enc,
            hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
        );
        let expected: [u8; 45] = hex(concat!(
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db",
            "21993c62ce81883d2dd1b51a28"
        ));
        assert_eq!(sealed, expected);
        let opened = open(&recipient, &enc, &info, aad, &sealed).expect("it was sealed for it");
        assert_eq!(*opened, plain);
        // The inner values of the key schedule, so that an error is found where it is.
        let shared = shared_secret(
            &DhSecret::from_bytes(&ephemeral)
                .agree(&public)
                .expect("a sound key"),
            &enc,
            &public,
        );
        assert_eq!(
            *shared,
            hex("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7")
        );
        assert_eq!(context(&shared, &info).1, hex("5c4d98150661b848853b547f"));
    }

    #[test]
    fn nothing_opens_for_another_place_or_another_key() {
        let rng = &mut Given((0..96).collect());
        let (to, other) = (DhSecret::generate(rng), DhSecret::generate(rng));
        let (enc, sealed) = seal(rng, &to.public(), b"info", b"aad", b"plain").expect("sound");
        assert!(open(&to, &enc, b"info", b"aad", &sealed).is_some());
        assert!(open(&other, &enc, b"info", b"aad", &sealed).is_none());
        assert!(open(&to, &enc, b"inf", b"aad", &sealed).is_none());
        assert!(open(&to, &enc, b"info", b"aa", &sealed).is_none());
        assert!(open(&to, &other.public().0, b"info", b"aad", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut sealed = sealed.clone();
            sealed[at] ^= 1;
            assert!(
                open(&to, &enc, b"info", b"aad", &sealed).is_none(),
                "byte {at}"
            );
        }
        assert!(open(&to, &enc, b"info", b"aad", &[]).is_none());
    }

    /// The points of small order, and of the twist (RFC 7748, section 6.1, asks for the check).
    #[test]
    fn nothing_is_sealed_for_a_key_of_small_order() {
        for key in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let key = DhKey(hex(key));
            let rng = &mut Given(vec![7; 32]);
            assert!(seal(rng, &key, b"", b"", b"plain").is_none(), "{key:?}");
            assert!(open(&DhSecret::from_bytes(&[7; 32]), &key.0, b"", b"", &[0; 48]).is_none());
        }
    }
}
