//! The course of a run: the steps of the plan, and then its end.

use super::{World, people::Program, people::picks};
use crate::{
    connection_oracle::READ_WITHIN,
    happening::{Course, Happening, HubDue, LogDue},
    plan::{Burst, Deed, Hears, What},
    time::{MS, SECOND},
};

/// Within this time after the last fault everybody is whole again.
pub(super) const WHOLE_WITHIN: u64 = 40 * SECOND;

impl World {
    pub(super) fn go_on(&mut self, course: Course) {
        match course {
            Course::Step(i) if !self.turn.calm => self.step(i),
            Course::Step(_) => {}
            Course::Stop(lives, ms) => {
                if self.hubs.lives() == lives {
                    self.kill_server(u64::from(ms) * MS);
                }
            }
            Course::Calm if !self.turn.calm => self.becalm(),
            Course::Calm => {}
            Course::InviteAll => self.invite_all(),
            Course::Whole => self.check_whole(),
            Course::AllGone => self.all_gone(),
            Course::Free => {
                self.check_free();
                self.done = true;
            }
        }
    }

    fn step(&mut self, i: usize) {
        let what = self.plan.steps[i].what.clone();
        self.turn.book.note(|| format!("-- step {i}: {what:?}"));
        let hubs = self.hubs.len();
        let hub_of = |hub: u16| usize::from(hub) % hubs;
        match what {
            What::Start { .. }
            | What::Do { .. }
            | What::Stall { .. }
            | What::Kill { .. }
            | What::Bye { .. }
            | What::Cut { .. }
            | What::Lie { .. }
            | What::Steer { .. } => self.client_step(what),
            What::Raw { raw, burst, pick } => self.burst(self.raw(raw), burst, pick),
            What::DeafRaw { raw, ms } => {
                let client = self.raw(raw);
                self.links.stall(&mut self.turn, client, u64::from(ms) * MS);
            }
            What::Crash { .. } | What::Restart { .. } | What::Die { .. } | What::Pause { .. } => {
                self.hub_step(i, what);
            }
            What::Clock { hub, by_ms } => {
                self.turn.book.fault("a wall clock jumped");
                self.turn.book.clock_jumped = true;
                self.hubs.set_clock(hub_of(hub), by_ms);
            }
            What::Full { ms } => self.links.is_full(self.turn.now + u64::from(ms) * MS),
            What::Invite { hub, uses, ms } => self.invite(hub_of(hub), uses, ms),
            What::Revoke { hub, pick } => self.revoke(hub_of(hub), pick),
            What::KillAt { .. }
            | What::FullDisk { .. }
            | What::BadDisk { .. }
            | What::Weather { .. }
            | What::CutOff { .. }
            | What::LoseTail { .. }
            | What::Backup
            | What::Restore
            | What::Foreign { .. }
            | What::Damage { .. } => self.log_step(what),
        }
    }

    /// A step of or to one of the clients.
    fn client_step(&mut self, what: What) {
        let turn = &mut self.turn;
        match what {
            What::Start {
                client,
                kept,
                json,
                messages,
                guest,
            } => {
                let program = Program {
                    kept,
                    json,
                    messages,
                    guest,
                };
                let client = usize::from(client);
                if self.people.start_as(turn, client, program) {
                    self.drain_client(client);
                }
            }
            What::Do { client, deed, pick } => self.act(usize::from(client), deed, pick),
            What::Cut {
                client,
                hub_hears,
                client_hears,
            } => {
                if let Some(link) = self.links.of_client(usize::from(client)) {
                    turn.book.fault("a connection cut");
                    self.cut(link, hub_hears, client_hears);
                }
            }
            What::Lie { client, lie, pick } => {
                if let Some(link) = self.links.lie_next(usize::from(client), lie, pick) {
                    self.cut(link, Hears::Now, Hears::Now);
                }
            }
            What::Stall { client, ms } => {
                turn.book.fault("a reader that stops");
                let time = u64::from(ms) * MS;
                self.links.stall(turn, usize::from(client), time);
            }
            What::Kill {
                client,
                forget,
                outbox,
            } => {
                let client = usize::from(client);
                if self.people.kill(turn, client, forget, outbox) {
                    self.client_is_gone(client);
                }
            }
            What::Bye { client } => {
                let client = usize::from(client);
                if self.people.bye(turn, client) {
                    self.drain_client(client);
                }
            }
            What::Steer { client, hub } => {
                let hub = hub.map(|hub| usize::from(hub) % self.hubs.len());
                self.people.steer(usize::from(client), hub);
            }
            _ => {}
        }
    }

