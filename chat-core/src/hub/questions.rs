//! Questions to the log that are not answered yet.
//!
//! A log that several servers hold may answer from one that is behind. A page that shows less than
//! this hub knew of the partition when it asked is asked for again, and after a few times taken for
//! one that cannot be read at present.

use std::collections::BTreeMap;

use super::io::{Output, ReadToken};
use crate::{
    id::{Partition, Place, RoomId},
    log::{Page, Query, ReadFailed},
};

/// The machine that waits for what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Sessions,
    Directory,
    Room(RoomId),
}

/// How often a page that shows too little is asked for again.
pub(super) const STALE_READS: u8 = 3;

/// Questions to the log without an answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    next: u64,
    all: BTreeMap<ReadToken, Question>,
}

#[derive(Debug)]
struct Question {
    reader: Reader,
    /// Of a page.
    page: Option<Wanted>,
}

/// A page that was asked for.
#[derive(Debug)]
struct Wanted {
    partition: Partition,
    query: Query,
    /// How far the partition was known by then.
    floor: Place,
    /// How often less than that was shown.
    stale: u8,
}

/// The use of a page.
#[derive(Debug)]
pub(super) enum Shown {
    /// This machine asked for it.
    To(Reader),
    /// The page shows too little: this asks again.
    Again(Output),
    /// The question was answered before.
    Before,
}

impl Wanted {
    fn output(&self, token: ReadToken) -> Output {
        Output::Read {
            token,
            partition: self.partition,
            query: self.query,
        }
    }

    fn is_below(&self, head: Place) -> bool {
        head.epoch == self.floor.epoch && head.seq < self.floor.seq
    }
}

impl Questions {
    /// Names a question that is not for a page.
    pub(super) fn token(&mut self, reader: Reader) -> ReadToken {
        self.ask(reader, None)
    }

    /// Asks for a page of a partition that is known up to `floor`.
    pub(super) fn page(
        &mut self,
        reader: Reader,
        partition: Partition,
        query: Query,
        floor: Place,
    ) -> (ReadToken, Output) {
        let wanted = Wanted {
            partition,
            query,
            floor,
            stale: 0,
        };
        let token = ReadToken(self.next);
        let output = wanted.output(token);
        (self.ask(reader, Some(wanted)), output)
    }

    fn ask(&mut self, reader: Reader, page: Option<Wanted>) -> ReadToken {
        let token = ReadToken(self.next);
        self.next += 1;
        self.all.insert(token, Question { reader, page });
        token
    }

    /// The machine that asked; none if this was answered before.
    pub(super) fn answered(&mut self, token: ReadToken) -> Option<Reader> {
        self.all.remove(&token).map(|question| question.reader)
    }

    /// Takes the answer to a question for a page.
    pub(super) fn shown(&mut self, token: ReadToken, page: &mut Result<Page, ReadFailed>) -> Shown {
        let Some(question) = self.all.get_mut(&token) else {
            return Shown::Before;
        };
        if let (Some(wanted), Ok(read)) = (&mut question.page, &*page)
            && wanted.is_below(read.head)
        {
            if wanted.stale < STALE_READS {
                wanted.stale += 1;
                return Shown::Again(wanted.output(token));
            }
            *page = Err(ReadFailed::Unavailable);
        }
        let reader = question.reader;
        self.all.remove(&token);
        Shown::To(reader)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::RoomId, log::ReadFrom};

    const ROOM: Reader = Reader::Room(RoomId::LOBBY);

    fn asked(questions: &mut Questions, floor: Place) -> ReadToken {
        let query = Query {
            from: ReadFrom::Latest,
            records: 1,
            bytes: 1,
        };
        let partition = Partition::Room(RoomId::LOBBY);
        let (token, output) = questions.page(ROOM, partition, query, floor);
        assert!(matches!(output, Output::Read { token: asked, .. } if asked == token));
        token
    }

    fn head(epoch: u64, seq: u64) -> Result<Page, ReadFailed> {
        Ok(Page::look_again(Place { epoch, seq }))
    }

    #[test]
    fn a_page_that_shows_too_little_is_asked_for_again_a_few_times() {
        let mut questions = Questions::default();
        let token = asked(&mut questions, Place { epoch: 1, seq: 5 });
        for _ in 0..STALE_READS {
            let again = questions.shown(token, &mut head(1, 4));
            assert!(
                matches!(again, Shown::Again(Output::Read { token: asked, .. }) if asked == token)
            );
        }
        let mut last = head(1, 4);
        assert!(matches!(questions.shown(token, &mut last), Shown::To(ROOM)));
        assert_eq!(last, Err(ReadFailed::Unavailable));
        assert!(matches!(
            questions.shown(token, &mut head(1, 5)),
            Shown::Before
        ));
        assert_eq!(questions.len(), 0);
    }

    #[test]
    fn a_page_that_shows_enough_or_of_another_epoch_is_the_answer() {
        for shown in [
            head(1, 5),
            head(1, 6),
            head(2, 0),
            Err(ReadFailed::Superseded),
        ] {
            let mut questions = Questions::default();
            let token = asked(&mut questions, Place { epoch: 1, seq: 5 });
            assert!(matches!(
                questions.shown(token, &mut head(1, 4)),
                Shown::Again(_)
            ));
            let mut page = shown.clone();
            assert!(matches!(questions.shown(token, &mut page), Shown::To(ROOM)));
            assert_eq!(page, shown);
        }
    }
}
