//! The configuration of a hub in a world.

use chat_core::{
    hub::{Audience, Config, NamePolicy},
    limits::Limits,
    password::ServerSecret,
    wire::server::Durability,
};

use crate::{plan::Shape, rng::Rng, untruth::HOST};

/// The bytes that the log takes in one append, and in one part of a snapshot: little, so that there
/// are several.
const APPEND_BYTES: usize = 8_192;
const PART_BYTES: usize = 256;

pub(super) fn config(
    shape: &Shape,
    secret: &ServerSecret,
    node: u64,
    peers: Vec<u64>,
    seed: [u8; 32],
) -> Config {
    let mut limits = Limits::default();
    let ms = |ms: u32| core::time::Duration::from_millis(ms.into());
    limits.message_bytes = 1_024;
    limits.frame_bytes = 4_096;
    limits.page_bytes = 4_096;
    if shape.large {
        let usual = Limits::default();
        limits.message_bytes = usual.message_bytes;
        limits.frame_bytes = usual.frame_bytes;
        limits.page_bytes = usual.page_bytes;
    }
    limits.outbox_bytes = shape.outbox_bytes;
    limits.grace = ms(shape.grace_ms);
    limits.membership = ms(shape.membership_ms);
    limits.ping = ms(shape.ping_ms);
    limits.idle = 3 * ms(shape.ping_ms);
    let mut config = Config::new(secret.clone(), node, seed);
    config.limits = limits;
    config.log.shared = (shape.hubs > 1 || shape.replicated) && !shape.disk;
    config.log.part_bytes = PART_BYTES;
    if !shape.large {
        config.log.append_bytes = APPEND_BYTES;
    }
    config.peers = peers;
    config.audience = Audience::Names(vec![HOST.to_owned()]);
    config.durability = if shape.memory {
        Durability::Memory
    } else {
        Durability::Disk
    };
    if shape.held {
        config.names = NamePolicy::Held;
    }
    config.invite_only = shape.closed;
    if !shape.lobby {
        config.lobby = None;
    }
    config
}

pub(super) fn chacha(rng: &mut Rng) -> rand_chacha::ChaCha20Rng {
    use rand_core::SeedableRng;
    rand_chacha::ChaCha20Rng::from_seed(rng.bytes32())
}
