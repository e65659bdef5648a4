//! The actions of users, and their handling of the answers.

use chat_core::{
    cipher::Key,
    client::{Command, CommandError, Create, Outcome, RoomCipher, RoomKey, Ticket},
    id::{MemberId, RoomId},
    password::Password,
    roles::Role,
    time::Wall,
    wire::{
        ErrorCode,
        client::{HistoryFrom, Peer, RoomRef},
        record::{HistoryPolicy, PresenceMode, RecordBody, RoomKind},
    },
};

use crate::{plan::Deed, world::World};

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) text: Option<String>,
    password: Option<String>,
}

impl Asked {
    /// A command of an earlier life.
    pub(crate) fn again(command: Command) -> Self {
        let text = match &command {
            Command::Send { text, .. } => Some(text.clone()),
            _ => None,
        };
        Self {
            command,
            text,
            password: None,
        }
    }
}

impl World {
    pub(crate) fn act(&mut self, client: usize, deed: Deed, pick: u32) {
        if self.peers[client].client.is_none() {
            return;
        }
        match deed {
            Deed::Say => self.say(client, pick),
            Deed::Chatter => {
                for i in 0..2 + pick % 30 {
                    self.say(client, pick.wrapping_add(i / 8));
                }
            }
            _ => {
                if let Some((command, password)) = self.command_for(client, deed, pick) {
                    self.ask(
                        client,
                        Asked {
                            command,
                            text: None,
                            password,
                        },
                    );
                }
            }
        }
    }

    fn say(&mut self, client: usize, pick: u32) {
        let Some(room) = self.some_room(client, pick, |_| true) else {
            return;
        };
        let peer = &mut self.peers[client];
        peer.said += 1;
        let long = if peer.rng.chance(100) {
            " and so on".repeat(peer.rng.below(60) as usize)
        } else {
            String::new()
        };
        let text = format!("{} says {}{long}", peer.index, peer.said);
        let member = peer.member;
        self.texts.insert(text.clone(), (member, Some(room)));
        let command = Command::Send {
            room,
            action: pick.is_multiple_of(7),
            text: text.clone(),
        };
        self.ask(
            client,
            Asked {
                command,
                text: Some(text),
                password: None,
            },
        );
    }

    fn ask(&mut self, client: usize, asked: Asked) {
        let now = self.client_now();
        let peer = &mut self.peers[client];
        let Some(machine) = &mut peer.client else {
            return;
        };
        self.book
            .note(|| format!("client {client} asks: {:?}", asked.command));
        let ticket = machine.command(now, asked.command.clone(), &mut peer.out);
        peer.tickets.insert(ticket, asked);
        self.save(client);
        self.drain_client(client);
    }

    /// A room that the client is in.
    fn some_room(
        &self,
        client: usize,
        pick: u32,
        fits: impl Fn(RoomKind) -> bool,
    ) -> Option<RoomId> {
        let rooms = self.peers[client].told.rooms.keys().copied();
        let fitting: Vec<RoomId> = rooms
            .filter(|room| {
                self.truth
                    .present(*room)
                    .and_then(|(_, room)| room.kind)
                    .is_some_and(&fits)
            })
            .collect();
        (!fitting.is_empty()).then(|| fitting[pick as usize % fitting.len()])
    }

    fn some_member(&self, client: usize, room: RoomId, pick: u32) -> Option<Peer> {
        let me = self.peers[client].member;
        let others: Vec<MemberId> = self
            .truth
            .present(room)?
            .1
            .members()
            .filter(|member| *member != me)
            .collect();
        if others.is_empty() {
            return None;
        }
        let other = others[(pick / 16) as usize % others.len()];
        let nick = self
            .truth
            .directory
            .person(other)
            .map(|person| person.nick.clone());
        Some(
            nick.filter(|_| pick.is_multiple_of(2))
                .map_or(Peer::Member(other), Peer::Nick),
        )
    }

