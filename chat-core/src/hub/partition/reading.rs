//! How a partition's state comes from its log: a snapshot in parts, the records after it, news, and
//! what is done when the log's end was lost.

use bytes::Bytes;

use super::{
    super::{
        io::{Output, ReadToken},
        turn::Turn,
    },
    Answer, Appending, Look, Pipeline, Snapshots, Taken,
};
use crate::{
    id::Place,
    log::{Manifest, Page, Query, ReadFailed, ReadFrom},
    state::{Fold, parts::SnapshotReader},
    wire::BodyError,
};

/// Records that are asked for at once when a state is rebuilt.
const PAGE_RECORDS: u32 = 1_000;
/// Bytes that are asked for at once.
const PAGE_BYTES: u32 = 1 << 20;

/// How far the state is that of the log. `lost` counts how often it was begun anew since it was
/// that of the log.
#[derive(Debug)]
pub(super) enum Life<S: Fold> {
    /// Nothing is known.
    Fresh { lost: u32 },
    /// The parts of a snapshot are being read.
    Assembling(Box<Assembling<S>>),
    /// The snapshot cannot be read, and all records are there: they make the state without it.
    WithoutSnapshot { lost: u32 },
    /// The records after the snapshot, or from the first one on, are being read.
    Following { lost: u32 },
    /// The state is that of a place of the log.
    Live,
}

/// A snapshot that is being read, and the page that told of it.
#[derive(Debug)]
pub(super) struct Assembling<S: Fold> {
    page: Page,
    manifest: Manifest,
    state: SnapshotReader<S>,
    /// The part that is wanted next.
    next: u32,
    lost: u32,
    /// News came meanwhile: the page may be older.
    pub(super) outrun: bool,
    /// When the page was asked for.
    look: Look,
}

/// Whether more may be in the log than is known here.
#[derive(Debug)]
pub(super) enum Sight {
    Current,
    /// The log must be read before anything is appended.
    Behind,
    Reading {
        token: ReadToken,
        look: Look,
        /// News came in meanwhile: what is read may be older.
        outrun: bool,
    },
}

impl Sight {
    pub(super) fn look_again(&mut self) {
        match self {
            Self::Current => *self = Self::Behind,
            Self::Behind => {}
            Self::Reading { outrun, .. } => *outrun = true,
        }
    }
}

/// A piece of the log.
#[derive(Debug)]
pub(in crate::hub) enum Piece {
    Page(Page),
    Part(Bytes),
}

/// The effect of a piece.
#[derive(Debug, PartialEq)]
pub(in crate::hub) enum Paged {
    /// News were taken in, or nothing was new.
    Onward,
    /// The partition is live now.
    Live,
    /// The log lost its tail, or does not keep what was missed: the state is being rebuilt from its
    /// beginning. `epoch` says whether it is another one.
    Lost { epoch: bool },
    /// The same, before it was rebuilt: the log does not fit together. It is to be asked again, but
    /// not at once.
    LostAgain,
}

impl<S: Fold> Life<S> {
    fn lost(&self) -> u32 {
        match self {
            Self::Fresh { lost } | Self::WithoutSnapshot { lost } | Self::Following { lost } => {
                *lost
            }
            Self::Assembling(assembling) => assembling.lost,
            Self::Live => 0,
        }
    }
}

impl<S: Fold, P> Pipeline<S, P> {
    /// Asks for what is to be read next. Whether a read is under way.
    pub(super) fn read<E>(&mut self, turn: &mut Turn<'_, E>) -> bool {
        match self.sight {
            Sight::Current => return false,
            Sight::Reading { .. } => return true,
            Sight::Behind => {}
        }
        if matches!(self.appending, Appending::Outstanding { .. }) {
            // Its end says where the head is, or it is read then.
            return true;
        }
        let look = self.looks.begin();
        let token = match &self.life {
            Life::Assembling(assembling) => {
                let token = turn.token(self.reader);
                turn.out.push(Output::ReadPart {
                    token,
                    partition: self.partition,
                    id: assembling.manifest.id,
                    index: assembling.next,
                });
                token
            }
            life => {
                let query = Query {
                    from: match life {
                        Life::Fresh { .. } => ReadFrom::State,
                        Life::WithoutSnapshot { .. } => ReadFrom::After(0),
                        _ => ReadFrom::After(self.place.seq),
                    },
                    records: PAGE_RECORDS,
                    bytes: PAGE_BYTES,
                };
                turn.read(self.reader, self.partition, query, self.heard)
            }
        };
        self.sight = Sight::Reading {
            token,
            look,
            outrun: false,
        };
        true
    }

