//! The slash commands: one table.
//!
//! The terminal completes and explains commands by it. The page has a list of its own, in its own
//! language (`chat-web/page/js/slash.js`); a test holds it to this one.

use chat_core::roles::{Action, Role, may};

/// A slash command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlashCommand {
    /// Its name, without the slash.
    pub name: &'static str,
    /// Other names of it.
    pub also: &'static [&'static str],
    /// The arguments after the name; empty for none.
    pub arguments: &'static str,
    /// The effect, in words. Neighbours of the same help are explained together.
    pub help: &'static str,
    /// The action that has to be allowed in the room, if one has.
    pub action: Option<Action>,
    /// The command as the page has it.
    pub page: Page,
}

/// A command as the page has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// As the terminal has it.
    Same,
    /// With other arguments: what else there is, a window asks for.
    Arguments(&'static str),
    /// As another name of this command.
    Alias(&'static str),
    /// Not at all: the page shows the same without being asked.
    None,
}

impl SlashCommand {
    /// The whole of it, as in `/kick NICK [REASON]`.
    pub fn usage(&self) -> String {
        usage(self.name, self.arguments)
    }

    /// The least role that may use it on a plain member; none where membership is not asked about.
    pub fn role(&self) -> Option<Role> {
        let action = self.action?;
        let roles = [Role::Member, Role::Moderator, Role::Owner];
        let allowed = |role: &Role| may(*role, action, Some(Role::Member));
        roles.into_iter().find(allowed)
    }

    /// The usage in the page; none where the page does not have the command by itself.
    pub fn usage_in_page(&self) -> Option<String> {
        match self.page {
            Page::Same => Some(self.usage()),
            Page::Arguments(arguments) => Some(usage(self.name, arguments)),
            Page::Alias(_) | Page::None => None,
        }
    }
}

fn usage(name: &str, arguments: &str) -> String {
    let blank = if arguments.is_empty() { "" } else { " " };
    format!("/{name}{blank}{arguments}")
}

/// The command of this name, or of which this is another name.
pub fn find(name: &str) -> Option<&'static SlashCommand> {
    COMMANDS
        .iter()
        .find(|command| command.name == name || command.also.contains(&name))
}

/// The lines of `/help`.
pub fn help() -> Vec<String> {
    let mut lines = vec![
        "TEXT: say it in the current room; a second slash (//) begins a text with a slash"
            .to_owned(),
    ];
    for commands in COMMANDS.chunk_by(|one, other| one.help == other.help) {
        let usages: Vec<String> = commands.iter().map(SlashCommand::usage).collect();
        let also = commands.iter().flat_map(|command| command.also);
        let also: String = also.map(|name| format!(" (/{name})")).collect();
        lines.push(format!("{}: {}{also}", usages.join(", "), commands[0].help));
    }
    lines
}

/// A command that everybody may use and that the page has as well.
const PLAIN: SlashCommand = SlashCommand {
    name: "",
    also: &[],
    arguments: "",
    help: "",
    action: None,
    page: Page::Same,
};

