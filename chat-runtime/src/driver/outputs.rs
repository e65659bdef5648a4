//! What the hub says, and how it is done.

use std::mem;

use bytes::Bytes;
use chat_core::{
    hub::{Event, Input, Output, Recipients, RoomPlace},
    id::ConnId,
    wire::{CloseReason, Frame},
};
use tokio::time::Instant;

use super::{ANSWERS, Driver, calls::Call};
use crate::link::End;

/// An outbox is given up when it holds so many times its limit: only answers get it there, and only if nobody reads them.
const SLOW: usize = 4;

impl Driver {
    /// Does what the hub says, and tells it what comes of that, until there is nothing left. Fan-outs that were skipped
    /// come before anything else, as the hub demands.
    pub(super) fn settle(&mut self) {
        let mut answered = 0;
        loop {
            while let Some(output) = self.out.pop() {
                self.perform(output);
            }
            if let Some((conn, place)) = self.blocked.pop_front() {
                if let Some(seat) = self.seats.find(conn) {
                    seat.flag.untold -= 1;
                    if seat.flag.untold == 0 {
                        // It may be below half by now; it is looked at when it is written to.
                        self.touch(conn);
                    }
                    self.hub
                        .handle_input(self.now, Input::Blocked { conn, place }, &mut self.out);
                }
            } else if let Some(conn) = self.gone.pop_front() {
                self.hub
                    .handle_input(self.now, Input::Disconnected { conn }, &mut self.out);
            } else if answered < ANSWERS
                && let Some(done) = self.answers.pop_front()
            {
                answered += 1;
                if let Some(input) = done.input() {
                    self.hub.handle_input(self.now, input, &mut self.out);
                }
            } else {
                return;
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { to, frame } => self.send(to, &frame),
            Output::Fanout { to, place, frame } => self.fan_out(&to, place, &frame),
            Output::Block { conn } => {
                if let Some(seat) = self.seats.find(conn) {
                    (seat.flag.on, seat.flag.owes_drained) = (true, true);
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
                let deadline = Instant::now() + self.closing_time;
                if let Some(seat) = self.seats.find(conn)
                    && seat.link.end.is_none()
                {
                    seat.link.end = Some(End::new(Some(reason), deadline));
                    self.ending.push_back((deadline, conn));
                    // Somebody who is held up is to be read from again, to see the end.
                    seat.link.again();
                    self.touch(conn);
                }
            }
            Output::Append {
                partition,
                expected,
                entries,
            } => self.call(Call::Append {
                partition,
                expected,
                entries,
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
            Output::Snapshot {
                partition,
                at,
                state,
            } => self.call(Call::Snapshot {
                partition,
                at,
                state,
            }),
            Output::Redact {
                partition,
                seq,
                replacement,
            } => self.call(Call::Redact {
                partition,
                seq,
                replacement,
            }),
            Output::Forget { partition } => self.calls.forget(partition),
            Output::Event(event) => self.tell(event),
        }
    }

    fn send(&mut self, to: ConnId, frame: &Frame) {
        let Some(seat) = self.seats.find(to) else {
            return;
        };
        if seat.link.end.is_some() {
            return;
        }
        seat.link
            .push(frame.prefixed(), || frame.body(), &mut self.spare);
        seat.flag.owes_drained = seat.flag.on;
        self.frames += 1;
        let limit = self.outbox_bytes * SLOW;
        if seat.link.outbox.bytes() > limit {
            self.write(to);
        }
        if self
            .seats
            .find(to)
            .is_some_and(|seat| seat.link.outbox.bytes() > limit)
        {
            let detail = format!("more than {limit} bytes wait for it");
            self.tell(Event::Closing {
                conn: to,
                reason: CloseReason::Slow,
                detail,
            });
            self.lose(to);
        } else {
            self.touch(to);
        }
    }

    fn fan_out(&mut self, to: &Recipients, place: Option<RoomPlace>, frame: &Frame) {
        let body: Bytes = frame.body();
        for conn in to.iter() {
            let Some(mut seat) = self.seats.find(conn) else {
                continue;
            };
            if seat.link.end.is_some() {
                continue;
            }
            if !seat.flag.on
                && seat.link.outbox.bytes() + frame.prefixed().len() > self.outbox_bytes
            {
                // Perhaps only this turn has filled it.
                self.write(conn);
                match self.seats.find(conn) {
                    Some(still) => seat = still,
                    None => continue,
                }
                seat.flag.on =
                    seat.link.outbox.bytes() + frame.prefixed().len() > self.outbox_bytes;
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
            seat.link
                .push(frame.prefixed(), || body.clone(), &mut self.spare);
            self.frames += 1;
            if !mem::replace(&mut seat.touched, true) {
                self.touched.push(conn);
            }
        }
    }

    fn call(&mut self, call: Call) {
        self.answers.extend(self.calls.begin(call));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.closed |= event == Event::Closed;
        // Nobody listens, perhaps.
        let _ = self.events.send(event);
    }
}
