//! The conversation once the client is in: the rooms, what happens in them, and the commands that
//! are under way.

use std::{collections::BTreeSet, mem};

use chat_core::{
    client::{ClientEvent, Command, CommandError, Ended, EnteredHow, Outcome, RoomKey},
    id::{MemberId, MessageId, RoomId, Seq},
    wire::{
        ErrorCode,
        client::{HistoryFrom, RoomRef},
        record::{Record, RecordBody, RoomKind},
        server::{Named, PresenceUpdate, RemovedReason, RoomView, Welcome},
    },
};

use super::{
    arrivals::{Arrivals, Heard},
    io::Options,
    jobs::{Job, Jobs, Then},
    requests::Joined,
    said::Said,
    turn::Turn,
};
use crate::{
    completion::Names,
    failure::Failure,
    report::{CommandOrigin, Report, refusal},
    rooms::{Joinable, Rooms, prompt, room_name},
};

/// Records that are looked at for the last lines on coming in.
const LAST_LINES: u16 = 20;

/// Why the conversation is over.
#[derive(Debug)]
pub(super) enum Stop {
    /// The person, the end of input or a signal wants it; the server does not know yet.
    Quit,
    /// The client has ended.
    Ended(Ended),
    /// This program gives up; the server does not know yet.
    Failed(Failure),
}

/// The member that this client is.
#[derive(Clone, Debug)]
pub(super) struct Me {
    pub(super) member: MemberId,
    pub(super) nick: String,
    pub(super) label: String,
}

/// The connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// Lost; the client tries again.
    Lost,
    /// The server refused the name on coming back, and another is needed.
    Nameless,
}

/// The lobby, for a server that was started anew and knows nobody.
#[derive(Clone, Debug)]
enum Lobby {
    /// Not joined, or by other means.
    NotJoined,
    /// Joined with this key.
    Joined(Option<RoomKey>),
    /// Being joined again with this key. Messages to it wait for that.
    Rejoining(Option<RoomKey>),
}

/// The conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Whether a person is there.
    pub(super) person: bool,
    last_lines: bool,
    pub(super) rooms: Rooms,
    /// The nicks that Tab completes.
    names: Names,
    pub(super) me: Me,
    pub(super) jobs: Jobs,
    /// The number of the line of input that is being done.
    pub(super) line: u64,
    /// Whether the next group that is entered by a command is a new one.
    pub(super) creating: bool,
    /// Rooms that are being left by one's own wish.
    pub(super) leaving: BTreeSet<RoomId>,
    link: Link,
    /// Rooms out of which this client was put.
    put_out: BTreeSet<RoomId>,
    lobby: Lobby,
    /// Messages that were seen.
    pub(super) said: Said,
    /// Records that wait until the last lines from before are shown.
    arrivals: Arrivals,
    /// Lines of input that came to nothing, or nobody knows.
    pub(super) failures: u64,
}

