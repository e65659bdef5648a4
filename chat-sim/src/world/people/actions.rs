//! The actions of users, and their handling of the answers.

use chat_core::{
    cipher::Key,
    client::{Command, Create, RoomCipher, RoomKey},
    id::{MemberId, RoomId},
    password::Password,
    roles::Role,
    time::Wall,
    wire::{
        client::{HistoryFrom, Peer, RoomRef},
        record::{HistoryPolicy, PresenceMode, RecordBody, RoomKind},
    },
};

use super::People;
use crate::{plan::Deed, reference_model::Truth, turn::Turn};

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) command: Command,
    pub(super) text: Option<String>,
    pub(super) password: Option<String>,
}

impl Asked {
    /// A command of an earlier life.
    pub(super) fn again(command: Command) -> Self {
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

impl People {
    /// Something is done as often as there are picks. Whether the client's machine may have
    /// something to say.
    pub(crate) fn act(
        &mut self,
        turn: &mut Turn,
        client: usize,
        deed: Deed,
        pick: u32,
        truth: &Truth,
    ) -> bool {
        let asked = match deed {
            Deed::Say | Deed::Chatter => self.say(client, pick, truth),
            _ => self
                .command_for(turn, client, deed, pick, truth)
                .map(|(command, password)| Asked {
                    command,
                    text: None,
                    password,
                }),
        };
        asked.is_some_and(|asked| self.ask(turn, client, asked))
    }

    fn say(&mut self, client: usize, pick: u32, truth: &Truth) -> Option<Asked> {
        let room = self.some_room(client, pick, truth, |_| true)?;
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
        Some(Asked {
            command,
            text: Some(text),
            password: None,
        })
    }

    fn ask(&mut self, turn: &mut Turn, client: usize, asked: Asked) -> bool {
        let now = turn.time(0);
        let peer = &mut self.peers[client];
        let Some(machine) = &mut peer.client else {
            return false;
        };
        turn.book
            .note(|| format!("client {client} asks: {:?}", asked.command));
        let ticket = machine.command(now, asked.command.clone(), &mut peer.out);
        peer.tickets.insert(ticket, asked);
        self.save(client);
        true
    }

    /// A room that the client is in.
    fn some_room(
        &self,
        client: usize,
        pick: u32,
        truth: &Truth,
        fits: impl Fn(RoomKind) -> bool,
    ) -> Option<RoomId> {
        let rooms = self.peers[client].told.rooms.keys().copied();
        let fitting: Vec<RoomId> = rooms
            .filter(|room| {
                truth
                    .present(*room)
                    .and_then(|(_, room)| room.kind)
                    .is_some_and(&fits)
            })
            .collect();
        (!fitting.is_empty()).then(|| fitting[pick as usize % fitting.len()])
    }

    fn some_member(&self, client: usize, room: RoomId, pick: u32, truth: &Truth) -> Option<Peer> {
        let me = self.peers[client].member;
        let others: Vec<MemberId> = truth
            .present(room)?
            .1
            .members()
            .filter(|member| *member != me)
            .collect();
        if others.is_empty() {
            return None;
        }
        let other = others[(pick / 16) as usize % others.len()];
        let nick = truth
            .directory
            .person(other)
            .map(|person| person.nick.clone());
        Some(
            nick.filter(|_| pick.is_multiple_of(2))
                .map_or(Peer::Member(other), Peer::Nick),
        )
    }

    fn command_for(
        &self,
        turn: &Turn,
        client: usize,
        deed: Deed,
        pick: u32,
        truth: &Truth,
    ) -> Option<(Command, Option<String>)> {
        let group = |kind| kind == RoomKind::Group;
        let plain = |command| Some((command, None));
        let room = |people: &Self| people.some_room(client, pick, truth, group);
        let count = self.texts.len() as u32 + pick;
        match deed {
            Deed::JoinLobby => plain(Command::Join {
                room: RoomRef::Lobby,
                password: None,
                key: None,
                unsealed_too: false,
            }),
            Deed::JoinGroup | Deed::WrongPassword => {
                let groups = truth.directory.groups.len() as u32;
                let number = pick % (groups + 1);
                let id = truth.directory.groups.get(&number).copied();
                let topic = id.and_then(|id| first_topic(id, truth));
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
                room: self.some_room(client, pick, truth, |_| true)?,
            }),
            Deed::Kick => {
                let room = room(self)?;
                plain(Command::Kick {
                    room,
                    target: self.some_member(client, room, pick, truth)?,
                    reason: String::new(),
                })
            }
            Deed::Ban => {
                let room = room(self)?;
                plain(Command::Ban {
                    room,
                    target: self.some_member(client, room, pick, truth)?,
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
                    target: self.some_member(client, room, pick, truth)?,
                    seconds,
                })
            }
            Deed::Unmute => {
                let room = room(self)?;
                plain(Command::Unmute {
                    room,
                    target: self.some_member(client, room, pick, truth)?,
                })
            }
            Deed::Promote => {
                let room = room(self)?;
                let role = Role::ALL[pick as usize % 3];
                plain(Command::Role {
                    room,
                    target: self.some_member(client, room, pick, truth)?,
                    role,
                })
            }
            Deed::Topic => plain(Command::Topic {
                room: self.some_room(client, pick, truth, |kind| kind != RoomKind::Lobby)?,
                topic: format!("topic {pick}"),
            }),
            Deed::SetPassword => {
                let room = room(self)?;
                first_topic(room, truth).filter(|topic| topic.starts_with("pw"))?;
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
                let room = self.some_room(client, pick, truth, |_| true)?;
                let seq = u64::from(pick / 8 % 64);
                let around = Wall(turn.time(0).wall.0 - 1_000 * seq);
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
                room: self.some_room(client, pick, truth, |_| true)?,
            }),
            Deed::List => plain(Command::List),
            Deed::Block | Deed::Unblock => {
                let room = self.some_room(client, pick, truth, |kind| kind == RoomKind::Private)?;
                plain(Command::Block {
                    room,
                    blocked: deed == Deed::Block,
                })
            }
            Deed::Redact | Deed::RedactOther => {
                let room = self.some_room(client, pick, truth, |_| true)?;
                let own = deed == Deed::Redact;
                let me = self.peers[client].member;
                let (_, there) = truth.present(room)?;
                let said = there.something_said(me, own, pick / 16)?;
                let (target, seq) = (said.id(), said.seq);
                plain(Command::Redact { room, target, seq })
            }
            Deed::Say | Deed::Chatter => None,
        }
    }
}

/// How often something is done by one step of a plan, and each time with which pick.
pub(crate) fn picks(deed: Deed, pick: u32) -> Vec<u32> {
    match deed {
        Deed::Chatter => {
            let all = 0..2 + pick % 30;
            all.map(|i| pick.wrapping_add(i / 8)).collect()
        }
        _ => vec![pick],
    }
}

/// The word of the room's users to each other about its key: it stands in its first topic.
fn first_topic(room: RoomId, truth: &Truth) -> Option<String> {
    match &truth.present(room)?.1.record(1)?.body {
        RecordBody::Created(created) => Some(created.topic.clone()),
        _ => None,
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
