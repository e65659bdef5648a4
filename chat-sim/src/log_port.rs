//! The log as its hubs meet it: what they ask of it, what goes wrong on the way, and what they are
//! told. Each fault of it has a name and is counted twice: when it is drawn, and when it has made
//! an outcome other than it would have been.

use std::collections::BTreeMap;

use bytes::Bytes;
use chat_core::{
    hub::{Input, ReadToken},
    id::{Partition, PartitionKind, Place, RequestHash, RoomId, Seq, SessionId},
    log::{AppendRefused, Appended, Head, LogUnavailable, Page, Query, ReadFailed, SnapshotId},
    wire::{
        Record,
        record::{CipherKind, Content, RecordBody, RoomKind},
    },
};

use crate::{
    disk::Command,
    log_faults::{AppendFate, NewsFate, ReadFate},
    reference_model,
    world::{Happening, MS, Outcome, World},
};

/// The longest that what a server asked for before it died is on its way.
const FORMER_LIFE: u64 = 2_400 * MS;

/// So many reads of one partition in a row show one hub less than there is; then the leader
/// answers.
const STALE_READS_MAX: u8 = 2;

/// How the server that appended something hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// This hub, by the answer to its append.
    Answered(usize),
    /// This hub, by the news and then by the answer.
    NewsFirst(usize),
    /// As everybody does: nobody waits for an answer, or it will not be one.
    AsOthers,
}

/// A hub's question about many partitions.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Heads(PartitionKind, Option<Partition>, u32),
    Notes(Vec<Partition>),
}

impl World {
    /// How long the log takes.
    pub(crate) fn log_delay(&mut self, hub: usize) -> u64 {
        let slow = u64::from(self.log_faults.weather(self.now).slow_ms) * MS;
        let usual = u64::from(self.plan.shape.log_us) * 1_000;
        let rng = &mut self.nodes[hub].rng;
        rng.below(usual + 1)
            + if slow > 0 && rng.chance(500) {
                rng.below(slow)
            } else {
                0
            }
    }

    /// How long it takes until the log does something. A disk takes its time for a whole
    /// transaction.
    pub(crate) fn log_time(&mut self, hub: usize) -> u64 {
        if self.plan.shape.disk {
            0
        } else {
            self.log_delay(hub)
        }
    }

    pub(crate) fn is_cut_off(&self, hub: usize) -> bool {
        !self.calm && self.now < self.nodes[hub].cut_off_until
    }

    /// Where partitions end, as of now, told later; or that this cannot be told.
    pub(crate) fn tell_heads(&mut self, node: usize, token: ReadToken, asked: Asked) {
        let notes = matches!(asked, Asked::Notes(_));
        self.passes_the_log();
        self.nodes[node].reads += 1;
        let heads = match asked {
            Asked::Heads(kind, after, limit) => self.log.heads(kind, after, limit),
            Asked::Notes(partitions) => {
                let heads = partitions.into_iter();
                heads.map(|partition| self.log.noted(partition)).collect()
            }
        };
        let mut after = self.log_delay(node);
        let cut_off = self.is_cut_off(node);
        let fate = self.log_faults.heads(self.now, &mut self.nodes[node].rng);
        let heads = match fate.filter(|_| !cut_off) {
            Some(late) => {
                after += late;
                Ok(heads)
            }
            None => {
                self.book.changed("heads or notes that cannot be told");
                Err(LogUnavailable)
            }
        };
        let life = self.nodes[node].life;
        self.soon(
            after,
            Happening::Heads {
                node,
                life,
                token,
                heads,
                notes,
            },
        );
    }

    /// Heads or notes come to who asked for them.
    pub(crate) fn deliver_heads(
        &mut self,
        node: usize,
        token: ReadToken,
        heads: Result<Vec<Head>, LogUnavailable>,
        notes: bool,
    ) {
        if let Ok(heads) = &heads
            && heads
                .iter()
                .any(|head| self.log.noted(head.partition) != *head)
        {
            self.book.changed(if notes {
                "notes that answer late"
            } else {
                "heads that answer late"
            });
        }
        self.nodes[node].reads -= 1;
        self.hub_input(node, Input::Heads { token, heads });
    }