/// All commands, in the order in which they are explained.
pub const COMMANDS: &[SlashCommand] = &[
    SlashCommand {
        name: "me",
        arguments: "TEXT",
        help: "say what you do",
        ..PLAIN
    },
    SlashCommand {
        name: "msg",
        arguments: "NICK TEXT",
        help: "say it to one person: no other member is told, but the server can read it",
        ..PLAIN
    },
    SlashCommand {
        name: "nick",
        also: &["changename"],
        arguments: "NICK [LABEL]",
        help: "be called something else",
        ..PLAIN
    },
    SlashCommand {
        name: "online",
        help: "who is here",
        ..PLAIN
    },
    SlashCommand {
        name: "members",
        help: "who is a member, also while away",
        page: Page::Alias("online"),
        ..PLAIN
    },
    SlashCommand {
        name: "rooms",
        help: "the groups of this server",
        ..PLAIN
    },
    SlashCommand {
        name: "create",
        arguments: "[NAME] [--topic T] [--password-file F] [--cipher C]",
        help: "make a group",
        page: Page::Arguments("[NAME]"),
        ..PLAIN
    },
    SlashCommand {
        name: "join",
        arguments: "NUMBER|lobby [--password-file F] [--cipher C]",
        help: "enter a room",
        page: Page::Arguments("NUMBER|lobby"),
        ..PLAIN
    },
    SlashCommand {
        name: "switch",
        arguments: "NUMBER|lobby|NICK",
        help: "speak in another of your rooms",
        ..PLAIN
    },
    SlashCommand {
        name: "leave",
        help: "leave the current room",
        ..PLAIN
    },
    SlashCommand {
        name: "history",
        arguments: "[N | before | after | [DATE] [TIME]]",
        help: "what was said before: the last N, a page further back or on, or around 2026-01-31 20:15",
        page: Page::None,
        ..PLAIN
    },
    SlashCommand {
        name: "redact",
        arguments: "[NICK | #N]",
        help: "take back your (or somebody's) last words, or those of record N: the text goes for good",
        page: Page::Arguments("[NICK]"),
        ..PLAIN
    },
    SlashCommand {
        name: "topic",
        arguments: "[TEXT]",
        help: "show or change the topic",
        action: Some(Action::Topic),
        ..PLAIN
    },
    SlashCommand {
        name: "password",
        arguments: "[FILE]",
        help: "change the group's password",
        action: Some(Action::Password),
        page: Page::Arguments(""),
        ..PLAIN
    },
    SlashCommand {
        name: "kick",
        arguments: "NICK [REASON]",
        help: "put somebody out",
        action: Some(Action::Kick),
        ..PLAIN
    },
    SlashCommand {
        name: "ban",
        arguments: "NICK [REASON]",
        help: "put somebody out and keep them out",
        action: Some(Action::Ban),
        ..PLAIN
    },
    SlashCommand {
        name: "unban",
        arguments: "NICK",
        help: "put somebody out and keep them out",
        action: Some(Action::Ban),
        ..PLAIN
    },
    SlashCommand {
        name: "mute",
        arguments: "NICK [SECONDS]",
        help: "silence somebody",
        action: Some(Action::Mute),
        ..PLAIN
    },
    SlashCommand {
        name: "unmute",
        arguments: "NICK",
        help: "silence somebody",
        action: Some(Action::Mute),
        ..PLAIN
    },
    SlashCommand {
        name: "role",
        arguments: "NICK member|moderator|owner",
        help: "give somebody a role",
        action: Some(Action::Grant(Role::Member)),
        ..PLAIN
    },
    SlashCommand {
        name: "block",
        arguments: "NICK",
        help: "take no private messages from somebody",
        ..PLAIN
    },
    SlashCommand {
        name: "unblock",
        arguments: "NICK",
        help: "take no private messages from somebody",
        ..PLAIN
    },
    SlashCommand {
        name: "help",
        also: &["pomoc"],
        help: "this list",
        ..PLAIN
    },
    SlashCommand {
        name: "quit",
        also: &["wyjdz"],
        help: "leave the server",
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    #[test]
    fn help_has_a_line_for_what_belongs_together() {
        let lines = help();
        for line in [
            "/ban NICK [REASON], /unban NICK: put somebody out and keep them out",
            "/nick NICK [LABEL]: be called something else (/changename)",
            "/quit: leave the server (/wyjdz)",
            "/rooms: the groups of this server",
        ] {
            assert!(lines.iter().any(|l| l == line), "{line}");
        }
        assert_eq!(lines.len(), 22);
    }

    #[test]
    fn a_name_means_one_command() {
        let mut seen = BTreeMap::new();
        for command in COMMANDS {
            for name in [command.name].iter().chain(command.also) {
                assert_eq!(seen.insert(*name, command.name), None, "{name}");
                assert_eq!(find(name), Some(command));
            }
        }
        assert_eq!(find(""), None);
    }

    #[test]
    fn roles_are_those_of_the_core() {
        let role = |name: &str| find(name).unwrap().role();
        assert_eq!(role("topic"), Some(Role::Moderator));
        assert_eq!(role("unmute"), Some(Role::Moderator));
        assert_eq!(role("role"), Some(Role::Owner));
        assert_eq!(role("password"), Some(Role::Owner));
        assert_eq!(role("redact"), None);
    }

    /// The text in quotation marks after this key, on one line of the page's list.
    fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
        let (_, rest) = line.split_once(&format!("{key}: '"))?;
        rest.split('\'').next()
    }

    fn names_in_brackets(line: &str) -> Vec<&str> {
        let list = line.split_once("also: [").map_or("", |(_, rest)| rest);
        let list = list.split(']').next().unwrap_or("");
        let names = list.split(',').map(|name| name.trim().trim_matches('\''));
        names.filter(|name| !name.is_empty()).collect()
    }

    #[test]
    fn the_page_has_the_same_commands() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../chat-web/page/js/slash.js");
        let text = fs::read_to_string(path).unwrap();
        let list = text.split_once("const ALL = [").unwrap().1;
        let list = list.split_once("];").unwrap().0;
        let mut theirs = BTreeMap::new();
        for line in list.lines().filter(|line| line.contains("name: '")) {
            let mut also = names_in_brackets(line);
            also.sort_unstable();
            let usage = field(line, "usage").unwrap().to_owned();
            let theirs_before = theirs.insert(field(line, "name").unwrap(), (usage, also));
            assert_eq!(theirs_before, None, "{line}");
        }
        let ours = COMMANDS.iter().filter_map(|command| {
            let aliases = COMMANDS
                .iter()
                .filter(|other| other.page == Page::Alias(command.name))
                .map(|other| other.name);
            let mut also: Vec<&str> = command.also.iter().copied().chain(aliases).collect();
            also.sort_unstable();
            Some((command.name, (command.usage_in_page()?, also)))
        });
        assert_eq!(theirs, ours.collect::<BTreeMap<_, _>>());
    }
}
