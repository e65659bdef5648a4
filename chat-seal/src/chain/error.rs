//! Why an entry, or a device, is refused.

/// Why an entry does not continue a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The body is too long, or cannot be read.
    #[error("the entry is malformed")]
    Malformed,
    /// A change of a later version. Nothing after it can be verified.
    #[error("the entry makes a change that this version does not know")]
    UnknownChange,
    /// The first entry does not begin a chain, or a later one does.
    #[error("a chain begins with its first entry")]
    NotFirst,
    /// There is no entry.
    #[error("a chain has an entry at least")]
    Empty,
    /// The chain is another member's.
    #[error("the chain of another member")]
    OtherMember,
    /// An entry was left out, or comes twice.
    #[error("the entry has the number {0}, which is not the next one")]
    WrongCounter(u64),
    /// The entry follows another one than the last.
    #[error("the entry follows another one than the last")]
    WrongPrev,
    /// The signature is not of the key that has to sign such a change.
    #[error("the entry is not signed by the account or the recovery")]
    NotSigned,
    /// The device that comes in has not signed the entry.
    #[error("the device has not proved that it has its keys")]
    NoPossession,
    /// A key for which nothing can be wrapped: it is of small order.
    #[error("a key of small order")]
    WeakKey,
    /// The member has that device already.
    #[error("the device is there already")]
    DeviceThere,
    /// The device was revoked, which is for good.
    #[error("the device was revoked")]
    DeviceRevoked,
    /// The member has no such device.
    #[error("there is no such device")]
    NoDevice,
    /// More than [`DEVICES`](super::DEVICES).
    #[error("too many devices")]
    TooManyDevices,
    /// More than [`CHANGES_PER_DAY`](super::CHANGES_PER_DAY).
    #[error("too many changes within a day")]
    TooManyChangesToday,
    /// More than [`CHANGES`](super::CHANGES), or [`RECOVERIES`](super::RECOVERIES).
    #[error("too many changes")]
    TooManyChanges,
    /// The time is before that of the last entry.
    #[error("the entry is older than the one before it")]
    OutOfOrder,
    /// The time is more than ten minutes ahead: [`Chain::admit`](super::Chain::admit) alone says
    /// so.
    #[error("the entry is of the future")]
    Future,
}

/// Why a device cannot speak for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// The author's chain goes on where this one ends: it is to be read first.
    #[error("the author's chain is not known far enough")]
    Behind,
    /// The author's chain is not the one that is known.
    #[error("the author's chain is forked")]
    Fork,
    /// The chain has no such device at that point.
    #[error("the author has no such device")]
    NoDevice,
    /// The device was revoked at that point.
    #[error("the device was revoked")]
    Revoked,
}
