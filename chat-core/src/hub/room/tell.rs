//! The consequences of committed records: for connections, and for the rest of the hub.

use std::sync::Arc;

use super::{
    Effect, Room, Turn,
    propose::{Proposal, Then},
};
use crate::{
    hub::{
        effects::{Marked, Told},
        partition::Taken,
        views::People,
    },
    id::{MemberId, Place, Seq},
    state::{
        directory::projection::{ListedChange, listed_change},
        room::{
            judge::Ask,
            mark::{is_listed, is_said},
        },
    },
    wire::{
        Record,
        record::{Person, RecordBody, RoomKind},
    },
};

/// A record that changes who hears the room, what asked for it, and how many messages came behind
/// it in the same append.
type Cause<'a> = (&'a Record, Option<&'a Proposal>, u64);

/// Whether a record changes who hears the room.
fn changes_audience(body: &RecordBody) -> bool {
    matches!(
        body,
        RecordBody::Created(_)
            | RecordBody::Joined(_)
            | RecordBody::Reopened(_)
            | RecordBody::Left(_)
            | RecordBody::Kicked(_)
            | RecordBody::Banned(_)
            | RecordBody::Closed(_)
    )
}

/// Whether a record is to be heard of at once wherever it is: it begins a room, or invites
/// somebody.
fn is_urgent(body: &RecordBody) -> bool {
    matches!(body, RecordBody::Reopened(_) | RecordBody::Created(_))
}

impl Room {
    /// The consequences of committed records.
    pub(super) fn settle(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        taken: Vec<Taken<Record, Proposal>>,
    ) {
        if taken.is_empty() {
            return;
        }
        self.count_mutes(turn.now.monotonic, &taken);
        let marked = self.marked(&taken);
        // Some records change who hears those behind them, so everything up to such a record is
        // told first.
        let (mut telling, mut done) = (Vec::new(), Vec::new());
        let mut said_later = taken.iter().filter(|one| is_said(&one.entry.body)).count() as u64;
        for taken in taken {
            let Taken {
                entry: record,
                bytes,
                mine,
                proposal,
            } = taken;
            let record = Arc::new(record);
            telling.push(Told {
                record: Arc::clone(&record),
                bytes,
            });
            said_later -= u64::from(is_said(&record.body));
            if changes_audience(&record.body) {
                self.tell(turn, &mut telling);
                let cause = (&*record, proposal.as_ref(), said_later);
                self.audience_changed(turn, people, cause);
            }
            if let RecordBody::Redacted(redacted) = &record.body {
                self.erasing.add(redacted.seq, record.seq);
            }
            done.extend(proposal.map(|proposal| (record.seq, proposal)));
            if mine {
                self.emit(turn, Effect::Happened(record));
            }
        }
        self.tell(turn, &mut telling);
        if let Some(marked) = marked {
            self.emit(turn, Effect::Marked(marked));
        }
        for (seq, proposal) in done {
            self.done(turn, people, seq, &proposal);
        }
        self.erase_next(turn);
        // The first record of a room: what waited for it can be done.
        self.run_waiting(turn, people);
    }

    /// The changes of these records to the room's listing, if any.
    fn marked(&mut self, taken: &[Taken<Record, Proposal>]) -> Option<Marked> {
        let state = self.pipe.state();
        let (before, mark) = (self.mark, state.mark());
        self.mark = mark;
        if before == mark {
            return None;
        }
        let mut changed = Some(Vec::new());
        let (mut mine, mut urgent) = (true, false);
        for taken in taken.iter().filter(|taken| is_listed(&taken.entry.body)) {
            mine &= taken.mine;
            urgent |= is_urgent(&taken.entry.body);
            match (listed_change(state, &taken.entry), &mut changed) {
                (ListedChange::Members(members), Some(changed)) => {
                    let standing = |member| (member, state.standing(member));
                    changed.extend(members.into_iter().map(standing));
                }
                (ListedChange::All, _) => changed = None,
                _ => {}
            }
        }
        Some(Marked {
            before,
            changed,
            mine,
            urgent,
        })
    }

