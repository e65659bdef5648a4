//! Answers of the log to its hubs.

use chat_core::{
    hub::Input,
    id::{Partition, Place},
};

use super::LogPort;
use crate::{
    happening::{Answer, Outcome},
    turn::Turn,
};

impl LogPort {
    /// The log's word comes to a hub, if that is in this life. `known`: how far the hub knows the
    /// partition.
    pub(crate) fn deliver(
        &mut self,
        turn: &mut Turn,
        node: usize,
        life: u32,
        answer: Answer,
        known: impl FnOnce(Partition) -> Option<Place>,
    ) -> Option<Input<'static>> {
        if self.readers[node].life != life {
            return None;
        }
        Some(match answer {
            Answer::Outcome { partition, outcome } => self.outcome(turn, node, partition, outcome),
            Answer::Page {
                partition,
                token,
                page,
                fault,
            } => {
                turn.book.note(|| match &page {
                    Ok(page) => format!(
                        "hub {node}: {partition:?}: {} page {}..+{} of {:?}",
                        if token.is_some() { "a" } else { "news, a" },
                        page.first,
                        page.records.len(),
                        page.head
                    ),
                    Err(_) => format!("hub {node}: {partition:?}: unreadable"),
                });
                if let (Some(fault), Ok(page)) = (fault, &page) {
                    let new = known(partition).is_none_or(|known| known != page.head);
                    let before = self.readers[node].appending.contains(&partition);
                    let changed = match fault {
                        "news before the answer" => new && before,
                        "news twice" => true,
                        _ => new,
                    };
                    if changed {
                        turn.book.changes(fault);
                    }
                }
                if token.is_some() {
                    self.passes(turn);
                    self.readers[node].reads -= 1;
                }
                if let Ok(page) = &page {
                    self.was_told(node, partition, page.head);
                }
                Input::Page {
                    partition,
                    token,
                    page,
                }
            }
            Answer::PartRead {
                token,
                partition,
                part,
            } => {
                self.passes(turn);
                self.readers[node].reads -= 1;
                turn.book.note(|| match &part {
                    Ok(part) => format!("hub {node}: {partition:?}: a part, {} bytes", part.len()),
                    Err(error) => format!("hub {node}: {partition:?}: no part: {error}"),
                });
                Input::Part {
                    partition,
                    token,
                    part,
                }
            }
            Answer::Heads { token, heads } => {
                if let Ok(heads) = &heads
                    && heads
                        .iter()
                        .any(|head| self.log.noted(head.partition) != *head)
                {
                    turn.book.changed("heads or notes that answer late");
                }
                self.readers[node].reads -= 1;
                Input::Heads { token, heads }
            }
            Answer::Kept {
                partition,
                id,
                index,
                done,
            } => {
                self.passes(turn);
                Input::Kept {
                    partition,
                    id,
                    index,
                    done,
                }
            }
            Answer::Redacted {
                partition,
                at,
                done,
            } => {
                self.passes(turn);
                Input::Redacted {
                    partition,
                    at,
                    done,
                }
            }
        })
    }

    /// The answer to a hub's append.
    pub(super) fn outcome(
        &mut self,
        turn: &mut Turn,
        node: usize,
        partition: Partition,
        outcome: Outcome,
    ) -> Input<'static> {
        self.readers[node].appending.remove(&partition);
        self.passes(turn);
        if let Outcome::Committed(head) = outcome {
            if let Some(scissors) = &mut self.scissors {
                scissors.acknowledged(partition, head.seq);
            }
            self.was_told(node, partition, head);
        }
        turn.book
            .note(|| format!("hub {node}: {partition:?}: {outcome:?}"));
        match outcome {
            Outcome::Committed(head) => Input::Committed { partition, head },
            Outcome::Refused(why) => Input::Refused { partition, why },
            Outcome::Unknown => Input::Unknown { partition },
        }
    }

    /// A hub hears where a partition ends.
    fn was_told(&mut self, node: usize, partition: Partition, head: Place) {
        let told = &mut self.readers[node].heads_told;
        let told = told.entry(partition).or_insert(head);
        if told.epoch != head.epoch || told.seq < head.seq {
            *told = head;
        }
    }
}
