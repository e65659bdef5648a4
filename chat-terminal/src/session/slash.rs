//! Lines as people type them: messages and slash commands, which stand in the one table of
//! [`commands`].

use std::path::PathBuf;

use chat_core::roles::Role;
use clap::Parser;
use jiff::civil::{Date, Time};

use crate::{
    commands::{self, SlashCommand},
    rooms::{Joinable, Place},
    secrets::CipherChoice,
};

/// The meaning of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing.
    Empty,
    /// To be said in the current room.
    Say(String),
    /// A command.
    Command(Slash),
}

/// A slash command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slash {
    Help,
    Msg { nick: String, text: String },
    Nick { nick: String, label: Option<String> },
    Online,
    Members,
    Rooms,
    Create(CreateLine),
    Join(JoinLine),
    Leave,
    Switch(Place),
    Topic(Option<String>),
    Password { file: Option<PathBuf> },
    Kick { nick: String, reason: String },
    Ban { nick: String, reason: String },
    Unban { nick: String },
    Mute { nick: String, seconds: Option<u32> },
    Unmute { nick: String },
    Role { nick: String, role: Role },
    Block { nick: String, blocked: bool },
    Me(String),
    History(Past),
    Redact(Which),
    Quit,
}

/// A part of what was said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// The last records, so many.
    Last(u16),
    /// The records before this one, or before the page that was shown last.
    Before(Option<u64>),
    /// Those after it.
    After(Option<u64>),
    /// Around a moment: of today, where no date is given; at its beginning, where no time is.
    Around(Option<Date>, Option<Time>),
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// One's own last words.
    Mine,
    /// Somebody's last words.
    Of(String),
    /// By the record's number.
    Number(u64),
}

/// `/create`.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "/create", no_binary_name = true, disable_help_flag = true)]
pub(crate) struct CreateLine {
    /// The words of the name: quotation marks are needed for nothing but several blanks in a row.
    pub(crate) name: Vec<String>,
    #[arg(long)]
    pub(crate) topic: Option<String>,
    #[arg(long)]
    pub(crate) password_file: Option<PathBuf>,
    #[arg(long)]
    pub(crate) cipher: Option<CipherChoice>,
}

/// `/join`.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "/join", no_binary_name = true, disable_help_flag = true)]
pub(crate) struct JoinLine {
    #[arg(value_name = "NUMBER", value_parser = parse_joinable)]
    pub(crate) room: Joinable,
    #[arg(long)]
    pub(crate) password_file: Option<PathBuf>,
    #[arg(long)]
    pub(crate) cipher: Option<CipherChoice>,
}

/// Reads a line (without its line break). The error is for the person who typed it.
pub(crate) fn parse(line: &str) -> Result<Line, String> {
    let Some(rest) = line.strip_prefix('/') else {
        return Ok(if line.is_empty() {
            Line::Empty
        } else {
            Line::Say(line.to_owned())
        });
    };
    if rest.starts_with('/') {
        return Ok(Line::Say(rest.to_owned()));
    }
    let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    command(name, rest).map(Line::Command)
}

fn command(name: &str, rest: &str) -> Result<Slash, String> {
    let Some(command) = commands::find(name) else {
        return Err(format!(
            "there is no command `/{name}`; /help lists them, and // begins a message with a slash"
        ));
    };
    let usage = || format!("write {}", command.usage());
    match command.name {
        "help" => Ok(Slash::Help),
        "online" => Ok(Slash::Online),
        "members" => Ok(Slash::Members),
        "rooms" => Ok(Slash::Rooms),
        "leave" => Ok(Slash::Leave),
        "quit" => Ok(Slash::Quit),
        "topic" => Ok(Slash::Topic(optional(rest))),
        "password" => Ok(Slash::Password {
            file: optional(rest).map(PathBuf::from),
        }),
        "me" => optional(rest).map(Slash::Me).ok_or_else(usage),
        "create" => words(rest)
            .and_then(|words| CreateLine::try_parse_from(words).map_err(|error| first_line(&error)))
            .map(Slash::Create),
        "join" if rest.is_empty() => Err("write /join NUMBER or /join lobby".to_owned()),
        "join" => words(rest)
            .and_then(|words| JoinLine::try_parse_from(words).map_err(|error| first_line(&error)))
            .map(Slash::Join),
        "switch" => match first_word(rest) {
            Some((place, "")) => Ok(Slash::Switch(parse_place(&place))),
            _ => Err("write /switch NUMBER, /switch lobby or /switch NICK".to_owned()),
        },
        "history" => parse_past(rest, command).map(Slash::History),
        "redact" => parse_which(rest, command).map(Slash::Redact),
        _ => about_a_nick(command.name, rest, command),
    }
}

