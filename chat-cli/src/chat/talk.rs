//! One client's conversation: what the server tells, what the person types, and what is under way between them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    pin::pin,
    time::Duration,
};

use chat_core::{
    client::{ClientEvent, Command, CommandError, Ended, EnteredHow, Outcome, RoomKey},
    id::{MemberId, MessageId, RoomId, Seq},
    wire::{
        ErrorCode,
        client::{HistoryFrom, RoomRef},
        record::{Record, RecordBody, RoomKind},
        server::{PresenceUpdate, RemovedReason, RoomView},
    },
};
use chat_runtime::{Client, Events};
use futures_util::{
    StreamExt,
    future::{LocalBoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::time::{Instant, sleep_until};

use super::{
    arrivals::{Arrivals, Heard},
    input::{Answer, Input},
    names::Names,
    rooms::{Rooms, prompt, room_name},
    said::Said,
    text::Seen,
    voice::{Doing, Voice},
};
use crate::{
    exit::Failure,
    signals::{Signals, Wish},
};

/// Records that are looked at for the last lines on coming in.
const LAST_LINES: u16 = 20;

/// How long words that were typed may be nowhere on the screen.
const UNSEEN: Duration = Duration::from_secs(1);

/// Why the conversation is over.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The person, the end of input or a signal wants it; the server does not know yet.
    Quit,
    /// The client has ended.
    Ended(Ended),
    /// This program gives up; the server does not know yet.
    Failed(Failure),
}

/// The conversation.
pub(crate) struct Talk<'v> {
    pub(crate) client: Client,
    events: Events,
    pub(crate) input: Input,
    pub(crate) signals: Signals,
    pub(crate) voice: &'v mut Voice,
    pub(crate) rooms: Rooms,
    /// What Tab completes.
    names: Names,
    pub(crate) me: Me,
    /// Whether lines of input may be commands.
    pub(crate) commands: bool,
    /// Whether there is no more input, or none is wanted.
    pub(crate) all_read: bool,
    /// Whether a second wish to end has come.
    pub(crate) impatient: bool,
    /// Lines of input that were taken and not looked at, or refused.
    pub(crate) unread: u64,
    /// Commands whose end will be told, by their numbers.
    pub(crate) jobs: FuturesUnordered<LocalBoxFuture<'static, (u64, JobEnd)>>,
    under_way: BTreeMap<u64, UnderWay>,
    /// The number of the last one.
    last_job: u64,
    /// How many of them are to say something.
    unsaid: usize,
    /// Those whose words are off the screen, and until when that is no matter.
    unseen: VecDeque<(Instant, u64)>,
    /// Something that was said is not confirmed as soon as usual: what is typed stays where it is
    /// until all is.
    slow: bool,
    /// The number of the line of input that is being done.
    pub(crate) line: u64,
    /// Whether the next group that is entered by a command is a new one.
    pub(crate) creating: bool,
    /// Rooms that are being left by one's own wish.
    pub(crate) leaving: BTreeSet<RoomId>,
    /// Whether the server refused the name on coming back, and another is needed.
    pub(crate) nameless: bool,
    connected: bool,
    /// Rooms out of which this client was put.
    put_out: BTreeSet<RoomId>,
    /// The key with which the lobby was joined, if it was.
    pub(crate) lobby: Option<Option<RoomKey>>,
    /// Whether the lobby is being joined again, at a server that knows nobody any more. What is said there waits for that.
    rejoining: bool,
    /// What was seen of what was said.
    pub(crate) said: Said,
    /// What has to wait until the last lines from before are shown.
    arrivals: Arrivals,
    /// Messages that are sent and not confirmed.
    pending: usize,
    /// Whether the person knows that they wait.
    pending_told: bool,
    /// Whether the menu was shown: it says good-bye in its own words.
    pub(crate) menu: bool,
}

/// Who this client is.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    pub(crate) member: MemberId,
    pub(crate) nick: String,
    pub(crate) label: String,
}

/// How a command has ended.
type JobEnd = Result<Outcome, CommandError>;

