//! The duties of a hub's driver towards connections.

use chat_core::{
    hub::{Input, Output, Recipients, RoomPlace},
    id::{ConnId, MemberId},
    wire::{Form, Frame, ServerMessage},
};

use super::{Flag, Kind, Link, Links, Present};
use crate::{
    connection_oracle::{Line, Scene},
    happening::{Happening, LinkDue},
    reference_model::Truth,
    time::MS,
    turn::Turn,
};

/// Bytes of a page of what a slow reader missed, with what surrounds it, in either form.
const PAGE_ROOM: usize = 4_096 + 2_048;
/// Bytes of the longest frame that a client must take.
const FRAME: usize = 1_048_576;
/// Bytes that wait for one connection, in outboxes, beyond which it is cut off.
const SLOW: usize = 4;
/// How long a frame may wait for another one.
const PATIENCE: u64 = 250 * MS;

/// A skipped fan-out.
#[derive(Debug)]
pub(crate) struct Skipped {
    link: u32,
    place: Option<RoomPlace>,
}

/// The kind of a frame for one connection, as far as it is of consequence elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    /// The member is in.
    Welcome(MemberId),
    /// The connection ends.
    Closing,
    Other,
}

impl Links {
    /// Does what a hub asks for one of its connections, or for several.
    pub(crate) fn serve(
        &mut self,
        turn: &mut Turn,
        hub: usize,
        output: Output,
        present: Present<'_>,
        skipped: &mut Vec<Skipped>,
    ) -> Option<(u32, Said)> {
        match output {
            Output::Send { to, frame } => return self.send(turn, hub, to, &frame, present),
            Output::Fanout {
                to,
                place,
                frame,
                patient,
            } => {
                let of = Fanout {
                    place,
                    frame: &frame,
                    patient,
                };
                self.fan_out(turn, hub, &to, &of, present, skipped);
            }
            Output::Block { conn } => {
                if let Some((link, found)) = self.link_of(hub, conn) {
                    found.flag = Flag::Told;
                    self.tables[hub].drained_due.insert(link);
                    turn.book.saw("a returning reader was blocked");
                }
            }
            Output::Credit { conn } => {
                if let Some((link, _)) = self.link_of(hub, conn) {
                    self.tables[hub].credit_due.insert(link);
                }
            }
            Output::Resume { conn } => {
                if let Some((link, found)) = self.link_of(hub, conn) {
                    found.flag = Flag::No;
                    if std::mem::take(&mut found.lost_while_blocked) {
                        turn.book.saw("a blocked reader went on after a lost tail");
                    }
                    self.tables[hub].drained_due.remove(&link);
                    turn.book.saw("a blocked reader went on");
                }
            }
            Output::Close { conn, reason } => {
                turn.book
                    .note(|| format!("hub {hub}: closes {conn:?}: {reason}"));
                if let Some((link, found)) = self.link_of(hub, conn) {
                    found.closed = true;
                    // Frames that wait are written if that goes on; for two seconds at most.
                    let after = if found.down.is_empty() || found.broken {
                        0
                    } else {
                        2_000 * MS
                    };
                    turn.soon(after, Happening::Link(link, LinkDue::HubEnd));
                }
            }
            other => turn.book.fail("a hub's output has one that does it", || {
                format!("{other:?}")
            }),
        }
        None
    }

    pub(super) fn link_of(&mut self, hub: usize, conn: ConnId) -> Option<(u32, &mut Link)> {
        let link = self.tables[hub].in_slot(conn)?;
        let found = self.links.get_mut(&link).filter(|link| link.conn == conn)?;
        Some((link, found))
    }