    /// A part of a snapshot comes to a log that several processes share.
    pub(crate) fn log_part(
        &mut self,
        node: usize,
        life: u32,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) {
        let mut done = self.log.part(partition, id, index, bytes);
        // Kept or not, that may not be known.
        if !self.calm && (self.is_cut_off(node) || self.nodes[node].rng.chance(30)) {
            if done.is_ok() {
                self.book.changed("a part of a snapshot that was not kept");
            }
            done = Err(LogUnavailable);
        }
        let after = self.log_delay(node);
        self.soon(
            after,
            Happening::Kept {
                node,
                life,
                partition,
                id,
                index,
                done,
            },
        );
    }

    pub(crate) fn log_read_part(
        &mut self,
        node: usize,
        life: u32,
        token: ReadToken,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) {
        let unreadable = self.log_faults.weather(self.now).unreadable;
        let fails = self.is_cut_off(node) || self.nodes[node].rng.chance(unreadable);
        let part = if fails {
            self.book.changed("a failed read");
            Err(ReadFailed::Unavailable)
        } else {
            self.log.read_part(partition, id, index)
        };
        if part == Err(ReadFailed::Superseded) {
            self.book.saw("a snapshot superseded while it was read");
        }
        let after = self.log_delay(node);
        self.soon(
            after,
            Happening::PartRead {
                node,
                life,
                token,
                partition,
                part,
            },
        );
    }

    pub(crate) fn append(
        &mut self,
        node: usize,
        life: u32,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) {
        if self.plan.shape.disk {
            if self.nodes[node].life == life {
                self.ask_disk(Command::Append {
                    node,
                    partition,
                    expected,
                    entries,
                    note,
                });
            }
            return;
        }
        let cut_off = self.is_cut_off(node);
        let rng = &mut self.nodes[node].rng;
        let fate = self.log_faults.append(self.now, cut_off, rng);
        // An append of an earlier life of this hub is news to it.
        let former = life != self.nodes[node].life;
        let fits = self.log.head(partition) == expected;
        if cut_off && fits {
            self.book.changed("a hub cut off from the log");
        }
        if former {
            self.book.fault("an append of a former life of its hub");
        }
        let outcome = match fate {
            AppendFate::Judged | AppendFate::NewsFirst => {
                let author = match fate {
                    _ if former => Author::AsOthers,
                    AppendFate::NewsFirst => Author::NewsFirst(node),
                    _ => Author::Answered(node),
                };
                let outcome = self.write(author, partition, expected, &entries, &note);
                if former && let Outcome::Committed(_) = outcome {
                    self.book.changes("an append of a former life of its hub");
                }
                outcome
            }
            AppendFate::NoNumber => {
                self.fails(fits, "an append refused although nothing came first");
                Outcome::Refused(AppendRefused::Mismatch)
            }
            AppendFate::Refused => {
                self.fails(fits, "an append refused");
                Outcome::Refused(AppendRefused::Unavailable)
            }
            AppendFate::Lost => {
                self.fails(fits, "an unknown append that was not written");
                Outcome::Unknown
            }
            AppendFate::Written => {
                let write = self.write(Author::AsOthers, partition, expected, &entries, &note);
                if let Outcome::Committed(_) = write {
                    self.book.changed("an unknown append that was written");
                }
                Outcome::Unknown
            }
            AppendFate::Late(after) => {
                self.soon(
                    after,
                    Happening::LateWrite {
                        partition,
                        expected,
                        entries,
                        note,
                    },
                );
                Outcome::Unknown
            }
        };
        let mut after = self.log_delay(node);
        if fate == AppendFate::NewsFirst {
            // The news take at most as long as this.
            after += self.log_delay(node) + MS;
        }
        self.soon(
            after,
            Happening::Outcome {
                node,
                life,
                partition,
                outcome,
            },
        );
    }

    /// A fault of an append that would have been written, or one that came too late anyhow.
    fn fails(&mut self, fits: bool, fault: &'static str) {
        if fits {
            self.book.changed(fault);
        } else {
            self.book.fault(fault);
        }
    }

