//! The rooms alone: what the server says of them, and what the application is to hear.

use super::*;
use crate::{
    id::{RequestHash, RoomOrigin, SessionId},
    roles::Role,
    time::Wall,
    wire::{
        record::{
            CipherKind, Closed, Content, HistoryPolicy, Joined, Left, LeftReason, Message, Person,
            PresenceMode, RecordBody, Reopened, RoomKind, Standing,
        },
        tagged::Unknown,
    },
};

const ROOM: RoomId = RoomId([5; 16]);
const OTHER_ROOM: RoomId = RoomId([6; 16]);
const ME: MemberId = MemberId([1; 16]);
const PEER: MemberId = MemberId([2; 16]);
const NOW: Monotonic = Monotonic(7);

fn view(room: RoomId, epoch: u64, seq: u64) -> RoomView {
    RoomView {
        room,
        kind: RoomKind::Group,
        origin: RoomOrigin([1; 16]),
        place: Place { epoch, seq },
        standing: Standing::Member,
        since: 1,
        role: Role::Member,
        members: 2,
        said: 0,
        cipher: CipherKind::None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        topic: String::new(),
        number: None,
        name: None,
        peer: None,
        key: None,
        credential: None,
        keys: Vec::new(),
        peer_standing: None,
    }
}

fn private(mine: Standing, theirs: Option<Standing>) -> RoomView {
    RoomView {
        kind: RoomKind::Private,
        standing: mine,
        peer: Some(Person {
            member: PEER,
            nick: "Bela".to_owned(),
            label: String::new(),
        }),
        peer_standing: theirs,
        ..view(ROOM, 1, 10)
    }
}

fn record(seq: u64, member: MemberId, body: RecordBody) -> Record {
    Record {
        session: SessionId(3),
        txn: seq,
        hash: RequestHash(0),
        member,
        ..Record::by_server(seq, Wall(0), body)
    }
}

fn said(seq: u64) -> Record {
    let content = Content::plain("x");
    record(seq, PEER, RecordBody::Message(Message { content }))
}

fn records(rooms: &mut Rooms, epoch: u64, records: Vec<Record>) -> Vec<Effect> {
    let records = Records {
        room: ROOM,
        epoch,
        records,
    };
    rooms.records(ME, records)
}

fn entered(rooms: &mut Rooms, resumed: bool, view: RoomView) -> Result<Vec<Effect>, String> {
    rooms.entered(ME, Entered { resumed, view })
}

fn inside(view: RoomView) -> Rooms {
    let mut rooms = Rooms::default();
    rooms.enter(ME, &view);
    rooms
}

fn seqs(effects: &[Effect]) -> Vec<u64> {
    let seqs = effects.iter().filter_map(|effect| match effect {
        Effect::Record { record, .. } => Some(record.seq),
        _ => None,
    });
    seqs.collect()
}

#[test]
fn records_come_in_order_and_once_and_a_hole_is_asked_for_ever_later() {
    let mut rooms = inside(view(ROOM, 1, 10));
    let effects = records(&mut rooms, 1, vec![said(9), said(11), said(12)]);
    assert_eq!(seqs(&effects), [11, 12]);
    for wait in [0, 1, 2] {
        let effects = records(&mut rooms, 1, vec![said(12), said(14), said(13)]);
        let not_before = Duration::from_secs(wait);
        assert_eq!(effects, [Effect::Hole { not_before }]);
    }
    assert!(records(&mut rooms, 1, vec![said(12)]).is_empty());
    let effects = records(&mut rooms, 2, vec![said(13)]);
    assert!(
        matches!(&effects[..], [Effect::Hole { .. }]),
        "of another life of the log"
    );
    let place = Place { epoch: 1, seq: 12 };
    assert_eq!(rooms.resume(), [Resume { room: ROOM, place }]);
}

