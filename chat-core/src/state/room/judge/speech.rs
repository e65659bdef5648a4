//! Messages and actions.

use super::{
    Author, JudgeContext, Judged, Proposed, has_room, not_member,
    opening::{may_be_invited, too_many_invitations},
    too_many_rooms,
};
use crate::{
    state::{
        Verdict, refuse,
        room::{About, Room, Standing},
    },
    wire::{
        ErrorCode,
        record::{CipherKind, Content, Joined, Message, RecordBody, Reopened, RoomKind},
    },
};

impl Room {
    pub(super) fn judge_send(
        &self,
        about: &About,
        with: &JudgeContext<'_>,
        author: &Author,
        action: bool,
        content: &Content,
    ) -> Judged {
        if self.standing(author.member).is_none() {
            return not_member();
        }
        if let Some(refusal) = self.refusal_to_hear(with, author) {
            return refusal;
        }
        if !fits(about, content) {
            return refuse(
                ErrorCode::WrongCipher,
                "not in the form, or not under the key, that the room announces",
            );
        }
        let content = content.clone();
        let message = match action {
            true => RecordBody::Action(Message { content }),
            false => RecordBody::Message(Message { content }),
        };
        self.say(about, with, author, message)
    }

    /// The refusal of any message of this author.
    fn refusal_to_hear(&self, with: &JudgeContext<'_>, author: &Author) -> Option<Judged> {
        if self.is_muted(author.member, with.mutes, with.now) {
            let refusal = ErrorCode::Muted.because("you may not speak in this room at present");
            return Some(Verdict::Refuse(
                match with.mutes.left(author.member, with.now) {
                    Some(left) => refusal.after(left),
                    None => refusal,
                },
            ));
        }
        let mut blocking = self.blocking.iter();
        blocking
            .any(|member| *member != author.member)
            .then(|| refuse(ErrorCode::Blocked, "they take no messages from you"))
    }

    /// Accepts a message. In a private conversation a message accepts an invitation, and invites
    /// the other member again after a departure.
    fn say(
        &self,
        about: &About,
        with: &JudgeContext<'_>,
        author: &Author,
        body: RecordBody,
    ) -> Judged {
        let said = Proposed::request(author, body);
        if about.kind != RoomKind::Private {
            return Verdict::Accept(vec![said]);
        }
        let accepts = self.standing(author.member) == Some(Standing::Invited);
        if accepts && !has_room(with, author.member) {
            return too_many_rooms();
        }
        let other = about.other(author.member).map(|person| person.member);
        let before = match other.filter(|other| self.standing(*other).is_none()) {
            Some(other) if !may_be_invited(with, other) => return too_many_invitations(),
            Some(_) => RecordBody::Reopened(Reopened {}),
            None if accepts => RecordBody::Joined(Joined {}),
            None => return Verdict::Accept(vec![said]),
        };
        Verdict::Accept(vec![Proposed::beside(author.member, before), said])
    }
}

/// Whether a content has the form that the room announces, under the key in force.
fn fits(about: &About, content: &Content) -> bool {
    match (about.cipher, content) {
        (CipherKind::None, Content::Plain(_)) | (CipherKind::Caesar, Content::Caesar(_)) => true,
        (CipherKind::StaticKey | CipherKind::RoomPassword, Content::Sealed(sealed)) => {
            about.key.is_none_or(|key| key == sealed.key)
        }
        _ => false,
    }
}
