//! Bugs on purpose, by which the simulator is tried. Only with the feature `deliberate-bugs`, and then only for a hub or
//! a client that is given one when it is made.

/// A bug to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    not(feature = "deliberate-bugs"),
    allow(dead_code, unreachable_pub, reason = "nobody can plant one")
)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Bug {
    DropTheDedupe,
    AcknowledgeBeforeCommit,
    FreeANickTooEarly,
    NeverFreeANick,
    SkipOneOnResume,
    TreatUnknownAsFailed,
    KeepTheEpochAfterALostTail,
    UseAnAcknowledgementAsCursor,
    ForgetThatAReaderMissedWhatIsTrimmed,
    ForgetTheSnapshotOfALaggingReader,
    DeliverToSomebodyJustKicked,
    AnswerTwice,
    FillAnOutboxWithoutEnd,
    LeakAnOutbox,
    ApplyAStalePasswordProof,
    ForgetWhatWaitsForAJoin,
    NeverAskTheLogAgain,
    BringBackWhatWasRedacted,
    ResumeNever,
    LetInWithoutProof,
    TakeAnyProof,
    AcknowledgeABanThatIsNotWritten,
    LetFormerMembersRead,
    TellAnybodyWhoIsAMember,
    HoldADeadConnection,
    NeverNoticeADeadServer,
    LeaveOutTheNewestOfTheHistory,
    GiveHistoryWithoutTexts,
    ForbidWhatIsAllowed,
    ShowAnOldTopic,
    /// One of the log, not of the hub or the client.
    AcknowledgeBeforeFsync,
}

#[cfg(feature = "deliberate-bugs")]
impl Bug {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::DropTheDedupe,
        Self::AcknowledgeBeforeCommit,
        Self::FreeANickTooEarly,
        Self::NeverFreeANick,
        Self::SkipOneOnResume,
        Self::TreatUnknownAsFailed,
        Self::KeepTheEpochAfterALostTail,
        Self::UseAnAcknowledgementAsCursor,
        Self::ForgetThatAReaderMissedWhatIsTrimmed,
        Self::ForgetTheSnapshotOfALaggingReader,
        Self::DeliverToSomebodyJustKicked,
        Self::AnswerTwice,
        Self::FillAnOutboxWithoutEnd,
        Self::LeakAnOutbox,
        Self::ApplyAStalePasswordProof,
        Self::ForgetWhatWaitsForAJoin,
        Self::NeverAskTheLogAgain,
        Self::BringBackWhatWasRedacted,
        Self::ResumeNever,
        Self::LetInWithoutProof,
        Self::TakeAnyProof,
        Self::AcknowledgeABanThatIsNotWritten,
        Self::LetFormerMembersRead,
        Self::TellAnybodyWhoIsAMember,
        Self::HoldADeadConnection,
        Self::NeverNoticeADeadServer,
        Self::LeaveOutTheNewestOfTheHistory,
        Self::GiveHistoryWithoutTexts,
        Self::ForbidWhatIsAllowed,
        Self::ShowAnOldTopic,
        Self::AcknowledgeBeforeFsync,
    ];
}
