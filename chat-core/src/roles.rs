//! Roles, and what they may do: one table.

use crate::wire::words::words;

words! {
    /// A member's power in a room, see [`may`].
    #[derive(Default)]
    pub enum Role {
        /// Speaks and listens.
        #[default]
        0 "member" Member,
        /// Keeps order.
        1 "moderator" Moderator,
        /// Made the room, or was given it.
        2 "owner" Owner,
    }
}

/// Actions that need a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Change the topic.
    Topic,
    /// Change the password and the key.
    Password,
    /// Put somebody out.
    Kick,
    /// Put somebody out and keep them out; let them come back.
    Ban,
    /// Silence somebody; let them speak.
    Mute,
    /// Take back what somebody else said.
    Redact,
    /// Make somebody this.
    Grant(Role),
}

impl Action {
    /// Every action.
    pub const ALL: &[Self] = &[
        Self::Topic,
        Self::Password,
        Self::Kick,
        Self::Ban,
        Self::Mute,
        Self::Redact,
        Self::Grant(Role::Member),
        Self::Grant(Role::Moderator),
        Self::Grant(Role::Owner),
    ];
}

/// Whether `actor` may do `action` to a `target` of that role; the target is none where the action
/// has none, or where it is not a member (a ban in advance). Nobody does any of this to themselves,
/// except an owner who steps down while another remains, which the room checks.
///
/// | | topic | password | kick, ban, mute | redact texts of | make member, moderator, owner |
/// |---|---|---|---|---|---|
/// | member | – | – | – | – | – |
/// | moderator | yes | – | members | members, moderators, those who are gone | – |
/// | owner | yes | yes | members, moderators | anybody | anybody |
///
/// An author may always redact its own messages.
pub fn may(actor: Role, action: Action, target: Option<Role>) -> bool {
    match (actor, action) {
        (Role::Member | Role::Other(_), _) => false,
        (_, Action::Grant(Role::Other(_))) => false,
        (Role::Moderator | Role::Owner, Action::Topic) => true,
        (Role::Owner, Action::Password | Action::Grant(_)) => true,
        (Role::Moderator, Action::Password | Action::Grant(_)) => false,
        (Role::Owner, Action::Redact) => true,
        (Role::Moderator, Action::Redact) => target != Some(Role::Owner),
        (Role::Moderator | Role::Owner, Action::Kick | Action::Ban | Action::Mute) => {
            target.is_none_or(|target| target.rank() < actor.rank())
        }
    }
}

impl Role {
    /// Roles in order. One that this program does not know is none that keeps order.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Member | Self::Other(_) => 0,
            Self::Moderator => 1,
            Self::Owner => 2,
        }
    }
}
