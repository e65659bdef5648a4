//! The rights of members, written out from the specification's table. The hub has a table of its
//! own.

use chat_core::roles::Role;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Topic,
    Password,
    /// To kick, ban, let back in, mute and let speak.
    Order,
    /// To redact what was said by somebody else.
    Redact,
    Role,
}

const NOBODY: &[Option<Role>] = &[];
/// And those who are in no way members.
const MEMBERS: &[Option<Role>] = &[None, Some(Role::Member)];
const ALL_BUT_OWNERS: &[Option<Role>] = &[None, Some(Role::Member), Some(Role::Moderator)];
const ANYBODY: &[Option<Role>] = &[
    None,
    Some(Role::Member),
    Some(Role::Moderator),
    Some(Role::Owner),
];

/// Whether somebody of a role has a right over somebody else: of a role, or no member.
pub(super) fn has(who: Role, right: Right, whom: Option<Role>) -> bool {
    let [moderators, owners] = match right {
        Right::Topic => [ANYBODY, ANYBODY],
        Right::Password => [NOBODY, ANYBODY],
        Right::Order => [MEMBERS, ALL_BUT_OWNERS],
        Right::Redact => [ALL_BUT_OWNERS, ANYBODY],
        Right::Role => [NOBODY, ANYBODY],
    };
    match who {
        Role::Moderator => moderators,
        Role::Owner => owners,
        _ => NOBODY,
    }
    .contains(&whom)
}