#[test]
fn a_room_is_either_resumed_or_begun_anew() {
    let mut rooms = inside(view(ROOM, 1, 10));
    let effects = entered(&mut rooms, true, view(ROOM, 1, 20)).expect("it was presented");
    assert!(matches!(
        &effects[..],
        [Effect::Entered {
            how: EnteredHow::Resumed,
            ..
        }]
    ));
    assert_eq!(
        seqs(&records(&mut rooms, 1, vec![said(11)])),
        [11],
        "all since follows"
    );
    for view in [view(ROOM, 1, 20), view(ROOM, 2, 3)] {
        let (epoch, seq) = (view.place.epoch, view.place.seq);
        let effects = entered(&mut rooms, false, view).expect("it is known");
        assert!(matches!(
            &effects[..],
            [Effect::Entered {
                how: EnteredHow::Afresh,
                ..
            }]
        ));
        assert_eq!(
            seqs(&records(&mut rooms, epoch, vec![said(seq + 1)])),
            [seq + 1]
        );
    }
    let new = entered(&mut rooms, false, view(OTHER_ROOM, 1, 1)).expect("it is remembered");
    assert!(matches!(
        &new[..],
        [Effect::Entered {
            how: EnteredHow::New,
            ..
        }]
    ));
}

#[test]
fn nothing_is_resumed_that_was_not_there() {
    let mut rooms = inside(view(ROOM, 1, 10));
    assert!(entered(&mut rooms, true, view(ROOM, 2, 10)).is_err());
    assert!(entered(&mut rooms, true, view(OTHER_ROOM, 1, 10)).is_err());
}

#[test]
fn what_is_known_by_a_command_keeps_its_place() {
    let mut rooms = inside(view(ROOM, 1, 10));
    assert!(rooms.enter(ME, &view(ROOM, 1, 15)).is_empty());
    assert_eq!(seqs(&records(&mut rooms, 1, vec![said(11)])), [11]);
}

#[test]
fn a_leave_of_long_ago_takes_no_room_away() {
    let mut rooms = inside(view(ROOM, 1, 15));
    assert_eq!(rooms.left(ROOM, Place { epoch: 1, seq: 12 }), None);
    assert!(rooms.left(ROOM, Place { epoch: 1, seq: 16 }).is_some());
    assert_eq!(
        rooms.left(ROOM, Place { epoch: 1, seq: 16 }),
        None,
        "told once"
    );
}

#[test]
fn a_closed_room_is_nobodys() {
    let mut rooms = inside(view(ROOM, 1, 10));
    let closed = RecordBody::Closed(Closed {
        reason: "done".to_owned(),
    });
    let effects = records(
        &mut rooms,
        1,
        vec![record(11, MemberId::SERVER, closed), said(12)],
    );
    assert_eq!(seqs(&effects), [11]);
    let reason = RemovedReason::Closed;
    assert_eq!(effects[1..], [Effect::Removed { room: ROOM, reason }]);
    assert!(rooms.resume().is_empty());
}

#[test]
fn an_applications_record_has_its_place_and_changes_nothing() {
    let mut rooms = inside(private(Standing::Member, Some(Standing::Invited)));
    let body = RecordBody::Unknown(Unknown {
        kind: 0x8001,
        body: bytes::Bytes::from_static(b"poll"),
    });
    let effects = records(
        &mut rooms,
        1,
        vec![record(11, PEER, body.clone()), said(12)],
    );
    assert!(matches!(&effects[0], Effect::Record { record, .. } if record.body == body));
    assert_eq!(seqs(&effects), [11, 12]);
}