    /// A user does something.
    fn act(&mut self, client: usize, deed: Deed, pick: u32) {
        if !self.people.is_running(client) {
            return;
        }
        for pick in picks(deed, pick) {
            let (turn, truth) = (&mut self.turn, self.log.truth());
            if self.people.act(turn, client, deed, pick, truth) {
                self.drain_client(client);
            }
        }
    }

    /// A user with a program of another make does much at once, if it is connected and welcome;
    /// otherwise it connects.
    fn burst(&mut self, client: usize, burst: Burst, pick: u32) {
        self.people.begin_raw(client);
        if self.links.of_client(client).is_none() {
            return self.connect(client);
        }
        if self.links.is_welcomed(client) {
            let (turn, truth) = (&mut self.turn, self.log.truth());
            for message in self.people.burst(turn, client, burst, pick, truth) {
                self.utter(client, &message);
            }
        }
    }

    /// Where somebody of another make stands among the people.
    fn raw(&self, raw: u16) -> usize {
        let all = usize::from(self.turn.shape.raws.max(1));
        let first = usize::from(self.turn.shape.clients);
        (first + usize::from(raw) % all).min(self.people.len() - 1)
    }

    /// A step to the processes of hubs.
    fn hub_step(&mut self, i: usize, what: What) {
        let (hubs, disk) = (self.hubs.len(), self.turn.shape.disk);
        let hub_of = |hub: u16| usize::from(hub) % hubs;
        match what {
            What::Crash { ms, .. } if disk => {
                self.turn.book.fault("a server killed");
                self.kill_server(u64::from(ms) * MS);
            }
            What::Restart { .. } if (0..hubs).any(|hub| self.hubs.is_held(&self.turn, hub)) => {
                let again = Happening::Course(Course::Step(i));
                self.turn.soon(SECOND, again);
            }
            What::Pause { hub, ms } => {
                self.turn.book.fault("a process that is held");
                self.turn.trouble(ms);
                let hub = hub_of(hub);
                let until = self.turn.now + u64::from(ms) * MS;
                let held = (0..hubs).filter(|other| disk || *other == hub);
                let latest = self.hubs.hold(&mut self.turn, held, until);
                self.turn.book.late_until = latest + READ_WITHIN;
            }
            What::Restart { ms, .. } if disk => {
                self.turn.book.fault("a server restarted politely");
                for hub in 0..hubs {
                    self.tell_hub(hub, chat_core::hub::Input::Shutdown { restarting: true });
                }
                let stop = Course::Stop(self.hubs.lives(), ms);
                self.turn.soon(3 * SECOND, Happening::Course(stop));
            }
            What::Crash { hub, ms } => {
                let hub = hub_of(hub);
                if self.hubs.is_up(hub) {
                    self.turn.book.fault(if self.turn.shape.memory {
                        "a hub crashed and lost its log"
                    } else {
                        "a hub crashed"
                    });
                    self.crash(hub);
                    self.boot_after(hub, u64::from(ms) * MS);
                }
            }
            What::Restart { hub, ms } => {
                let hub = hub_of(hub);
                if self.hubs.is_up(hub) {
                    self.turn.book.fault("a hub restarted politely");
                    self.hubs.stops_for(hub, u64::from(ms) * MS);
                    let die = HubDue::Die(self.hubs.life(hub));
                    self.tell_hub(hub, chat_core::hub::Input::Shutdown { restarting: true });
                    self.turn.soon(3 * SECOND, Happening::Hub(hub, die));
                }
            }
            What::Die { hub } => {
                let hub = hub_of(hub);
                if self.hubs.is_up(hub) {
                    self.turn.book.fault("a hub that dies");
                    self.crash(hub);
                }
            }
            _ => {}
        }
    }

