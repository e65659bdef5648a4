//! The channel binding `tls-exporter` of RFC 9266.
//!
//! `rustls` computes exporters for connections that keep buffers only. Those without have the
//! exporter's secret logged, which is what a log of keys is for; the value is computed from that
//! with the same crate's functions, by RFC 8446, sections 7.1 and 7.5.

use std::cell::RefCell;

use rustls::{
    KeyLog, SupportedCipherSuite,
    crypto::tls13::{HkdfExpander, OkmBlock},
};

/// The name under which the secret is logged.
const SECRET: &str = "EXPORTER_SECRET";

const LABEL: &[u8] = b"EXPORTER-Channel-Binding";

thread_local! {
    /// The secret that was logged last on this thread.
    static LOGGED: RefCell<Option<OkmBlock>> = const { RefCell::new(None) };
}

/// Has the exporter's secret remembered until [`logged`] takes it.
#[derive(Debug)]
pub(crate) struct Remember;

impl KeyLog for Remember {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if self.will_log(label) {
            LOGGED.set(Some(OkmBlock::new(secret)));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == SECRET
    }
}

/// The secret that a call of `rustls` has logged, which was the last one on this thread.
pub(crate) fn logged() -> Option<OkmBlock> {
    LOGGED.take()
}

/// The channel binding of a connection with this suite and this secret.
pub(crate) fn channel_binding(suite: SupportedCipherSuite, secret: &OkmBlock) -> Option<[u8; 32]> {
    let suite = suite.tls13()?;
    let nothing = suite.common.hash_provider.hash(&[]);
    let nothing = nothing.as_ref();
    let expander = suite.hkdf_provider.expander_for_okm(secret);
    let of_label = labelled(expander.as_ref(), LABEL, nothing);
    let expander = suite.hkdf_provider.expander_for_okm(&of_label);
    let mut binding = [0; 32];
    let length = (binding.len() as u16).to_be_bytes();
    let [prefix, context] = [b"exporter".len(), nothing.len()];
    let info: [&[u8]; 6] = [
        &length,
        &[(PREFIX.len() + prefix) as u8],
        PREFIX,
        b"exporter",
        &[context as u8],
        nothing,
    ];
    expander.expand_slice(&info, &mut binding).ok()?;
    Some(binding)
}

const PREFIX: &[u8] = b"tls13 ";

/// `HKDF-Expand-Label`, as long as the hash.
fn labelled(expander: &dyn HkdfExpander, label: &[u8], context: &[u8]) -> OkmBlock {
    expander.expand_block(&[
        &(expander.hash_len() as u16).to_be_bytes(),
        &[(PREFIX.len() + label.len()) as u8],
        PREFIX,
        label,
        &[context.len() as u8],
        context,
    ])
}