/// The invitations that a record or a view tells of.
fn invitations(effects: &[Effect]) -> Vec<(MemberId, Invitation)> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Invitation { room, member, what } => {
            assert_eq!(*room, ROOM);
            Some((*member, *what))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn an_invitation_is_told_once_and_then_what_became_of_it() {
    let invited = || private(Standing::Invited, Some(Standing::Member));
    let mut rooms = Rooms::default();
    let effects = entered(&mut rooms, false, invited()).expect("it is new");
    assert_eq!(invitations(&effects), [(ME, Invitation::Given)]);
    assert!(
        matches!(effects[0], Effect::Entered { .. }),
        "the room comes first"
    );
    let again = entered(&mut rooms, false, invited()).expect("it is known");
    assert_eq!(invitations(&again), []);
    let effects = records(&mut rooms, 1, vec![said(11)]);
    assert_eq!(invitations(&effects), [], "the other is a member already");
    let joined = record(12, ME, RecordBody::Joined(Joined {}));
    assert_eq!(
        invitations(&records(&mut rooms, 1, vec![joined])),
        [(ME, Invitation::Accepted)]
    );
    let answered = entered(
        &mut rooms,
        false,
        private(Standing::Member, Some(Standing::Member)),
    );
    assert_eq!(invitations(&answered.expect("it is known")), []);
}

#[test]
fn what_the_other_makes_of_an_invitation_is_told() {
    let left = Left {
        reason: LeftReason::Asked,
    };
    for (body, what) in [
        (RecordBody::Joined(Joined {}), Invitation::Accepted),
        (RecordBody::Left(left), Invitation::Declined),
    ] {
        let mut rooms = Rooms::default();
        let effects = rooms.enter(ME, &private(Standing::Member, Some(Standing::Invited)));
        assert_eq!(invitations(&effects), [(PEER, Invitation::Given)]);
        let effects = records(&mut rooms, 1, vec![record(11, PEER, body)]);
        assert_eq!(invitations(&effects), [(PEER, what)]);
    }
}

#[test]
fn a_conversation_that_begins_again_invites_whoever_has_left() {
    let reopened = |seq| record(seq, ME, RecordBody::Reopened(Reopened {}));
    let mut rooms = inside(private(Standing::Member, Some(Standing::Member)));
    let left = RecordBody::Left(Left {
        reason: LeftReason::Asked,
    });
    let effects = records(
        &mut rooms,
        1,
        vec![record(11, PEER, left), reopened(12), said(13)],
    );
    assert_eq!(
        invitations(&effects),
        [(PEER, Invitation::Given), (PEER, Invitation::Accepted)],
        "a member that leaves declines nothing"
    );
    let effects = records(&mut rooms, 1, vec![reopened(14)]);
    assert_eq!(invitations(&effects), [], "both are in");
}

#[test]
fn a_member_that_is_put_out_is_another_one_unless_it_is_oneself() {
    let removal = |target| crate::wire::record::Removal {
        target,
        nick: String::new(),
        reason: String::new(),
    };
    let bodies: [fn(crate::wire::record::Removal) -> RecordBody; 2] =
        [RecordBody::Kicked, RecordBody::Banned];
    for body in bodies {
        let is_removed = |target| {
            let mut rooms = inside(view(ROOM, 1, 10));
            let effects = records(&mut rooms, 1, vec![record(11, PEER, body(removal(target)))]);
            let removed = |effect: &Effect| matches!(effect, Effect::Removed { .. });
            (effects.iter().any(removed), rooms.contains(ROOM))
        };
        assert_eq!(is_removed(ME), (true, false));
        assert_eq!(is_removed(PEER), (false, true));
    }
}

#[test]
fn a_conversation_that_the_other_begins_again_is_no_invitation_of_it() {
    let mut rooms = Rooms::default();
    rooms.enter(ME, &private(Standing::Invited, Some(Standing::Member)));
    let reopened = record(11, PEER, RecordBody::Reopened(Reopened {}));
    assert_eq!(invitations(&records(&mut rooms, 1, vec![reopened])), []);
    // This member is invited as before.
    let joined = record(12, ME, RecordBody::Joined(Joined {}));
    assert_eq!(
        invitations(&records(&mut rooms, 1, vec![joined])),
        [(ME, Invitation::Accepted)]
    );
}

#[test]
fn a_room_of_which_nothing_is_said_is_told_once_and_holds_up_nothing_else() {
    let mut rooms = inside(view(ROOM, 1, 10));
    rooms.welcome(NOW, &[OTHER_ROOM]);
    assert!(rooms.is_awaited(ROOM) && rooms.is_awaited(OTHER_ROOM) && rooms.is_patient());
    entered(&mut rooms, true, view(ROOM, 1, 10)).expect("it was presented");
    let due = rooms.deadline().expect("patience ends");
    assert!(rooms.timeout(Monotonic(due.0 - 1)).is_empty());
    assert_eq!(rooms.timeout(due), [Effect::Silent { room: OTHER_ROOM }]);
    assert!(!rooms.is_patient() && rooms.is_awaited(OTHER_ROOM));
    assert_eq!((rooms.timeout(due).len(), rooms.deadline()), (0, None));
    rooms.removed(Removed {
        room: OTHER_ROOM,
        reason: RemovedReason::Unknown,
    });
    assert!(!rooms.is_awaited(OTHER_ROOM));
}