/// A command that is under way, and what comes after it.
#[derive(Debug)]
struct UnderWay {
    doing: Doing,
    then: Then,
}

/// What to do when a command has succeeded.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// Tell it.
    Tell,
    /// The same, of something that was said.
    Said { room: RoomId, action: bool },
    /// Go on speaking in the lobby.
    Back,
    /// List who is here, or all members, of this room.
    Members { room: RoomId, only_here: bool },
    /// Show what was said before in this room.
    History { room: RoomId },
    /// Tell whether the record was taken back before: by one up to `seen`, the last that was heard
    /// of when that was asked.
    Redacted { seq: Seq, seen: Seq },
    /// Take back what stands in this record, which was not seen.
    Redact { room: RoomId, seq: Seq, seen: Seq },
    /// Show the last lines of this room to somebody who has just come in.
    LastLines { room: RoomId },
    /// Say it in the private conversation that was opened with this one.
    Say { nick: String, text: String },
    /// Take no messages there any more, or take them again.
    Block { nick: String, blocked: bool },
    /// Speak in the private conversation that was opened.
    Switch { nick: String },
}

impl Then {
    /// The end of the text that was to follow a command: not sent, whatever is in doubt.
    fn text_too(&self, error: CommandError) -> CommandError {
        match (self, error) {
            (Self::Say { .. }, CommandError::Unknown) => CommandError::Ended,
            (_, error) => error,
        }
    }
}

impl<'v> Talk<'v> {
    pub(crate) fn new(
        client: Client,
        events: Events,
        input: Input,
        signals: Signals,
        voice: &'v mut Voice,
        names: Names,
        me: Me,
    ) -> Self {
        Self {
            client,
            events,
            input,
            signals,
            voice,
            rooms: Rooms::default(),
            names,
            me,
            commands: false,
            all_read: false,
            impatient: false,
            unread: 0,
            jobs: FuturesUnordered::new(),
            under_way: BTreeMap::new(),
            last_job: 0,
            unsaid: 0,
            unseen: VecDeque::new(),
            slow: false,
            line: 0,
            creating: false,
            leaving: BTreeSet::new(),
            nameless: false,
            connected: true,
            put_out: BTreeSet::new(),
            lobby: None,
            rejoining: false,
            said: Said::default(),
            arrivals: Arrivals::default(),
            pending: 0,
            pending_told: false,
            menu: false,
        }
    }

    /// Waits for something and tells meanwhile what happens.
    pub(crate) async fn until<T>(&mut self, wanted: impl Future<Output = T>) -> Result<T, Stop> {
        let mut wanted = pin!(wanted);
        loop {
            // First what happened: the answer to a join comes after the event of having entered.
            tokio::select! {
                biased;
                happened = self.happens() => happened?,
                value = &mut wanted => return Ok(value),
            }
            if self.voice.is_broken() {
                return Err(Stop::Quit);
            }
        }
    }

    /// Waits until something happens, and tells it. Nothing is lost when this is dropped before it
    /// is done.
    async fn happens(&mut self) -> Result<(), Stop> {
        let too_long_unseen = OptionFuture::from(self.unseen_until().map(sleep_until));
        tokio::select! {
            biased;
            event = self.events.next() => self.event(event)?,
            Some((number, end)) = self.jobs.next() => self.job_ended(number, end),
            wish = self.signals.next() => match wish {
                Wish::Stop | Wish::Restart => return Err(Stop::Quit),
            },
            Some(()) = too_long_unseen => self.show_unseen(),
        }
        Ok(())
    }

    /// When words that were typed have been nowhere on the screen for too long.
    fn unseen_until(&mut self) -> Option<Instant> {
        while let Some((until, number)) = self.unseen.front() {
            if self.under_way.contains_key(number) {
                return Some(*until);
            }
            self.unseen.pop_front();
        }
        None
    }

    /// Words that are not confirmed yet are seen again, and others stay where they are typed until
    /// all are confirmed.
    fn show_unseen(&mut self) {
        self.slow = true;
        self.tidy();
        for (_, number) in mem::take(&mut self.unseen) {
            if let Some(UnderWay { doing, .. }) = self.under_way.get_mut(&number)
                && mem::take(&mut doing.taken_back)
                && let Some(text) = &doing.text
            {
                self.voice.words_pending(text);
            }
        }
    }

