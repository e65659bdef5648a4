//! Commands that are under way: the lines they came from, and what follows their ends.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::{Duration, Instant},
};

use chat_core::{
    client::CommandError,
    id::{RoomId, Seq},
};

use crate::report::CommandOrigin;

/// How long words that were typed may be nowhere on the screen.
const UNSEEN: Duration = Duration::from_secs(1);

/// The step after a command that has succeeded.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// Tell it.
    Tell,
    /// The same, of something that was said.
    Said { room: RoomId, action: bool },
    /// Go on speaking in the lobby.
    Back,
    /// List who is here, or all members, of this room.
    Members { room: RoomId, only_here: bool },
    /// Show what was said before in this room.
    History { room: RoomId },
    /// Tell whether the record was taken back before: by one up to `seen`, the last that was heard
    /// of when that was asked.
    Redacted { seq: Seq, seen: Seq },
    /// Take back what stands in this record, which was not seen.
    Redact { room: RoomId, seq: Seq, seen: Seq },
    /// Show the last lines of this room to somebody who has just come in.
    LastLines { room: RoomId },
    /// Say it in the private conversation that was opened with this one.
    Say { nick: String, text: String },
    /// Take no messages there any more, or take them again.
    Block { nick: String, blocked: bool },
    /// Speak in the private conversation that was opened.
    Switch { nick: String },
}

impl Then {
    /// The end of the text that was to follow a command: not sent, whatever is in doubt.
    pub(super) fn text_too(&self, error: CommandError) -> CommandError {
        match (self, error) {
            (Self::Say { .. }, CommandError::Unknown) => CommandError::NotInRoom,
            (_, error) => error,
        }
    }
}

/// A command that is under way, and what comes after it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) origin: CommandOrigin,
    pub(super) then: Then,
}

impl Job {
    /// Whether it is a message on its way. What is to be said in private is one from when it is
    /// sent.
    fn is_message(&self) -> bool {
        self.origin.text.is_some() && !matches!(self.then, Then::Say { .. })
    }
}

/// All commands that are under way, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    under_way: BTreeMap<u64, Job>,
    /// The last number that was given.
    last: u64,
    /// How many of them are to say something.
    unsaid: usize,
    /// How many are messages that are sent and not confirmed.
    messages: usize,
    /// Those whose words are off the screen, and until when that is no matter. The first one is
    /// under way.
    unseen: VecDeque<(Instant, u64)>,
    pace: Pace,
    /// Whether it was told that messages wait.
    waiting_told: bool,
}

/// How soon messages are confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    /// As soon as usual.
    #[default]
    Usual,
    /// Not as soon: what is typed stays where it is until all messages are confirmed.
    Slow,
}

impl Jobs {
    /// The number for one more command, whether it becomes one of these or not.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn start(&mut self, now: Instant, job: Job) -> u64 {
        let number = self.number();
        if job.origin.taken_back {
            self.unseen.push_back((now + UNSEEN, number));
        }
        self.unsaid += usize::from(job.origin.text.is_some());
        self.messages += usize::from(job.is_message());
        self.under_way.insert(number, job);
        number
    }

    /// One has ended.
    pub(super) fn end(&mut self, number: u64) -> Option<Job> {
        let job = self.under_way.remove(&number)?;
        self.unsaid -= usize::from(job.origin.text.is_some());
        if self.unsaid == 0 {
            self.pace = Pace::Usual;
        }
        if job.is_message() {
            self.messages -= 1;
            self.waiting_told &= self.messages > 0;
        }
        while let Some((_, number)) = self.unseen.front()
            && !self.under_way.contains_key(number)
        {
            self.unseen.pop_front();
        }
        Some(job)
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.under_way.contains_key(&number)
    }

    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How many are to say something.
    pub(super) fn unsaid(&self) -> usize {
        self.unsaid
    }

    /// When words that were typed have been nowhere on the screen for too long.
    pub(super) fn unseen_until(&self) -> Option<Instant> {
        self.unseen.front().map(|(until, _)| *until)
    }

    /// Words that are not confirmed yet and are to be seen again.
    pub(super) fn show_unseen(&mut self) -> Vec<String> {
        self.pace = Pace::Slow;
        let mut shown = Vec::new();
        for (_, number) in mem::take(&mut self.unseen) {
            if let Some(Job { origin, .. }) = self.under_way.get_mut(&number)
                && mem::take(&mut origin.taken_back)
                && let Some(text) = &origin.text
            {
                shown.push(text.clone());
            }
        }
        shown
    }

    pub(super) fn is_slow(&self) -> bool {
        self.pace == Pace::Slow
    }

    /// How many messages wait, if that is news.
    pub(super) fn tell_waiting(&mut self) -> Option<usize> {
        let told = mem::replace(&mut self.waiting_told, true);
        (!told).then_some(self.messages)
    }

    pub(super) fn has_messages(&self) -> bool {
        self.messages > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(taken_back: bool) -> Job {
        Job {
            origin: CommandOrigin {
                text: Some("hi".into()),
                taken_back,
                ..CommandOrigin::of(1, "send")
            },
            then: Then::Said {
                room: RoomId::LOBBY,
                action: false,
            },
        }
    }

    #[test]
    fn words_are_seen_again_once() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        let first = jobs.start(now, message(true));
        let second = jobs.start(now, message(true));
        assert_eq!(jobs.unseen_until(), Some(now + UNSEEN));
        jobs.end(first).unwrap();
        assert_eq!(jobs.show_unseen(), ["hi"]);
        assert!(jobs.is_slow());
        assert_eq!((jobs.unseen_until(), jobs.show_unseen()), (None, vec![]));
        jobs.end(second).unwrap();
        assert!(!jobs.is_slow());
    }

    #[test]
    fn a_wait_is_told_once_until_all_is_confirmed() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        let first = jobs.start(now, message(false));
        assert_eq!((jobs.tell_waiting(), jobs.tell_waiting()), (Some(1), None));
        let second = jobs.start(now, message(false));
        jobs.end(first).unwrap();
        assert_eq!(jobs.tell_waiting(), None);
        jobs.end(second).unwrap();
        assert_eq!((jobs.tell_waiting(), jobs.has_messages()), (Some(0), false));
    }
}
