//! Absence: how much of their grace was left to those who were not connected when the hub's last life ended. Being connected is
//! no record, so the hub notes this now and then beside the logs.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Hub,
    io::{Output, Outputs},
    timers::Timer,
};
use crate::{
    id::MemberId,
    time::{Monotonic, Now, Wall},
    wire::tagged,
};

/// How old a note becomes while somebody is away, and the least that is left to anybody after a restart.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// Who is away, for the next life.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    at: Wall,
    /// And how many milliseconds of their grace are left.
    away: Vec<(MemberId, u64)>,
    /// Whose client has ended with the server and does not keep its secret: nobody comes back under these names.
    ended: Vec<MemberId>,
}

/// What is known of absences from before, and what is noted of them.
#[derive(Debug, Default)]
pub(super) struct Absences {
    /// What was left to those who were away in an earlier life, and when that was noted.
    left: BTreeMap<MemberId, (Wall, Duration)>,
    /// Whose client was told in this life that the server ends for good, and does not keep its secret.
    ended: Vec<MemberId>,
    armed: bool,
    /// Whether the last note named anybody.
    named: bool,
}

impl Absences {
    /// From what earlier hubs noted. What cannot be read counts as never noted.
    pub(super) fn recall(notes: &[Bytes]) -> Self {
        let mut left = BTreeMap::new();
        for note in notes
            .iter()
            .filter_map(|note| tagged::take::<Note>(note).ok())
        {
            let away = note.away.into_iter().map(|(member, millis)| {
                // Something is left to everybody who may come back.
                (member, Duration::from_millis(millis).max(NOTE_EVERY))
            });
            let ended = note
                .ended
                .into_iter()
                .map(|member| (member, Duration::ZERO));
            for (member, time) in away.chain(ended) {
                let latest = left.entry(member).or_insert((note.at, time));
                if latest.0 <= note.at {
                    *latest = (note.at, time);
                }
            }
        }
        Self {
            left,
            ..Self::default()
        }
    }

    /// How much of `grace` is left to somebody whose nick was taken `since`.
    pub(super) fn left(&self, member: MemberId, since: Wall, grace: Duration) -> Duration {
        match self.left.get(&member) {
            // Whoever came in after that had not been away for long.
            Some((noted, left)) if since <= *noted => (*left).min(grace),
            _ => grace,
        }
    }

    /// A client ends with the server, and its secret with it.
    pub(super) fn end(&mut self, member: MemberId) {
        self.ended.push(member);
    }

    /// All have been taken over.
    pub(super) fn forget(&mut self) {
        self.left = BTreeMap::new();
    }
}

impl Hub {
    /// Somebody is away: this is noted soon.
    pub(super) fn arm_note(&mut self, now: Now) {
        if !std::mem::replace(&mut self.absences.armed, true) {
            self.timers.arm(now.monotonic + NOTE_EVERY, Timer::Note);
        }
    }

    pub(super) fn note_due(&mut self, now: Now, out: &mut Outputs) {
        self.absences.armed = false;
        self.note_absences(now, out);
        if self.absences.named {
            self.arm_note(now);
        }
    }

    /// Notes who is away, if there is anybody, or was when it was noted last.
    pub(super) fn note_absences(&mut self, now: Now, out: &mut Outputs) {
        let named = !self.grace.is_empty() || !self.absences.ended.is_empty();
        if !std::mem::replace(&mut self.absences.named, named) && !named {
            return;
        }
        let away = |(member, until): (&MemberId, &Monotonic)| {
            let left = *until - now.monotonic;
            (*member, u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        };
        let note = Note {
            at: now.wall,
            away: self.grace.iter().map(away).collect(),
            ended: self.absences.ended.clone(),
        };
        let mut bytes = Vec::new();
        tagged::extend(&note, &mut bytes);
        out.push(Output::Note(bytes.into()));
    }
}