    /// Requests of a hub that is gone are on their way for some time yet.
    pub(crate) fn delay_appends_of(&mut self, hub: usize, life: u32) {
        let its = |happening: &Happening| matches!(happening, Happening::Append { node, life: of, .. } if (*node, *of) == (hub, life));
        for append in self.take_back(its) {
            let after = self.nodes[hub].rng.below(FORMER_LIFE);
            self.soon(after, append);
        }
    }

    fn write(
        &mut self,
        author: Author,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &Bytes,
    ) -> Outcome {
        let outcome = self.put(partition, expected, entries, note);
        if let Outcome::Committed(_) = outcome {
            self.spread(author, partition, expected.seq + 1);
        }
        outcome
    }

    /// Appends to the log.
    pub(crate) fn put(
        &mut self,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &Bytes,
    ) -> Outcome {
        match self.log.append(partition, expected, entries, note) {
            Appended::Committed(head) => {
                self.absorb(partition);
                Outcome::Committed(head)
            }
            Appended::Refused(why) => {
                self.book.saw("an append that came second");
                let first = (partition, expected.epoch, expected.seq + 1);
                if self.log_faults.foreign.contains(&first) {
                    self.book.changes("a foreign writer");
                }
                Outcome::Refused(why)
            }
            Appended::Unknown => Outcome::Unknown,
        }
    }

    pub(crate) fn late_write(
        &mut self,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &Bytes,
    ) {
        let write = self.write(Author::AsOthers, partition, expected, entries, note);
        let fault = "an unknown append that was written later";
        let Outcome::Committed(_) = write else {
            return self.book.fault(fault);
        };
        self.book.changed(fault);
        self.book.note(|| {
            let what = reference_model::words(partition, entries);
            format!("{partition:?}: what was not known to be written is written now: {what}")
        });
    }

    /// Something that is no hub of this world appends what a member may say: a text of its own,
    /// under that member's name.
    pub(crate) fn foreign_write(&mut self, pick: u32) {
        let Some((partition, record)) = self.foreign_record(pick) else {
            return;
        };
        let (expected, note) = (self.log.head(partition), self.log.noted(partition).note);
        let entries = [record.to_bytes()];
        self.book
            .note(|| format!("{partition:?}: somebody else writes {record:?}"));
        self.book.fault("a foreign writer");
        self.log_faults
            .foreign
            .insert((partition, expected.epoch, record.seq));
        self.write(Author::AsOthers, partition, expected, &entries, &note);
    }

    fn foreign_record(&mut self, pick: u32) -> Option<(Partition, Record)> {
        let may_speak = |said: &Record, there: &reference_model::Room| {
            there.member_since(said.member).is_some()
                && there.muted_at(said.member, there.head()).is_none()
        };
        let said: BTreeMap<RoomId, Record> = self
            .truth
            .rooms_now()
            .filter(|(_, _, there)| {
                there.cipher == CipherKind::None && there.kind != Some(RoomKind::Private)
            })
            .filter_map(|(room, _, there)| {
                let said = there.records.iter().rev().find(|record| {
                    matches!(&record.body, RecordBody::Message(said) if matches!(said.content, Content::Plain(_)))
                        && may_speak(record, there)
                })?;
                Some((room, said.clone()))
            })
            .collect();
        let (room, mut record) = said
            .into_iter()
            .nth(pick as usize % self.truth.groups_ever().max(1))?;
        let text = format!(
            "written to the log itself, {}",
            self.log_faults.foreign.len()
        );
        self.texts.insert(text.clone(), (record.member, Some(room)));
        if let RecordBody::Message(said) = &mut record.body {
            said.content = Content::plain(text);
        }
        let partition = Partition::Room(room);
        record.seq = self.log.head(partition).seq + 1;
        // The record answers no request.
        (record.session, record.txn) = (SessionId::NONE, 0);
        record.hash = RequestHash::default();
        Some((partition, record))
    }

