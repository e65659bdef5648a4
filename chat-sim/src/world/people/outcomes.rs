//! The ends of commands, and whether they are what was asked for.

use chat_core::{
    client::{Command, CommandError, Create, Outcome, RoomCipher, Ticket},
    wire::{ErrorCode, record::RecordBody},
};

use super::People;
use crate::{reference_model::Truth, turn::Turn};

impl People {
    /// A command has ended.
    pub(super) fn finished(
        &mut self,
        turn: &mut Turn,
        client: usize,
        ticket: Ticket,
        outcome: Result<Outcome, CommandError>,
        truth: &Truth,
    ) {
        let Some(asked) = self.peers[client].tickets.remove(&ticket) else {
            return turn.book.fail("a command ends once", || {
                format!("client {client}: {ticket:?}: {outcome:?}")
            });
        };
        turn.book.check("a command ends once", true, String::new);
        match &outcome {
            Ok(Outcome::Room(view)) => {
                let joined = matches!(
                    asked.command,
                    Command::Join { .. } | Command::Create(_) | Command::Direct { .. }
                );
                turn.book.check("an outcome fits its command", joined, || {
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
                    turn.book
                        .check("a wrong password opens nothing", !wrong, || {
                            format!("client {client}: {asked:?}: {view:?}")
                        });
                    self.passwords
                        .entry(view.room)
                        .or_default()
                        .push(password.clone());
                    self.can_read(turn, client, view);
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
                    turn.book.saw("a password changed");
                    let room = *room;
                    let became = truth
                        .room(room, committed.place.epoch)
                        .and_then(|room| room.record(committed.place.seq));
                    if let Some(RecordBody::Password(change)) = became.map(|record| &record.body) {
                        let key = change.password.key.id;
                        self.has_key(turn, client, room, key);
                    }
                }
                if let Command::Send { room, .. } = &asked.command {
                    let room = truth.room(*room, committed.place.epoch);
                    let written = room.and_then(|room| room.written_at(committed.place.seq));
                    let stands = room.and_then(|room| room.record(committed.place.seq));
                    let mine =
                        stands.is_some_and(|record| record.member == self.peers[client].member);
                    turn.book.check(
                        "what an application was promised stands in the log",
                        mine,
                        || format!("client {client}: {asked:?}: {committed:?}: {stands:?}"),
                    );
                    self.is_found_done(turn, client, written);
                }
            }
            Ok(Outcome::Named(named)) => {
                self.peers[client].nick.clone_from(&named.nick);
                self.peers[client].told.nick.clone_from(&named.nick);
            }
            Ok(Outcome::History { page, texts }) => {
                let Command::History { room, .. } = asked.command else {
                    return turn.book.fail("an outcome fits its command", || {
                        format!("client {client}: {asked:?}: {outcome:?}")
                    });
                };
                let all = page.records.len() == texts.len();
                turn.book.check("every message opens or says why", all, || {
                    format!("client {client}: {texts:?} of {:?}", page.records)
                });
                // A client that has left meanwhile has no key of the room any more.
                let inside = self.peers[client].told.rooms.contains_key(&room);
                for (record, text) in page.records.iter().zip(texts).filter(|_| inside) {
                    self.opens(turn, client, room, record, text.clone());
                }
            }
            Ok(_) => {}
            Err(CommandError::Unknown) => turn.book.saw("a command whose end is unknown"),
            Err(error) => {
                if let CommandError::Refused(failure) = error {
                    turn.book.saw(refusal(failure.code));
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
                    turn.book
                        .check("the client makes no mistakes of its own", !own, || {
                            format!("client {client}: {asked:?}: {failure:?}")
                        });
                }
                if let (Some(text), Command::Send { room, .. }) = (&asked.text, &asked.command) {
                    let heard = truth
                        .present(*room)
                        .is_some_and(|(_, room)| room.has_said(text));
                    turn.book.check("what is refused is not done", !heard, || {
                        format!("client {client}: {text:?}: {error}")
                    });
                    self.refused.insert(text.clone());
                }
            }
        }
    }
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
        ErrorCode::NeedsKeys => "refused: needs_keys",
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
