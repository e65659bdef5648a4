//! What the hub says, and how it is done.

use std::{mem, sync::atomic::Ordering};

use super::{
    ANSWERS, Driver, IMPATIENT, Machine, PATIENCE, PATIENT_FRAMES, TURNED_AWAY, calls::Call,
    held::Added, seats::Overfull,
};
use crate::{link::End, shared::News};
use chat_core::{
    hub::{Event, Input, Output, Recipients, RoomPlace},
    id::{ConnId, RoomId},
    time::Monotonic,
    wire::{CloseReason, Frame},
};

/// An outbox is given up when it holds so many times its limit. Pages wait until there is room for
/// them, so only a great many other answers get it there.
const SLOW: usize = 4;

impl<M: Machine> Driver<M> {
    /// Does what the hub says, and tells it what comes of that, until there is nothing left. Fan-outs that were skipped
    /// come before anything else, as the hub demands.
    pub(super) fn settle(&mut self) {
        let mut answered = 0;
        let mut tried = None;
        loop {
            while let Some(output) = self.machine.next_output() {
                self.perform(output);
            }
            if let Some(partition) = tried.take() {
                self.calls.pass(partition);
            }
            if let Some((conn, place)) = self.blocked.pop_front() {
                if let Some(seat) = self.seats.find(conn) {
                    seat.flag.untold -= 1;
                    if seat.flag.untold == 0 {
                        // It may be below half by now; it is looked at when it is written to.
                        self.touch(conn);
                    }
                    self.machine
                        .handle_input(self.now, Input::Blocked { conn, place });
                }
            } else if let Some(conn) = self.overfull.pop_front() {
                if let Some(seat) = self.seats.find(conn) {
                    seat.overfull = Overfull::Told;
                    self.machine
                        .handle_input(self.now, Input::Overfull { conn });
                }
            } else if answered < ANSWERS
                && let Some(News { partition, page }) = self.news.pop_front()
            {
                answered += 1;
                let news = Input::Page {
                    partition,
                    token: None,
                    page: Ok(page),
                };
                self.machine.handle_input(self.now, news);
            } else if answered < ANSWERS
                && let Some(mut done) = self.answers.pop_front()
            {
                answered += 1;
                if done.is_mismatch() {
                    // What others appended first: then the hub can try again at once.
                    self.log.take(self.worker, &mut self.news);
                    if !self.news.is_empty() {
                        self.answers.push_front(done);
                        continue;
                    }
                }
                if let Some((partition, turn)) = done.turn() {
                    self.calls.keep(partition, turn);
                    tried = Some(partition);
                }
                if let Some(input) = done.input() {
                    self.machine.handle_input(self.now, input);
                }
            } else if !self.gathering
                && let Some(conn) = self.gone.pop_front()
            {
                self.machine
                    .handle_input(self.now, Input::Disconnected { conn });
            } else {
                return;
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { to, frame } => self.send(to, &frame),
            Output::Fanout {
                to,
                place,
                patient,
                frame,
            } => self.fan_out(&to, place, patient, &frame),
            Output::Block { conn } => {
                if let Some(seat) = self.seats.find(conn) {
                    (seat.flag.on, seat.flag.owes_drained) = (true, true);
                    self.touch(conn);
                }
            }
            Output::Credit { conn } => {
                if let Some(seat) = self.seats.find(conn) {
                    seat.owes_credit = true;
                    self.touch(conn);
                }
            }
            Output::Resume { conn } => {
                // If there are fan-outs that the hub does not know were skipped, it will have to catch up once more.
                if let Some(seat) = self.seats.find(conn)
                    && seat.flag.untold == 0
                {
                    (seat.flag.on, seat.flag.owes_drained) = (false, false);
                }
            }
            Output::Close { conn, reason } => {
                let deadline = self.now.monotonic + self.closing_time;
                if let Some(seat) = self.seats.find(conn)
                    && seat.link.end.is_none()
                {
                    seat.link.end = Some(Box::new(End::new(Some(reason), deadline)));
                    self.ending.push_back((deadline, conn));
                    let no_place =
                        matches!(reason, CloseReason::Full | CloseReason::TooManyConnections);
                    if no_place {
                        self.turned_away.push_back(conn);
                    }
                    // Somebody who is held up is to be read from again, to see the end.
                    self.again(conn);
                    self.touch(conn);
                    if self.turned_away.len() > TURNED_AWAY
                        && let Some(first) = self.turned_away.pop_front()
                    {
                        // It may have been told in this very turn.
                        self.write(first);
                        self.lose(first);
                    }
                }
            }
            Output::Append {
                partition,
                expected,
                entries,
                note,
            } => self.call(Call::Append {
                partition,
                expected,
                entries,
                note,
            }),
            Output::Read {
                token,
                partition,
                query,
            } => self.call(Call::Read {
                token,
                partition,
                query,
            }),
            Output::ReadPart {
                token,
                partition,
                id,
                index,
            } => self.call(Call::ReadPart {
                token,
                partition,
                id,
                index,
            }),
            Output::Heads {
                token,
                kind,
                after,
                limit,
            } => self.call(Call::Heads {
                token,
                kind,
                after,
                limit,
            }),
            Output::Notes { token, partitions } => self.call(Call::Notes { token, partitions }),
            Output::Part {
                partition,
                id,
                index,
                bytes: part,
            } => self.call(Call::Part {
                partition,
                id,
                index,
                part,
            }),
            Output::Manifest {
                partition,
                manifest,
            } => self.call(Call::Manifest {
                partition,
                manifest,
            }),
            Output::Redact {
                partition,
                at,
                replacement,
            } => self.call(Call::Redact {
                partition,
                at,
                replacement,
            }),
            Output::Follow { partition } => self.calls.follow(partition),
            Output::Note(note) => self.log.note(self.worker, note),
            Output::Forget { partition } => self.calls.forget(partition),
            Output::Event(event) => self.tell(event),
        }
    }

    fn send(&mut self, to: ConnId, frame: &Frame) {
        let Some(seat) = self.seats.find(to) else {
            return;
        };
        if seat.link.end.is_some() || seat.overfull == Overfull::Untold {
            return;
        }
        self.frames += seat.push(frame, &mut self.spare);
        // Who has just come in needs not be told at once of the next one who does.
        seat.told = self.now.monotonic;
        seat.flag.owes_drained = seat.flag.on;
        let limit = self.outbox_bytes * SLOW;
        if seat.link.outbox.bytes() > limit {
            self.write(to);
        }
        self.touch(to);
        if let Some(seat) = self.seats.find(to)
            && seat.link.outbox.bytes() > limit
            && seat.overfull == Overfull::No
        {
            // The words that close it shall come before its end, so they come before what nobody
            // has read.
            seat.link.outbox.keep_begun();
            seat.overfull = Overfull::Untold;
            self.overfull.push_back(to);
        }
    }

    fn fan_out(&mut self, to: &Recipients, place: Option<RoomPlace>, patient: bool, frame: &Frame) {
        let now = self.now.monotonic;
        let bytes = frame.prefixed().len();
        let added = place
            .filter(|_| patient)
            .and_then(|place| self.hold(to, place.room, frame));
        for conn in to.iter() {
            let Some(mut seat) = self.seats.find(conn) else {
                continue;
            };
            if seat.link.end.is_some() {
                continue;
            }
            if !seat.flag.on && seat.waiting() + bytes > self.outbox_bytes {
                // Perhaps only this turn has filled it.
                self.write(conn);
                match self.seats.find(conn) {
                    Some(still) => seat = still,
                    None => continue,
                }
                seat.flag.on = seat.waiting() + bytes > self.outbox_bytes;
                if seat.flag.on {
                    seat.flag.owes_drained = true;
                    seat.flag.untold = 1;
                    self.blocked.push_back((conn, place));
                    continue;
                }
            }
            if seat.flag.on {
                if seat.flag.untold > 0 {
                    seat.flag.untold += 1;
                    self.blocked.push_back((conn, place));
                }
                continue;
            }
            // Others are written anyway before the turn ends.
            if patient && !seat.touched && (seat.patient || now < seat.told + PATIENCE) {
                let held = added.as_ref().is_some_and(|added| {
                    if !seat.held.add(added, bytes) {
                        self.frames += seat.release(&mut self.spare);
                        seat.held.add(added, bytes);
                    }
                    true
                });
                if !held {
                    self.frames += seat.push(frame, &mut self.spare);
                }
                if !mem::replace(&mut seat.patient, true) {
                    self.patient.push_back((now + PATIENCE, conn));
                }
                if seat.held.frames() + seat.link.outbox.frames() < PATIENT_FRAMES {
                    continue;
                }
            } else {
                self.frames += seat.push(frame, &mut self.spare);
            }
            if patient {
                seat.told = now;
            }
            if !mem::replace(&mut seat.touched, true) {
                self.touched.push(conn);
            }
        }
    }

    /// Puts a frame that may wait where those can find it who are to have it.
    fn hold(&mut self, to: &Recipients, room: RoomId, frame: &Frame) -> Option<Added> {
        // They all read the same form.
        let form = to
            .iter()
            .find_map(|conn| Some(self.seats.find(conn)?.link.form()))?;
        Some(self.chains.add(room, form, frame.clone()))
    }

    /// Writes what was kept back for long enough.
    pub(super) fn end_patience(&mut self, now: Monotonic) {
        for _ in 0..IMPATIENT {
            match self.patient.front() {
                Some((ends, _)) if *ends <= now => {}
                Some(_) => return,
                None => break,
            }
            let Some((_, conn)) = self.patient.pop_front() else {
                break;
            };
            if let Some(seat) = self.seats.find(conn) {
                seat.patient = false;
                if !seat.held.is_empty() || !seat.link.outbox.is_empty() {
                    seat.told = self.now.monotonic;
                    self.touch(conn);
                }
            }
        }
        if self.patient.is_empty() {
            self.chains.clear();
        }
    }

    fn call(&mut self, call: Call) {
        match self.calls.begin(call) {
            Some(done) if self.gathering && done.is_of_room() => self.gathered.push(done),
            Some(done) => self.answers.push_back(done),
            None => {}
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        if event == Event::Closed {
            self.closed = true;
            if self.open.fetch_sub(1, Ordering::AcqRel) > 1 {
                // The last one says it.
                return;
            }
        }
        self.events.publish(self.now.wall, event);
    }
}
