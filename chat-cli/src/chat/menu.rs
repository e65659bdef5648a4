//! The menu for a person who did not say on the command line where to go.

use chat_core::{
    client::{Command, CommandError, Outcome},
    wire::{ErrorCode, server::RoomInfo},
};

use super::{
    enter::{self, Group, Secrets},
    slash::Place,
    talk::{Stop, Talk},
    text,
};
use crate::{cipher_choice::LoadedCipher, visible::visible};

/// Asks until the person is in a room, or wants to go.
pub(crate) async fn choose(
    talk: &mut Talk<'_>,
    lobby: bool,
    cipher: Option<&LoadedCipher>,
) -> Result<(), Stop> {
    talk.menu = true;
    loop {
        talk.voice.notice("What would you like to do?");
        for choice in ["  1  join a group", "  2  create a group", "  3  exit"] {
            talk.voice.notice(choice);
        }
        if lobby {
            talk.voice.notice("  4  enter the lobby");
        }
        let Some(choice) = talk.ask("choice: ").await? else {
            return Err(Stop::Quit);
        };
        let entered = match choice.to_lowercase().as_str() {
            "1" | "join" => join(talk, cipher).await?,
            "2" | "create" => create(talk, cipher).await?,
            "3" | "exit" | "quit" => return Err(Stop::Quit),
            "4" | "lobby" if lobby => enter_lobby(talk, cipher).await?,
            "" => {
                let words = "An empty line is not one of the choices.";
                talk.voice.notice(words);
                false
            }
            _ => {
                talk.voice.notice(&format!(
                    "`{}` is not one of the choices.",
                    visible(&choice)
                ));
                false
            }
        };
        if entered {
            return Ok(());
        }
    }
}

/// Whether a group was joined. Without any group there is nothing to choose from, so the person may go.
async fn join(talk: &mut Talk<'_>, cipher: Option<&LoadedCipher>) -> Result<bool, Stop> {
    let groups = match talk.command(Command::List).await? {
        Ok(Outcome::Rooms(groups)) => groups,
        Ok(other) => unreachable!("a list ended with {other:?}"),
        Err(error) => return told(talk, &error),
    };
    if groups.is_empty() {
        talk.voice
            .notice("There are no groups yet. Come back when somebody has created one. Good-bye!");
        return Err(Stop::Quit);
    }
    talk.voice.rooms(&groups);
    loop {
        let answer = talk.ask("group number: ").await?;
        let Some(answer) = answer.filter(|answer| !answer.is_empty()) else {
            return Ok(false);
        };
        let Ok(number) = answer.parse() else {
            talk.voice
                .notice(&format!("`{}` is not a number.", visible(&answer)));
            continue;
        };
        if join_number(talk, number, &groups, cipher).await? {
            return Ok(true);
        }
    }
}

async fn join_number(
    talk: &mut Talk<'_>,
    number: u32,
    groups: &[RoomInfo],
    cipher: Option<&LoadedCipher>,
) -> Result<bool, Stop> {
    let mut secrets = Secrets {
        password: None,
        cipher: cipher.cloned(),
    };
    if groups
        .iter()
        .any(|group| group.number == number && group.protected)
    {
        // The usual question, asked before the server has to refuse.
        let Some(password) = talk.ask_hidden("password: ").await? else {
            return Ok(false);
        };
        let password = zeroize::Zeroizing::new(password);
        secrets.password = Some(chat_core::password::Password::new(password.as_str()));
    }
    match enter::join(talk, &Place::Group(number), secrets).await? {
        Ok(_) => {
            let nick = visible(&talk.me.nick);
            talk.voice
                .notice(&format!("Hi {nick}! welcome to group {number}!"));
            Ok(true)
        }
        Err(error) => told(talk, &error),
    }
}

async fn create(talk: &mut Talk<'_>, cipher: Option<&LoadedCipher>) -> Result<bool, Stop> {
    let Some(mut name) = ask_name(talk).await? else {
        return Ok(false);
    };
    let password = enter::optional_password(talk, "password (Enter for none): ").await?;
    loop {
        let secrets = Secrets {
            password: password.clone(),
            cipher: cipher.cloned(),
        };
        match enter::create(
            talk,
            Group {
                name,
                topic: String::new(),
                secrets,
            },
        )
        .await?
        {
            Ok(view) => {
                if let Some(number) = view.number {
                    talk.voice
                        .notice(&format!("Chat {number} has been created."));
                }
                return Ok(true);
            }
            Err(CommandError::Refused(failure))
                if matches!(failure.code, ErrorCode::NameTaken | ErrorCode::NameInvalid) =>
            {
                talk.voice.notice(&text::refusal(&failure));
                name = match ask_name(talk).await? {
                    Some(name) => name,
                    None => return Ok(false),
                };
            }
            Err(error) => return told(talk, &error),
        }
    }
}

/// The name that a group shall have, if any; none at all if there shall be no group.
async fn ask_name(talk: &mut Talk<'_>) -> Result<Option<Option<String>>, Stop> {
    let name = talk.ask("name of the group (Enter for none): ").await?;
    Ok(name.map(|name| Some(name).filter(|name| !name.is_empty())))
}

async fn enter_lobby(talk: &mut Talk<'_>, cipher: Option<&LoadedCipher>) -> Result<bool, Stop> {
    let secrets = Secrets {
        password: None,
        cipher: cipher.cloned(),
    };
    match enter::join(talk, &Place::Lobby, secrets).await? {
        Ok(_) => Ok(true),
        Err(error) => told(talk, &error),
    }
}

/// Nothing came of it, and the person is told why.
fn told(talk: &mut Talk<'_>, error: &CommandError) -> Result<bool, Stop> {
    talk.voice.notice(&text::command_error(error));
    Ok(false)
}
