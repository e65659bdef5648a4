//! Wires that lie. In one handshake one word is not what was said: a byte of it is changed where it
//! vouches for something, it is one of another connection or time, somebody else says it, or the
//! encrypted channel ends on the way. Nobody is let in by that, and no client takes such a server
//! for the real one.

use std::collections::VecDeque;

use chat_core::{
    keys::{Nonce, SigningKey, Transcript},
    wire::{
        ClientMessage, ErrorCode, Frame, ServerMessage,
        client::Hello,
        server::{Challenged, Welcome},
    },
};

use super::Links;
use crate::{plan::Lie, turn::Turn, untruth::Untruth};

/// Words of a kind that are remembered, to be said again.
const REMEMBERED: usize = 16;

/// The wire of one connection.
#[derive(Debug)]
pub(super) struct Wire {
    /// The binding of the encrypted channel, if it is one.
    pub(super) channel: Option<[u8; 32]>,
    /// The client knows the server's key.
    knows: bool,
    lie: Option<(Lie, u32)>,
    /// The channel ends on the way, and another one begins there.
    relayed: bool,
    /// The client's part of the handshake.
    of_client: Option<Nonce>,
    /// The untruth in what was said last.
    untruth: Option<Untruth>,
}

/// The words of the handshakes so far, each with its link; the newest last.
#[derive(Debug, Default)]
pub(super) struct Overheard {
    challenges: VecDeque<(u32, Challenged)>,
    hellos: VecDeque<(u32, Hello)>,
    welcomes: VecDeque<(u32, Welcome)>,
}

impl Wire {
    pub(super) fn new(link: u32, lie: Option<(Lie, u32)>, knows: bool) -> Self {
        let relayed = lie.is_some_and(|(lie, _)| lie == Lie::Relayed);
        let mut channel = [5; 32];
        channel[..4].copy_from_slice(&link.to_le_bytes());
        Self {
            channel: (relayed || link.is_multiple_of(2)).then_some(channel),
            knows,
            lie,
            relayed: false,
            of_client: None,
            untruth: None,
        }
    }
}

impl Links {
    /// The wire of a client's next connection lies. The one that it has, which is to be cut.
    pub(crate) fn lie_next(&mut self, client: usize, lie: Lie, pick: u32) -> Option<u32> {
        self.lies[client] = Some((lie, pick));
        self.of_client[client]
    }

    /// No wire lies any more.
    pub(crate) fn becalm(&mut self) {
        self.lies.fill(None);
    }

    /// The untruth on the last connection of a client.
    pub(crate) fn untruth(&self, client: usize) -> Option<Untruth> {
        self.untruths[client]
    }

