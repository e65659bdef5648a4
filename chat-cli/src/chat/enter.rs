//! Into a room: making a group, joining one, the secrets that this takes, and asking for them.

use std::{fs, path::Path};

use chat_core::{
    client::{Command, CommandError, Create, EnteredHow, Outcome, RoomCipher, RoomKey},
    password::Password,
    wire::{ErrorCode, client::RoomRef, record::CipherKind, server::RoomView},
};
use zeroize::Zeroizing;

use super::{
    slash::Place,
    talk::{Stop, Talk},
};
use crate::{
    byte_order_mark::stripped,
    cipher_choice::{CipherChoice, LoadedCipher, cipher_name},
    exit::Failure,
};

/// What opens a room, as far as it was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) password: Option<Password>,
    pub(crate) cipher: Option<LoadedCipher>,
}

/// A group to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) name: Option<String>,
    pub(crate) topic: String,
    pub(crate) secrets: Secrets,
}

impl Secrets {
    /// Reads them from their files.
    pub(crate) fn load(
        password: Option<&Path>,
        cipher: Option<&CipherChoice>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            password: password.map(read_password).transpose()?,
            cipher: cipher.map(CipherChoice::load).transpose()?,
        })
    }

    /// The cipher of a group that is made with them.
    fn room_cipher(&self) -> RoomCipher {
        match (&self.cipher, &self.password) {
            (Some(LoadedCipher::Key(key)), _) => RoomCipher::Key(key.clone()),
            (None, Some(_)) => RoomCipher::RoomPassword,
            (Some(LoadedCipher::None), _) | (None, None) => RoomCipher::None,
        }
    }

    /// What is wrong with a room that was entered with them: plain text was asked for, and the room is not plain.
    fn mismatch(&self, view: &RoomView) -> Option<CommandError> {
        let plain = self.cipher == Some(LoadedCipher::None);
        (plain && view.cipher != CipherKind::None).then_some(CommandError::CipherMismatch {
            announced: view.cipher,
        })
    }
}

/// The content of a password file, without a byte order mark and one line break at its end.
pub(crate) fn read_password(path: &Path) -> Result<Password, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read password file {shown}: {error}")))?;
    let text = Zeroizing::new(text);
    let text = stripped(&text);
    let password = text
        .strip_suffix('\n')
        .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        return Err(Failure::Usage(format!("password file {shown} is empty")));
    }
    Ok(Password::new(password))
}

/// Makes a group and enters it.
pub(crate) async fn create(
    talk: &mut Talk<'_>,
    group: Group,
) -> Result<Result<RoomView, CommandError>, Stop> {
    let cipher = group.secrets.room_cipher();
    let create = Create {
        name: group.name,
        topic: group.topic,
        cipher,
        password: group.secrets.password,
        ..Create::default()
    };
    talk.creating = true;
    let result = talk.command(Command::Create(create)).await?;
    talk.creating = false;
    Ok(result.and_then(the_room))
}

/// Joins a room. A person is asked for what turns out to be missing or wrong, until they answer with nothing.
pub(crate) async fn join(
    talk: &mut Talk<'_>,
    place: &Place,
    mut secrets: Secrets,
) -> Result<Result<RoomView, CommandError>, Stop> {
    loop {
        let error = match join_once(talk, place, &secrets).await? {
            Ok(view) => return Ok(Ok(view)),
            Err(error) => error,
        };
        if !talk.input.is_person() || !ask_for_what_is_wrong(talk, &error, &mut secrets).await? {
            return Ok(Err(error));
        }
    }
}

/// A new password, typed twice, or none: nothing was typed, or Ctrl-C.
pub(crate) async fn optional_password(
    talk: &mut Talk<'_>,
    question: &str,
) -> Result<Option<Password>, Stop> {
    loop {
        let Some(first) = hidden(talk, question).await? else {
            return Ok(None);
        };
        let Some(again) = talk.ask_hidden("the same again: ").await? else {
            return Ok(None);
        };
        if *first == *Zeroizing::new(again) {
            return Ok(Some(Password::new(first.as_str())));
        }
        talk.voice.notice("these were two different passwords");
    }
}