    fn tidy(&self) {
        self.input.set_tidy(self.connected && !self.slow);
    }

    /// What stands before what is typed from here on.
    pub(crate) fn prompt(&self) -> String {
        let current = self.rooms.current();
        self.names.speak_in(current.map(|view| view.room));
        prompt(current)
    }

    /// Waits for a command's end.
    pub(crate) async fn command(
        &mut self,
        command: Command,
    ) -> Result<Result<Outcome, CommandError>, Stop> {
        let pending = self.client.command(command);
        self.until(pending).await
    }

    /// Starts a command whose end is told when it comes.
    pub(crate) fn start(&mut self, command: Command, doing: Doing, then: Then) -> u64 {
        if matches!(command, Command::Send { .. }) {
            self.pending += 1;
            self.voice.pending(&doing);
        }
        self.last_job += 1;
        let number = self.last_job;
        self.unsaid += usize::from(doing.text.is_some());
        if doing.taken_back {
            self.unseen.push_back((Instant::now() + UNSEEN, number));
        }
        self.under_way.insert(number, UnderWay { doing, then });
        let pending = self.client.command(command);
        self.jobs
            .push(Box::pin(async move { (number, pending.await) }));
        if self.slow || !self.connected {
            self.show_unseen();
        }
        number
    }

    /// Waits for the end of one that was started.
    pub(crate) async fn until_ended(&mut self, number: u64) -> Result<(), Stop> {
        while self.under_way.contains_key(&number) {
            self.happens().await?;
        }
        Ok(())
    }

    /// Asks the person. None: Ctrl-C, so nothing is to come of what the answer was for. The end of input ends the conversation.
    pub(crate) async fn ask(&mut self, question: &str) -> Result<Option<String>, Stop> {
        loop {
            match self.until(self.input.line(question)).await? {
                Answer::Line(line) | Answer::TakenBack(line) => {
                    return Ok(Some(line.trim().to_owned()));
                }
                Answer::Unreadable(why) => self.voice.notice(why),
                Answer::Interrupted => return Ok(None),
                Answer::End => return Err(Stop::Quit),
            }
        }
    }

    /// The same for what nobody else is to see.
    pub(crate) async fn ask_hidden(&mut self, question: &str) -> Result<Option<String>, Stop> {
        match self.until(self.input.hidden_line(question)).await? {
            Answer::Line(line) | Answer::TakenBack(line) => Ok(Some(line)),
            Answer::Interrupted => Ok(None),
            Answer::Unreadable(_) | Answer::End => Err(Stop::Quit),
        }
    }

    /// Waits until no more than this many commands are unfinished.
    pub(crate) async fn until_at_most(&mut self, unfinished: usize) -> Result<(), Stop> {
        while self.jobs.len() > unfinished {
            self.happens().await?;
        }
        Ok(())
    }

    /// Takes leave: waits for what was said, leaves the rooms, unless this member will come back,
    /// and the server. A second wish to stop is granted at once.
    pub(crate) async fn leave(&mut self, kept: bool) -> Result<(), Failure> {
        if self.impatient {
            return Err(self.end_at_once().await);
        }
        if self.connected && self.unsaid > 0 {
            self.voice.waits_before_end(self.unsaid);
        }
        while self.connected && self.unsaid > 0 {
            match self.happens().await {
                Ok(()) => {}
                Err(Stop::Quit) => return Err(self.end_at_once().await),
                Err(Stop::Ended(_)) => return Ok(()),
                Err(Stop::Failed(failure)) => return Err(failure),
            }
        }
        let rooms = if kept || !self.connected {
            Vec::new()
        } else {
            self.rooms.leavable()
        };
        let mut left: FuturesUnordered<_> = rooms
            .into_iter()
            .map(|room| self.client.command(Command::Leave { room }))
            .collect();
        // Without a connection nobody can be told.
        while self.connected && !left.is_empty() {
            tokio::select! {
                event = self.events.next() => if self.farewell(event).is_err() { return Ok(()) },
                // Whether or why not does not matter any more.
                _ = left.next() => {}
                _ = self.signals.next() => return Err(self.end_at_once().await),
            }
        }
        drop(self.client.close());
        loop {
            tokio::select! {
                event = self.events.next() => if self.farewell(event).is_err() { return Ok(()) },
                _ = self.signals.next() => return Err(self.end_at_once().await),
            }
        }
    }

