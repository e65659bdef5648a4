//! The end of every run: what was broken is mended, and within a stated time everybody is whole
//! again; then everybody goes, and within a stated time every name is free.

use std::collections::BTreeMap;

use bytes::Bytes;
use chat_core::{
    hub::Hub,
    id::{MemberId, Partition, RoomId, Seq},
    wire::{
        Record,
        record::{PresenceMode, RecordBody},
    },
};

use super::{World, names::FREE_WITHIN};
use crate::{
    connection_oracle::Line,
    happening::{Course, Happening},
    time::SECOND,
};

impl World {
    pub(super) fn check_whole(&mut self) {
        // Memberships may expire just now: what follows is told within a second.
        let settled = self.log.truth().directory.changed + 2 * SECOND;
        if self.turn.now < settled && self.turn.now < self.whole_by {
            return self.turn.at(settled, Happening::Course(Course::Whole));
        }
        self.turn
            .book
            .note(|| "-- is everybody whole again?".to_owned());
        self.compare_states();
        self.check_states();
        self.check_rooms();
        self.check_listing();
        for hub in 0..self.hubs.len() {
            if let Some(stats) = self.hubs.count(hub) {
                self.census(hub, &stats);
            }
        }
        for client in 0..self.people.len() {
            if self.people.is_running(client) {
                self.check_client(client);
            } else {
                self.check_raw(client);
            }
        }
        if self.log.is_cut_up() {
            self.done = true;
            return;
        }
        self.turn.soon(1, Happening::Course(Course::AllGone));
    }

    /// Looks into every hub.
    fn compare_states(&mut self) {
        for hub in 0..self.hubs.len() {
            for partition in self.log.followed_by(hub).clone() {
                self.compare(hub, partition);
            }
        }
    }

    /// The promise that a program of another make has as well as any: an answer to each request.
    fn check_raw(&mut self, client: usize) {
        let line = self.links.standing(client).map(|standing| standing.line);
        if let Some(line) = line.filter(|line| line.is_welcomed()) {
            let pending = line.pending();
            self.turn
                .book
                .check("every request is answered", pending == 0, || {
                    format!("client {client}: {line:?}")
                });
        }
    }

    /// The states of hubs, and of snapshots, are those of the logs: no more, no less, and as far as
    /// they go.
    fn check_states(&mut self) {
        let mut wrong = Vec::new();
        for (partition, kept) in self.log.store().partitions() {
            let Ok(state) = Hub::state_from(partition, &[], &kept.records) else {
                wrong.push(format!("{partition:?} cannot be folded"));
                continue;
            };
            if let Some((covered, snapshot)) = kept.whole_snapshot() {
                let snapshot = [Bytes::from(snapshot)];
                let rest = &kept.records[covered as usize..];
                let again = Hub::state_from(partition, &snapshot, rest);
                if again.as_ref().ok() != Some(&state) {
                    wrong.push(format!("{partition:?}: its snapshot at {covered}"));
                }
            }
            for (hub, at, held) in self.hubs.states(partition) {
                let head = kept.head();
                if at != head || held != state {
                    wrong.push(format!("{partition:?}: hub {hub} at {at:?} of {head:?}"));
                }
            }
        }
        self.turn
            .book
            .check("a hub holds what its log says", wrong.is_empty(), || {
                wrong.join("; ")
            });
    }

    /// The directory lists each room as it is.
    fn check_listing(&mut self) {
        let directory = &self.log.truth().directory;
        let mut wrong = Vec::new();
        for (room, epoch, there) in self.log.truth().rooms_now() {
            let (listed, empty) = (directory.listed(room), there.head() == 0);
            let same = match listed {
                Some(listed) if empty && listed.may_be_empty() => true,
                Some(listed) => there.is_listed_as(listed, there.head()),
                None => empty,
            };
            if !same && (!empty || self.is_known_to_be_lost(room, there.is_lost())) {
                let is: Vec<_> = there.members_at(there.head()).collect();
                wrong.push(format!(
                    "{room} is at {epoch}/{} with {is:?}, and listed as {listed:?}",
                    there.head()
                ));
            }
        }
        let mut listing = directory.listing();
        let of_nothing = listing
            .find(|(room, listed)| listed.mark > 0 && self.log.truth().present(*room).is_none());
        if let Some((room, listed)) = of_nothing {
            wrong.push(format!("{room} was never there, and listed as {listed:?}"));
        }
        self.turn
            .book
            .check("every room is listed as it is", wrong.is_empty(), || {
                wrong.join("; ")
            });
    }

    /// Whether a hub knows that the whole log of a room was lost: it holds the room, or has looked
    /// through all rooms since. The others know it when they look next, within ten minutes.
    fn is_known_to_be_lost(&self, room: RoomId, lost: Option<u64>) -> bool {
        let partition = Partition::Room(room);
        let began = self.turn.book.begun;
        let looked = self.hubs.len() == 1 && lost.is_some_and(|at| began > at);
        looked || self.hubs.states(partition).next().is_some()
    }

