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

use crate::{
    plan::Hears,
    world::{Happening, MS, SECOND, World},
};

/// Within this time after the last fault everybody is whole again.
pub(crate) const WHOLE_WITHIN: u64 = 40 * SECOND;
/// Within this time after the limit a connection that is dead is found out to be.
const NOTICED_WITHIN: u64 = 10 * SECOND;
/// Within this time after its grace period the name of somebody who is gone is free.
pub(crate) const FREE_WITHIN: u64 = 5 * SECOND;

impl World {
    /// No more faults. What is broken is found out to be.
    pub(crate) fn becalm(&mut self) {
        self.book.note(|| "-- the faults are over".to_owned());
        self.calm = true;
        self.disk.becalm();
        self.log.becalm();
        self.log_faults.becalm();
        for hub in 0..self.nodes.len() {
            if self.nodes[hub].hub.is_none() {
                self.nodes[hub].stopping = None;
                self.boot(hub);
            }
        }
        // A dead link is found out to be so, by each end for itself.
        let links: Vec<u32> = self.links.keys().copied().collect();
        for link in links {
            self.arm_down(link);
        }
        for after in [100 * MS, 2 * SECOND, 20 * SECOND] {
            self.soon(after, Happening::NewsForAll);
        }
        self.whole_by = self.now + 2 * WHOLE_WITHIN;
        self.soon(WHOLE_WITHIN, Happening::Whole);
    }

    /// After this time a connection that is dead is found out to be: when nothing was heard for as
    /// long as the limit says, and nobody confirmed its end.
    pub(crate) fn noticed_within(&self) -> u64 {
        3 * u64::from(self.plan.shape.ping_ms) * MS + NOTICED_WITHIN
    }

    /// A connection broke some time ago, and perhaps neither end was told.
    pub(crate) fn check_noticed(&mut self, link: u32) {
        let (mut by_hub, mut by_client) = (true, true);
        if let Some(found) = self.links.get(&link) {
            let (node, peer) = (&self.nodes[found.hub], &self.peers[found.client]);
            let again = node.held_until + self.noticed_within();
            if again > self.now {
                // The hub was held for a time.
                return self.at(again, Happening::Noticed(link));
            }
            by_hub = !found.hub_open || node.life != found.hub_life;
            // A refused client thinks about it, and listens to nothing meanwhile.
            by_client = peer.life != found.client_life
                || peer.link != Some(link)
                || !found.line.was_welcomed();
        }
        self.book.check(
            "a dead connection is noticed in time",
            by_hub && by_client,
            || format!("link {link}, by the hub: {by_hub}, by the client: {by_client}"),
        );
    }

    pub(crate) fn check_whole(&mut self) {
        // Memberships may expire just now: what follows is told within a second.
        let settled = self.truth.directory.changed + 2 * SECOND;
        if self.now < settled && self.now < self.whole_by {
            return self.at(settled, Happening::Whole);
        }
        self.book.note(|| "-- is everybody whole again?".to_owned());
        self.compare_states();
        self.check_states();
        self.check_rooms();
        self.check_listing();
        for hub in 0..self.nodes.len() {
            self.census_of_hub(hub);
        }
        for client in 0..self.peers.len() {
            if self.peers[client].client.is_none() {
                self.check_raw(client);
                continue;
            }
            self.check_client(client);
        }
        if self.scissors.is_some() {
            self.done = true;
            return;
        }
        let after = 1;
        self.soon(after, Happening::AllGone);
    }

    /// The states of hubs, and of snapshots, are those of the logs: no more, no less, and as far as
    /// they go.
    fn check_states(&mut self) {
        let mut wrong = Vec::new();
        for (partition, kept) in self.log.partitions() {
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
            for (hub, node) in self.nodes.iter().enumerate() {
                let held = node.hub.as_ref().and_then(|hub| hub.state_of(partition));
                if let Some((at, held)) = held
                    && (at != kept.head() || held != state)
                {
                    let head = kept.head();
                    wrong.push(format!("{partition:?}: hub {hub} at {at:?} of {head:?}"));
                }
            }
        }
        self.book
            .check("a hub holds what its log says", wrong.is_empty(), || {
                wrong.join("; ")
            });
    }

