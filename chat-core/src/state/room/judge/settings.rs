//! Topic, password, blocking.

use super::{Author, Judged, forbidden, not_member, one, stale_proof};
use crate::{
    id::KeyId,
    roles::{Action, may},
    state::{
        Verdict, refuse,
        room::{About, Room},
    },
    wire::{
        ErrorCode,
        record::{Blocked, PasswordChange, RecordBody, RoomKind, Topic},
    },
};

impl Room {
    pub(super) fn judge_topic(&self, about: &About, author: &Author, topic: &str) -> Judged {
        let Some(role) = self.role_of(author.member) else {
            return not_member();
        };
        if about.kind != RoomKind::Private && !may(role, Action::Topic, None) {
            return forbidden();
        }
        let topic = topic.to_owned();
        one(author, RecordBody::Topic(Topic { topic }))
    }

    pub(super) fn judge_password(
        &self,
        about: &About,
        author: &Author,
        expected: KeyId,
        change: &PasswordChange,
    ) -> Judged {
        let Some(role) = self.role_of(author.member) else {
            return not_member();
        };
        let Some(password) = &about.password else {
            return refuse(ErrorCode::NotProtected, "the room has no password");
        };
        if !may(role, Action::Password, None) {
            return forbidden();
        }
        if password.key.id != expected {
            return stale_proof();
        }
        let id = change.password.key.id;
        let mut keys = about.earlier.iter().chain([&password.key]);
        if keys.any(|key| key.id == id) {
            return refuse(ErrorCode::BadRequest, "a new key needs a name of its own");
        }
        one(author, RecordBody::Password(change.clone()))
    }

    /// An invited member may block as well.
    pub(super) fn judge_block(&self, about: &About, author: &Author, blocked: bool) -> Judged {
        if self.standing(author.member).is_none() {
            return not_member();
        }
        if about.kind != RoomKind::Private {
            return refuse(
                ErrorCode::BadRequest,
                "only a private conversation can be blocked",
            );
        }
        if self.blocking.contains(&author.member) == blocked {
            return Verdict::Already;
        }
        one(author, RecordBody::Blocked(Blocked { blocked }))
    }
}