    fn deceive(&mut self, link: u32, untruth: Option<Untruth>) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        found.wire.untruth = untruth;
        if self.of_client[found.client] == Some(link) {
            self.untruths[found.client] = untruth;
        }
    }

    fn lie_of(&self, turn: &Turn, link: u32) -> Option<(Lie, usize)> {
        let found = self.links.get(&link).filter(|link| !link.broken)?;
        let (lie, pick) = found.wire.lie.filter(|_| !turn.calm)?;
        Some((lie, pick as usize))
    }

    /// The binding of the channel at the client's end.
    pub(super) fn channel_of_client(&mut self, turn: &mut Turn, link: u32) -> Option<[u8; 32]> {
        let channel = self.links.get(&link)?.wire.channel;
        let Some((Lie::Relayed, pick)) = self.lie_of(turn, link) else {
            return channel;
        };
        turn.book.fault("a relayed connection");
        self.links.get_mut(&link)?.wire.relayed = true;
        channel.map(|mut channel| {
            change(&mut channel, pick);
            channel
        })
    }

    /// The word that a hub hears instead of the client's, if it is another one.
    pub(super) fn lie_to_hub(
        &mut self,
        turn: &mut Turn,
        link: u32,
        said: &ClientMessage,
    ) -> Option<Frame> {
        match said {
            ClientMessage::Open(open) => {
                self.links.get_mut(&link)?.wire.of_client = Some(open.nonce);
                None
            }
            ClientMessage::Hello(hello) => {
                let told = self.false_hello(turn, link, hello);
                remember(&mut self.overheard.hellos, link, hello);
                // The client signs the channel that it has, which is not the hub's.
                let relayed = self.links.get(&link)?.wire.relayed;
                let untruth = told.as_ref().map(|(_, untruth)| *untruth);
                self.deceive(link, untruth.or(relayed.then_some(Untruth::Hello)));
                let (told, _) = told?;
                let found = self.links.get_mut(&link)?;
                found.wire.lie = None;
                Some(found.form.encode(&ClientMessage::Hello(told)))
            }
            _ => None,
        }
    }

    fn false_hello(
        &mut self,
        turn: &mut Turn,
        link: u32,
        hello: &Hello,
    ) -> Option<(Hello, Untruth)> {
        let (lie, pick) = self.lie_of(turn, link)?;
        let old = match lie {
            Lie::OldHello => some(&self.overheard.hellos, pick),
            Lie::ChangedHello => None,
            _ => return None,
        };
        if let Some((of, old)) = old.filter(|(_, old)| old != hello) {
            let own = of == link;
            turn.book.fault(if own {
                "an earlier hello of the connection"
            } else {
                "an old hello"
            });
            let untruth = if own {
                Untruth::EarlierHello
            } else {
                Untruth::Hello
            };
            return Some((old, untruth));
        }
        turn.book.fault("a changed hello");
        let mut told = hello.clone();
        if pick.is_multiple_of(3) {
            change(&mut told.signature.0, pick / 3);
        } else {
            let mut signed = told.signed.to_vec();
            change(&mut signed, pick / 3);
            told.signed = signed.into();
        }
        Some((told, Untruth::Hello))
    }

    /// The word that a client hears instead of the hub's, if it is another one.
    pub(super) fn lie_to_client(
        &mut self,
        turn: &mut Turn,
        link: u32,
        said: &ServerMessage,
    ) -> Option<Frame> {
        let (told, untruth) = match said {
            ServerMessage::Challenge(challenge) => {
                let told = self.false_challenge(turn, link, challenge);
                remember(&mut self.overheard.challenges, link, challenge);
                (ServerMessage::Challenge(told?), Untruth::Server)
            }
            ServerMessage::Welcome(welcome) => {
                let told = self.false_welcome(turn, link, welcome);
                remember(&mut self.overheard.welcomes, link, welcome);
                (ServerMessage::Welcome(told?), Untruth::Welcome)
            }
            _ => return None,
        };
        self.deceive(link, Some(untruth));
        let found = self.links.get_mut(&link)?;
        found.wire.lie = None;
        Some(found.form.encode(&told))
    }

    fn false_challenge(
        &mut self,
        turn: &mut Turn,
        link: u32,
        challenge: &Challenged,
    ) -> Option<Challenged> {
        let (lie, pick) = self.lie_of(turn, link)?;
        let mut told = challenge.clone();
        match lie {
            Lie::Impostor => {
                let found = self.links.get(&link)?;
                // A client that was not told of the server's key cannot know, the first time.
                if !found.wire.knows {
                    return None;
                }
                let key = SigningKey::from_seed(&[pick as u8; 32]);
                let transcript = Transcript {
                    server: key.public(),
                    of_client: found.wire.of_client?,
                    of_server: challenge.nonce,
                };
                told.key = transcript.server;
                told.signature = transcript.challenge(&key);
                turn.book.fault("an impostor");
            }
            Lie::OldChallenge if !self.overheard.challenges.is_empty() => {
                told = some(&self.overheard.challenges, pick)?.1;
                turn.book.fault("an old challenge");
            }
            Lie::OldChallenge | Lie::ChangedChallenge => {
                match pick % 3 {
                    0 => change(&mut told.nonce.0, pick / 3),
                    1 => change(&mut told.key.0, pick / 3),
                    _ => change(&mut told.signature.0, pick / 3),
                }
                turn.book.fault("a changed challenge");
            }
            _ => return None,
        }
        Some(told)
    }

    fn false_welcome(&mut self, turn: &mut Turn, link: u32, welcome: &Welcome) -> Option<Welcome> {
        let (lie, pick) = self.lie_of(turn, link)?;
        let mut told = welcome.clone();
        match lie {
            Lie::OldWelcome if !self.overheard.welcomes.is_empty() => {
                told = some(&self.overheard.welcomes, pick)?.1;
                turn.book.fault("an old welcome");
            }
            Lie::OldWelcome | Lie::ChangedWelcome => {
                match &mut told.proof {
                    Some(proof) if pick.is_multiple_of(2) => change(&mut proof.0, pick / 2),
                    _ => change(&mut told.member.0, pick / 2),
                }
                turn.book.fault("a changed welcome");
            }
            _ => return None,
        }
        Some(told)
    }

    /// A hub lets in by a true hello, and refuses as false what is false.
    pub(super) fn judge_of_hello(&mut self, turn: &mut Turn, link: u32, answer: &ServerMessage) {
        let Some(found) = self.links.get(&link) else {
            return;
        };
        let (client, untruth) = (found.client, found.wire.untruth);
        let refused = match answer {
            ServerMessage::Welcome(_) => false,
            ServerMessage::Error(failure) if failure.id == 0 => matches!(
                failure.code,
                ErrorCode::NotAuthentic | ErrorCode::WrongAudience | ErrorCode::Relayed
            ),
            _ => return,
        };
        if refused {
            turn.book.saw("a false hello refused");
        }
        let right = refused == (untruth == Some(Untruth::Hello));
        turn.book
            .check("a hello is taken for what it is", right, || {
                format!("client {client}: {answer:?}, where {untruth:?} is false")
            });
    }
}

/// Changes one bit.
fn change(bytes: &mut [u8], pick: usize) {
    let at = pick % bytes.len();
    bytes[at] ^= 1 << (pick / 7 % 8);
}

fn remember<T: Clone>(all: &mut VecDeque<(u32, T)>, link: u32, word: &T) {
    if all.len() == REMEMBERED {
        all.pop_front();
    }
    all.push_back((link, word.clone()));
}

/// One of the newest, or of the others.
fn some<T: Clone>(all: &VecDeque<(u32, T)>, pick: usize) -> Option<(u32, T)> {
    let back = if pick.is_multiple_of(2) {
        0
    } else {
        pick / 2 % all.len().max(1)
    };
    all.iter().rev().nth(back).cloned()
}
