//! `chat-cli invite`: asks the server of a data folder for invitations, and prints them.

use std::io::{self, Write};

use chat_terminal::Format;

use crate::{
    admin::{Answer, Invitation, Order, Outcome, Request, SOCKET},
    command_line::InviteArgs,
    exit::{Failure, written},
    serve::terminal,
    storage::data_folder,
};

pub(crate) fn run(args: &InviteArgs) -> Result<(), Failure> {
    let order = if args.list {
        Order::Invitations {}
    } else if let Some(invitation) = &args.revoke {
        let invitation = invitation.clone();
        Order::Revoke { invitation }
    } else {
        Order::Invite {
            uses: args.uses,
            seconds: args.lasts,
            room: args.room.clone(),
        }
    };
    let folder = data_folder(args.data.clone()).ok_or_else(|| {
        Failure::Usage("there is no home folder with a server's data: say --data DIR".to_owned())
    })?;
    let answer = ask(&folder.join(SOCKET), &Request { id: 1, order })?;
    if let Outcome::Refused { code, text } = &answer.outcome {
        return Err(Failure::Refused(format!("{code}: {text}")));
    }
    let mut out = io::stdout().lock();
    let lines = match args.format {
        Format::Json => vec![json(&answer)?],
        Format::Text => lines(&answer.outcome, terminal()),
    };
    written(lines.iter().try_for_each(|line| writeln!(out, "{line}")))
}

fn json(answer: &Answer) -> Result<String, Failure> {
    serde_json::to_string(&answer.outcome)
        .map_err(|error| Failure::Fault(format!("cannot write the answer: {error}")))
}

/// For a person. `terminal`: the columns of standard output, if it is a terminal.
fn lines(outcome: &Outcome, terminal: Option<usize>) -> Vec<String> {
    match outcome {
        Outcome::Invited {
            invitation,
            uses,
            seconds,
            page,
            client,
        } => {
            let mut lines: Vec<String> = page.iter().cloned().collect();
            let code = page.as_deref().zip(terminal);
            let code =
                code.and_then(|(page, columns)| chat_terminal::operator::qr_code(page, columns));
            lines.extend(code.unwrap_or_default());
            let client = client.as_ref();
            lines.extend(client.map(|link| format!("from a terminal: chat-cli chat '{link}'")));
            let newcomers = match uses {
                1 => "one newcomer".to_owned(),
                uses => format!("{uses} newcomers"),
            };
            let id = short(invitation);
            lines.push(format!(
                "for {newcomers} and {}; chat-cli invite --revoke {id} takes it back",
                span(*seconds)
            ));
            lines
        }
        Outcome::Revoked { invitation } => vec![format!("{} is taken back", short(invitation))],
        Outcome::Invitations { invitations } if invitations.is_empty() => {
            vec!["there are no invitations".to_owned()]
        }
        Outcome::Invitations { invitations } => invitations.iter().map(listed).collect(),
        Outcome::Refused { code, text } => vec![format!("{code}: {text}")],
    }
}

/// As much of an id as a person types.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn listed(one: &Invitation) -> String {
    let end = match one.seconds {
        None => "over".to_owned(),
        Some(_) if one.used >= one.uses => "used up".to_owned(),
        Some(seconds) => format!("for {} yet", span(seconds)),
    };
    let room = one.room.map(|room| format!(", to group {room}"));
    let (used, uses) = (one.used, one.uses);
    let id = short(&one.invitation);
    format!(
        "{id}  {used} of {uses} used, {end}{}",
        room.unwrap_or_default()
    )
}

/// A time, in the largest unit of which there are two or so.
fn span(seconds: u64) -> String {
    let units = [
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let (size, name) = units
        .into_iter()
        .find(|(size, _)| seconds >= 2 * size || seconds == *size)
        .unwrap_or((1, "second"));
    match seconds / size {
        1 => format!("one {name}"),
        number => format!("{number} {name}s"),
    }
}

#[cfg(unix)]
fn ask(socket: &std::path::Path, request: &Request) -> Result<Answer, Failure> {
    use std::{
        io::{BufRead, BufReader, Read},
        os::unix::net::UnixStream,
        time::Duration,
    };

    /// A server that cannot write its log says so before.
    const PATIENCE: Duration = Duration::from_secs(60);

    let shown = socket.display();
    let stream = UnixStream::connect(socket).map_err(|error| {
        Failure::CannotConnect(match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                format!("no server runs with this data folder: {shown}: {error}")
            }
            io::ErrorKind::PermissionDenied => {
                format!("only the user that runs the server may: {shown}: {error}")
            }
            _ => format!("{shown}: {error}"),
        })
    })?;
    let fault = |error: io::Error| Failure::CannotConnect(format!("{shown}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).map_err(fault)?;
    let mut line = serde_json::to_string(request)
        .map_err(|error| Failure::Fault(format!("cannot write the order: {error}")))?;
    line.push('\n');
    (&stream).write_all(line.as_bytes()).map_err(fault)?;
    let mut answer = String::new();
    // A list is as long as there are invitations.
    let mut reader = BufReader::new(&stream).take(16 << 20);
    reader.read_line(&mut answer).map_err(fault)?;
    serde_json::from_str(&answer).map_err(|_| {
        let words = match answer.is_empty() {
            true => "the server did not answer: only the user that runs it may ask",
            false => "the server answers in words that this program does not know",
        };
        Failure::CannotConnect(format!("{shown}: {words}"))
    })
}

#[cfg(not(unix))]
fn ask(_: &std::path::Path, _: &Request) -> Result<Answer, Failure> {
    Err(Failure::Usage("this needs Unix sockets".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_few_words() {
        for (seconds, words) in [
            (604_800, "7 days"),
            (604_799, "6 days"),
            (86_400, "one day"),
            (90_000, "25 hours"),
            (3_600, "one hour"),
            (150, "2 minutes"),
            (1, "one second"),
            (0, "0 seconds"),
        ] {
            assert_eq!(span(seconds), words);
        }
    }

    #[test]
    fn an_invitation_is_links_and_how_to_take_it_back() {
        let invited = Outcome::Invited {
            invitation: "0123456789abcdef0123456789abcdef".to_owned(),
            uses: 2,
            seconds: 604_800,
            page: Some("https://chat.example.org:7037/#k=1&i=2".to_owned()),
            client: Some("tls://chat.example.org:7037#k=1&i=2".to_owned()),
        };
        let plain = lines(&invited, None);
        let expected = [
            "https://chat.example.org:7037/#k=1&i=2",
            "from a terminal: chat-cli chat 'tls://chat.example.org:7037#k=1&i=2'",
            "for 2 newcomers and 7 days; chat-cli invite --revoke 01234567 takes it back",
        ];
        assert_eq!(plain, expected);
        assert!(lines(&invited, Some(80)).len() > 10, "with a code");
        let one = |used, seconds, room| {
            listed(&Invitation {
                invitation: "0123456789abcdef".to_owned(),
                uses: 2,
                used,
                seconds,
                room,
            })
        };
        let words = "01234567  1 of 2 used, for 2 hours yet, to group 3";
        assert_eq!(one(1, Some(7_300), Some(3)), words);
        assert_eq!(one(2, Some(9), None), "01234567  2 of 2 used, used up");
        assert_eq!(one(0, None, None), "01234567  0 of 2 used, over");
    }
}