impl Conversation {
    pub(super) fn new(options: &Options, welcome: Welcome) -> Self {
        Self {
            person: options.person,
            last_lines: options.last_lines,
            rooms: Rooms::default(),
            names: options.names.clone(),
            me: Me::from(welcome),
            jobs: Jobs::default(),
            line: 0,
            creating: false,
            leaving: BTreeSet::new(),
            link: Link::Up,
            put_out: BTreeSet::new(),
            lobby: Lobby::NotJoined,
            said: Said::default(),
            arrivals: Arrivals::default(),
            failures: 0,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link == Link::Up
    }

    /// Whether the server refused the name on coming back.
    pub(super) fn is_nameless(&self) -> bool {
        self.link == Link::Nameless
    }

    /// Whether what is typed is seen again soon, as everybody sees it.
    pub(super) fn is_tidy(&self) -> bool {
        self.is_connected() && !self.jobs.is_slow()
    }

    /// The prompt for lines that are typed from here on.
    pub(super) fn prompt(&self) -> String {
        let current = self.rooms.current();
        self.names.speak_in(current.map(|view| view.room));
        prompt(current)
    }

    /// The room that is spoken in.
    pub(super) fn spoken_in(&self) -> Option<RoomId> {
        self.rooms.current().map(|view| view.room)
    }

    /// Words that are not confirmed yet are seen again, and others stay where they are typed until
    /// all are confirmed.
    pub(super) fn show_unseen(&mut self, turn: &mut Turn<'_>) {
        for text in self.jobs.show_unseen() {
            turn.tell(Report::TextPending(text));
        }
    }

    /// Starts a command whose end is told when it comes.
    pub(super) fn start(
        &mut self,
        command: Command,
        origin: CommandOrigin,
        then: Then,
        turn: &mut Turn<'_>,
    ) -> u64 {
        if matches!(command, Command::Send { .. }) {
            turn.tell(Report::Pending(origin.clone()));
        }
        let number = self.jobs.start(turn.now, Job { origin, then });
        turn.command(number, command);
        if !self.is_tidy() {
            self.show_unseen(turn);
        }
        number
    }

    /// Says something in a room.
    pub(super) fn say(
        &mut self,
        room: RoomId,
        action: bool,
        text: String,
        origin: CommandOrigin,
        turn: &mut Turn<'_>,
    ) {
        let command = Command::Send { room, action, text };
        self.start(command, origin, Then::Said { room, action }, turn);
    }

    /// Takes back what stands in a record. `seen`: the last record that was heard of.
    pub(super) fn redact(
        &mut self,
        room: RoomId,
        (seq, target): (Seq, MessageId),
        seen: Seq,
        origin: CommandOrigin,
        turn: &mut Turn<'_>,
    ) {
        let command = Command::Redact { room, target, seq };
        self.start(command, origin, Then::Redacted { seq, seen }, turn);
    }

    /// A command has failed, or nobody knows.
    pub(super) fn failed(
        &mut self,
        origin: CommandOrigin,
        error: CommandError,
        turn: &mut Turn<'_>,
    ) {
        self.failures += 1;
        turn.tell(Report::Failed { origin, error });
    }

    /// The line that is being done could not be understood, or nothing can be done with it.
    pub(super) fn not_understood(&mut self, why: impl Into<String>, turn: &mut Turn<'_>) {
        self.failures += 1;
        turn.tell(Report::NotUnderstood {
            line: self.line,
            why: why.into(),
        });
    }

    /// Speaks in this room from here on, and says so.
    pub(super) fn switch(&mut self, room: RoomId, turn: &mut Turn<'_>) {
        self.rooms.switch(room);
        self.tell_place(turn);
    }

    fn tell_place(&self, turn: &mut Turn<'_>) {
        if let Some(view) = self.rooms.current() {
            turn.notice(format!("speaking in {}", room_name(&view.into())));
        }
    }

    /// A room was joined by a dialog.
    pub(super) fn joined(&mut self, joined: Joined, turn: &mut Turn<'_>) {
        let Joined {
            view,
            place,
            key,
            was_in,
        } = joined;
        if place == Joinable::Lobby {
            self.lobby = Lobby::Joined(key);
        }
        let room = view.room;
        if was_in || !self.rooms.is_current(room) {
            // One was in already, or a membership from an earlier life was told of meanwhile: there
            // was no event of entering.
            let how = EnteredHow::Command;
            turn.tell(Report::Entered { view, how });
            self.rooms.switch(room);
        }
    }

    /// An event of the client.
    pub(super) fn event(&mut self, event: ClientEvent, turn: &mut Turn<'_>) -> Result<(), Stop> {
        match event {
            ClientEvent::Welcomed { welcome, again } => {
                self.link = Link::Up;
                self.me = Me::from(welcome.clone());
                turn.tell(Report::Welcomed { welcome, again });
            }
            ClientEvent::HelloRefused(failure) => {
                turn.tell(Report::HelloRefused(failure.clone()));
                if !self.person {
                    return Err(Stop::Failed(Failure::Refused(refusal(&failure))));
                }
                self.link = Link::Nameless;
                turn.notice("write /nick NICK to come back under another name");
            }
            ClientEvent::Named(named) => {
                self.is_called(&named);
                turn.tell(Report::Named(named));
            }
            ClientEvent::Closing(closing) => turn.tell(Report::Closing(closing)),
            ClientEvent::Disconnected { retry_in } => {
                if self.link == Link::Up {
                    self.link = Link::Lost;
                }
                turn.tell(Report::Disconnected { retry_in });
                self.show_unseen(turn);
                if self.jobs.has_messages()
                    && let Some(messages) = self.jobs.tell_waiting()
                {
                    let failure = None;
                    turn.tell(Report::StillPending { messages, failure });
                }
            }
            ClientEvent::Delayed { failure, .. } => {
                self.show_unseen(turn);
                if let Some(messages) = self.jobs.tell_waiting() {
                    let failure = Some(failure);
                    turn.tell(Report::StillPending { messages, failure });
                }
            }
            ClientEvent::Ended(ended) => return Err(Stop::Ended(ended)),
            event => self.room_event(event, turn),
        }
        Ok(())
    }

    /// An event of a room.
    fn room_event(&mut self, event: ClientEvent, turn: &mut Turn<'_>) {
        match event {
            ClientEvent::Entered { view, how } => self.entered(view, how, turn),
            ClientEvent::Record { room, record, text } => {
                self.note_record(room, &record);
                if let Some(heard) = self.arrivals.hear(room, (record, text)) {
                    self.show(room, heard, turn);
                }
            }
            ClientEvent::Presence { room, update } => {
                if let PresenceUpdate::Changes(changes) = &update {
                    for renamed in &changes.renamed {
                        self.rooms.named(renamed.to.member, &renamed.to.nick);
                    }
                }
                self.names.present(room, &update);
                if let Some(title) = self.rooms.title(room) {
                    turn.tell(Report::Presence {
                        room: title,
                        update,
                        current: self.rooms.is_current(room),
                        me: self.me.member,
                    });
                }
            }
            ClientEvent::Invitation { room, member, what } => {
                if let Some(room) = self.rooms.title(room) {
                    let mine = member == self.me.member;
                    turn.tell(Report::Invitation { room, mine, what });
                }
            }
            ClientEvent::Removed { room, reason } => self.removed(room, reason, turn),
            ClientEvent::Silent { room } => {
                if let Some(title) = self.rooms.title(room) {
                    turn.tell(Report::Silent(title));
                }
            }
            // A newer library tells more than this program has words for.
            _ => {}
        }
    }

    /// Takes in a record, whenever it is shown.
    fn note_record(&mut self, room: RoomId, record: &Record) {
        match &record.body {
            RecordBody::Topic(topic) => self.rooms.set_topic(room, &topic.topic),
            RecordBody::Kicked(removal) | RecordBody::Banned(removal)
                if removal.target == self.me.member =>
            {
                self.put_out.insert(room);
            }
            _ => {}
        }
        self.rooms.named(record.member, &record.nick);
        self.names.heard(room, record);
        self.said.saw(room, record);
    }

    /// Shows something that has happened in a room.
    fn show(&self, room: RoomId, (record, text): Heard, turn: &mut Turn<'_>) {
        if let Some(title) = self.rooms.title(room) {
            turn.tell(Report::Record {
                room: title,
                mine: record.member == self.me.member,
                current: self.rooms.is_current(room),
                record,
                text,
            });
        }
    }

    /// The last lines of a room are shown, or will not be: what came meanwhile follows.
    fn show_arrivals(&mut self, room: RoomId, turn: &mut Turn<'_>) {
        for heard in self.arrivals.end(room) {
            self.show(room, heard, turn);
        }
    }

    fn entered(&mut self, view: RoomView, how: EnteredHow, turn: &mut Turn<'_>) {
        let created = how == EnteredHow::Command
            && view.kind == RoomKind::Group
            && mem::take(&mut self.creating);
        if created {
            turn.tell(Report::Created((&view).into()));
        }
        if matches!(self.lobby, Lobby::Rejoining(_)) && view.room == RoomId::LOBBY {
            let view = view.clone();
            turn.tell(Report::Back { view, how });
        } else {
            if how == EnteredHow::Command && view.kind != RoomKind::Private {
                self.rooms.switch(view.room);
            }
            let view = view.clone();
            turn.tell(Report::Entered { view, how });
        }
        if how == EnteredHow::Afresh {
            self.said.forget(view.room);
        }
        let is_new = matches!(how, EnteredHow::Command | EnteredHow::New);
        if is_new && !created && self.last_lines {
            let origin = CommandOrigin::of(self.line, "history");
            let (room, from) = (view.room, HistoryFrom::Before(view.place.seq + 1));
            self.arrivals.ask(room);
            let limit = LAST_LINES;
            let command = Command::History { room, from, limit };
            self.start(command, origin, Then::LastLines { room }, turn);
        }
        self.rooms.enter(view);
    }

    fn removed(&mut self, room: RoomId, reason: RemovedReason, turn: &mut Turn<'_>) {
        self.show_arrivals(room, turn);
        let asked = self.leaving.remove(&room);
        let put_out = self.put_out.remove(&room) || reason == RemovedReason::Banned;
        let was_current = self.rooms.is_current(room);
        self.said.forget(room);
        self.names.forget(room);
        if room == RoomId::LOBBY && !asked && !put_out && self.back_to_the_lobby(turn) {
            if let Some(room) = self.rooms.title(room) {
                turn.tell(Report::Forgotten { room, reason });
            }
            return;
        }
        if let Some(view) = self.rooms.remove(room) {
            turn.tell(Report::Removed {
                room: (&view).into(),
                reason,
                asked,
            });
        }
        if was_current && !asked && !self.person {
            // The next lines of a script were written for the room that it is out of.
            self.rooms.switch_off();
        }
        if was_current {
            self.tell_place(turn);
        }
    }

    /// A server that was started anew knows nobody, but its lobby is open to everybody. Says
    /// whether joining is tried. Messages to the lobby from here on follow the join.
    fn back_to_the_lobby(&mut self, turn: &mut Turn<'_>) -> bool {
        let (Lobby::Joined(key) | Lobby::Rejoining(key)) = &self.lobby else {
            return false;
        };
        let command = Command::Join {
            room: RoomRef::Lobby,
            password: None,
            key: key.clone(),
            unsealed_too: false,
        };
        self.lobby = Lobby::Rejoining(key.clone());
        let origin = CommandOrigin::of(self.line, "join");
        self.start(command, origin, Then::Back, turn);
        true
    }

    /// The lobby is joined again, or will not be.
    fn end_rejoining(&mut self) {
        if let Lobby::Rejoining(key) = &mut self.lobby {
            self.lobby = Lobby::Joined(key.take());
        }
    }

    /// The program ends before a command has: in doubt, or not sent.
    pub(super) fn abandoned(&mut self, number: u64, error: CommandError, turn: &mut Turn<'_>) {
        match self.jobs.end(number) {
            None
            | Some(Job {
                then: Then::LastLines { .. },
                ..
            }) => {}
            Some(Job { origin, then }) => {
                self.failures += 1;
                let error = then.text_too(error);
                turn.tell(Report::Abandoned { origin, error });
            }
        }
    }

    /// A command that was [started](Self::start) has ended.
    pub(super) fn job_ended(
        &mut self,
        number: u64,
        result: Result<Outcome, CommandError>,
        turn: &mut Turn<'_>,
    ) {
        let Some(Job { origin, then }) = self.jobs.end(number) else {
            return;
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.job_failed(origin, then, error, turn),
        };
        match (then, outcome) {
            (Then::LastLines { room }, Outcome::History { page, texts }) => {
                self.said.show(room, &page.records);
                if let Some(room) = self.rooms.title(room) {
                    turn.tell(Report::LastLines { room, page, texts });
                }
                self.show_arrivals(room, turn);
            }
            (Then::Redact { room, seq, seen }, Outcome::History { page, .. }) => {
                let record = page.records.first().filter(|record| record.seq == seq);
                match record.map(Record::id) {
                    Some(target) => self.redact(room, (seq, target), seen, origin, turn),
                    None => {
                        self.failures += 1;
                        turn.tell(Report::NotUnderstood {
                            line: origin.line,
                            why: format!("/redact: there is no record {seq} here"),
                        });
                    }
                }
            }
            (Then::Say { text, .. }, Outcome::Room(view)) => {
                self.rooms.look(&view);
                self.say(view.room, false, text, origin, turn);
            }
            (Then::Block { blocked, .. }, Outcome::Room(view)) => {
                let room = view.room;
                let command = Command::Block { room, blocked };
                self.start(command, origin, Then::Tell, turn);
            }
            (then, outcome) => {
                self.tell_outcome(then, &outcome, turn);
                turn.tell(Report::Done { origin, outcome });
            }
        }
    }

    /// Tells what a command has brought, before it is done.
    fn tell_outcome(&mut self, then: Then, outcome: &Outcome, turn: &mut Turn<'_>) {
        match (then, outcome) {
            (Then::Members { room, only_here }, Outcome::Members(members)) => {
                if let Some(room) = self.rooms.title(room) {
                    turn.tell(Report::Members {
                        room,
                        members: members.clone(),
                        only_here,
                    });
                }
            }
            (Then::History { room }, Outcome::History { page, texts }) => {
                self.said.show(room, &page.records);
                if let Some(room) = self.rooms.title(room) {
                    let (page, texts) = (page.clone(), texts.clone());
                    turn.tell(Report::History { room, page, texts });
                }
            }
            (Then::Redacted { seq, seen }, Outcome::Committed(done)) if done.place.seq <= seen => {
                turn.tell(Report::TakenBackBefore(seq));
            }
            (Then::Back, _) => self.end_rejoining(),
            (Then::Switch { .. }, Outcome::Room(view)) => {
                self.rooms.look(view);
                self.rooms.switch(view.room);
                turn.notice(format!("speaking in {}", room_name(&view.into())));
            }
            (_, Outcome::Rooms(rooms)) => turn.tell(Report::Rooms(rooms.clone())),
            (_, Outcome::Named(named)) => self.is_called(named),
            _ => {}
        }
    }

    fn is_called(&mut self, named: &Named) {
        self.me.nick.clone_from(&named.nick);
        self.me.label.clone_from(&named.label);
    }

    fn job_failed(
        &mut self,
        origin: CommandOrigin,
        then: Then,
        error: CommandError,
        turn: &mut Turn<'_>,
    ) {
        let mut error = then.text_too(error);
        match (then, &mut error) {
            // They were not asked for.
            (Then::LastLines { room }, _) => return self.show_arrivals(room, turn),
            // The message was never sent, and the lobby is the lobby.
            (Then::Said { room, action }, CommandError::NotInRoom)
                if matches!(self.lobby, Lobby::Rejoining(_)) && room == RoomId::LOBBY =>
            {
                let text = origin.text.clone().unwrap_or_default();
                return self.say(room, action, text, origin, turn);
            }
            (Then::Back, _) => {
                self.end_rejoining();
                self.rooms.remove(RoomId::LOBBY);
            }
            (
                Then::Say { nick, .. } | Then::Switch { nick } | Then::Block { nick, .. },
                CommandError::Refused(failure),
            ) if failure.code == ErrorCode::UnknownMember => {
                failure.text = format!("nobody is called `{nick}`");
            }
            _ => {}
        }
        self.failed(origin, error, turn);
    }
}

impl From<Welcome> for Me {
    fn from(welcome: Welcome) -> Self {
        Self {
            member: welcome.member,
            nick: welcome.nick,
            label: welcome.label,
        }
    }
}