    /// Ends the client at once, and says of each command what became of it.
    async fn end_at_once(&mut self) -> Failure {
        self.client.abort();
        while !self.jobs.is_empty() {
            let mut ends: Vec<_> = self.jobs.by_ref().collect().await;
            ends.sort_by_key(|(number, _)| *number);
            for (number, end) in ends {
                match end {
                    Err(error @ (CommandError::Unknown | CommandError::Ended)) => {
                        self.abandoned(number, error);
                    }
                    end => self.job_ended(number, end),
                }
            }
        }
        Failure::Fault("ended at once, without taking leave".to_owned())
    }

    /// The program ends before a command has: in doubt, or not sent.
    fn abandoned(&mut self, number: u64, error: CommandError) {
        match self.under_way.remove(&number) {
            None
            | Some(UnderWay {
                then: Then::LastLines { .. },
                ..
            }) => {}
            Some(UnderWay { doing, then }) => {
                self.voice.abandoned(&doing, &then.text_too(error));
            }
        }
    }

    /// Tells the ends of what was under way when the client ended: they are all known by then.
    pub(crate) async fn tell_the_rest(&mut self) {
        while let Some((number, end)) = self.jobs.next().await {
            self.job_ended(number, end);
        }
    }

    /// What still happens while taking leave is of no interest, except for the end.
    fn farewell(&mut self, event: Option<ClientEvent>) -> Result<(), Stop> {
        match event {
            Some(
                ClientEvent::Record { .. }
                | ClientEvent::Presence { .. }
                | ClientEvent::Invitation { .. }
                | ClientEvent::Removed { .. }
                | ClientEvent::HelloRefused(_),
            ) => Ok(()),
            event => self.event(event),
        }
    }

    fn event(&mut self, event: Option<ClientEvent>) -> Result<(), Stop> {
        match event {
            Some(ClientEvent::Welcomed { welcome, again }) => {
                self.connected = true;
                self.tidy();
                self.nameless = false;
                self.voice.welcomed(&welcome, again);
                self.me = Me {
                    member: welcome.member,
                    nick: welcome.nick,
                    label: welcome.label,
                };
            }
            Some(ClientEvent::HelloRefused(failure)) => {
                self.voice.hello_refused(&failure);
                if !self.input.is_person() {
                    return Err(Stop::Failed(Failure::Refused(super::text::refusal(
                        &failure,
                    ))));
                }
                self.nameless = true;
                self.voice
                    .notice("write /nick NICK to come back under another name");
            }
            Some(ClientEvent::Entered { view, how }) => self.entered(view, how),
            Some(ClientEvent::Record { room, record, text }) => {
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
                self.names.heard(room, &record);
                self.said.saw(room, &record);
                if let Some(heard) = self.arrivals.hear(room, (record, text)) {
                    self.show(room, &heard);
                }
            }
            Some(ClientEvent::Presence { room, update }) => {
                if let PresenceUpdate::Changes(changes) = &update {
                    for renamed in &changes.renamed {
                        self.rooms.named(renamed.to.member, &renamed.to.nick);
                    }
                }
                self.names.present(room, &update);
                if let Some(view) = self.rooms.view(room) {
                    let current = self.rooms.is_current(room);
                    self.voice.presence(view, &update, current, self.me.member);
                }
            }
            Some(ClientEvent::Invitation { room, member, what }) => {
                if let Some(view) = self.rooms.view(room) {
                    self.voice.invitation(view, member == self.me.member, what);
                }
            }
            Some(ClientEvent::Removed { room, reason }) => {
                self.show_arrivals(room);
                let asked = self.leaving.remove(&room);
                let put_out = self.put_out.remove(&room) || reason == RemovedReason::Banned;
                let was_current = self.rooms.is_current(room);
                self.said.forget(room);
                self.names.forget(room);
                if room == RoomId::LOBBY && !asked && !put_out && self.back_to_the_lobby() {
                    if let Some(view) = self.rooms.view(room) {
                        self.voice.forgotten(view, reason);
                    }
                    return Ok(());
                }
                if let Some(view) = self.rooms.remove(room) {
                    self.voice.removed(&view, reason, asked);
                }
                if was_current && !asked && !self.input.is_person() {
                    // What a script says next was written for the room that it is out of.
                    self.rooms.switch_off();
                }
                if was_current && let Some(view) = self.rooms.current() {
                    self.voice
                        .notice(&format!("speaking in {}", room_name(view)));
                }
            }
            Some(ClientEvent::Closing(closing)) => self.voice.closing(&closing),
            Some(ClientEvent::Disconnected { retry_in }) => {
                self.connected = false;
                self.voice.disconnected(retry_in);
                self.show_unseen();
                if self.pending > 0 && !mem::replace(&mut self.pending_told, true) {
                    self.voice.still_pending(self.pending, None);
                }
            }
            Some(ClientEvent::Delayed { failure, .. }) => {
                self.show_unseen();
                if !mem::replace(&mut self.pending_told, true) {
                    self.voice.still_pending(self.pending, Some(&failure));
                }
            }
            Some(ClientEvent::Silent { room }) => {
                if let Some(view) = self.rooms.view(room) {
                    self.voice.silent(view);
                }
            }
            Some(ClientEvent::Ended(ended)) => return Err(Stop::Ended(ended)),
            None => return Err(Stop::Ended(Ended::Asked)),
            // A newer library tells more than this program has words for.
            Some(_) => {}
        }
        Ok(())
    }