    /// Redacted texts are out of the log, wherever a hub holds the room.
    fn check_rooms(&mut self) {
        for (room, epoch, there) in self.log.truth().rooms_now() {
            let partition = Partition::Room(room);
            let head = self.log.store().head(partition);
            let mut states = self.hubs.states(partition);
            if !states.any(|(_, at, _)| at == head && at.epoch == epoch) {
                continue;
            }
            let said = |bytes: &Bytes| {
                Record::from_bytes(bytes).is_ok_and(|record| {
                    matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_))
                })
            };
            // One that was damaged is tried again when the room is loaded next.
            let sound = |seq: &Seq| !self.log.store().was_damaged(partition, *seq..=*seq);
            for seq in there.redactions().filter(sound) {
                let left = self.log.store().record(partition, seq).is_some_and(said);
                self.turn
                    .book
                    .check("what was taken back is out of the log", !left, || {
                        format!("{room}: {seq}")
                    });
            }
        }
    }

    fn check_client(&mut self, client: usize) {
        let Some(peer) = self.people.standing(client) else {
            return;
        };
        let link = self.links.standing(client);
        let line = link.map(|link| link.line);
        if line.is_some_and(Line::is_shut_out) {
            return;
        }
        let up = line.is_some_and(Line::is_welcomed);
        if !self.turn.book.check("everybody is back", up, || {
            let link = self.links.of_client(client);
            format!("client {client}: {:?}, {link:?}", Some(peer.client))
        }) {
            return;
        }
        let (pending, awaited) = line.map_or((0, 0), |line| (line.pending(), line.awaited()));
        self.turn
            .book
            .check("every request is answered", pending == 0, || {
                format!("client {client}: {line:?}")
            });
        self.turn.book.check(
            "every room is told of after a welcome",
            awaited == 0,
            || format!("client {client}: {line:?}"),
        );
        self.turn
            .book
            .check("every command ends", peer.tickets.is_empty(), || {
                format!("client {client}: {:?}", peer.tickets)
            });
        let flagged = link.is_some_and(|link| link.flagged);
        self.turn.book.check("every reader goes on", !flagged, || {
            format!("client {client}")
        });
        let me = peer.member;
        let directory = &self.log.truth().directory;
        let named = directory.person(me).is_some_and(|person| {
            person.holds && person.nick == peer.nick && person.nick == peer.client.me().nick
        });
        self.turn
            .book
            .check("everybody has the name that they were told", named, || {
                format!(
                    "client {client}: {:?}, {:?}",
                    peer.nick,
                    directory.person(me)
                )
            });
        for (room, inside) in peer.rooms {
            let there = self
                .log
                .truth()
                .present(*room)
                .filter(|(_, there)| there.member_since(me).is_some());
            let Some((epoch, there)) = there else {
                self.turn
                    .book
                    .fail("everybody is where they are said to be", || {
                        format!("client {client}: {room}")
                    });
                return;
            };
            // A record written just now is on its way.
            let next = there.written_at(inside.at.seq + 1);
            let all = next.is_none_or(|at| self.turn.now < at + SECOND);
            let whole = inside.at.epoch == epoch && inside.at.seq <= there.head() && all;
            self.turn
                .book
                .check("everybody has heard everything", whole, || {
                    format!(
                        "client {client}: {room}: {:?} where {epoch}/{} is the head",
                        inside.at,
                        there.head()
                    )
                });
            if there.presence == PresenceMode::Full {
                // Of who is just going or coming there may be word already, or not yet.
                let certain = |member: &MemberId| self.is_here(*member).is_some();
                let truly: BTreeMap<MemberId, &str> = there
                    .members()
                    .filter(|member| self.is_here(*member) == Some(true))
                    .filter_map(|member| Some((member, directory.person(member)?)))
                    .map(|(member, person)| (member, person.nick.as_str()))
                    .collect();
                let told: Option<BTreeMap<MemberId, &str>> = inside.here.as_ref().map(|here| {
                    here.iter()
                        .filter(|(member, _)| certain(member))
                        .map(|(member, nick)| (*member, nick.as_str()))
                        .collect()
                });
                self.turn.book.check(
                    "everybody sees who is there",
                    told.as_ref() == Some(&truly),
                    || format!("client {client}: {room}: {told:?} where {truly:?}"),
                );
            }
        }
        for (room, _, there) in self.log.truth().rooms_now() {
            let member = there.member_since(me).is_some();
            let inside = peer.rooms.contains_key(&room);
            self.turn.book.check(
                "everybody is where they are said to be",
                inside || !member,
                || format!("client {client} is a member of {room} and was not told"),
            );
        }
    }

    /// Whether somebody is here, as everybody must know by now; none where that may be on its way.
    fn is_here(&self, member: MemberId) -> Option<bool> {
        let held = self.log.truth().directory.person(member);
        let held = held.is_some_and(|person| person.holds);
        let settled = self.turn.grace() + FREE_WITHIN;
        match self.names.gone_since(member) {
            None => {
                let here = self.links.welcome_at(member).next().is_some();
                (here == held).then_some(held)
            }
            Some(since) if since + settled < self.turn.now => (!held).then_some(false),
            Some(_) => None,
        }
    }

    pub(super) fn check_free(&mut self) {
        let held: Vec<_> = self
            .log
            .truth()
            .directory
            .holders()
            .filter(|(_, person)| !(self.turn.shape.held && person.keeps))
            .map(|(member, person)| (member, person.nick.clone()))
            .collect();
        self.turn
            .book
            .check("every name is free in time", held.is_empty(), || {
                format!("{held:?}")
            });
        for hub in 0..self.hubs.len() {
            let machine = self.hubs.machine(hub);
            let left = machine.map_or(0, |hub| hub.connections());
            self.turn
                .book
                .check("every connection is forgotten", left == 0, || {
                    format!("hub {hub}: {left}")
                });
        }
        let directory = self.log.store().head(Partition::Directory(0)).seq;
        self.turn.book.mix(directory);
    }
}
