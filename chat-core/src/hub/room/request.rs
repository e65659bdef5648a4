//! Requests about a room, and who is to hear it.

use super::{
    Attach, Effect, Room, Rooms, Task, Turn, Waiting,
    propose::{Only, Proposal, Then},
};
use crate::{
    hub::{
        origin::{Asked, Origin},
        partition::Look,
        questions::STALE_READS,
        views::People,
    },
    id::{MemberId, RoomId, Seq},
    state::room::{
        judge::{Ask, Author},
        mark::Mark,
    },
    wire::{
        ErrorCode,
        client::Op,
        record::{Created, PasswordChange},
        server::RemovedReason,
    },
};

/// Records that are news to a member that is found to be in; of more, it begins with what is there.
const NEWS: Seq = 1_000;

impl Rooms {
    /// Makes the first record of a group, which has its number. `answer`: the request that it is,
    /// and whether the group must be there already.
    pub(in crate::hub) fn begin(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        (author, created): (Author, Created),
        answer: Option<(Origin, bool)>,
    ) {
        let then = answer.map_or(Then::Nothing, |(origin, _)| Then::Show { origin });
        let only = match answer {
            Some((_, true)) => Only::Begun,
            _ => Only::Anyway,
        };
        let proposal = Proposal {
            author,
            ask: Ask::Create(Box::new(created)),
            then,
            checked: Ok(()),
            only,
        };
        self.with(turn, people, id, Task::Propose(proposal));
    }

    /// Opens a private conversation, which may have begun long ago.
    pub(in crate::hub) fn direct(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        (author, created): (Author, Created),
        origin: Origin,
    ) {
        let proposal = Proposal {
            author,
            ask: Ask::Direct(Box::new(created)),
            then: Then::Show { origin },
            checked: Ok(()),
            only: Only::Anyway,
        };
        self.with(turn, people, id, Task::Propose(proposal));
    }

    /// A member came in by an invitation to the room: makes it a member, if it may be one.
    pub(in crate::hub) fn bring(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        member: MemberId,
    ) {
        let proposal = Proposal {
            only: Only::Begun,
            ..Proposal::unasked(Author::unasked(member), Ask::Join { proved: None })
        };
        self.with(turn, people, id, Task::Propose(proposal));
    }

    /// A member is being forgotten: ends its membership.
    pub(in crate::hub) fn expire(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        member: MemberId,
    ) {
        let proposal = Proposal::unasked(Author::unasked(member), Ask::Expire);
        self.with(turn, people, id, Task::Propose(proposal));
    }

    /// A member leaves, by what it said of all rooms of this kind.
    pub(in crate::hub) fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        member: MemberId,
    ) {
        let proposal = Proposal::unasked(Author::unasked(member), Ask::Leave);
        self.with(turn, people, id, Task::Propose(proposal));
    }

    /// Closes a group in which nothing was ever said, if nobody has come or gone since this mark
    /// and none of its members is here.
    pub(in crate::hub) fn close_unspoken(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        mark: Mark,
    ) {
        let reason = String::new();
        let proposal = Proposal {
            only: Only::Unspoken(mark),
            ..Proposal::unasked(Author::SERVER, Ask::Close { reason })
        };
        self.with(turn, people, id, Task::Propose(proposal));
    }

    /// Closes a group of which the log was lost, so that its number is not given again.
    pub(in crate::hub) fn close_lost(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
    ) {
        let reason = String::new();
        let proposal = Proposal {
            only: Only::Empty,
            ..Proposal::unasked(Author::SERVER, Ask::Close { reason })
        };
        self.with(turn, people, id, Task::Propose(proposal));
    }
}

impl Room {
    /// A request about a room that is there.
    pub(super) fn asked(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        asked: Box<Asked>,
        since: Look,
    ) {
        // A join that waited for the room as well may have come first.
        let Some(asked) = self.wait_for_join(asked) else {
            return;
        };
        if self.pipe.state().about().is_none() && !self.pipe.is_certain(since) {
            let task = Task::Request(asked);
            return self.look_first(turn, people, Waiting { task, since });
        }
        let author = Author {
            member: asked.member,
            session: asked.session,
            txn: asked.request.txn,
            hash: asked.request.op.hash(),
        };
        let Asked {
            origin,
            request,
            checked,
            ..
        } = *asked;
        let ask = match request.op {
            Op::Login(_) | Op::Join(_) | Op::Members(_) | Op::History(_) | Op::Redact(_) => {
                let asked = Asked {
                    request,
                    checked,
                    ..*asked
                };
                return self.asked_apart(turn, people, author, asked, since);
            }
            op => match ask_of(op) {
                Some(ask) => ask,
                None => {
                    let refusal = ErrorCode::BadRequest.because("that is not about a room");
                    return self.refuse(turn, origin, refusal);
                }
            },
        };
        let proposal = Proposal {
            author,
            ask,
            then: Then::Answer { origin },
            checked,
            only: Only::Anyway,
        };
        self.propose(turn, people, proposal, since);
    }

