//! Entries that are made: each is signed here, and continues the chain only once it is appended.

use chat_core::{
    id::DeviceId,
    keys::{
        Domain,
        chain::{Begin, Device, Entry},
    },
    time::Wall,
};

use super::{Chain, ChainError, Change, Fork, HEAL_REVOKED, Heal, Recover};
use crate::keys::{AccountKey, DeviceKey, RecoveryKey, Signer};

/// The chain of a new member, of one entry. `name` is the device's, at most 64 bytes.
///
/// # Errors
/// [`ChainError::Malformed`]: the name is too long.
pub fn begin(
    account: &AccountKey,
    recovery: &RecoveryKey,
    device: &DeviceKey,
    name: &str,
    now: Wall,
) -> Result<Chain, ChainError> {
    let change = Change::Begin(Begin {
        account: account.public(),
        recovery: recovery.public(),
        recovery_dh: recovery.dh(),
        device: device.device(name),
    });
    let entry = signed(Signer::Account(account), change.body(1, None, now));
    Chain::verify(&[complete(entry, device)])
}

/// Puts the proof into an entry that adds this device: it has the keys that the entry names.
#[must_use]
pub fn complete(entry: Entry, device: &DeviceKey) -> Entry {
    Entry {
        possession: Some(device.sign(Domain::Possession, &[&entry.body])),
        ..entry
    }
}

fn signed(signer: Signer<'_>, body: Vec<u8>) -> Entry {
    Entry {
        signature: signer.sign_entry(&body),
        body: body.into(),
        possession: None,
    }
}

impl Chain {
    /// An entry that adds a device. It is good once the device has [completed](complete) it.
    #[must_use]
    pub fn add(&self, account: &AccountKey, device: Device, now: Wall) -> Entry {
        self.entry(Signer::Account(account), &Change::Add(device), now)
    }

    /// An entry that revokes a device.
    #[must_use]
    pub fn revoke(&self, account: &AccountKey, device: DeviceId, now: Wall) -> Entry {
        self.entry(Signer::Account(account), &Change::Revoke(device), now)
    }

    /// An entry by which another account and another recovery take over. Of the devices, only those
    /// to `keep` stay.
    #[must_use]
    pub fn recover(
        &self,
        recovery: &RecoveryKey,
        account: &AccountKey,
        next: &RecoveryKey,
        keep: Vec<DeviceId>,
        now: Wall,
    ) -> Entry {
        let recover = Recover {
            account: account.public(),
            recovery: next.public(),
            recovery_dh: next.dh(),
            keep,
        };
        self.entry(Signer::Recovery(recovery), &Change::Recover(recover), now)
    }

    /// An entry that ends a fork: this branch goes on, the other one is given up, and devices that
    /// it revoked stay revoked.
    ///
    /// # Errors
    /// [`ChainError::TooManyDevices`]: the other branch revoked more than [`HEAL_REVOKED`] devices.
    pub fn heal(&self, fork: &Fork, signer: Signer<'_>, now: Wall) -> Result<Entry, ChainError> {
        let revoked = fork.other.revoked_since(fork.from);
        if revoked.len() > HEAL_REVOKED {
            return Err(ChainError::TooManyDevices);
        }
        let heal = Heal {
            from: fork.from,
            dropped: chat_core::wire::Fixed(fork.other.head().hash),
            revoked,
        };
        Ok(self.entry(signer, &Change::Heal(heal), now))
    }

    fn entry(&self, signer: Signer<'_>, change: &Change, now: Wall) -> Entry {
        let head = self.head();
        // A clock that is behind would have the entry refused.
        let time = now.max(self.state.last);
        signed(signer, change.body(head.counter + 1, Some(head.hash), time))
    }
}
