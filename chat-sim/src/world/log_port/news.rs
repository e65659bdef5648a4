//! News of the log, as the hubs that follow it hear of them.

use chat_core::{
    id::{Partition, Seq},
    log::Page,
};

use super::{LogPort, log_faults::NewsFate};
use crate::{happening::Answer, turn::Turn};

/// How the server that appended something hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// This hub, by the answer to its append.
    Answered(usize),
    /// This hub, by the news and then by the answer.
    NewsFirst(usize),
    /// As everybody does: nobody waits for an answer, or it will not be one.
    AsOthers,
}

impl LogPort {
    /// Tells the hubs that follow a partition of what was written.
    pub(super) fn spread(
        &mut self,
        turn: &mut Turn,
        author: Author,
        partition: Partition,
        first: Seq,
    ) {
        for other in 0..self.readers.len() {
            let follows = self.readers[other].follows.contains(&partition);
            if !follows || author == Author::Answered(other) {
                continue;
            }
            if self.is_cut_off(turn, other) {
                turn.book.changed("a hub cut off from the log");
                self.readers[other].missed.insert(partition);
                continue;
            }
            let mut fate = self.faults.news(turn.now, &mut turn.rngs[other]);
            if turn.shape.disk {
                // Within a process no news is lost.
                fate = NewsFate::Told {
                    twice: false,
                    gap: false,
                    bare: false,
                };
            }
            let NewsFate::Told { twice, gap, bare } = fate else {
                turn.book.changed("news lost");
                turn.book
                    .note(|| format!("hub {other} is not told what is new in {partition:?}"));
                self.readers[other].missed.insert(partition);
                continue;
            };
            for again in 0..if twice { 2 } else { 1 } {
                let mut page = self.log.news(partition, first);
                let mut fault = match author {
                    Author::NewsFirst(by) if by == other => Some("news before the answer"),
                    _ if again == 1 => Some("news twice"),
                    _ => None,
                };
                if bare {
                    fault = Some("news that only say where the head is");
                    page = Page::look_again(page.head);
                } else if gap && page.records.len() > 1 {
                    fault = Some("news with a gap");
                    page.records.remove(0);
                    page.first += 1;
                }
                if let Some(fault) = fault {
                    turn.book.fault(fault);
                }
                let after = self.delay(turn, other);
                self.tell_news(turn, other, after, partition, page, fault);
            }
        }
    }

    fn tell_news(
        &self,
        turn: &mut Turn,
        hub: usize,
        after: u64,
        partition: Partition,
        page: Page,
        fault: Option<&'static str>,
    ) {
        let life = self.readers[hub].life;
        let news = Answer::Page {
            partition,
            token: None,
            page: Ok(page),
            fault,
        };
        self.answer(turn, hub, life, after, news);
    }

    /// The log has lost records: whoever follows it has to be told.
    pub(super) fn all_missed(&mut self) {
        for reader in &mut self.readers {
            reader.missed.extend(&reader.follows);
        }
    }

    /// A hub that has missed news is told where the logs stand.
    pub(super) fn news_for_all(&mut self, turn: &mut Turn) {
        for hub in 0..self.readers.len() {
            let missed = std::mem::take(&mut self.readers[hub].missed);
            for partition in missed {
                if !self.readers[hub].follows.contains(&partition) {
                    continue;
                }
                let page = self.log.news(partition, self.log.head(partition).seq);
                self.tell_news(turn, hub, 0, partition, page, None);
            }
        }
    }
}