    /// Tells the hubs that follow a partition of what was written.
    pub(crate) fn spread(&mut self, author: Author, partition: Partition, first: Seq) {
        for other in 0..self.nodes.len() {
            let follows =
                self.nodes[other].follows.contains(&partition) && self.nodes[other].hub.is_some();
            if !follows || author == Author::Answered(other) {
                continue;
            }
            if self.is_cut_off(other) {
                self.book.changed("a hub cut off from the log");
                self.nodes[other].missed.insert(partition);
                continue;
            }
            let rng = &mut self.nodes[other].rng;
            let mut fate = self.log_faults.news(self.now, rng);
            if self.plan.shape.disk {
                // Within a process no news is lost.
                fate = NewsFate::Told {
                    twice: false,
                    gap: false,
                    bare: false,
                };
            }
            let NewsFate::Told { twice, gap, bare } = fate else {
                self.book.changed("news lost");
                self.book
                    .note(|| format!("hub {other} is not told what is new in {partition:?}"));
                self.nodes[other].missed.insert(partition);
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
                    self.book.fault(fault);
                }
                let after = self.log_delay(other);
                let life = self.nodes[other].life;
                self.soon(
                    after,
                    Happening::Page {
                        node: other,
                        life,
                        partition,
                        token: None,
                        page: Ok(page),
                        fault,
                    },
                );
            }
        }
    }

    /// The log has lost records: whoever follows it has to be told.
    pub(crate) fn all_missed(&mut self) {
        for node in &mut self.nodes {
            node.missed.extend(&node.follows);
        }
    }

    /// A hub that has missed news is told where the logs stand.
    pub(crate) fn news_for_all(&mut self) {
        for node in 0..self.nodes.len() {
            let missed = std::mem::take(&mut self.nodes[node].missed);
            for partition in missed {
                if !self.nodes[node].follows.contains(&partition) {
                    continue;
                }
                let page = self.log.news(partition, self.log.head(partition).seq);
                let life = self.nodes[node].life;
                self.soon(
                    0,
                    Happening::Page {
                        node,
                        life,
                        partition,
                        token: None,
                        page: Ok(page),
                        fault: None,
                    },
                );
            }
        }
    }

    pub(crate) fn log_read(
        &mut self,
        node: usize,
        life: u32,
        token: ReadToken,
        partition: Partition,
        query: Query,
    ) {
        let fate = if self.is_cut_off(node) || self.disk.is_unsettled(partition) {
            ReadFate::Failed
        } else {
            self.log_faults.read(self.now, &mut self.nodes[node].rng)
        };
        let page = if fate == ReadFate::Failed {
            self.book.changed("a failed read");
            Err(ReadFailed::Unavailable)
        } else {
            let whole = self.log.read(partition, query);
            let mut page = self.log.read_from_disk(partition, query);
            if page.as_ref() != Ok(&whole) {
                self.book.changes("a damaged record");
            }
            if page.is_err() {
                self.book.saw("a read that begins with a damaged record");
            }
            let reads = &mut self.nodes[node].stale_reads;
            let before = reads.remove(&partition).unwrap_or(0);
            if let (ReadFate::Behind(behind), Ok(fresh)) = (fate, &page)
                && before < STALE_READS_MAX
            {
                let stale = self.log.read_behind(partition, query, behind);
                if *fresh == whole && stale != whole {
                    reads.insert(partition, before + 1);
                    page = Ok(self.stale(node, partition, stale));
                }
            }
            if self.forgets_the_tail() {
                page = Ok(self.log.read_behind(partition, query, Seq::MAX));
            }
            page
        };
        let after = self.log_delay(node);
        self.soon(
            after,
            Happening::Page {
                node,
                life,
                partition,
                token: Some(token),
                page,
                fault: None,
            },
        );
    }

    /// A page that shows less than there is, and perhaps less than this hub was told of.
    fn stale(&mut self, node: usize, partition: Partition, page: Page) -> Page {
        // The heads are compared now and then.
        self.nodes[node].missed.insert(partition);
        let told = self.nodes[node].heads_told.get(&partition);
        let falls =
            told.is_some_and(|told| told.epoch == page.head.epoch && told.seq > page.head.seq);
        self.book.changed(if falls {
            "a head that falls back"
        } else {
            "a stale read"
        });
        page
    }

    /// A piece of the log comes to a hub.
    pub(crate) fn deliver_page(
        &mut self,
        node: usize,
        partition: Partition,
        token: Option<ReadToken>,
        page: Result<Page, ReadFailed>,
        fault: Option<&'static str>,
    ) {
        self.book.note(|| match &page {
            Ok(page) => format!(
                "hub {node}: {partition:?}: {} page {}..+{} of {:?}",
                if token.is_some() { "a" } else { "news, a" },
                page.first,
                page.records.len(),
                page.head
            ),
            Err(_) => format!("hub {node}: {partition:?}: unreadable"),
        });
        let hub = self.nodes[node].hub.as_ref();
        let known = hub.and_then(|hub| hub.place_of(partition));
        if let (Some(fault), Ok(page)) = (fault, &page) {
            let new = known.is_none_or(|known| known != page.head);
            let before = self.nodes[node].appending.contains(&partition);
            let changed = match fault {
                "news before the answer" => new && before,
                "news twice" => true,
                _ => new,
            };
            if changed {
                self.book.changes(fault);
            }
        }
        if token.is_some() {
            self.passes_the_log();
            self.nodes[node].reads -= 1;
        }
        if let Ok(page) = &page {
            self.was_told(node, partition, page.head);
        }
        let input = Input::Page {
            partition,
            token,
            page,
        };
        self.hub_input(node, input);
    }

    /// A hub hears where a partition ends.
    pub(crate) fn was_told(&mut self, node: usize, partition: Partition, head: Place) {
        let told = self.nodes[node].heads_told.entry(partition).or_insert(head);
        if told.epoch != head.epoch || told.seq < head.seq {
            *told = head;
        }
    }

    /// The newest records of one partition, or of all, are lost.
    pub(crate) fn lose_tail(&mut self, pick: Option<u32>, records: u32) {
        let parts: Vec<_> = self
            .log
            .partitions()
            .map(|(partition, _)| partition)
            .collect();
        let only = pick
            .filter(|_| !parts.is_empty())
            .map(|pick| parts[pick as usize % parts.len()]);
        self.falls_back("a lost tail", |log| log.lose(only, records.into()));
    }

    /// An older copy takes the log's place.
    pub(crate) fn restore_log(&mut self) {
        self.falls_back("a restored log", crate::log::Log::restore_backup);
    }

    /// Something sets the log back, and begins another epoch.
    fn falls_back(&mut self, fault: &'static str, what: impl FnOnce(&mut crate::log::Log)) {
        self.trouble(0);
        self.losses += 1;
        let heads: BTreeMap<Partition, Seq> = self
            .log
            .partitions()
            .map(|(partition, kept)| (partition, kept.head().seq))
            .collect();
        what(&mut self.log);
        self.all_missed();
        let log = &self.log;
        let lost = |partition: Partition| {
            let before = heads.get(&partition).copied();
            before.is_some_and(|before| log.head(partition).seq < before)
        };
        let any = heads.keys().any(|partition| lost(*partition));
        let blocked = self.links.values_mut().filter(|link| {
            link.flag != crate::net::Flag::No
                && link.line.rooms().any(|room| lost(Partition::Room(room)))
        });
        for link in blocked {
            link.lost_while_blocked = true;
            self.book.saw("a lost tail while a reader was blocked");
        }
        self.fails(any, fault);
        self.absorb_all();
    }

    /// For a time one record is not what was written.
    pub(crate) fn damage(&mut self, pick: u32, seq: u32, ms: u32) {
        let parts: Vec<_> = self
            .log
            .partitions()
            .filter(|(_, kept)| kept.head().seq >= kept.oldest)
            .map(|(partition, kept)| (partition, kept.oldest..=kept.head().seq))
            .collect();
        let Some((partition, kept)) = parts.get(pick as usize % parts.len().max(1)) else {
            return;
        };
        let many = kept.end() - kept.start() + 1;
        let seq = kept.start() + u64::from(seq) % many;
        self.book.fault("a damaged record");
        self.trouble(ms);
        self.book
            .note(|| format!("{partition:?}: record {seq} is damaged"));
        self.log.damage(*partition, seq);
        self.soon(u64::from(ms) * MS, Happening::Restored(*partition, seq));
    }
}
