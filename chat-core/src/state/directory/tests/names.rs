//! Names: taken, kept, freed.

use super::{Ask, Door, Log, Verdict, claim, labelled, named, nick, room_of};
use crate::{
    state::{
        directory::entry::{Change, Projected},
        testing::{ADA, BOB, CY, asked},
    },
    wire::{ErrorCode, record::Standing},
};

#[test]
fn a_name_is_held_under_both_forms_until_it_is_freed() {
    let mut log = Log::new();
    log.done(&named(ADA, "Maya"));
    assert_eq!(log.directory.holder("mAYA", 64), Some(ADA));
    assert_eq!(log.refused(&named(BOB, "maya")), ErrorCode::NickTaken);
    let cyrillic = log.refused(&named(BOB, "Мауа"));
    assert_eq!(cyrillic, ErrorCode::NickTaken, "it looks like it");
    assert_eq!(log.directory.holder("Мауа", 64), None, "and is another");
    log.done(&Ask::Free(vec![ADA]));
    assert_eq!(log.directory.holder("maya", 64), None);
    assert_eq!(log.directory.names.nick(ADA), "Maya", "the last one held");
    log.done(&named(BOB, "maya"));
    assert_eq!(log.refused(&named(ADA, "Maya")), ErrorCode::NickTaken);
}

#[test]
fn a_name_asked_for_again_is_as_asked() {
    let mut log = Log::new();
    log.done(&labelled(ADA, "ada", "g1"));
    let asked = |label, keep, anew| Ask::Name {
        member: ADA,
        name: nick("ada"),
        label: String::from(label),
        keep,
        anew,
        door: Door::OPEN,
    };
    let again = |label, keep| asked(label, keep, false);
    assert_eq!(log.judge(&again("g1", true)), Verdict::Already);
    let anew = asked("g1", true, true);
    assert!(matches!(log.judge(&anew), Verdict::Accept(_)));
    assert!(matches!(log.judge(&again("g1", false)), Verdict::Accept(_)));
    log.fresh = false;
    assert_eq!(log.judge(&again("g1", true)), Verdict::LookAgain);
    assert_eq!(log.judge(&named(BOB, "ada")), Verdict::LookAgain);
}

#[test]
fn another_label_is_another_name_of_the_same_forms() {
    let mut log = Log::new();
    log.done(&labelled(ADA, "ada", "g1"));
    let index = log.directory.names.index().clone();
    let Change::Named(named_) = log.done(&labelled(ADA, "ada", "g2")) else {
        panic!("it is named");
    };
    assert_eq!((&*named_.nick, &*named_.label), ("ada", "g2"));
    assert_eq!(log.directory.names.label(ADA), "g2");
    assert_eq!(*log.directory.names.index(), index);
    assert_eq!(log.directory.holder("ada", 64), Some(ADA));
    // The same letters, shown otherwise.
    log.done(&labelled(ADA, "Ada", "g2"));
    assert_eq!(log.directory.names.nick(ADA), "Ada");
    assert_eq!(*log.directory.names.index(), index);
}

#[test]
fn a_name_that_is_changed_leaves_nothing_behind() {
    let mut log = Log::new();
    for text in ["ada", "paypaI", "Mayạ", "bea"] {
        log.done(&named(ADA, text));
    }
    assert_eq!(log.directory.names.index().len(), 1);
    log.done(&named(BOB, "mayạ"));
    log.done(&named(CY, "paypal"));
}

#[test]
fn names_that_depend_on_each_other_are_not_given_out_in_one_batch() {
    let mut log = Log::new();
    log.done(&named(CY, "cy"));
    let judged = log.judge_all(&[
        named(ADA, "maya"),
        named(BOB, "Maya"),
        named(CY, "carl"),
        named(BOB, "cy"),
        Ask::Free(vec![CY]),
    ]);
    let is_accepted: Vec<_> = judged
        .iter()
        .map(|v| matches!(v, Verdict::Accept(_)))
        .collect();
    assert_eq!(is_accepted, [true, false, true, false, false]);
    assert!(
        judged
            .iter()
            .all(|v| matches!(v, Verdict::Accept(_) | Verdict::Wait))
    );
}

#[test]
fn who_is_here_or_is_let_in_keeps_its_name() {
    let mut log = Log::new();
    log.done(&named(ADA, "ada"));
    log.done(&named(BOB, "bob"));
    log.here.insert(ADA);
    assert_eq!(log.judge(&Ask::Free(vec![ADA])), Verdict::Already);
    let judged = log.judge_all(&[named(BOB, "bob"), Ask::Free(vec![BOB])]);
    assert_eq!(judged, [Verdict::Already, Verdict::Already]);
    let freed = log.done(&Ask::Free(vec![ADA, BOB, CY]));
    let Change::Freed(freed) = freed else {
        panic!("names are freed");
    };
    assert_eq!(
        freed.members,
        [BOB],
        "only a name that is held, of one who is gone"
    );
}

#[test]
fn nobody_looks_like_the_owner_of_a_group_marks_aside() {
    let mut log = Log::new();
    log.done(&named(ADA, "maya"));
    log.done(&named(BOB, "Mayạ"));
    log.done(&Ask::Free(vec![BOB]));
    log.done(&claim(ADA, 1, None));
    let room = room_of(&asked(ADA, 1));
    let projected = Projected {
        entered: vec![(ADA, Standing::Member), (CY, Standing::Member)],
        ..super::projected(room, 0)
    };
    log.done(&Ask::Project(vec![projected]));
    assert_eq!(log.refused(&named(BOB, "Mayạ")), ErrorCode::NickTaken);
    // The other way round, for one who is in the room and owns it only by what is loaded.
    log.done(&named(CY, "Zoë"));
    assert!(matches!(log.judge(&named(BOB, "zoe")), Verdict::Accept(_)));
    log.loaded = Some((room, [CY].into()));
    assert_eq!(log.refused(&named(BOB, "zoe")), ErrorCode::NickTaken);
    // The founder owns it no more, as is known here.
    log.done(&named(BOB, "Mayạ"));
    // The holder of the name keeps it, with another label too.
    log.loaded = None;
    log.done(&labelled(BOB, "Mayạ", "g1"));
}