async fn join_once(
    talk: &mut Talk<'_>,
    place: &Place,
    secrets: &Secrets,
) -> Result<Result<RoomView, CommandError>, Stop> {
    let room = match place {
        Place::Lobby => RoomRef::Lobby,
        Place::Group(number) => RoomRef::Number(*number),
        Place::With(_) => unreachable!("nobody joins a private conversation"),
    };
    let was_in = talk.rooms.find(place);
    let key = secrets.cipher.clone().and_then(LoadedCipher::key);
    let command = Command::Join {
        room,
        password: secrets.password.clone(),
        key: key.clone(),
        unsealed_too: secrets.cipher == Some(LoadedCipher::None),
    };
    let view = match talk.command(command).await?.and_then(the_room) {
        Ok(view) => view,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(error) = secrets.mismatch(&view) {
        if was_in.is_none() {
            talk.leaving.insert(view.room);
            let _ = talk.command(Command::Leave { room: view.room }).await?;
        }
        return Ok(Err(error));
    }
    if *place == Place::Lobby {
        talk.lobby = Some(key);
    }
    if was_in == Some(view.room) || !talk.rooms.is_current(view.room) {
        // One was in already, or a membership from an earlier life was told of meanwhile: there was no event of entering.
        talk.voice.entered(&view, EnteredHow::Command);
        talk.rooms.switch(view.room);
    }
    Ok(Ok(view))
}

/// Whether there was an answer, and so another attempt makes sense.
async fn ask_for_what_is_wrong(
    talk: &mut Talk<'_>,
    error: &CommandError,
    secrets: &mut Secrets,
) -> Result<bool, Stop> {
    match error {
        CommandError::WrongPassword => {
            talk.voice.notice("wrong password");
            ask_for_password(talk, secrets).await
        }
        CommandError::Refused(failure) if failure.code == ErrorCode::PasswordRequired => {
            ask_for_password(talk, secrets).await
        }
        CommandError::KeyMissing {
            announced: CipherKind::RoomPassword,
        } => ask_for_password(talk, secrets).await,
        CommandError::NotSealed { .. } => {
            talk.voice.notice(
                "the room is not encrypted, although it has a password: what is said there can be read by the server, \
                 and on the way to it",
            );
            let answer = talk.ask("enter it all the same? [y/N] ").await?;
            let yes = answer.is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes"));
            if yes {
                secrets.cipher = Some(LoadedCipher::None);
            }
            Ok(yes)
        }
        CommandError::KeyMissing {
            announced: announced @ CipherKind::Caesar,
        } if secrets.cipher.is_none() => {
            let question = format!(
                "the room's cipher is {}; its shift (Enter to give up): ",
                cipher_name(*announced)
            );
            loop {
                let Some(answer) = talk.ask(&question).await? else {
                    return Ok(false);
                };
                match answer.parse() {
                    Ok(shift) => {
                        secrets.cipher = Some(LoadedCipher::Key(RoomKey::Caesar(shift)));
                        return Ok(true);
                    }
                    Err(_) if answer.is_empty() => return Ok(false),
                    Err(_) => talk.voice.notice("a shift is a whole number"),
                }
            }
        }
        CommandError::KeyMissing {
            announced: announced @ CipherKind::StaticKey,
        } if secrets.cipher.is_none() => {
            let question = format!(
                "the room's cipher is {}; the file of its key (Enter to give up): ",
                cipher_name(*announced)
            );
            loop {
                let answer = talk.ask(&question).await?;
                let Some(answer) = answer.filter(|answer| !answer.is_empty()) else {
                    return Ok(false);
                };
                match CipherChoice::KeyFile(answer.into()).load() {
                    Ok(cipher) => {
                        secrets.cipher = Some(cipher);
                        return Ok(true);
                    }
                    Err(failure) => talk.voice.notice(&failure.to_string()),
                }
            }
        }
        _ => Ok(false),
    }
}

async fn ask_for_password(talk: &mut Talk<'_>, secrets: &mut Secrets) -> Result<bool, Stop> {
    let Some(password) = hidden(talk, "password: ").await? else {
        return Ok(false);
    };
    secrets.password = Some(Password::new(password.as_str()));
    Ok(true)
}

/// What is typed unseen; none if that is nothing.
async fn hidden(talk: &mut Talk<'_>, question: &str) -> Result<Option<Zeroizing<String>>, Stop> {
    let typed = talk.ask_hidden(question).await?.map(Zeroizing::new);
    Ok(typed.filter(|typed| !typed.is_empty()))
}

/// Creating and joining end with a room.
fn the_room(outcome: Outcome) -> Result<RoomView, CommandError> {
    match outcome {
        Outcome::Room(view) => Ok(view),
        other => unreachable!("a command about entering ended with {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rooms::tests::view, *};

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n"),
            (" a b ", " a b "),
            ("\u{feff}secret\n", "secret"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(
                read_password(&path),
                Ok(Password::new(password)),
                "{content:?}"
            );
        }
        for content in ["", "\n", "\u{feff}"] {
            fs::write(&path, content).unwrap();
            assert!(matches!(read_password(&path), Err(Failure::Usage(_))));
        }
        assert!(matches!(
            read_password(folder.path()),
            Err(Failure::Usage(_))
        ));
    }

    #[test]
    fn a_password_encrypts_unless_something_else_is_asked_for() {
        let password = || Some(Password::new("x"));
        let key = || LoadedCipher::Key(RoomKey::Caesar(3));
        for (password, cipher, expected) in [
            (None, None, RoomCipher::None),
            (password(), None, RoomCipher::RoomPassword),
            (password(), Some(LoadedCipher::None), RoomCipher::None),
            (password(), Some(key()), RoomCipher::Key(RoomKey::Caesar(3))),
            (None, Some(key()), RoomCipher::Key(RoomKey::Caesar(3))),
        ] {
            assert_eq!(Secrets { password, cipher }.room_cipher(), expected);
        }
    }

    #[test]
    fn plain_text_is_not_said_in_an_encrypted_room_nor_the_other_way() {
        let mut room = view(Some(0));
        let plain = Secrets {
            cipher: Some(LoadedCipher::None),
            ..Secrets::default()
        };
        assert_eq!(plain.mismatch(&room), None);
        room.cipher = CipherKind::Caesar;
        assert!(plain.mismatch(&room).is_some());
        assert_eq!(Secrets::default().mismatch(&room), None);
    }
}