    /// A frame for one connection.
    fn send(
        &mut self,
        turn: &mut Turn,
        hub: usize,
        to: ConnId,
        frame: &Frame,
        present: Present<'_>,
    ) -> Option<(u32, Said)> {
        let half = turn.shape.outbox_bytes as usize / 2;
        let (link, found) = self.link_of(hub, to)?;
        turn.book.check(
            "nothing is sent to a closed connection",
            !found.closed,
            || format!("{to:?}"),
        );
        let mut kind = Kind::Word;
        let (mut said, mut heard) = (Said::Other, None);
        match decode(found.form, frame) {
            Some(message) => {
                said = match message {
                    ServerMessage::Welcome(_) => Said::Welcome(found.line.member()),
                    ServerMessage::Closing(_) => Said::Closing,
                    _ => Said::Other,
                };
                kind = match &message {
                    ServerMessage::Records(_) => Kind::Records,
                    ServerMessage::Ok(_) | ServerMessage::Error(_) | ServerMessage::Pong(_) => {
                        Kind::Answer
                    }
                    _ => Kind::Word,
                };
                let client = found.client;
                turn.book
                    .note(|| format!("hub {hub} -> client {client}: {}", brief(&message)));
                if let ServerMessage::Records(_) = &message {
                    // Other words since there was room take some.
                    let room =
                        found.flag != Flag::Told || found.down.len() <= half + found.words_since;
                    turn.book
                        .check("a slow reader is caught up as it has room", room, || {
                            format!("client {client}: {} bytes wait", found.down.len())
                        });
                } else {
                    found.words_since += frame.prefixed().len();
                }
                let scene = Scene {
                    truth: present.truth,
                    log: present.log,
                    hub: present.hub,
                    alive: !found.broken && found.client_open,
                };
                found.line.hub_said(&message, &scene, &mut turn.book);
                heard = Some(message);
            }
            None => turn
                .book
                .fail("the hub speaks its protocol", || format!("{frame:?}")),
        }
        if found.flag == Flag::Told {
            self.tables[hub].drained_due.insert(link);
        }
        let told = heard.and_then(|heard| {
            self.judge_of_hello(turn, link, &heard);
            self.lie_to_client(turn, link, &heard)
        });
        let frame = told.as_ref().unwrap_or(frame);
        self.post(turn, link, frame, kind, false, present.losses);
        Some((link, said))
    }

    fn fan_out(
        &mut self,
        turn: &mut Turn,
        hub: usize,
        to: &Recipients,
        of: &Fanout<'_>,
        present: Present<'_>,
        skipped: &mut Vec<Skipped>,
    ) {
        let (frame, place) = (of.frame, of.place);
        let mut heard: [Option<Option<ServerMessage>>; 2] = [None, None];
        for conn in to.iter() {
            let most = turn.shape.outbox_bytes as usize;
            let Some((link, found)) = self.link_of(hub, conn) else {
                continue;
            };
            turn.book.check(
                "nothing is fanned out to a closed connection",
                !found.closed,
                || format!("{conn:?}"),
            );
            if found.flag == Flag::Told {
                continue;
            }
            if found.flag == Flag::Fresh || found.down.len() + frame.len() > most {
                found.flag = Flag::Fresh;
                turn.book.saw("a reader was blocked");
                skipped.push(Skipped { link, place });
                continue;
            }
            let message = heard[usize::from(found.form == Form::Json)]
                .get_or_insert_with(|| decode(found.form, frame));
            match message {
                Some(message) => {
                    let (truth, book) = (present.truth, &mut turn.book);
                    found.line.fanned_out(message, truth, book);
                }
                None => turn
                    .book
                    .fail("the hub speaks its protocol", || format!("{frame:?}")),
            }
            let kind = match message {
                Some(ServerMessage::Records(_)) => Kind::Records,
                _ => Kind::Word,
            };
            self.post(turn, link, frame, kind, of.patient, present.losses);
        }
        for message in heard.iter().flatten().flatten() {
            are_true(message, present.truth, turn);
        }
    }

    /// A client that reads so little that answers alone pile up is not waited for.
    pub(crate) fn cut_off_if_slow(&mut self, turn: &mut Turn, link: u32) {
        let most = SLOW * turn.shape.outbox_bytes as usize;
        let Some(found) = self.links.get_mut(&link).filter(|link| !link.broken) else {
            return;
        };
        if found.down.len() > most {
            turn.book.saw("a reader cut off because it is slow");
            found.broken = true;
            found.up.clear();
            found.down.clear();
            turn.soon(0, Happening::Link(link, LinkDue::HubEnd));
            turn.soon(0, Happening::Link(link, LinkDue::ClientEnd));
        }
    }

