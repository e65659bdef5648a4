//! The identity of a connection where others know it: the accounts of an application around the
//! chat.

use crate::{id::MemberId, keys::short_hash};

/// An account. Whoever comes with it is the same member each time, from whichever device, and is
/// called as it says; the keys and the name of the `hello` count for nothing.
///
/// ```
/// use chat_core::hub::Identity;
///
/// let adina = Identity::new("user 17", "Adina").label("group 2");
/// assert_eq!(adina.member(), Identity::new("user 17", "Dina").member());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    member: MemberId,
    pub(super) nick: String,
    pub(super) label: Option<String>,
}

impl Identity {
    /// `account` names the account for good, in whatever form the application has; `nick` is what
    /// it is called at present, and has to be one (see [`Name::nick`](crate::nick::Name::nick)):
    /// otherwise the `hello` is refused.
    pub fn new(account: &str, nick: impl Into<String>) -> Self {
        let id = short_hash("chat.v1 account", &[account.as_bytes()]);
        Self {
            member: MemberId::keyed(id),
            nick: nick.into(),
            label: None,
        }
    }

    /// Imposes a label too. Without this it is the client's choice.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The member that the account is.
    pub fn member(&self) -> MemberId {
        self.member
    }
}