    /// Shows something that has happened in a room.
    fn show(&mut self, room: RoomId, (record, text): &Heard) {
        if let Some(view) = self.rooms.view(room) {
            let mine = record.member == self.me.member;
            let current = self.rooms.is_current(room);
            self.voice.record(Seen {
                record,
                text: text.as_ref(),
                view,
                mine,
                current,
            });
        }
    }

    /// The last lines of a room are shown, or will not be: what came meanwhile follows.
    fn show_arrivals(&mut self, room: RoomId) {
        for heard in self.arrivals.end(room) {
            self.show(room, &heard);
        }
    }

    /// A server that was started anew knows nobody, but its lobby is open to everybody. Says whether that is tried. What is said
    /// in the lobby from here on follows the join.
    fn back_to_the_lobby(&mut self) -> bool {
        if let Some(key) = self.lobby.clone() {
            self.rejoining = true;
            let doing = Doing::of(self.line, "join");
            self.start(
                Command::Join {
                    room: RoomRef::Lobby,
                    password: None,
                    key,
                    unsealed_too: false,
                },
                doing,
                Then::Back,
            );
        }
        self.rejoining
    }

    fn entered(&mut self, view: RoomView, how: EnteredHow) {
        let created = how == EnteredHow::Command
            && view.kind == RoomKind::Group
            && mem::take(&mut self.creating);
        if created {
            self.voice.created(&view);
        }
        if self.rejoining && view.room == RoomId::LOBBY {
            self.voice.back(&view, how);
        } else {
            if how == EnteredHow::Command && view.kind != RoomKind::Private {
                self.rooms.switch(view.room);
            }
            self.voice.entered(&view, how);
        }
        if how == EnteredHow::Afresh {
            self.said.forget(view.room);
        }
        let is_new = matches!(how, EnteredHow::Command | EnteredHow::New);
        if is_new && !created && self.voice.shows_last_lines() {
            let doing = Doing::of(self.line, "history");
            let (room, from) = (view.room, HistoryFrom::Before(view.place.seq + 1));
            self.arrivals.ask(room);
            let limit = LAST_LINES;
            self.start(
                Command::History { room, from, limit },
                doing,
                Then::LastLines { room },
            );
        }
        self.rooms.enter(view);
    }