    /// Puts a frame into an outbox. A patient one may wait for the next.
    fn post(
        &mut self,
        turn: &mut Turn,
        link: u32,
        frame: &Frame,
        kind: Kind,
        patient: bool,
        losses: usize,
    ) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        turn.book.mix_bytes(&frame.body());
        turn.book.check(
            "a frame is as short as every client must take",
            frame.len() <= FRAME,
            || format!("client {}: {} bytes of {kind:?}", found.client, frame.len()),
        );
        if found.broken {
            return;
        }
        let bytes = frame.in_framing(found.framing);
        found.down.push(bytes, kind);
        // Live records are skipped when there is no room for them; one page is read at a time.
        let page = if turn.shape.large { FRAME } else { PAGE_ROOM };
        let most = turn.shape.outbox_bytes as usize + page;
        let words = found.line.words_allowed(losses);
        let holds = found.down.records <= most && found.down.words <= words;
        let waits = patient && !turn.calm && found.rng.chance(500);
        let (records, waiting, client) = (found.down.records, found.down.words, found.client);
        turn.book.check("an outbox is bounded", holds, || {
            format!(
                "client {client}: {records} bytes of records where {most} may wait, and {waiting} words where {words} may"
            )
        });
        if waits {
            turn.soon(PATIENCE, Happening::Link(link, LinkDue::Flush));
        } else {
            self.arm_down(turn, link);
        }
    }

    /// A hub is told of a fan-out that was skipped.
    pub(crate) fn blocked(&mut self, skipped: &Skipped) -> Option<Input<'static>> {
        let found = self.links.get_mut(&skipped.link);
        let found = found.filter(|link| link.hub_open)?;
        found.flag = Flag::Told;
        let (hub, conn, place) = (found.hub, found.conn, skipped.place);
        self.tables[hub].drained_due.insert(skipped.link);
        Some(Input::Blocked { conn, place })
    }

    /// One word that there is room again, if a hub is owed one and there is.
    pub(crate) fn room(&mut self, turn: &Turn, hub: usize) -> Option<Input<'static>> {
        let half = turn.shape.outbox_bytes as usize / 2;
        let takes = |link: &Link| link.hub_open && !link.closed && !link.broken;
        let (links, table) = (&mut self.links, &mut self.tables[hub]);
        let drained = table.drained_due.iter().find(|link| {
            let link = links.get(link);
            link.is_some_and(|link| takes(link) && link.down.len() <= half)
        });
        if let Some(link) = drained.copied() {
            let found = links.get_mut(&link).expect("just seen");
            table.drained_due.remove(&link);
            found.words_since = 0;
            let conn = found.conn;
            return Some(Input::Drained { conn });
        }
        let credited = table.credit_due.iter().find(|link| {
            let link = links.get(link);
            link.is_some_and(|link| takes(link) && link.down.len() < half)
        });
        let link = credited.copied()?;
        table.credit_due.remove(&link);
        let conn = links[&link].conn;
        Some(Input::Credit { conn })
    }
}

/// A frame for several connections.
struct Fanout<'a> {
    place: Option<RoomPlace>,
    frame: &'a Frame,
    patient: bool,
}

/// Records that are fanned out are those of the log.
fn are_true(message: &ServerMessage, truth: &Truth, turn: &mut Turn) {
    if let ServerMessage::Records(records) = message {
        for record in &records.records {
            let (room, epoch) = (records.room, records.epoch);
            Line::is_true(room, epoch, record, truth, &mut turn.book);
            Line::is_gone(room, epoch, record, truth, &mut turn.book);
        }
    }
}

fn decode(form: Form, frame: &Frame) -> Option<ServerMessage> {
    form.decode(&frame.body()).ok()
}

/// A message in a line.
fn brief(message: &ServerMessage) -> String {
    match message {
        ServerMessage::Welcome(welcome) => {
            format!("welcome {:?}, rooms {:?}", welcome.nick, welcome.rooms)
        }
        ServerMessage::Records(records) => {
            let seqs: Vec<_> = records.records.iter().map(|record| record.seq).collect();
            format!("records {} {}/{seqs:?}", records.room, records.epoch)
        }
        ServerMessage::Entered(entered) => {
            let view = &entered.view;
            format!(
                "entered {} at {:?}, resumed: {}",
                view.room, view.place, entered.resumed
            )
        }
        other => {
            let mut text = format!("{other:?}");
            if let Some((at, _)) = text.char_indices().nth(300) {
                text.truncate(at);
            }
            text
        }
    }
}