    fn command_for(
        &mut self,
        client: usize,
        deed: Deed,
        pick: u32,
    ) -> Option<(Command, Option<String>)> {
        let group = |kind| kind == RoomKind::Group;
        let plain = |command| Some((command, None));
        let room = |world: &Self| world.some_room(client, pick, group);
        let count = self.texts.len() as u32 + pick;
        match deed {
            Deed::JoinLobby => plain(Command::Join {
                room: RoomRef::Lobby,
                password: None,
                key: None,
                unsealed_too: false,
            }),
            Deed::JoinGroup | Deed::WrongPassword => {
                let groups = self.truth.directory.groups.len() as u32;
                let number = pick % (groups + 1);
                let id = self.truth.directory.groups.get(&number).copied();
                let topic = id.and_then(|id| self.first_topic(id));
                let password = id
                    .and_then(|id| self.passwords.get(&id))
                    .and_then(|all| all.last().cloned());
                let password =
                    password.or_else(|| topic.clone().filter(|topic| topic.starts_with("pw")));
                let password = match deed {
                    // A user that was not told, or does not mind.
                    Deed::WrongPassword if pick.is_multiple_of(2) => None,
                    Deed::WrongPassword => Some(format!("wrong{pick}")),
                    _ => password,
                };
                let key = topic.as_deref().and_then(key_of);
                let reference = match id.filter(|_| pick.is_multiple_of(3)) {
                    Some(id) => RoomRef::Id(id),
                    None => RoomRef::Number(number),
                };
                let command = Command::Join {
                    room: reference,
                    password: password.clone().map(Password::new),
                    key,
                    unsealed_too: true,
                };
                Some((command, password))
            }
            Deed::Whisper => {
                let all = self.peers.len();
                let other = (client + 1 + pick as usize % (all - 1).max(1)) % all;
                let nick = self.peers[other].nick.clone();
                let by_id = Peer::Member(self.peers[other].member);
                (other != client && self.peers[other].life > 0).then(|| {
                    (
                        Command::Direct {
                            to: if pick.is_multiple_of(3) {
                                by_id
                            } else {
                                Peer::Nick(nick)
                            },
                        },
                        None,
                    )
                })
            }
            Deed::Rename => plain(Command::Nick {
                nick: format!("n{client}r{}", pick % 4),
                label: String::new(),
            }),
            Deed::Impersonate => {
                let other = pick as usize % self.peers.len();
                plain(Command::Nick {
                    nick: format!("N{other}"),
                    label: "1a".to_owned(),
                })
            }
            Deed::CreatePlain
            | Deed::CreateQuiet
            | Deed::CreateCaesar
            | Deed::CreateStatic
            | Deed::CreatePassword
            | Deed::CreateGate => {
                let name = pick
                    .is_multiple_of(3)
                    .then(|| format!("group {}", pick % 5));
                let password = matches!(deed, Deed::CreatePassword | Deed::CreateGate)
                    .then(|| format!("pw{count}"));
                let topic = match deed {
                    Deed::CreateCaesar => "caesar".to_owned(),
                    Deed::CreateStatic => format!("static {count}"),
                    _ => password.clone().unwrap_or_default(),
                };
                let cipher = match (deed, key_of(&topic)) {
                    (Deed::CreatePassword, _) => RoomCipher::RoomPassword,
                    (_, Some(key)) => RoomCipher::Key(key),
                    (_, None) => RoomCipher::None,
                };
                let history = if pick.is_multiple_of(2) {
                    HistoryPolicy::All
                } else {
                    HistoryPolicy::SinceJoined
                };
                let presence = if deed == Deed::CreateQuiet {
                    if pick.is_multiple_of(5) {
                        PresenceMode::Off
                    } else {
                        PresenceMode::Count
                    }
                } else {
                    PresenceMode::Full
                };
                let create = Create {
                    name,
                    topic,
                    cipher,
                    history,
                    presence,
                    password: password.clone().map(Password::new),
                };
                Some((Command::Create(create), password))
            }
            Deed::Leave => plain(Command::Leave {
                room: self.some_room(client, pick, |_| true)?,
            }),
            Deed::Kick => {
                let room = room(self)?;
                plain(Command::Kick {
                    room,
                    target: self.some_member(client, room, pick)?,
                    reason: String::new(),
                })
            }
            Deed::Ban => {
                let room = room(self)?;
                plain(Command::Ban {
                    room,
                    target: self.some_member(client, room, pick)?,
                    reason: "enough".to_owned(),
                })
            }
            Deed::Unban => {
                let room = room(self)?;
                let target = Peer::Member(self.peers[pick as usize % self.peers.len()].member);
                plain(Command::Unban { room, target })
            }
            Deed::Mute => {
                let room = room(self)?;
                let seconds = (!pick.is_multiple_of(3)).then_some(1 + pick % 10);
                plain(Command::Mute {
                    room,
                    target: self.some_member(client, room, pick)?,
                    seconds,
                })
            }
            Deed::Unmute => {
                let room = room(self)?;
                plain(Command::Unmute {
                    room,
                    target: self.some_member(client, room, pick)?,
                })
            }
            Deed::Promote => {
                let room = room(self)?;
                let role = Role::ALL[pick as usize % 3];
                plain(Command::Role {
                    room,
                    target: self.some_member(client, room, pick)?,
                    role,
                })
            }
            Deed::Topic => plain(Command::Topic {
                room: self.some_room(client, pick, |kind| kind != RoomKind::Lobby)?,
                topic: format!("topic {pick}"),
            }),
            Deed::SetPassword => {
                let room = room(self)?;
                self.first_topic(room)
                    .filter(|topic| topic.starts_with("pw"))?;
                let password = format!("pw{count}");
                Some((
                    Command::SetPassword {
                        room,
                        password: Password::new(password.clone()),
                    },
                    Some(password),
                ))
            }
            Deed::History => {
                let room = self.some_room(client, pick, |_| true)?;
                let seq = u64::from(pick / 8 % 64);
                let around = Wall(self.client_now().wall.0 - 1_000 * seq);
                let from = *[
                    HistoryFrom::Latest,
                    HistoryFrom::Before(seq),
                    HistoryFrom::After(seq),
                    HistoryFrom::Around(around),
                ]
                .get(pick as usize % 4)?;
                plain(Command::History {
                    room,
                    from,
                    limit: (pick % 200) as u16,
                })
            }
            Deed::Members => plain(Command::Members {
                room: self.some_room(client, pick, |_| true)?,
            }),
            Deed::List => plain(Command::List),
            Deed::Block | Deed::Unblock => {
                let room = self.some_room(client, pick, |kind| kind == RoomKind::Private)?;
                plain(Command::Block {
                    room,
                    blocked: deed == Deed::Block,
                })
            }
            Deed::Redact | Deed::RedactOther => {
                let room = self.some_room(client, pick, |_| true)?;
                let own = deed == Deed::Redact;
                let me = self.peers[client].member;
                let (_, there) = self.truth.present(room)?;
                let said = there.something_said(me, own, pick / 16)?;
                let (target, seq) = (said.id(), said.seq);
                plain(Command::Redact { room, target, seq })
            }
            Deed::Say | Deed::Chatter => None,
        }
    }

