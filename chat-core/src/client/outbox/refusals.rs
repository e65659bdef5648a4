//! The consequences of a refusal: waiting, beginning anew, or the end of the command.

use super::{
    super::command::{Command, CommandError},
    Effect, Outbox, changes,
    job::{Ask, Job, Trail, is_proposal},
    wait_after,
};
use crate::{
    time::Monotonic,
    wire::{ErrorCode, client::Op, server::Failure},
};

/// Exchanges that one command begins anew after `stale_proof`.
const RESTARTS: u32 = 3;
/// Sessions that one command may cost.
const RENEWALS: u32 = 1;

impl Outbox {
    /// A request was not done. `is_stale`: whether a message is closed under a key that is not in
    /// force any more.
    pub(in super::super) fn refused(
        &mut self,
        now: Monotonic,
        failure: Failure,
        is_stale: impl FnOnce(&Op) -> bool,
    ) -> Vec<Effect> {
        let Some(job) = self.unanswered.remove(&failure.id) else {
            return Vec::new();
        };
        if is_for_later(failure.code) && !job.is_disproof() {
            return self.wait(now, job, failure);
        }
        let mut effects = Vec::new();
        // In doubt it may be the room's key yet.
        if let (Command::SetPassword { room, .. }, Some(Op::Password(_)), None) =
            (&job.command, job.op(), job.in_doubt())
        {
            let (ticket, room) = (job.ticket, *room);
            effects.push(Effect::Abandon { ticket, room });
        }
        effects.extend(self.settle_refusal(job, failure, is_stale));
        effects
    }

    /// The same will succeed in a while: the lane waits, and asks again.
    fn wait(&mut self, now: Monotonic, mut job: Box<Job>, failure: Failure) -> Vec<Effect> {
        job.refusals += 1;
        let unavailable = failure.code == ErrorCode::Unavailable;
        job.refused(unavailable && job.op().is_some_and(changes));
        let until = now + wait_after(job.refusals, failure.retry_after);
        if failure.code == ErrorCode::RateLimited
            && let Some(pace) = &mut self.pace
        {
            pace.pacing.pause(job.class(), until);
        }
        let queue = self.lanes.or_default(job.lane);
        queue.held_until = queue.held_until.max(until);
        let ticket = job.ticket;
        let told = unavailable && job.refusals == 1;
        self.put_back(job);
        if told {
            vec![Effect::Delayed { ticket, failure }]
        } else {
            Vec::new()
        }
    }

    fn settle_refusal(
        &mut self,
        mut job: Box<Job>,
        failure: Failure,
        is_stale: impl FnOnce(&Op) -> bool,
    ) -> Vec<Effect> {
        job.refused(false);
        let may_restart = job.restarts < RESTARTS;
        let has_password = job.command.password().is_some();
        let anew = match failure.code {
            // The request is no repeat, so it was not done; its registration died with the
            // connection.
            ErrorCode::BadRequest => {
                job.op().is_some_and(is_proposal) && job.in_doubt().is_some() && may_restart
            }
            ErrorCode::StaleProof => {
                has_password && may_restart && (job.decided().is_none() || job.is_disproof())
            }
            _ => false,
        };
        if anew {
            job.restarts += 1;
            job.begin_anew();
            let ticket = job.ticket;
            self.put_back(job);
            return vec![Effect::Restart(ticket)];
        }
        if job.decided().is_some() {
            return vec![self.finish(job, Err(CommandError::Unknown))];
        }
        if failure.code == ErrorCode::WrongCipher && job.op().is_some_and(is_stale) {
            // Its number is free after a refusal, and the key has changed since it was closed.
            job.ask = Ask::Begin;
            self.put_back(job);
            return Vec::new();
        }
        let elsewhere = matches!(failure.code, ErrorCode::TxnReused | ErrorCode::TxnForgotten);
        if elsewhere && !job.may_be_done_yet() && job.renewals < RENEWALS {
            // This session goes on elsewhere: in a copy of what was saved.
            job.renewals += 1;
            job.trail = Trail::Unsent;
            self.put_back(job);
            return vec![Effect::SessionInUse];
        }
        let error = refusal_of(&job, failure);
        vec![self.finish(job, Err(error))]
    }
}

/// The end of a command that was refused.
fn refusal_of(job: &Job, failure: Failure) -> CommandError {
    let left = matches!(
        (&job.command, failure.code),
        (
            Command::Leave { .. },
            ErrorCode::NotMember | ErrorCode::UnknownRoom
        )
    );
    match failure.code {
        ErrorCode::WrongPassword => CommandError::WrongPassword,
        ErrorCode::TxnForgotten => CommandError::Unknown,
        // An earlier try may have been done before the connection broke, or be done yet.
        _ if job.may_be_done_yet() => CommandError::Unknown,
        _ if left && job.in_doubt().is_some() => CommandError::Unknown,
        _ => CommandError::Refused(failure),
    }
}

/// Nothing is known to have been done, and the same will succeed in a while.
fn is_for_later(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RateLimited | ErrorCode::Busy | ErrorCode::Unavailable
    )
}
