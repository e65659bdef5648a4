//! Records and presence, in words for people. Everything that others wrote is made visible.

use core::time::Duration;

use chat_core::{
    client::Text,
    id::MemberId,
    wire::{
        record::{LeftReason, Person, Record, RecordBody, RoomKind},
        server::PresenceUpdate,
    },
};
use jiff::tz::TimeZone;

use super::{
    times::{moment, time},
    words::role_name,
};
use crate::{
    rooms::{RoomTitle, room_name},
    visible::{after_colon, person, visible},
};

/// Whether and how to set off parts of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) colours: bool,
}

impl Paint {
    /// Somebody's name.
    fn name(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Words of the program, not of a member.
    pub(crate) fn aside(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A record as it is seen in a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) record: &'a Record,
    /// The text of a message, opened.
    pub(crate) text: Option<&'a Text>,
    pub(crate) room: &'a RoomTitle,
    /// Whether the author is this client.
    pub(crate) mine: bool,
    /// Whether this is the room that is spoken in.
    pub(crate) current: bool,
}

/// `HH:MM NICK (LABEL): TEXT`, or what else happened. None for what is told otherwise.
pub(crate) fn record(seen: Seen<'_>, zone: &TimeZone, paint: Paint) -> Option<String> {
    let Seen { record, text, .. } = seen;
    let prefix = format!("{} {}", time(record.time, zone), mark(seen));
    let who = paint.name(&author(record));
    let said = || match text {
        Some(Ok(text)) => visible(text),
        Some(Err(error)) => paint.aside(&format!("[cannot be read: {error}]")),
        None => paint.aside("[cannot be read]"),
    };
    let event = match &record.body {
        RecordBody::Message(_) => return Some(format!("{prefix}{who}: {}", said())),
        RecordBody::Action(_) => return Some(format!("{prefix}* {who} {}", said())),
        RecordBody::Created(_) | RecordBody::Joined(_) | RecordBody::Left(_) if seen.mine => {
            return None;
        }
        RecordBody::Created(_) if seen.room.kind == RoomKind::Group => {
            format!("{who} created the room")
        }
        RecordBody::Created(_) => return None,
        // An invitation was accepted: what is said tells it.
        RecordBody::Joined(_) if seen.room.kind == RoomKind::Private => return None,
        RecordBody::Joined(_) => format!("{who} joined"),
        RecordBody::Left(left) => match left.reason {
            LeftReason::Asked => format!("{who} left"),
            LeftReason::Expired => format!("{who} left without a word"),
            _ => format!("{who} is no longer here"),
        },
        RecordBody::Topic(topic) if topic.topic.is_empty() => format!("{who} removed the topic"),
        RecordBody::Topic(topic) => format!("{who} set the topic: {}", visible(&topic.topic)),
        RecordBody::Role(change) => format!(
            "{who} made {} {}",
            visible(&change.nick),
            role_name(change.role)
        ),
        RecordBody::Kicked(removal) => format!(
            "{who} put out {}{}",
            visible(&removal.nick),
            after_colon(&removal.reason)
        ),
        RecordBody::Banned(removal) => format!(
            "{who} banned {}{}",
            whom(removal.target, &removal.nick),
            after_colon(&removal.reason)
        ),
        RecordBody::Unbanned(target) => {
            format!("{who} let {} come back", whom(target.target, &target.nick))
        }
        RecordBody::Muted(muted) => match muted.seconds {
            Some(seconds) => format!(
                "{who} silenced {} until {}",
                visible(&muted.nick),
                moment(
                    record.time + Duration::from_secs(seconds.into()),
                    record.time,
                    zone
                )
            ),
            None => format!("{who} silenced {}", visible(&muted.nick)),
        },
        RecordBody::Unmuted(target) => format!("{who} let {} speak", visible(&target.nick)),
        RecordBody::Password(_) => format!("{who} changed the password"),
        RecordBody::Blocked(blocked) if blocked.blocked => {
            format!("{who} takes no more messages from the other")
        }
        RecordBody::Blocked(_) => format!("{who} takes messages again"),
        RecordBody::Closed(_) => format!("{who} closed the room"),
        RecordBody::Reopened(_) => return None,
        RecordBody::Redacted(redacted) => format!("{who} took back record {}", redacted.seq),
        RecordBody::Blank(_) => format!("{who}: {}", paint.aside("[taken back]")),
        _ => format!(
            "{who}: something that this program does not understand (kind {})",
            record.kind()
        ),
    };
    Some(format!("{prefix}{event}"))
}

/// Members who came, went or are called something else; nothing if nothing changed. Of one's own
/// new name the answer tells.
pub(crate) fn presence(update: &PresenceUpdate, me: MemberId) -> Vec<String> {
    match update {
        // No nick has a space in it, so nobody's words begin like that.
        PresenceUpdate::Full(full) => {
            vec![format!(
                "{} here: {}",
                full.people.len(),
                list(&full.people)
            )]
        }
        PresenceUpdate::Count(count) => vec![format!("{} here", count.count)],
        PresenceUpdate::Changes(changes) => {
            let here = changes
                .here
                .iter()
                .map(|person| format!("{} is here", one(person)));
            let gone = changes
                .gone
                .iter()
                .map(|person| format!("{} is gone", one(person)));
            let renamed = changes
                .renamed
                .iter()
                .filter(|renamed| renamed.to.member != me)
                .map(|renamed| format!("{} is now {}", visible(&renamed.from), one(&renamed.to)));
            here.chain(gone).chain(renamed).collect()
        }
        _ => Vec::new(),
    }
}

/// The author of a record: a member, or the server itself.
fn author(record: &Record) -> String {
    if record.member == MemberId::SERVER {
        "the server".to_owned()
    } else {
        person(&record.nick, &record.label)
    }
}

/// Says where it happened, unless that goes without saying.
fn mark(seen: Seen<'_>) -> String {
    match (seen.room.kind, &seen.room.with) {
        (RoomKind::Private, Some(nick)) if seen.mine => {
            format!("[private to {}] ", visible(nick))
        }
        (RoomKind::Private, _) => "[private] ".to_owned(),
        _ if seen.current => String::new(),
        _ => format!("[{}] ", room_name(seen.room)),
    }
}

fn one(member: &Person) -> String {
    person(&member.nick, &member.label)
}

fn list(people: &[Person]) -> String {
    people.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A member by nick, or by id where the server did not know the nick any more.
fn whom(member: MemberId, nick: &str) -> String {
    if nick.is_empty() {
        member.to_string()
    } else {
        visible(nick)
    }
}

#[cfg(test)]
mod tests {
    use chat_core::{
        cipher::OpenError,
        client::CommandError,
        roles::Role,
        time::Wall,
        wire::{
            ErrorCode,
            record::{Content, Joined, Left, Message, Muted, Removal, RoleChange, Topic},
            server::{Count, Failure, People, PresenceChanges, Renamed, RoomView},
        },
    };
    use proptest::prelude::*;

    use super::{
        super::words::{command_error, entered},
        *,
    };
    use crate::rooms::tests::{private, view};

    const PLAIN: Paint = Paint { colours: false };

    fn a_record(body: RecordBody) -> Record {
        let time = Wall(1_000_000_000_000);
        Record {
            member: MemberId([1; 16]),
            nick: "Ada".into(),
            label: "gr. 2".into(),
            txn: 1,
            ..Record::by_server(1, time, body)
        }
    }

    fn shown(
        body: RecordBody,
        text: Option<Text>,
        view: &RoomView,
        mine: bool,
        current: bool,
    ) -> Option<String> {
        let record = a_record(body);
        super::record(
            Seen {
                record: &record,
                text: text.as_ref(),
                room: &view.into(),
                mine,
                current,
            },
            &TimeZone::UTC,
            PLAIN,
        )
    }

    fn message() -> RecordBody {
        RecordBody::Message(Message {
            content: Content::plain(""),
        })
    }

    fn said(text: &str, view: &RoomView, mine: bool, current: bool) -> String {
        shown(message(), Some(Ok(text.to_owned())), view, mine, current).unwrap()
    }

    #[test]
    fn a_message_has_time_name_label_and_text() {
        assert_eq!(
            said("hello", &view(Some(0)), false, true),
            "01:46 Ada (gr. 2): hello"
        );
        assert_eq!(
            said("hello", &view(Some(0)), true, true),
            "01:46 Ada (gr. 2): hello"
        );
        assert_eq!(
            said("hello", &view(Some(0)), false, false),
            "01:46 [room 0] Ada (gr. 2): hello"
        );
        assert_eq!(
            said("hello", &view(None), false, false),
            "01:46 [the lobby] Ada (gr. 2): hello"
        );
        assert_eq!(
            said("hello", &private("Berl"), false, false),
            "01:46 [private] Ada (gr. 2): hello"
        );
        assert_eq!(
            said("hello", &private("Berl"), true, true),
            "01:46 [private to Berl] Ada (gr. 2): hello"
        );
    }

    /// Whether a line without its time says that somebody said this, in the words of somebody who
    /// reads it and does not know who is there.
    fn is_said(line: &str) -> bool {
        let behind = line.split_once(' ').map_or("", |(_, behind)| behind);
        let label = behind.strip_prefix('(').map_or("", |label| {
            let mut open = 1;
            let end = label.find(|c| {
                open += i32::from(c == '(') - i32::from(c == ')');
                open == 0
            });
            end.map_or("", |end| &label[end + 1..])
        });
        label.starts_with(": ")
            || line
                .split(' ')
                .next()
                .is_some_and(|nick| nick.ends_with(':'))
    }

    proptest! {
        #[test]
        fn nobody_s_words_are_taken_for_those_of_the_program(
            nick in "(here|topic|2|you|[*():a\\[\\]]{1,4})",
            label in "[()a: ]{0,8}|is here",
            text in "(here: |is here|joined)?[ ():a]{0,6}",
        ) {
            let limit = 64;
            prop_assume!(chat_core::nick::Name::nick(&nick, limit).is_ok());
            prop_assume!(chat_core::nick::label(&label, limit).is_ok());
            // `Ada:` is nobody but Ada.
            prop_assume!(!nick.ends_with(':'));
            let record = Record { nick: nick.clone(), label: label.clone(), ..a_record(message()) };
            let text = Ok(text);
            let seen = Seen {
                record: &record,
                text: Some(&text),
                room: &(&view(None)).into(),
                mine: false,
                current: true,
            };
            let line = super::record(seen, &TimeZone::UTC, PLAIN).unwrap();
            prop_assert!(is_said(&line[6..]), "{}", line);
            let person = Person { member: MemberId([1; 16]), nick: nick.clone(), label };
            let people = vec![person.clone()];
            let changes = PresenceChanges {
                here: people.clone(),
                gone: people.clone(),
                renamed: vec![Renamed { from: nick, to: person }],
            };
            for update in [
                PresenceUpdate::Full(People { people }),
                PresenceUpdate::Count(Count { count: 2 }),
                PresenceUpdate::Changes(changes),
            ] {
                for line in presence(&update, MemberId([9; 16])) {
                    prop_assert!(!is_said(&line), "{}", line);
                }
            }
        }
    }

    #[test]
    fn ones_own_new_name_is_told_by_the_answer_alone() {
        let me = MemberId([9; 16]);
        let named = |member, nick: &str| Person {
            member,
            nick: nick.into(),
            label: String::new(),
        };
        let renamed = [(me, "Bernard"), (MemberId([1; 16]), "Ada")].map(|(member, nick)| Renamed {
            from: "X".into(),
            to: named(member, nick),
        });
        let changes = PresenceChanges {
            renamed: renamed.to_vec(),
            ..PresenceChanges::default()
        };
        assert_eq!(
            presence(&PresenceUpdate::Changes(changes), me),
            ["X is now Ada"]
        );
    }

    #[test]
    fn without_a_label_there_are_no_parentheses() {
        assert_eq!(person("Ada", ""), "Ada");
    }

    #[test]
    fn an_action_has_a_star() {
        let body = RecordBody::Action(Message {
            content: Content::plain(""),
        });
        let line = shown(body, Some(Ok("waves".into())), &view(None), false, true);
        assert_eq!(line.as_deref(), Some("01:46 * Ada (gr. 2) waves"));
    }

    #[test]
    fn what_does_not_open_says_why() {
        let line = shown(
            message(),
            Some(Err(OpenError::Altered)),
            &view(None),
            false,
            true,
        )
        .unwrap();
        assert_eq!(
            line,
            "01:46 Ada (gr. 2): [cannot be read: wrong key, or it was altered on the way]"
        );
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        let evil = "a\n12:00 Berl: I agree\x1b[2J\u{9b}2J\u{202e}\u{200b}\u{feff}\u{e0061}";
        let removal = Removal {
            target: MemberId([2; 16]),
            nick: evil.into(),
            reason: evil.into(),
        };
        let person = Person {
            member: MemberId([2; 16]),
            nick: evil.into(),
            label: evil.into(),
        };
        let mut strange = view(Some(0));
        strange.topic = evil.into();
        strange.name = Some(evil.into());
        let failure = Failure {
            id: 1,
            code: ErrorCode::Banned,
            temporary: false,
            retry_after: None,
            text: evil.into(),
        };
        let renamed = Renamed {
            from: evil.into(),
            to: person.clone(),
        };
        let changes = PresenceChanges {
            here: vec![person.clone()],
            gone: vec![person.clone()],
            renamed: vec![renamed],
        };
        let mut lines = vec![
            said(evil, &private(evil), false, true),
            said(evil, &private(evil), true, true),
            shown(
                RecordBody::Topic(Topic { topic: evil.into() }),
                None,
                &view(None),
                false,
                true,
            )
            .unwrap(),
            shown(RecordBody::Kicked(removal), None, &view(None), false, true).unwrap(),
            command_error(&CommandError::Refused(failure)),
            super::person(evil, evil),
        ];
        lines.extend(presence(
            &PresenceUpdate::Full(People {
                people: vec![person],
            }),
            MemberId([9; 16]),
        ));
        lines.extend(presence(
            &PresenceUpdate::Changes(changes),
            MemberId([9; 16]),
        ));
        lines.extend(entered(&strange));
        for line in lines {
            assert!(!line.contains(chat_core::visible::is_invisible), "{line:?}");
        }
    }

    #[test]
    fn changes_of_a_room_are_told() {
        let target = MemberId([2; 16]);
        let nick = || "Berl".to_owned();
        for (body, line) in [
            (RecordBody::Joined(Joined {}), "Ada (gr. 2) joined"),
            (
                RecordBody::Left(Left {
                    reason: LeftReason::Asked,
                }),
                "Ada (gr. 2) left",
            ),
            (
                RecordBody::Topic(Topic {
                    topic: "chess".into(),
                }),
                "Ada (gr. 2) set the topic: chess",
            ),
            (
                RecordBody::Role(RoleChange {
                    target,
                    nick: nick(),
                    role: Role::Moderator,
                }),
                "Ada (gr. 2) made Berl moderator",
            ),
            (
                RecordBody::Kicked(Removal {
                    target,
                    nick: nick(),
                    reason: "loud".into(),
                }),
                "Ada (gr. 2) put out Berl: loud",
            ),
            (
                RecordBody::Banned(Removal {
                    target,
                    nick: nick(),
                    reason: String::new(),
                }),
                "Ada (gr. 2) banned Berl",
            ),
            (
                RecordBody::Muted(Muted {
                    target,
                    nick: nick(),
                    seconds: Some(60),
                }),
                "Ada (gr. 2) silenced Berl until 01:47",
            ),
        ] {
            assert_eq!(
                shown(body, None, &view(None), false, true),
                Some(format!("01:46 {line}"))
            );
        }
        assert_eq!(
            shown(RecordBody::Joined(Joined {}), None, &view(None), true, true),
            None
        );
    }

    #[test]
    fn the_server_is_named_where_it_acts() {
        let record = Record {
            member: MemberId::SERVER,
            nick: String::new(),
            label: String::new(),
            ..a_record(RecordBody::Role(RoleChange {
                target: MemberId([2; 16]),
                nick: "Al3".into(),
                role: Role::Owner,
            }))
        };
        let room = view(Some(0));
        let seen = Seen {
            record: &record,
            text: None,
            room: &(&room).into(),
            mine: false,
            current: true,
        };
        assert_eq!(
            super::record(seen, &TimeZone::UTC, PLAIN).as_deref(),
            Some("01:46 the server made Al3 owner")
        );
    }

    #[test]
    fn colours_are_there_only_when_wanted() {
        let record = a_record(message());
        let seen = Seen {
            record: &record,
            text: None,
            room: &(&view(None)).into(),
            mine: false,
            current: true,
        };
        assert!(
            super::record(seen, &TimeZone::UTC, Paint { colours: true })
                .unwrap()
                .contains("\x1b[1mAda (gr. 2)\x1b[0m")
        );
        assert!(
            !super::record(seen, &TimeZone::UTC, PLAIN)
                .unwrap()
                .contains('\x1b')
        );
    }
}