    fn job_ended(&mut self, number: u64, result: JobEnd) {
        let Some(UnderWay { doing, then }) = self.under_way.remove(&number) else {
            return;
        };
        self.unsaid -= usize::from(doing.text.is_some());
        if self.unsaid == 0 {
            self.slow = false;
            self.tidy();
        }
        // What is to be said in private is pending from when it is sent.
        if doing.text.is_some() && !matches!(then, Then::Say { .. }) {
            self.pending -= 1;
            self.pending_told &= self.pending > 0;
        }
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.job_failed(doing, then, error),
        };
        match (then, &outcome) {
            (Then::LastLines { room }, Outcome::History { page, texts }) => {
                self.said.show(room, &page.records);
                if let Some(view) = self.rooms.view(room) {
                    self.voice.last_lines(view, page, texts);
                }
                return self.show_arrivals(room);
            }
            (Then::Members { room, only_here }, Outcome::Members(members)) => {
                if let Some(view) = self.rooms.view(room) {
                    self.voice.members(view, members, only_here);
                }
            }
            (Then::History { room }, Outcome::History { page, texts }) => {
                self.said.show(room, &page.records);
                if let Some(view) = self.rooms.view(room) {
                    self.voice.history(view, page, texts);
                }
            }
            (Then::Redacted { seq, seen }, Outcome::Committed(done)) if done.place.seq <= seen => {
                self.voice.taken_back_before(seq);
            }
            (Then::Redact { room, seq, seen }, Outcome::History { page, .. }) => {
                let record = page.records.first().filter(|record| record.seq == seq);
                match record.map(Record::id) {
                    Some(target) => self.redact(room, (seq, target), seen, doing),
                    None => {
                        let why = format!("/redact: there is no record {seq} here");
                        self.voice.not_understood(doing.line, &why);
                    }
                }
                return;
            }
            (Then::Back, _) => self.rejoining = false,
            (Then::Say { text, .. }, Outcome::Room(view)) => {
                self.rooms.look(view);
                return self.say(view.room, false, text, doing);
            }
            (Then::Block { blocked, .. }, Outcome::Room(view)) => {
                let command = Command::Block {
                    room: view.room,
                    blocked,
                };
                self.start(command, doing, Then::Tell);
                return;
            }
            (Then::Switch { .. }, Outcome::Room(view)) => {
                self.rooms.look(view);
                self.rooms.switch(view.room);
                let name = room_name(view);
                self.voice.notice(&format!("speaking in {name}"));
            }
            (_, Outcome::Rooms(rooms)) => self.voice.rooms(rooms),
            (_, Outcome::Named(named)) => {
                self.me.nick.clone_from(&named.nick);
                self.me.label.clone_from(&named.label);
            }
            _ => {}
        }
        self.voice.done(&doing, &outcome);
    }

    /// Says something in a room.
    pub(crate) fn say(&mut self, room: RoomId, action: bool, text: String, doing: Doing) {
        self.start(
            Command::Send { room, action, text },
            doing,
            Then::Said { room, action },
        );
    }

    /// Takes back what stands in a record. `seen`: the last record that was heard of.
    pub(crate) fn redact(
        &mut self,
        room: RoomId,
        (seq, target): (Seq, MessageId),
        seen: Seq,
        doing: Doing,
    ) {
        let command = Command::Redact { room, target, seq };
        self.start(command, doing, Then::Redacted { seq, seen });
    }

    fn job_failed(&mut self, doing: Doing, then: Then, mut error: CommandError) {
        match (then, &mut error) {
            // They were not asked for.
            (Then::LastLines { room }, _) => return self.show_arrivals(room),
            // It was never sent, and the lobby is the lobby.
            (Then::Said { room, action }, CommandError::NotInRoom)
                if self.rejoining && room == RoomId::LOBBY =>
            {
                let text = doing.text.clone().unwrap_or_default();
                return self.say(room, action, text, doing);
            }
            (Then::Back, _) => {
                self.rejoining = false;
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
        self.voice.failed(&doing, &error);
    }
}