    /// A step to the log.
    fn log_step(&mut self, what: What) {
        let turn = &mut self.turn;
        match what {
            What::KillAt { point, ms } => self.log.doom(point, u64::from(ms) * MS),
            What::FullDisk { ms } => {
                turn.book.fault("a full disk");
                self.log.fill_the_disk(turn, ms);
            }
            What::BadDisk { ms } => {
                turn.book.fault("a disk that fails");
                self.log.spoil_the_disk(turn, ms);
            }
            What::Weather { ms, weather } => {
                turn.book.fault("bad weather at the log");
                self.log.begin(turn, weather, ms);
            }
            What::CutOff { hub, ms } => {
                turn.book.fault("a hub cut off from the log");
                let hub = usize::from(hub) % self.hubs.len();
                self.log.cut_off(turn, hub, ms);
            }
            What::LoseTail { pick, records } => {
                let lost = self.log.lose_tail(turn, pick, records);
                self.links.lose(turn, &lost);
            }
            What::Backup => self.log.back_up(),
            What::Restore => {
                let lost = self.log.restore(turn);
                self.links.lose(turn, &lost);
            }
            What::Foreign { pick, count, ms } => self.log.foreign_writes(turn, pick, count, ms),
            What::Damage { pick, seq, ms } => self.log.damage(turn, pick, seq, ms),
            _ => {}
        }
    }

    fn boot_after(&mut self, hub: usize, after: u64) {
        let boot = HubDue::Boot(self.hubs.life(hub));
        self.turn.soon(after, Happening::Hub(hub, boot));
    }

    /// The process is gone at once, with all its hubs and what they waited for; it is started again
    /// after a time.
    pub(super) fn kill_server(&mut self, after: u64) {
        self.log.is_killed(&mut self.turn);
        for hub in 0..self.hubs.len() {
            self.hubs.stops_no_more(hub);
            self.crash(hub);
        }
        self.log.is_what_is_on_the_disk(&mut self.turn);
        self.do_effects();
        for hub in 0..self.hubs.len() {
            self.boot_after(hub, after);
        }
    }

    /// The process dies here, and begins again at once. Nothing of the plan follows.
    pub(super) fn die_there(&mut self) {
        self.turn
            .book
            .note(|| "-- the process dies, and the plan ends".to_owned());
        self.log.is_dead();
        self.kill_server(0);
        self.becalm();
    }

    /// No more faults. What is broken is found out to be.
    fn becalm(&mut self) {
        self.turn.book.note(|| "-- the faults are over".to_owned());
        self.turn.calm = true;
        self.log.becalm();
        self.links.becalm();
        for hub in 0..self.hubs.len() {
            if !self.hubs.is_up(hub) {
                self.hubs.stops_no_more(hub);
                self.boot(hub);
            }
        }
        // A dead link is found out to be so, by each end for itself.
        for link in self.links.all() {
            self.links.arm_down(&mut self.turn, link);
        }
        for after in [100 * MS, 2 * SECOND, 20 * SECOND] {
            self.turn.soon(after, Happening::Log(LogDue::NewsForAll));
        }
        self.invite_all();
        self.whole_by = self.turn.now + 2 * WHOLE_WITHIN;
        let whole = Happening::Course(Course::Whole);
        self.turn.soon(WHOLE_WITHIN, whole);
    }

    /// Everybody is gone without a word.
    fn all_gone(&mut self) {
        self.turn.book.note(|| "-- everybody goes".to_owned());
        self.turn.over = true;
        for client in 0..self.people.len() {
            if self.people.end(&mut self.turn, client, false) {
                self.client_is_gone(client);
            }
        }
        for link in self.links.all() {
            self.cut(link, Hears::Now, Hears::Now);
        }
        let noticed = super::links::noticed_within(&self.turn);
        let after = noticed + self.turn.grace() + super::names::FREE_WITHIN;
        let free = Happening::Course(Course::Free);
        self.turn.soon(after, free);
    }
}
