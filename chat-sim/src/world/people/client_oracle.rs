//! The events of a client for its application, and whether they are true.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    cipher::OpenError,
    client::{ClientEvent, EnteredHow, RoomKey, Text},
    id::{KeyId, MemberId, Place, RoomId},
    wire::{
        Record,
        record::{CipherKind, Person, RecordBody},
        server::{PresenceUpdate, RoomView},
    },
};

use super::People;
use crate::{connection_oracle::Line, reference_model::Truth, turn::Turn};

/// All that one life of a client was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) rooms: BTreeMap<RoomId, Inside>,
    pub(super) welcomes: u32,
    pub(super) nick: String,
}

/// A room that the application is in.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The last record.
    pub(crate) at: Place,
    /// The members that are there, if the room tells.
    pub(crate) here: Option<BTreeMap<MemberId, String>>,
    /// Keys that the client must have.
    pub(crate) keys: BTreeSet<KeyId>,
}

impl People {
    pub(super) fn tell(
        &mut self,
        turn: &mut Turn,
        client: usize,
        event: ClientEvent,
        truth: &Truth,
    ) {
        match event {
            ClientEvent::Entered { view, how } => self.entered(turn, client, &view, how),
            ClientEvent::Record { room, record, text } => {
                let Some(inside) = self.peers[client].told.rooms.get_mut(&room) else {
                    return turn.book.fail("an application hears rooms it is in", || {
                        format!("client {client}: {room}: {record:?}")
                    });
                };
                let next = record.seq == inside.at.seq + 1;
                turn.book
                    .check("an application hears records in order, once", next, || {
                        format!(
                            "client {client} is at {:?} of {room} and hears {}",
                            inside.at, record.seq
                        )
                    });
                inside.at.seq = record.seq;
                Line::is_true(room, inside.at.epoch, &record, truth, &mut turn.book);
                if let Some(here) = &mut inside.here {
                    match &record.body {
                        RecordBody::Joined(_) => {
                            here.insert(record.member, record.nick.clone());
                        }
                        RecordBody::Left(_) => {
                            here.remove(&record.member);
                        }
                        RecordBody::Closed(_) => here.clear(),
                        RecordBody::Kicked(removal) | RecordBody::Banned(removal) => {
                            here.remove(&removal.target);
                        }
                        _ => {}
                    }
                }
                self.opens(turn, client, room, &record, text);
            }
            ClientEvent::Presence { room, update } => {
                let Some(inside) = self.peers[client].told.rooms.get_mut(&room) else {
                    return turn.book.fail("an application hears rooms it is in", || {
                        format!("client {client}: {room}: {update:?}")
                    });
                };
                match update {
                    PresenceUpdate::Full(people) => {
                        inside.here = Some(people.people.into_iter().map(of_person).collect())
                    }
                    PresenceUpdate::Changes(changes) => {
                        if let Some(here) = &mut inside.here {
                            here.extend(changes.here.into_iter().map(of_person));
                            changes.gone.iter().for_each(|person| {
                                here.remove(&person.member);
                            });
                            for renamed in changes.renamed {
                                if let Some(name) = here.get_mut(&renamed.to.member) {
                                    *name = renamed.to.nick;
                                }
                            }
                        }
                    }
                    _ => inside.here = None,
                }
            }
            ClientEvent::Named(named) => {
                turn.book.saw("a name that another session has chosen");
                let peer = &mut self.peers[client];
                peer.told.nick.clone_from(&named.nick);
                peer.nick = named.nick;
            }
            ClientEvent::Removed { room, .. } => {
                let there = self.peers[client].told.rooms.remove(&room).is_some();
                turn.book
                    .check("an application hears rooms it is in", there, || {
                        format!("client {client} is removed from {room}")
                    });
            }
            _ => {}
        }
    }

    /// A client is in.
    pub(super) fn welcomed(&mut self, turn: &mut Turn, client: usize, nick: String) {
        let told = &mut self.peers[client].told;
        told.welcomes += 1;
        if told.welcomes > 1 {
            turn.book.saw("a client came back");
        }
        told.nick.clone_from(&nick);
        self.peers[client].nick = nick;
    }