    /// The directory lists each room as it is.
    fn check_listing(&mut self) {
        let directory = &self.truth.directory;
        let mut wrong = Vec::new();
        for (room, epoch, there) in self.truth.rooms_now() {
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
        let of_nothing =
            listing.find(|(room, listed)| listed.mark > 0 && self.truth.present(*room).is_none());
        if let Some((room, listed)) = of_nothing {
            wrong.push(format!("{room} was never there, and listed as {listed:?}"));
        }
        self.book
            .check("every room is listed as it is", wrong.is_empty(), || {
                wrong.join("; ")
            });
    }

    /// Whether a hub knows that the whole log of a room was lost: it holds the room, or has looked
    /// through all rooms since. The others know it when they look next, within ten minutes.
    fn is_known_to_be_lost(&self, room: RoomId, lost: Option<u64>) -> bool {
        let partition = Partition::Room(room);
        let mut hubs = self.nodes.iter().filter_map(|node| node.hub.as_ref());
        let looked = self.nodes.len() == 1 && lost.is_some_and(|at| self.began > at);
        looked || hubs.any(|hub| hub.state_of(partition).is_some())
    }

    /// Redacted texts are out of the log, wherever a hub holds the room.
    fn check_rooms(&mut self) {
        for (room, epoch, there) in self.truth.rooms_now() {
            let partition = Partition::Room(room);
            let live = self.nodes.iter().any(|node| {
                let state = node.hub.as_ref().and_then(|hub| hub.state_of(partition));
                state.is_some_and(|(at, _)| at == self.log.head(partition) && at.epoch == epoch)
            });
            if !live {
                continue;
            }
            let said = |bytes: &Bytes| {
                Record::from_bytes(bytes).is_ok_and(|record| {
                    matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_))
                })
            };
            // One that was damaged is tried again when the room is loaded next.
            let sound = |seq: &Seq| !self.log.was_damaged(partition, *seq..=*seq);
            for seq in there.redactions().filter(sound) {
                let left = self.log.record(partition, seq).is_some_and(said);
                self.book
                    .check("what was taken back is out of the log", !left, || {
                        format!("{room}: {seq}")
                    });
            }
        }
    }

    fn check_client(&mut self, client: usize) {
        let peer = &self.peers[client];
        let link = peer.link.and_then(|link| self.links.get(&link));
        let line = link.map(|link| &link.line);
        let up = line.is_some_and(super::connection_oracle::Line::is_welcomed);
        if !self.book.check("everybody is back", up, || {
            format!("client {client}: {:?}, {:?}", peer.client, peer.link)
        }) {
            return;
        }
        let (pending, awaited) = line.map_or((0, 0), |line| (line.pending(), line.awaited()));
        self.book
            .check("every request is answered", pending == 0, || {
                format!("client {client}: {line:?}")
            });
        self.book.check(
            "every room is told of after a welcome",
            awaited == 0,
            || format!("client {client}: {line:?}"),
        );
        self.book
            .check("every command ends", peer.tickets.is_empty(), || {
                format!("client {client}: {:?}", peer.tickets)
            });
        let flagged = link.is_some_and(|link| link.flag != crate::net::Flag::No);
        self.book.check("every reader goes on", !flagged, || {
            format!("client {client}")
        });
        let me = peer.member;
        let directory = &self.truth.directory;
        let named = directory
            .person(me)
            .is_some_and(|person| person.holds && person.nick == peer.told.nick);
        self.book
            .check("everybody has the name that they were told", named, || {
                format!(
                    "client {client}: {:?}, {:?}",
                    peer.told.nick,
                    directory.person(me)
                )
            });
        for (room, inside) in &peer.told.rooms {
            let there = self
                .truth
                .present(*room)
                .filter(|(_, there)| there.member_since(me).is_some());
            let Some((epoch, there)) = there else {
                self.book
                    .fail("everybody is where they are said to be", || {
                        format!("client {client}: {room}")
                    });
                return;
            };
            // A record written just now is on its way.
            let next = there.written_at(inside.at.seq + 1);
            let all = next.is_none_or(|at| self.now < at + SECOND);
            let whole = inside.at.epoch == epoch && inside.at.seq <= there.head() && all;
            self.book
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
                self.book.check(
                    "everybody sees who is there",
                    told.as_ref() == Some(&truly),
                    || format!("client {client}: {room}: {told:?} where {truly:?}"),
                );
            }
        }
        for (room, _, there) in self.truth.rooms_now() {
            let member = there.member_since(me).is_some();
            let inside = peer.told.rooms.contains_key(&room);
            self.book.check(
                "everybody is where they are said to be",
                inside || !member,
                || format!("client {client} is a member of {room} and was not told"),
            );
        }
    }

    /// Whether somebody is here, as everybody must know by now; none where that may be on its way.
    fn is_here(&self, member: MemberId) -> Option<bool> {
        let held = self.truth.directory.person(member);
        let held = held.is_some_and(|person| person.holds);
        let settled = u64::from(self.plan.shape.grace_ms) * MS + FREE_WITHIN;
        match self.gone.get(&member) {
            None => {
                let mut links = self.links.values();
                let here = links.any(|link| {
                    let open = link.hub_open && !link.broken;
                    open && link.line.member() == member && link.line.is_welcomed()
                });
                (here == held).then_some(held)
            }
            Some(gone) if gone.since + settled < self.now => (!held).then_some(false),
            Some(_) => None,
        }
    }

    /// Everybody is gone without a word.
    pub(crate) fn all_gone(&mut self) {
        self.book.note(|| "-- everybody goes".to_owned());
        self.over = true;
        for client in 0..self.peers.len() {
            self.end_client(client, false);
        }
        let links: Vec<u32> = self.links.keys().copied().collect();
        for link in links {
            self.cut(link, Hears::Now, Hears::Now);
        }
        let grace = u64::from(self.plan.shape.grace_ms) * MS;
        let noticed = self.noticed_within();
        self.soon(noticed + grace + FREE_WITHIN, Happening::Free);
    }

    pub(crate) fn check_free(&mut self) {
        let held: Vec<_> = self
            .truth
            .directory
            .holders()
            .filter(|(_, person)| !(self.plan.shape.held && person.keeps))
            .map(|(member, person)| (member, person.nick.clone()))
            .collect();
        self.book
            .check("every name is free in time", held.is_empty(), || {
                format!("{held:?}")
            });
        for hub in 0..self.nodes.len() {
            let left = self.nodes[hub]
                .hub
                .as_ref()
                .map_or(0, |hub| hub.connections());
            self.book
                .check("every connection is forgotten", left == 0, || {
                    format!("hub {hub}: {left}")
                });
        }
        let directory = self.log.head(Partition::Directory(0)).seq;
        self.book.mix(directory);
    }
}