    /// The word of the room's users to each other about its key: it stands in its first topic.
    fn first_topic(&self, room: RoomId) -> Option<String> {
        match &self.truth.present(room)?.1.record(1)?.body {
            RecordBody::Created(created) => Some(created.topic.clone()),
            _ => None,
        }
    }

    /// A command has ended.
    pub(crate) fn finished(
        &mut self,
        client: usize,
        ticket: Ticket,
        outcome: Result<Outcome, CommandError>,
    ) {
        let Some(asked) = self.peers[client].tickets.remove(&ticket) else {
            return self.book.fail("a command ends once", || {
                format!("client {client}: {ticket:?}: {outcome:?}")
            });
        };
        self.book.check("a command ends once", true, String::new);
        match &outcome {
            Ok(Outcome::Room(view)) => {
                let joined = matches!(
                    asked.command,
                    Command::Join { .. } | Command::Create(_) | Command::Direct { .. }
                );
                self.book.check("an outcome fits its command", joined, || {
                    format!("client {client}: {asked:?}: {outcome:?}")
                });
                if let Command::Join { key: Some(key), .. }
                | Command::Create(Create {
                    cipher: RoomCipher::Key(key),
                    ..
                }) = &asked.command
                {
                    self.was_given(client, view, key);
                }
                if let Some(password) = &asked.password
                    && view.credential.is_some()
                {
                    let wrong = password.starts_with("wrong");
                    self.book
                        .check("a wrong password opens nothing", !wrong, || {
                            format!("client {client}: {asked:?}: {view:?}")
                        });
                    self.passwords
                        .entry(view.room)
                        .or_default()
                        .push(password.clone());
                    self.can_read(client, view);
                }
            }
            Ok(Outcome::Committed(committed)) => {
                if let (Command::SetPassword { room, .. }, Some(password)) =
                    (&asked.command, &asked.password)
                {
                    self.passwords
                        .entry(*room)
                        .or_default()
                        .push(password.clone());
                    self.book.saw("a password changed");
                    let room = *room;
                    let became = self
                        .truth
                        .room(room, committed.place.epoch)
                        .and_then(|room| room.record(committed.place.seq));
                    if let Some(RecordBody::Password(change)) = became.map(|record| &record.body) {
                        let key = change.password.key.id;
                        self.has_key(client, room, key);
                    }
                }
                if let Command::Send { room, .. } = &asked.command {
                    let room = self.truth.room(*room, committed.place.epoch);
                    let written = room.and_then(|room| room.written_at(committed.place.seq));
                    let stands = room.and_then(|room| room.record(committed.place.seq));
                    let mine =
                        stands.is_some_and(|record| record.member == self.peers[client].member);
                    self.book.check(
                        "what an application was promised stands in the log",
                        mine,
                        || format!("client {client}: {asked:?}: {committed:?}: {stands:?}"),
                    );
                    self.is_found_done(client, written);
                }
            }
            Ok(Outcome::Named(named)) => {
                self.peers[client].nick.clone_from(&named.nick);
                self.peers[client].told.nick.clone_from(&named.nick);
            }
            Ok(Outcome::History { page, texts }) => {
                let Command::History { room, .. } = asked.command else {
                    return self.book.fail("an outcome fits its command", || {
                        format!("client {client}: {asked:?}: {outcome:?}")
                    });
                };
                let all = page.records.len() == texts.len();
                self.book.check("every message opens or says why", all, || {
                    format!("client {client}: {texts:?} of {:?}", page.records)
                });
                // A client that has left meanwhile has no key of the room any more.
                let inside = self.peers[client].told.rooms.contains_key(&room);
                for (record, text) in page.records.iter().zip(texts).filter(|_| inside) {
                    self.opens(client, room, record, text.clone());
                }
            }
            Ok(_) => {}
            Err(CommandError::Unknown) => self.book.saw("a command whose end is unknown"),
            Err(error) => {
                if let CommandError::Refused(failure) = error {
                    self.book.saw(refusal(failure.code));
                    let own = matches!(
                        failure.code,
                        ErrorCode::TxnReused
                            | ErrorCode::TxnForgotten
                            | ErrorCode::UnknownRequest
                            | ErrorCode::BadRequest
                            | ErrorCode::MessageTooLarge
                            | ErrorCode::RateLimited
                            | ErrorCode::Busy
                            | ErrorCode::Unavailable
                    );
                    // Names change hands: one may whisper to oneself.
                    let own = own && !matches!(asked.command, Command::Direct { .. });
                    // A message to be taken back may not be kept any more.
                    let own = own
                        && !(matches!(asked.command, Command::Redact { .. })
                            && failure.code == ErrorCode::BadRequest);
                    self.book
                        .check("the client makes no mistakes of its own", !own, || {
                            format!("client {client}: {asked:?}: {failure:?}")
                        });
                }
                if let (Some(text), Command::Send { room, .. }) = (&asked.text, &asked.command) {
                    let heard = self
                        .truth
                        .present(*room)
                        .is_some_and(|(_, room)| room.has_said(text));
                    self.book.check("what is refused is not done", !heard, || {
                        format!("client {client}: {text:?}: {error}")
                    });
                    self.refused.insert(text.clone());
                }
            }
        }
    }
}

/// The key that a topic tells of.
fn key_of(topic: &str) -> Option<RoomKey> {
    if topic == "caesar" {
        return Some(RoomKey::Caesar(3));
    }
    let number: u64 = topic.strip_prefix("static ")?.parse().ok()?;
    let mut key = [7; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    Some(RoomKey::Static(Key(key)))
}

fn refusal(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NickTaken => "refused: nick_taken",
        ErrorCode::NameTaken => "refused: name_taken",
        ErrorCode::Forbidden => "refused: forbidden",
        ErrorCode::Banned => "refused: banned",
        ErrorCode::Muted => "refused: muted",
        ErrorCode::Blocked => "refused: blocked",
        ErrorCode::NotMember => "refused: not_member",
        ErrorCode::PasswordRequired => "refused: password_required",
        ErrorCode::StaleProof => "refused: stale_proof",
        ErrorCode::WrongCipher => "refused: wrong_cipher",
        ErrorCode::TooManyGuesses => "refused: too_many_guesses",
        ErrorCode::UnknownRoom => "refused: unknown_room",
        ErrorCode::UnknownMember => "refused: unknown_member",
        ErrorCode::Damaged => "refused: damaged",
        _ => "refused: something else",
    }
}