    /// Requests that need more than a judgement.
    fn asked_apart(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        author: Author,
        asked: Asked,
        since: Look,
    ) {
        match &asked.request.op {
            Op::Login(_) => self.login(turn, people, asked, since),
            Op::Join(_) => self.join(turn, people, author, asked, since),
            Op::Redact(redact) => {
                let redact = *redact;
                self.redact(turn, people, (author, asked.origin), redact, since);
            }
            _ => {
                let is_in = self.pipe.state().standing(asked.member).is_some();
                if !is_in && !self.pipe.is_certain(since) {
                    let task = Task::Request(Box::new(asked));
                    return self.look_first(turn, people, Waiting { task, since });
                }
                if !is_in {
                    let refusal = ErrorCode::NotMember.because("you are not in that room");
                    return self.refuse(turn, asked.origin, refusal);
                }
                match asked.request.op {
                    Op::Members(members) => {
                        self.list_members(turn, people, asked.origin, &members);
                    }
                    Op::History(history) => {
                        self.history(turn, asked.origin, asked.member, &history);
                    }
                    _ => {}
                }
            }
        }
    }

    /// `entered` or `removed` is owed to a connection.
    pub(super) fn attach(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        (attach, looks): (Attach, u8),
        since: Look,
    ) {
        let Attach {
            conn,
            member,
            place,
        } = attach;
        let (state, now) = (self.pipe.state(), self.pipe.place());
        let ahead = place.is_some_and(|at| at.epoch == now.epoch && at.seq > now.seq);
        let membership = state.membership(member);
        // Where other hubs write to the log as well, this one may not have heard yet that the
        // member is in, or of a place that it has seen elsewhere. What others know may be more than
        // a server of the log shows that is behind, so one look is not enough.
        let since = match looks {
            0..STALE_READS => self.pipe.moment(),
            _ => since,
        };
        if (ahead || membership.is_none()) && !self.pipe.is_certain(since) {
            let looks = looks + 1;
            let task = Task::Attach { attach, looks };
            return self.look_first(turn, people, Waiting { task, since });
        }
        match membership {
            Some(membership) => {
                // A member that was out in between begins anew, even where it may read what was
                // said meanwhile: the record that put it out would put it out again.
                let whole = |at: &_| at_is_kept(at, now) && at.seq >= membership.since;
                let resumed = place.filter(whole);
                if let Some(view) = self.view(member) {
                    self.emit(
                        turn,
                        Effect::Attach {
                            conn,
                            resumed,
                            view,
                        },
                    );
                }
            }
            None if self.is_coming_in(member) => self.undecided.push(attach),
            None => {
                let reason = self.removed_reason(member);
                self.emit(turn, Effect::Removed { conn, reason });
            }
        }
    }

    /// Why a room is not a member's.
    pub(super) fn removed_reason(&self, member: MemberId) -> RemovedReason {
        let state = self.pipe.state();
        if state.is_closed() {
            return RemovedReason::Closed;
        }
        match state.about() {
            None => RemovedReason::Unknown,
            Some(_) if state.is_banned(member) => RemovedReason::Banned,
            // Not even whether others have a conversation of that id.
            Some(about) if !about.pair.is_empty() && !state.is_known_to(member) => {
                RemovedReason::Unknown
            }
            Some(_) => RemovedReason::NotMember,
        }
    }

    /// A member that is connected here is listed: takes it in, if it is in.
    pub(super) fn find(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        member: MemberId,
        since: Look,
    ) {
        let Some(membership) = self.pipe.state().membership(member) else {
            if !self.pipe.is_certain(since) {
                let task = Task::LookUp { member };
                self.look_first(turn, people, Waiting { task, since });
            }
            return;
        };
        if let Some(view) = self.view(member) {
            let recent = view.place.seq.saturating_sub(membership.since) <= NEWS;
            let (answer, after) = (None, recent.then_some(membership.since));
            self.emit(
                turn,
                Effect::Enter {
                    member,
                    answer,
                    after,
                    view,
                },
            );
        }
    }

    /// Answers with the room, and takes the connection in.
    pub(super) fn show(&mut self, turn: &mut Turn<'_>, origin: Origin, member: MemberId) {
        match self.view(member) {
            Some(view) => self.emit(turn, Effect::Show { origin, view }),
            None => {
                let text = "you are not in that room any more";
                self.refuse(turn, origin, ErrorCode::NotMember.because(text));
            }
        }
    }
}

/// Whether a place is one of the log as it is known here.
fn at_is_kept(at: &crate::id::Place, now: crate::id::Place) -> bool {
    at.epoch == now.epoch && at.seq <= now.seq
}

/// The proposal of a request that is judged by the room as it stands.
fn ask_of(op: Op) -> Option<Ask> {
    Some(match op {
        Op::Password(change) => Ask::Password {
            expected: change.expected,
            change: Box::new(PasswordChange {
                password: change.password,
                earlier: change.earlier,
            }),
        },
        Op::Leave(_) => Ask::Leave,
        Op::Send(send) => Ask::Send {
            action: send.action,
            content: send.content,
        },
        Op::Topic(topic) => Ask::Topic(topic.topic),
        Op::Role(role) => Ask::Role {
            target: role.target,
            role: role.role,
        },
        Op::Kick(kick) => Ask::Kick {
            target: kick.target,
            reason: kick.reason,
        },
        Op::Ban(ban) => Ask::Ban {
            target: ban.target,
            reason: ban.reason,
        },
        Op::Unban(on) => Ask::Unban { target: on.target },
        Op::Mute(mute) => Ask::Mute {
            target: mute.target,
            seconds: mute.seconds,
        },
        Op::Unmute(on) => Ask::Unmute { target: on.target },
        Op::Block(block) => Ask::Block {
            blocked: block.blocked,
        },
        _ => return None,
    })
}
