//! What happens in rooms, in words for people. Everything that others wrote is made visible.

use core::time::Duration;

use chat_core::{
    client::{CommandError, Text},
    id::MemberId,
    roles::Role,
    time::Wall,
    wire::{
        ErrorCode,
        record::{CipherKind, LeftReason, Person, Record, RecordBody, RoomKind},
        server::{Failure, MemberInfo, PresenceUpdate, RoomInfo, RoomView},
    },
};
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

use super::rooms::room_name;
use crate::{
    cipher_choice::cipher_name,
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

    /// What is not said by anybody.
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
    /// What was said, if something was.
    pub(crate) text: Option<&'a Text>,
    pub(crate) view: &'a RoomView,
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
        RecordBody::Created(_) if seen.view.kind == RoomKind::Group => {
            format!("{who} created the room")
        }
        RecordBody::Created(_) => return None,
        // An invitation was accepted: what is said tells it.
        RecordBody::Joined(_) if seen.view.kind == RoomKind::Private => return None,
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

/// Who came, went or is called something else; nothing if nothing changed. Of one's own new name the answer tells.
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

/// `joined room N` or `joined the lobby`, and what else is to be known on entering.
pub(crate) fn entered(view: &RoomView) -> Vec<String> {
    let mut lines = Vec::new();
    if view.kind != RoomKind::Private {
        lines.push(format!("joined {}", room_name(view)));
        if let Some(name) = &view.name {
            lines.push(format!("name: {}", visible(name)));
        }
        if !view.topic.is_empty() {
            lines.push(format!("topic: {}", visible(&view.topic)));
        }
    }
    if view.cipher == CipherKind::Caesar {
        lines.push(format!(
            "{} is insecure: anybody can read its cipher, caesar",
            room_name(view)
        ));
    }
    lines
}

/// The groups of a server, one a line. What people chose stands behind what the server knows, so
/// that it cannot be taken for that.
pub(crate) fn rooms(rooms: &[RoomInfo]) -> Vec<String> {
    if rooms.is_empty() {
        return vec!["there are no groups".to_owned()];
    }
    let line = |room: &RoomInfo| {
        let name = room
            .name
            .as_deref()
            .map(|name| format!(" {}", visible(name)))
            .unwrap_or_default();
        let protected = if room.protected { ", password" } else { "" };
        let cipher = match room.cipher {
            CipherKind::None => String::new(),
            CipherKind::Caesar => ", cipher caesar (insecure)".to_owned(),
            other => format!(", cipher {}", cipher_name(other)),
        };
        let people = if room.members == 1 {
            "1 member".to_owned()
        } else {
            format!("{} members", room.members)
        };
        let topic = after_colon(&room.topic);
        format!(
            "room {} ({people}{protected}{cipher}){name}{topic}",
            room.number
        )
    };
    rooms.iter().map(line).collect()
}

/// Who is here, in one line.
pub(crate) fn online(members: &[MemberInfo]) -> String {
    let here: Vec<String> = members
        .iter()
        .filter(|member| member.here)
        .map(|member| person(&member.nick, &member.label))
        .collect();
    format!(
        "online: {}",
        if here.is_empty() {
            "nobody".to_owned()
        } else {
            here.join(", ")
        }
    )
}

/// All members of a room, one a line.
pub(crate) fn members(members: &[MemberInfo]) -> Vec<String> {
    let line = |member: &MemberInfo| {
        let mut line = person(&member.nick, &member.label);
        if member.role != Role::Member {
            line += &format!(", {}", role_name(member.role));
        }
        if !member.here {
            line += ", away";
        }
        if member.muted {
            line += ", silenced";
        }
        line
    };
    members.iter().map(line).collect()
}

/// Why a command failed, without a full stop.
pub(crate) fn command_error(error: &CommandError) -> String {
    match error {
        CommandError::Refused(failure) if failure.code == ErrorCode::PasswordRequired => {
            format!("{}; use --password-file FILE", refusal(failure))
        }
        CommandError::Refused(failure) => refusal(failure),
        CommandError::CipherMismatch { announced } => {
            format!(
                "the room's cipher is {}, and the key given is for another",
                cipher_name(*announced)
            )
        }
        CommandError::KeyMissing {
            announced: CipherKind::Caesar,
        } => "the room's cipher is caesar, and no shift was given; use --cipher caesar:SHIFT"
            .to_owned(),
        CommandError::KeyMissing {
            announced: CipherKind::RoomPassword,
        } => {
            "the room is encrypted under its password, and none was given; use --password-file FILE"
                .to_owned()
        }
        CommandError::KeyMissing { announced } => {
            format!(
                "the room's cipher is {}, and no key was given; use --cipher key-file:FILE",
                cipher_name(*announced)
            )
        }
        CommandError::NotSealed { .. } => {
            "the room is not encrypted, although a password was given; if that is meant so, use --cipher none"
                .to_owned()
        }
        other => visible(&other.to_string()),
    }
}

/// What the server says, and when to try again.
pub(crate) fn refusal(failure: &Failure) -> String {
    let text = if failure.text.is_empty() {
        failure.code.to_string()
    } else {
        visible(&failure.text)
    };
    match failure.retry_after {
        Some(wait) => format!("{text} (again in {} s)", wait.div_ceil(1_000)),
        None => text,
    }
}

/// Who made a record: somebody, or the server itself.
fn author(record: &Record) -> String {
    if record.member == MemberId::SERVER {
        "the server".to_owned()
    } else {
        person(&record.nick, &record.label)
    }
}

/// Hours and minutes in that zone.
pub(crate) fn time(wall: Wall, zone: &TimeZone) -> String {
    zoned(wall, zone).map_or_else(
        || "--:--".to_owned(),
        |time| time.strftime("%H:%M").to_string(),
    )
}

/// The day in that zone; none of a time that no calendar has.
pub(crate) fn day(wall: Wall, zone: &TimeZone) -> Option<Date> {
    zoned(wall, zone).map(|time| time.date())
}

/// The line before what happened on another day than the line before it.
pub(crate) fn day_line(day: Date) -> String {
    format!("-- {} --", day.strftime("%A, %Y-%m-%d"))
}

/// A time that is told at another: with its day if that is another.
fn moment(wall: Wall, told: Wall, zone: &TimeZone) -> String {
    match day(wall, zone) {
        Some(then) if Some(then) != day(told, zone) => format!("{then} {}", time(wall, zone)),
        _ => time(wall, zone),
    }
}

fn zoned(wall: Wall, zone: &TimeZone) -> Option<Zoned> {
    let ms = i64::try_from(wall.0).ok()?;
    let timestamp = Timestamp::from_millisecond(ms).ok()?;
    Some(timestamp.to_zoned(zone.clone()))
}

/// Says where it happened, unless that goes without saying.
fn mark(seen: Seen<'_>) -> String {
    match (seen.view.kind, &seen.view.peer) {
        (RoomKind::Private, Some(peer)) if seen.mine => {
            format!("[private to {}] ", visible(&peer.nick))
        }
        (RoomKind::Private, _) => "[private] ".to_owned(),
        _ if seen.current => String::new(),
        _ => format!("[{}] ", room_name(seen.view)),
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Moderator => "moderator",
        Role::Owner => "owner",
        _ => "something else",
    }
}

fn one(member: &Person) -> String {
    person(&member.nick, &member.label)
}

fn list(people: &[Person]) -> String {
    people.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Somebody by name, or by id where the server did not know the name any more.
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
        wire::{
            ErrorCode,
            record::{Content, Joined, Left, Message, Muted, Removal, RoleChange, Topic},
            server::{Count, People, PresenceChanges, Renamed},
        },
    };
    use proptest::prelude::*;

    use super::{
        super::rooms::tests::{private, view},
        *,
    };

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
                view,
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
                view: &view(None),
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
    fn what_the_server_knows_of_a_group_comes_before_what_people_chose() {
        let group = RoomInfo {
            room: chat_core::id::RoomId([1; 16]),
            number: 4,
            name: Some("Bank (900 members, password)".into()),
            topic: "ours".into(),
            members: 1,
            protected: false,
            cipher: CipherKind::None,
        };
        assert_eq!(
            rooms(&[group]),
            ["room 4 (1 member) Bank (900 members, password): ours"]
        );
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
            assert!(!line.contains(chat_core::nick::is_invisible), "{line:?}");
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
            view: &room,
            mine: false,
            current: true,
        };
        assert_eq!(
            super::record(seen, &TimeZone::UTC, PLAIN).as_deref(),
            Some("01:46 the server made Al3 owner")
        );
    }

    #[test]
    fn days_are_those_of_the_reader() {
        let late = Wall(1_000_000_000_000);
        let west = TimeZone::fixed(jiff::tz::offset(-2));
        assert_eq!(day(late, &TimeZone::UTC), Some(Date::constant(2001, 9, 9)));
        assert_eq!(day(late, &west), Some(Date::constant(2001, 9, 8)));
        assert_eq!(
            day_line(Date::constant(2001, 9, 8)),
            "-- Saturday, 2001-09-08 --"
        );
        assert_eq!(day(Wall(u64::MAX), &west), None);
        assert_eq!(moment(late, late, &TimeZone::UTC), "01:46");
        assert_eq!(
            moment(late, Wall(late.0 + 86_400_000), &TimeZone::UTC),
            "2001-09-09 01:46"
        );
    }

    #[test]
    fn entering_tells_what_to_know() {
        assert_eq!(entered(&view(None)), ["joined the lobby"]);
        let mut room = view(Some(4));
        room.topic = "chess".into();
        room.cipher = CipherKind::Caesar;
        assert_eq!(
            entered(&room),
            [
                "joined room 4",
                "topic: chess",
                "room 4 is insecure: anybody can read its cipher, caesar"
            ]
        );
        assert!(entered(&private("Berl")).is_empty());
    }

    #[test]
    fn colours_are_there_only_when_wanted() {
        let record = a_record(message());
        let seen = Seen {
            record: &record,
            text: None,
            view: &view(None),
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