/// Commands that begin with a nick.
fn about_a_nick(name: &str, rest: &str, command: &SlashCommand) -> Result<Slash, String> {
    let usage = || format!("write {}", command.usage());
    let (nick, more) = first_word(rest).ok_or_else(usage)?;
    match (name, more) {
        ("msg", text) if !text.is_empty() => Ok(Slash::Msg {
            nick,
            text: text.to_owned(),
        }),
        ("nick", label) => Ok(Slash::Nick {
            nick,
            label: optional(label),
        }),
        ("kick", reason) => Ok(Slash::Kick {
            nick,
            reason: reason.to_owned(),
        }),
        ("ban", reason) => Ok(Slash::Ban {
            nick,
            reason: reason.to_owned(),
        }),
        ("mute", "") => Ok(Slash::Mute {
            nick,
            seconds: None,
        }),
        ("mute", seconds) => match seconds.parse() {
            Ok(seconds) if seconds > 0 => Ok(Slash::Mute {
                nick,
                seconds: Some(seconds),
            }),
            _ => Err(format!(
                "`{seconds}` is not a number of seconds; {}",
                usage()
            )),
        },
        ("role", role) => {
            let roles = [
                ("member", Role::Member),
                ("moderator", Role::Moderator),
                ("owner", Role::Owner),
            ];
            let role = roles.into_iter().find(|(name, _)| *name == role);
            role.map(|(_, role)| Slash::Role { nick, role })
                .ok_or_else(usage)
        }
        ("unban", "") => Ok(Slash::Unban { nick }),
        ("unmute", "") => Ok(Slash::Unmute { nick }),
        ("block" | "unblock", "") => Ok(Slash::Block {
            nick,
            blocked: name == "block",
        }),
        _ => Err(usage()),
    }
}

fn parse_which(rest: &str, command: &SlashCommand) -> Result<Which, String> {
    let usage = || format!("write {}", command.usage());
    match rest.strip_prefix('#') {
        Some(number) => number
            .parse()
            .map(Which::Number)
            .map_err(|_| format!("`{number}` is not a record's number; {}", usage())),
        None if rest.is_empty() => Ok(Which::Mine),
        None => one_nick(rest).map(Which::Of).ok_or_else(usage),
    }
}

fn parse_past(text: &str, command: &SlashCommand) -> Result<Past, String> {
    let wrong = || {
        format!(
            "`{text}` is not a number of records, nor a date and time; {}",
            format_args!("write {}", command.usage())
        )
    };
    let (first, rest) = first_word(text).unwrap_or_default();
    let number = |text: &str| match text.strip_prefix('#') {
        _ if text.is_empty() => Ok(None),
        Some(number) => number.parse().map(Some).map_err(|_| wrong()),
        None => Err(wrong()),
    };
    match first.as_str() {
        "" => return Ok(Past::Last(20)),
        "before" => return number(rest).map(Past::Before),
        "after" => return number(rest).map(Past::After),
        _ => {}
    }
    if rest.is_empty()
        && let Ok(count @ 1..) = first.parse()
    {
        return Ok(Past::Last(count));
    }
    let time = |text: &str| Time::strptime("%H:%M", text).ok();
    match (first.parse::<Date>().ok(), time(&first), rest) {
        (Some(date), _, "") => Ok(Past::Around(Some(date), None)),
        (Some(date), _, rest) => time(rest)
            .map(|time| Past::Around(Some(date), Some(time)))
            .ok_or_else(wrong),
        (None, Some(time), "") => Ok(Past::Around(None, Some(time))),
        _ => Err(wrong()),
    }
}

/// A number is a group, `lobby` the lobby, anything else somebody's nick.
fn parse_place(text: &str) -> Place {
    match text.parse() {
        Ok(number) => Place::Group(number),
        Err(_) if text == "lobby" => Place::Lobby,
        Err(_) => Place::With(text.to_owned()),
    }
}

fn parse_joinable(text: &str) -> Result<Joinable, String> {
    match parse_place(text) {
        Place::Lobby => Ok(Joinable::Lobby),
        Place::Group(number) => Ok(Joinable::Group(number)),
        Place::With(_) => Err("a room is a group's number, or lobby".to_owned()),
    }
}