    /// Takes in a piece of the log: an answer to a read, or news.
    pub(in crate::hub) fn take(
        &mut self,
        answer: Answer,
        piece: Piece,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, BodyError> {
        let token = match answer {
            Answer::To(token) => token,
            Answer::News => {
                let Piece::Page(page) = piece else {
                    return Ok(Paged::Onward);
                };
                return self.news(page, taken);
            }
        };
        let Sight::Reading {
            token: reading,
            look,
            outrun,
        } = self.sight
        else {
            return Ok(Paged::Onward);
        };
        if reading != token {
            return Ok(Paged::Onward);
        }
        self.trouble.works();
        self.sight = Sight::Behind;
        match piece {
            Piece::Page(page) => self.page(page, Reached { look, outrun }, taken),
            Piece::Part(part) => self.part(&part, outrun, taken),
        }
    }

    /// Appends of others, as the log tells of them: late, twice, with gaps, without records.
    fn news(
        &mut self,
        page: Page,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, BodyError> {
        let live = self.is_live();
        if !live || page.head.epoch != self.place.epoch {
            // A read that is under way may have been done before; the next one shows it. Of another
            // epoch the news may be late, of before the log lost its end: the log is asked.
            self.look_again();
            if !live {
                self.hear(page.head);
            }
            return Ok(Paged::Onward);
        }
        let head = page.head.seq;
        self.hear(page.head);
        self.records(page, taken)?;
        if head > self.place.seq {
            self.look_again();
        }
        Ok(Paged::Onward)
    }

    /// An answer to a read.
    fn page(
        &mut self,
        page: Page,
        reached: Reached,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, BodyError> {
        self.hear(page.head);
        match self.life {
            Life::Live | Life::Following { .. } if page.head.epoch != self.place.epoch => {
                return Ok(self.lose(true));
            }
            Life::Live | Life::Following { .. } => {}
            Life::Fresh { lost } => {
                self.place = Place {
                    epoch: page.head.epoch,
                    seq: 0,
                };
                if let Some(manifest) = page.snapshot {
                    self.life = Life::Assembling(Box::new(Assembling {
                        page,
                        manifest,
                        state: SnapshotReader::default(),
                        next: 0,
                        lost,
                        outrun: reached.outrun,
                        look: reached.look,
                    }));
                    return self.assemble(taken);
                }
                self.life = Life::Following { lost };
            }
            Life::WithoutSnapshot { lost } => {
                if page.oldest > 1 {
                    // Trimmed meanwhile; there may be a newer snapshot now.
                    self.life = Life::Fresh { lost };
                    return Ok(Paged::Onward);
                }
                self.place = Place {
                    epoch: page.head.epoch,
                    seq: 0,
                };
                self.life = Life::Following { lost };
            }
            // A page that was asked for before.
            Life::Assembling(_) => return Ok(Paged::Onward),
        }
        self.go_on(page, reached, taken)
    }

    fn part(
        &mut self,
        part: &[u8],
        outrun: bool,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, BodyError> {
        if let Life::Assembling(assembling) = &mut self.life {
            assembling.outrun |= outrun;
            assembling.next += 1;
            if let Err(error) = assembling.state.add(part) {
                return self.cannot_assemble(error);
            }
        }
        self.assemble(taken)
    }

    /// Goes on from the snapshot if all its parts are there.
    fn assemble(&mut self, taken: &mut Vec<Taken<S::Entry, P>>) -> Result<Paged, BodyError> {
        let whole = |life: &Life<S>| match life {
            Life::Assembling(one) => one.next >= one.manifest.parts,
            _ => false,
        };
        if !whole(&self.life) {
            return Ok(Paged::Onward);
        }
        let Life::Assembling(assembling) =
            std::mem::replace(&mut self.life, Life::Following { lost: 0 })
        else {
            return Ok(Paged::Onward);
        };
        let Assembling {
            page,
            manifest,
            state,
            lost,
            outrun,
            look,
            ..
        } = *assembling;
        self.life = Life::Following { lost };
        match state.finish() {
            Ok(state) => self.state = state,
            Err(_) if page.oldest == 1 => {
                self.life = Life::WithoutSnapshot { lost };
                return Ok(Paged::Onward);
            }
            Err(error) => {
                self.life = Life::Fresh { lost };
                return Err(error);
            }
        }
        self.place.seq = manifest.id.base.seq;
        self.go_on(page, Reached { look, outrun }, taken)
    }

    /// A part is not what was written.
    fn cannot_assemble(&mut self, error: BodyError) -> Result<Paged, BodyError> {
        let Life::Assembling(assembling) = &self.life else {
            return Err(error);
        };
        let (lost, all) = (assembling.lost, assembling.page.oldest == 1);
        if all {
            self.life = Life::WithoutSnapshot { lost };
            return Ok(Paged::Onward);
        }
        self.life = Life::Fresh { lost };
        Err(error)
    }

    /// Takes in a page of records that was asked for, and sees whether that is all.
    fn go_on(
        &mut self,
        page: Page,
        reached: Reached,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, BodyError> {
        let (head, oldest) = (page.head.seq, page.oldest);
        let whole = self.records(page, taken)?;
        if !whole || (head > self.place.seq && oldest > self.place.seq + 1) {
            // The log trimmed what this hub had not read yet: only a rebuild can mend that.
            return Ok(self.lose(false));
        }
        if head > self.place.seq || reached.outrun {
            return Ok(Paged::Onward);
        }
        self.sight = Sight::Current;
        self.looks.reach(reached.look);
        // The append of unknown outcome is not there.
        if let Appending::Doubtful { .. } = self.appending {
            self.requeue();
            self.appending = Appending::Idle;
        }
        let newly = !self.is_live();
        self.life = Life::Live;
        Ok(if newly { Paged::Live } else { Paged::Onward })
    }

    /// Takes in the records of a page, as far as they follow on what is known. Whether there was no
    /// gap.
    fn records(
        &mut self,
        page: Page,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<bool, BodyError> {
        for (seq, bytes) in (page.first..).zip(page.records) {
            if seq <= self.place.seq {
                continue;
            }
            if seq != self.place.seq + 1 {
                return Ok(false);
            }
            if let Some(pending) = self.take_own(&bytes) {
                self.take_in_pending(pending, taken);
            } else {
                self.requeue();
                let entry = S::decode(&bytes)?;
                self.take_in(entry, bytes, false, None, taken);
            }
        }
        Ok(true)
    }

    /// A read failed. Whether it goes on without what was to be read; otherwise the log is asked
    /// again in a while, and what waits is given back.
    pub(in crate::hub) fn unreadable<E>(
        &mut self,
        turn: &mut Turn<'_, E>,
        answer: Answer,
        why: ReadFailed,
    ) -> Result<Paged, Vec<P>> {
        let Sight::Reading { token, .. } = self.sight else {
            return Ok(Paged::Onward);
        };
        if answer != Answer::To(token) {
            return Ok(Paged::Onward);
        }
        self.sight = Sight::Behind;
        match (&self.life, why) {
            (Life::Assembling(assembling), ReadFailed::Superseded) => {
                let lost = assembling.lost + 1;
                self.life = Life::Fresh { lost };
                if lost == 1 {
                    return Ok(Paged::Onward);
                }
                self.trouble.arm(turn, self.partition);
                return Ok(Paged::LostAgain);
            }
            (Life::Assembling(assembling), ReadFailed::Damaged { .. }) => {
                let lost = assembling.lost;
                if assembling.page.oldest == 1 {
                    self.life = Life::WithoutSnapshot { lost };
                    return Ok(Paged::Onward);
                }
                self.life = Life::Fresh { lost };
            }
            _ => {}
        }
        self.trouble.arm(turn, self.partition);
        Err(self.take_queue())
    }

    /// A piece cannot be decoded: the log is asked again in a while, and the waiting proposals are
    /// given back.
    pub(in crate::hub) fn damaged<E>(&mut self, turn: &mut Turn<'_, E>) -> Vec<P> {
        self.sight = Sight::Behind;
        self.trouble.arm(turn, self.partition);
        self.take_queue()
    }

    fn lose(&mut self, epoch: bool) -> Paged {
        self.requeue();
        if let Appending::Doubtful { .. } = self.appending {
            self.appending = Appending::Idle;
        }
        let lost = self.life.lost() + 1;
        self.state = S::default();
        self.place = Place { epoch: 0, seq: 0 };
        self.life = Life::Fresh { lost };
        self.sight = Sight::Behind;
        self.snapshots = Snapshots::default();
        if lost == 1 {
            Paged::Lost { epoch }
        } else {
            Paged::LostAgain
        }
    }
}

/// How far a read reached.
#[derive(Clone, Copy)]
struct Reached {
    look: Look,
    outrun: bool,
}