    /// A message is told with its text, or with why there is none.
    pub(super) fn opens(
        &self,
        turn: &mut Turn,
        client: usize,
        room: RoomId,
        record: &Record,
        text: Option<Text>,
    ) {
        let said = matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_));
        turn.book.check(
            "every message opens or says why",
            said == text.is_some(),
            || format!("client {client}: {record:?}"),
        );
        match text {
            None => {}
            Some(Ok(text)) => {
                let whose = self.texts.get(&text);
                let right = whose.is_some_and(|(member, to)| {
                    *member == record.member && to.is_none_or(|to| to == room)
                });
                turn.book.check("what is heard was said", right, || {
                    format!(
                        "client {client}: {text:?} of {} in {room}; said by {whose:?}",
                        record.member
                    )
                });
                let fine = !self.refused.contains(&text);
                turn.book.check("what was refused is not heard", fine, || {
                    format!("client {client}: {text:?}")
                });
            }
            Some(Err(OpenError::NoKey(key))) => {
                let inside = self.peers[client].told.rooms.get(&room);
                let missing = inside.is_none_or(|inside| !inside.keys.contains(&key));
                turn.book
                    .check("every message opens or says why", missing, || {
                        format!(
                            "client {client} has {key} and does not open {} of {room}",
                            record.seq
                        )
                    });
                turn.book
                    .saw("a message that does not open for want of a key");
            }
            Some(Err(error)) => {
                turn.book.fail("every message opens or says why", || {
                    format!("client {client}: {} of {room}: {error}", record.seq)
                });
            }
        }
    }

    /// A user that gave a key has it.
    pub(super) fn was_given(&mut self, client: usize, view: &RoomView, key: &RoomKey) {
        // A shift has no name: it is told as zeros.
        let name = match (view.cipher, key) {
            (CipherKind::Caesar, RoomKey::Caesar(_)) => Some(KeyId([0; 16])),
            (CipherKind::StaticKey, RoomKey::Static(_)) => view.key,
            _ => None,
        };
        if let Some(inside) = self.peers[client].told.rooms.get_mut(&view.room) {
            inside.keys.extend(name);
        }
    }

    fn entered(&mut self, turn: &mut Turn, client: usize, view: &RoomView, how: EnteredHow) {
        let rooms = &mut self.peers[client].told.rooms;
        let before = rooms.get_mut(&view.room);
        let fits = match (how, &before) {
            (EnteredHow::Command | EnteredHow::New, None) => true,
            (EnteredHow::Resumed, Some(inside)) => {
                inside.at.epoch == view.place.epoch && inside.at.seq <= view.place.seq
            }
            (EnteredHow::Afresh, Some(_)) => true,
            _ => false,
        };
        turn.book
            .check("a room is entered as it was left", fits, || {
                format!(
                    "client {client}: {how:?} {} at {:?}, was {before:?}",
                    view.room, view.place
                )
            });
        if how == EnteredHow::Resumed {
            return;
        }
        if how == EnteredHow::Afresh {
            turn.book.saw("a client began a room afresh");
        }
        let keys = before
            .map(|inside| std::mem::take(&mut inside.keys))
            .unwrap_or_default();
        rooms.insert(
            view.room,
            Inside {
                at: view.place,
                here: None,
                keys,
            },
        );
    }

    /// The client was shown a room by a command that it ended with its password: it can read there.
    pub(super) fn can_read(&mut self, turn: &mut Turn, client: usize, view: &RoomView) {
        if view.cipher != CipherKind::RoomPassword {
            return;
        }
        if let Some(inside) = self.peers[client].told.rooms.get_mut(&view.room) {
            inside.keys.extend(view.keys.iter().map(|key| key.id));
        }
        for key in &view.keys {
            self.has_key(turn, client, view.room, key.id);
        }
    }

    /// A user that gave a password has the key that came with it, whichever of several attempts it
    /// came of.
    pub(super) fn has_key(&self, turn: &mut Turn, client: usize, room: RoomId, key: KeyId) {
        let machine = self.peers[client].client.as_ref();
        // The client may be out of the room again.
        let Some(kept) = machine.and_then(|machine| machine.keys(room)) else {
            return;
        };
        let has = kept.windows(key.0.len()).any(|id| id == key.0);
        turn.book
            .check("who gave the password has the room's key", has, || {
                format!("client {client}: {key:?} of {room}")
            });
    }
}

fn of_person(person: Person) -> (MemberId, String) {
    (person.member, person.nick)
}

/// An event in a line.
pub(super) fn brief(event: &ClientEvent) -> String {
    let mut text = match event {
        ClientEvent::Welcomed { welcome, again } => {
            format!("welcomed as {:?}, again: {again}", welcome.nick)
        }
        ClientEvent::Entered { view, how } => {
            format!("entered {} at {:?}: {how:?}", view.room, view.place)
        }
        ClientEvent::Record { room, record, text } => format!(
            "record {} of {room}: {:?} {text:?}",
            record.seq, record.body
        ),
        other => format!("{other:?}"),
    };
    if let Some((at, _)) = text.char_indices().nth(240) {
        text.truncate(at);
    }
    text
}
