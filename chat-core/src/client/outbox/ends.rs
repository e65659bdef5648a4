//! The outbox at the end of a connection, of a doubt, of a session and of the client.

use super::{
    super::command::CommandError,
    Effect, Outbox,
    job::{Ask, Job, Trail},
};
use crate::{
    small::SmallMap,
    time::{Monotonic, Now},
};

impl Outbox {
    /// The connection is lost: what is unanswered will be asked again.
    pub(in super::super) fn cut_off(&mut self) -> Vec<Effect> {
        let unanswered = core::mem::take(&mut self.unanswered).into_iter();
        let working = core::mem::take(&mut self.working).into_iter();
        let back = unanswered
            .map(|(_, job)| job)
            .chain(working.map(|(_, job)| job));
        for job in back.collect::<Vec<_>>() {
            self.put_back(job);
        }
        let mut effects = Vec::new();
        for queue in self.lanes.values_mut() {
            queue.exclusive = None;
            queue.held_until = Monotonic(0);
            for job in queue.waiting.values_mut() {
                let number = job.txn;
                if job.cut_off() {
                    effects.push(Effect::Restart(job.ticket));
                }
                match (number, job.txn) {
                    (Some(number), None) => queue.window.settle(number),
                    (_, Some(number)) if job.in_doubt().is_some() => queue.window.doubt(number),
                    _ => {}
                }
            }
        }
        self.exchange = None;
        self.note_doubts();
        effects
    }

    /// Time has passed: what is in doubt for too long ends.
    pub(in super::super) fn timeout(&mut self, now: Now) -> Vec<Effect> {
        if self.doubt_ends.is_none_or(|ends| ends > now.monotonic) {
            return Vec::new();
        }
        let over = self
            .waiting()
            .filter(|job| job.in_doubt().is_some_and(|it| it.is_over(now)));
        let over: SmallMap<_, _> = over.map(|job| (job.ticket, job.lane)).collect();
        let mut effects = Vec::new();
        for (ticket, lane) in over {
            if let Some(job) = self.take(lane, ticket) {
                effects.push(self.finish(job, Err(CommandError::Unknown)));
            }
        }
        self.note_doubts();
        effects
    }

    fn note_doubts(&mut self) {
        let doubts = self.waiting().filter_map(|job| job.in_doubt());
        self.doubt_ends = doubts.map(|first| first.until).min();
    }

    /// The session is another one: what went out under the old one is unknown, unless it can be
    /// done twice without anybody noticing; the rest gets new numbers.
    pub(in super::super) fn renew(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.last_txn = 0;
        for mut job in self.take_all() {
            let keeps = job.decided().is_some();
            if job.may_be_done_yet() {
                effects.push(self.finish(job, Err(CommandError::Unknown)));
                continue;
            }
            job.txn = None;
            job.trail = Trail::Unsent;
            if keeps {
                self.number(&mut job);
            } else {
                if job.command.password().is_some() {
                    effects.push(Effect::Restart(job.ticket));
                }
                job.ask = Ask::Begin;
            }
            self.put_back(job);
        }
        effects
    }

    /// Every command that is not finished ends here: with this, where nothing else is known of it.
    pub(in super::super) fn finish_all(&mut self, error: &CommandError) -> Vec<Effect> {
        let jobs = self.take_all();
        let ends = jobs.into_iter().map(|job| {
            let end = job.end(error);
            self.finish(job, Err(end))
        });
        ends.collect()
    }

    /// Takes everything out, in the order of the tickets. What is unanswered is in doubt.
    #[expect(clippy::vec_box, reason = "each goes on in its box")]
    fn take_all(&mut self) -> Vec<Box<Job>> {
        let unanswered = core::mem::take(&mut self.unanswered).into_iter();
        let working = core::mem::take(&mut self.working).into_iter();
        let lanes = core::mem::take(&mut self.lanes).into_iter();
        let waiting = lanes.flat_map(|(_, queue)| queue.waiting);
        let all: SmallMap<_, _> = unanswered
            .map(|(_, mut job)| {
                job.refused(true);
                job
            })
            .chain(working.map(|(_, job)| job))
            .chain(waiting.map(|(_, job)| job))
            .map(|job| (job.ticket, job))
            .collect();
        self.exchange = None;
        self.doubt_ends = None;
        all.into_iter().map(|(_, job)| job).collect()
    }
}