/// The first word, which may stand in quotation marks, and what follows it.
fn first_word(text: &str) -> Option<(String, &str)> {
    if let Some((word, rest)) = text.strip_prefix('"').and_then(|text| text.split_once('"'))
        && !rest.starts_with(|c: char| !c.is_whitespace())
        && !word.is_empty()
    {
        return Some((word.to_owned(), rest.trim_start()));
    }
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if word.is_empty() {
        None
    } else {
        Some((word.to_owned(), rest.trim_start()))
    }
}

fn one_nick(text: &str) -> Option<String> {
    match first_word(text) {
        Some((nick, "")) => Some(nick),
        _ => None,
    }
}

fn optional(text: &str) -> Option<String> {
    if text.is_empty() {
        None
    } else {
        Some(text.to_owned())
    }
}

/// Splits as a shell does, so that names and topics can be quoted.
fn words(text: &str) -> Result<Vec<String>, String> {
    shlex::split(text).ok_or_else(|| "a quotation mark is not closed".to_owned())
}

/// The error in the words of clap, without its advice on usage.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.strip_suffix(':') {
        Some(line) => format!("{line}: {}", text.lines().nth(1).unwrap_or_default().trim()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slash(line: &str) -> Slash {
        match parse(line) {
            Ok(Line::Command(slash)) => slash,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_does_not_begin_with_a_slash_is_said() {
        assert_eq!(parse(""), Ok(Line::Empty));
        assert_eq!(
            parse("  two  spaces "),
            Ok(Line::Say("  two  spaces ".into()))
        );
        assert_eq!(parse("//etc/passwd"), Ok(Line::Say("/etc/passwd".into())));
        assert_eq!(parse("///"), Ok(Line::Say("//".into())));
        assert_eq!(parse(" /help"), Ok(Line::Say(" /help".into())));
    }

    #[test]
    fn every_command_of_the_table_is_one() {
        for command in commands::COMMANDS {
            for arguments in ["", " 1", " Ada x", " Ada member"] {
                let line = format!("/{}{arguments}", command.name);
                if let Ok(Line::Command(_)) = parse(&line) {
                    break;
                }
                assert_ne!(arguments, " Ada member", "{}", command.name);
            }
        }
    }

    #[test]
    fn quotation_marks_keep_words_together() {
        for (text, expected) in [
            ("\"Big Name\" x y", Some(("Big Name".to_owned(), "x y"))),
            ("\"Big Name\"", Some(("Big Name".to_owned(), ""))),
            ("\"Big\"x y", Some(("\"Big\"x".to_owned(), "y"))),
            ("\"Big y", Some(("\"Big".to_owned(), "y"))),
            ("", None),
        ] {
            assert_eq!(first_word(text), expected, "{text}");
        }
    }

    #[test]
    fn aliases_mean_the_same() {
        assert_eq!(slash("/pomoc"), Slash::Help);
        assert_eq!(slash("/changename Berl"), slash("/nick Berl"));
        assert_eq!(slash("/wyjdz"), Slash::Quit);
    }

    #[test]
    fn arguments_are_read() {
        let nick = || "Ada".to_owned();
        for (line, expected) in [
            (
                "/msg Ada  so  it  is",
                Slash::Msg {
                    nick: nick(),
                    text: "so  it  is".into(),
                },
            ),
            (
                "/nick Ada gr. 2",
                Slash::Nick {
                    nick: nick(),
                    label: Some("gr. 2".into()),
                },
            ),
            (
                "/nick Ada",
                Slash::Nick {
                    nick: nick(),
                    label: None,
                },
            ),
            ("/topic", Slash::Topic(None)),
            ("/topic  on chess ", Slash::Topic(Some("on chess".into()))),
            (
                "/kick Ada",
                Slash::Kick {
                    nick: nick(),
                    reason: String::new(),
                },
            ),
            (
                "/ban Ada too loud",
                Slash::Ban {
                    nick: nick(),
                    reason: "too loud".into(),
                },
            ),
            ("/unban Ada", Slash::Unban { nick: nick() }),
            (
                "/mute Ada",
                Slash::Mute {
                    nick: nick(),
                    seconds: None,
                },
            ),
            (
                "/mute Ada 60",
                Slash::Mute {
                    nick: nick(),
                    seconds: Some(60),
                },
            ),
            ("/unmute Ada", Slash::Unmute { nick: nick() }),
            (
                "/role Ada moderator",
                Slash::Role {
                    nick: nick(),
                    role: Role::Moderator,
                },
            ),
            (
                "/block Ada",
                Slash::Block {
                    nick: nick(),
                    blocked: true,
                },
            ),
            (
                "/unblock Ada",
                Slash::Block {
                    nick: nick(),
                    blocked: false,
                },
            ),
            ("/me waves", Slash::Me("waves".into())),
            ("/switch 3", Slash::Switch(Place::Group(3))),
            ("/switch lobby", Slash::Switch(Place::Lobby)),
            ("/switch Ada", Slash::Switch(Place::With(nick()))),
            ("/history", Slash::History(Past::Last(20))),
            ("/history 5", Slash::History(Past::Last(5))),
            ("/history before", Slash::History(Past::Before(None))),
            ("/history after #7", Slash::History(Past::After(Some(7)))),
            (
                "/history 2026-01-31 20:15",
                Slash::History(Past::Around(
                    Some(Date::constant(2026, 1, 31)),
                    Some(Time::constant(20, 15, 0, 0)),
                )),
            ),
            (
                "/history 20:15",
                Slash::History(Past::Around(None, Some(Time::constant(20, 15, 0, 0)))),
            ),
            ("/redact", Slash::Redact(Which::Mine)),
            ("/redact Ada", Slash::Redact(Which::Of("Ada".to_owned()))),
            ("/redact #12", Slash::Redact(Which::Number(12))),
            ("/password", Slash::Password { file: None }),
            (
                "/password a b",
                Slash::Password {
                    file: Some("a b".into()),
                },
            ),
        ] {
            assert_eq!(slash(line), expected, "{line}");
        }
    }

    #[test]
    fn rooms_take_options() {
        let create = CreateLine {
            name: vec![],
            topic: None,
            password_file: None,
            cipher: None,
        };
        assert_eq!(slash("/create"), Slash::Create(create.clone()));
        assert_eq!(
            slash("/create 'Chess club' --topic \"on chess\" --cipher caesar:3"),
            Slash::Create(CreateLine {
                name: vec!["Chess club".into()],
                topic: Some("on chess".into()),
                cipher: Some(CipherChoice::Caesar(3)),
                ..create.clone()
            })
        );
        assert_eq!(
            slash("/create Chess club --topic openings"),
            Slash::Create(CreateLine {
                name: vec!["Chess".into(), "club".into()],
                topic: Some("openings".into()),
                ..create
            })
        );
        let join = JoinLine {
            room: Joinable::Group(4),
            password_file: None,
            cipher: None,
        };
        assert_eq!(slash("/join 4"), Slash::Join(join.clone()));
        assert_eq!(
            slash("/join lobby"),
            Slash::Join(JoinLine {
                room: Joinable::Lobby,
                ..join.clone()
            })
        );
        assert_eq!(
            slash("/join 4 --password-file p"),
            Slash::Join(JoinLine {
                password_file: Some("p".into()),
                ..join
            })
        );
    }

    #[test]
    fn a_line_that_fails_says_why() {
        for (line, part) in [
            ("/", "`/`"),
            ("/dance", "`/dance`"),
            ("/msg", "/msg NICK TEXT"),
            ("/msg Ada", "/msg NICK TEXT"),
            ("/nick", "/nick NICK"),
            ("/me", "/me TEXT"),
            ("/mute Ada soon", "`soon`"),
            ("/mute Ada 0", "`0`"),
            ("/role Ada king", "/role NICK"),
            ("/history some", "`some`"),
            ("/unban", "/unban NICK"),
            ("/unban a b", "/unban NICK"),
            ("/join", "NUMBER"),
            ("/join Ada", "lobby"),
            ("/join 1 2", "2"),
            ("/join 1 --cipher rot13", "rot13"),
            ("/create 'a", "quotation mark"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
            assert!(!error.contains('\n'), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "/?/?[a-z]{0,8}[ \\PC]*") {
            // Says yes or no; the point is that it does say something.
            if let Err(error) = parse(&line) {
                prop_assert!(!error.is_empty());
            }
        }

        #[test]
        fn any_text_can_be_said(text in "\\PC+") {
            let line = if text.starts_with('/') { format!("/{text}") } else { text.clone() };
            prop_assert_eq!(parse(&line), Ok(Line::Say(text)));
        }
    }
}
