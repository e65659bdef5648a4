//! Redactions.

use super::{Author, Found, JudgeContext, Judged, Proposed, forbidden, not_member};
use crate::{
    id::MessageId,
    roles::{Action, may},
    state::{
        Verdict, refuse,
        room::{About, REDACTIONS, Room},
    },
    wire::{
        ErrorCode,
        record::{RecordBody, Redacted, RoomKind},
    },
};

impl Room {
    pub(super) fn judge_redact(
        &self,
        about: &About,
        with: &JudgeContext<'_>,
        author: &Author,
        target: MessageId,
        found: Option<Found>,
    ) -> Judged {
        if self.standing(author.member).is_none() {
            return not_member();
        }
        let is_own = target.member == author.member;
        // An own message is no secret to its author, whatever the history policy.
        let known = |found: &Found| is_own || found.seq >= self.readable_from(author.member);
        let Some(found) = found.filter(known) else {
            return refuse(
                ErrorCode::UnknownMessage,
                "there is no such message, or it is not kept any more",
            );
        };
        if found.epoch != with.head.epoch {
            return refuse(ErrorCode::Unavailable, "the log has lost its end meanwhile");
        }
        let by_order = about.kind != RoomKind::Private
            && self
                .role_of(author.member)
                .is_some_and(|mine| may(mine, Action::Redact, self.role_of(target.member)));
        if !is_own && !by_order {
            return forbidden();
        }
        let mut under_way = self.redactions.iter();
        let under_way = under_way.find(|redaction| redaction.seq == found.seq);
        if let Some(by) = found.redacted.or(under_way.map(|redaction| redaction.by)) {
            // The redaction may have stood in a lost tail.
            return match by <= with.head.seq {
                true => Verdict::Repeat(by),
                false => Verdict::Already,
            };
        }
        if with.erasing >= REDACTIONS {
            return refuse(ErrorCode::Busy, "earlier redactions are still being done");
        }
        let body = RecordBody::Redacted(Redacted { seq: found.seq });
        let target = Some(target);
        Verdict::Accept(vec![Proposed {
            target,
            ..Proposed::request(author, body)
        }])
    }
}
