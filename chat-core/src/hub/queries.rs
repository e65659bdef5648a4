//! Questions that change nothing: which rooms there are, who is in one, what was said.

use super::{Hub, Reading, answers::Origin, io::Outputs};
use crate::{
    id::{MemberId, Partition, RoomId},
    log::{LogUnavailable, Page, Query, ReadFrom},
    time::Now,
    wire::{
        ErrorCode, Record,
        client::{History, HistoryFrom, Members},
        server::{Answer, HistoryPage, MemberInfo, MemberPage, RoomInfo, Rooms},
    },
};

impl Hub {
    pub(super) fn list(&self, after: Option<u32>, limit: usize) -> Rooms {
        let from = after.map_or(0, |after| after as usize + 1);
        let mut groups = self.directory.state.groups_from(from);
        let rooms = groups
            .by_ref()
            .take(limit)
            .map(|(room, group)| RoomInfo {
                room,
                number: group.number,
                name: group.name.clone(),
                topic: group.topic.clone(),
                cipher: group.cipher,
                protected: group.protected,
                members: group.members,
            })
            .collect();
        Rooms {
            rooms,
            more: groups.next().is_some(),
        }
    }

    pub(super) fn list_members(
        &mut self,
        now: Now,
        origin: Origin,
        member: MemberId,
        asked: &Members,
        out: &mut Outputs,
    ) {
        let (after, limit) = (asked.after, self.page_limit(asked.limit));
        let Some(room) = self.rooms.get(&asked.room) else {
            return;
        };
        let (state, directory) = (&room.pipe.state, &self.directory.state);
        if !state.members.contains_key(&member) {
            return self.refuse(
                origin,
                ErrorCode::NotMember.because("you are not in that room"),
                out,
            );
        }
        let from = after.map_or(core::ops::Bound::Unbounded, core::ops::Bound::Excluded);
        let mut rest = state.members.range((from, core::ops::Bound::Unbounded));
        let members = rest
            .by_ref()
            .take(limit)
            .map(|(member, membership)| {
                let person = room.person(directory, *member);
                MemberInfo {
                    member: *member,
                    nick: person.nick,
                    label: person.label,
                    role: membership.role,
                    here: room.here.contains_key(member),
                    muted: state.is_muted(*member, now.wall),
                }
            })
            .collect();
        let more = rest.next().is_some();
        self.answer(origin, Answer::Members(MemberPage { members, more }), out);
    }

    pub(super) fn history(
        &mut self,
        origin: Origin,
        member: MemberId,
        history: &History,
        out: &mut Outputs,
    ) {
        let readable = self
            .rooms
            .get(&history.room)
            .map_or(u64::MAX, |room| room.pipe.state.readable_from(member));
        if readable == u64::MAX {
            return self.refuse(
                origin,
                ErrorCode::NotMember.because("you are not in that room"),
                out,
            );
        }
        let from = match history.from {
            HistoryFrom::Latest => ReadFrom::Latest,
            HistoryFrom::Before(seq) => ReadFrom::Before(seq),
            HistoryFrom::After(seq) => ReadFrom::After(seq.max(readable - 1)),
        };
        let query = Query {
            from,
            records: self.page_limit(history.limit) as u32,
            bytes: self.config.limits.page_bytes,
        };
        self.read(
            Partition::Room(history.room),
            query,
            Reading::History {
                origin,
                member,
                room: history.room,
            },
            out,
        );
    }

    pub(super) fn history_read(
        &mut self,
        origin: Origin,
        member: MemberId,
        id: RoomId,
        page: Result<Page, LogUnavailable>,
        out: &mut Outputs,
    ) {
        let readable = self
            .rooms
            .get(&id)
            .filter(|room| room.pipe.is_live())
            .map(|room| (room.pipe.state.readable_from(member), room.pipe.place));
        let (Ok(page), Some((from, place))) = (page, readable) else {
            return self.refuse(
                origin,
                ErrorCode::Unavailable.because("the history cannot be read at present"),
                out,
            );
        };
        if page.head.epoch != place.epoch {
            // What was read and what is known here are not of one log.
            return self.refuse(
                origin,
                ErrorCode::Unavailable.because("the room is being read anew"),
                out,
            );
        }
        if from == u64::MAX {
            return self.refuse(
                origin,
                ErrorCode::NotMember.because("you are not in that room"),
                out,
            );
        }
        // Only what is taken in here has been told to anybody.
        let visible = (page.first..)
            .zip(&page.records)
            .filter(|(seq, _)| (from..=place.seq).contains(seq));
        let records: Result<Vec<Record>, _> = visible
            .map(|(_, bytes)| Record::from_bytes(bytes))
            .collect();
        match records {
            Err(e) => self.refuse(
                origin,
                ErrorCode::Unavailable.because(format!("a stored record is damaged: {e}")),
                out,
            ),
            Ok(records) => {
                let oldest = page.oldest.max(from);
                let oldest = if oldest <= place.seq { oldest } else { 0 };
                self.answer(
                    origin,
                    Answer::History(HistoryPage {
                        epoch: place.epoch,
                        records,
                        oldest,
                        newest: place.seq,
                    }),
                    out,
                );
            }
        }
    }

    pub(super) fn page_limit(&self, asked: u16) -> usize {
        let most = self.config.limits.page;
        usize::from(if asked == 0 { most } else { asked.min(most) })
    }
}