    fn tell(&self, turn: &mut Turn<'_>, telling: &mut Vec<Told>) {
        if telling.is_empty() {
            return;
        }
        let (epoch, told) = (self.pipe.place().epoch, std::mem::take(telling));
        self.emit(turn, Effect::Tell { epoch, told });
    }

    fn at(&self, seq: Seq) -> Place {
        Place {
            seq,
            ..self.pipe.place()
        }
    }

    /// A record that changes who hears the room.
    fn audience_changed(&mut self, turn: &mut Turn<'_>, people: &dyn People, cause: Cause<'_>) {
        let (record, proposal, _) = cause;
        match &record.body {
            RecordBody::Created(created) => {
                let most = turn.config.limits.presence_names;
                self.presence.count(self.pipe.state(), people, most);
                match created.kind {
                    RoomKind::Private => {
                        for person in &created.members {
                            self.arrived(turn, person.member, cause);
                        }
                    }
                    RoomKind::Group => {
                        self.arrived(turn, record.member, cause);
                        if proposal.is_some() {
                            let founder = record.member;
                            self.emit(turn, Effect::Begun { founder });
                        }
                    }
                    RoomKind::Lobby | RoomKind::Other(_) => {}
                }
            }
            RecordBody::Joined(_) => {
                let person = Person {
                    member: record.member,
                    nick: record.nick.clone(),
                    label: record.label.clone(),
                };
                // `joined` says that it is here. It may be gone already, or have another name.
                self.told_by_record(turn, people, record.member, Some(person));
                self.arrived(turn, record.member, cause);
            }
            RecordBody::Reopened(_) => {
                let about = self.pipe.state().about();
                let pair: Vec<MemberId> = about
                    .map(|about| about.pair.iter().map(|person| person.member).collect())
                    .unwrap_or_default();
                for member in pair {
                    self.see(turn, people, member);
                    self.arrived(turn, member, cause);
                }
            }
            RecordBody::Left(_) => {
                self.departed(turn, people, record, record.member, proposal);
            }
            RecordBody::Kicked(removal) | RecordBody::Banned(removal) => {
                self.departed(turn, people, record, removal.target, proposal);
            }
            RecordBody::Closed(_) => {
                for member in self.presence.clear() {
                    self.departed(turn, people, record, member, proposal);
                }
            }
            _ => {}
        }
    }

    /// A member is in from this record on.
    fn arrived(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        (record, proposal, said_later): Cause<'_>,
    ) {
        // The records of the same append may have put it out again.
        let Some(mut view) = self.view_at(member, record.seq) else {
            return;
        };
        // Those are told yet.
        view.said -= said_later;
        let answer = proposal
            .filter(|proposal| proposal.author.member == member)
            .and_then(|proposal| match proposal.then {
                Then::Show { origin } => Some(origin),
                Then::Nothing | Then::Answer { .. } => None,
            });
        let after = None;
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

    /// A member is out from this record on.
    fn departed(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        record: &Record,
        member: MemberId,
        proposal: Option<&Proposal>,
    ) {
        self.told_by_record(turn, people, member, None);
        let until = self.at(record.seq);
        // Only the member's own leave is answered with the end of what it hears.
        let answer = proposal
            .filter(|proposal| matches!(proposal.ask, Ask::Leave) && member == record.member)
            .and_then(Proposal::origin);
        self.emit(
            turn,
            Effect::Leave {
                member,
                until,
                answer,
            },
        );
    }

    /// The consequences for the request that became this record.
    fn done(&mut self, turn: &mut Turn<'_>, people: &dyn People, seq: Seq, proposal: &Proposal) {
        match proposal.then {
            // Answered where the audience changed.
            Then::Answer { .. } if matches!(proposal.ask, Ask::Leave) => {}
            Then::Answer { origin } => {
                let place = self.at(seq);
                self.emit(turn, Effect::Placed { origin, place });
            }
            Then::Show { origin } => {
                let member = proposal.author.member;
                // The member was let in, and put out by a record behind that.
                if self.pipe.state().membership(member).is_none() {
                    self.show(turn, origin, member);
                }
            }
            Then::Nothing => {}
        }
        if matches!(proposal.ask, Ask::Expire) {
            let member = proposal.author.member;
            self.emit(turn, Effect::Expired { member });
        }
        self.decided(turn, people, proposal);
    }
}
