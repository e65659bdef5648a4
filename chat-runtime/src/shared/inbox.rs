//! News among the hubs of one server: new places in the log, and words.

#[cfg(not(all(test, chat_loom)))]
use std::sync::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::PoisonError,
    task::Waker,
};

use bytes::Bytes;
use chat_core::{
    hub::Input,
    id::{Partition, Place},
    log::Page,
};
#[cfg(not(all(test, chat_loom)))]
use futures_util::task::AtomicWaker;
#[cfg(all(test, chat_loom))]
use loom::{
    future::AtomicWaker,
    sync::{Mutex, MutexGuard},
};

/// News that may wait for a hub, and their bytes; beyond that it is told only that there is
/// something to read.
const WAITING: usize = 4_096;
const WAITING_BYTES: usize = 4 * 1_024 * 1_024;

/// Bytes of words that may wait for a hub; beyond that it takes the hubs that spoke for lost, and
/// asks them anew.
const WORD_BYTES: usize = 4 * 1_024 * 1_024;

/// News for a hub.
#[derive(Debug)]
pub(crate) enum News {
    /// Records that others appended.
    Page { partition: Partition, page: Page },
    /// Another hub says something.
    Word { from: u64, bytes: Bytes },
    /// Another hub has died, or its words were too many.
    Lost { node: u64 },
}

impl News {
    /// The word for the hub.
    pub(crate) fn input(self) -> Input<'static> {
        match self {
            Self::Page { partition, page } => Input::Page {
                partition,
                token: None,
                page: Ok(page),
            },
            Self::Word { from, bytes } => Input::Word { from, bytes },
            Self::Lost { node } => Input::Lost { node },
        }
    }
}

/// The news that a hub has not taken yet. It is woken once for all of them.
#[derive(Debug)]
pub(super) struct Inbox {
    /// None once the hub has died: it takes nothing any more.
    waiting: Mutex<Option<Waiting>>,
    driver: AtomicWaker,
}

#[derive(Debug, Default)]
struct Waiting {
    news: Vec<News>,
    pages: usize,
    page_bytes: usize,
    word_bytes: usize,
    /// Of partitions whose news were too many.
    heads: BTreeMap<Partition, Place>,
    /// Hubs whose words were too many.
    lost: BTreeSet<u64>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.news.is_empty() && self.heads.is_empty() && self.lost.is_empty()
    }

    fn page(&mut self, partition: Partition, page: &Page) {
        if self.pages < WAITING && self.page_bytes < WAITING_BYTES {
            self.pages += 1;
            self.page_bytes += page.records.iter().map(Bytes::len).sum::<usize>();
            let page = page.clone();
            self.news.push(News::Page { partition, page });
        } else {
            self.heads.insert(partition, page.head);
        }
    }

    fn word(&mut self, from: u64, bytes: &Bytes) {
        if self.word_bytes < WORD_BYTES && !self.lost.contains(&from) {
            self.word_bytes += bytes.len();
            let bytes = bytes.clone();
            self.news.push(News::Word { from, bytes });
        } else {
            self.lost.insert(from);
        }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Some(Waiting::default())),
            driver: AtomicWaker::new(),
        }
    }
}

impl Inbox {
    /// Wakes this when there are news. Said before [`take`](Self::take).
    pub(super) fn register(&self, driver: &Waker) {
        #[cfg(not(all(test, chat_loom)))]
        self.driver.register(driver);
        #[cfg(all(test, chat_loom))]
        self.driver.register_by_ref(driver);
    }

    /// The news since the last were taken.
    pub(super) fn take(&self, to: &mut impl Extend<News>) {
        let Some(waiting) = self.lock().as_mut().map(mem::take) else {
            return;
        };
        to.extend(waiting.news);
        to.extend(waiting.heads.into_iter().map(|(partition, head)| {
            let page = Page::look_again(head);
            News::Page { partition, page }
        }));
        // A hub that is heard again is asked who is there, whatever it says.
        to.extend(waiting.lost.into_iter().flat_map(|node| {
            let bytes = Bytes::new();
            [News::Lost { node }, News::Word { from: node, bytes }]
        }));
    }

    /// Records were appended.
    pub(super) fn push_page(&self, partition: Partition, page: &Page) {
        self.push(|waiting| waiting.page(partition, page));
    }

    /// Another hub says something.
    pub(super) fn push_word(&self, from: u64, bytes: &Bytes) {
        self.push(|waiting| waiting.word(from, bytes));
    }

    /// Another hub has died, and says nothing more.
    pub(super) fn push_lost(&self, node: u64) {
        self.push(|waiting| {
            // A dead hub is not to be asked anew.
            waiting.lost.remove(&node);
            waiting.news.push(News::Lost { node });
        });
    }

    /// The hub has died, and takes nothing any more.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn push(&self, add: impl FnOnce(&mut Waiting)) {
        let mut inbox = self.lock();
        let Some(waiting) = &mut *inbox else {
            return;
        };
        let first = waiting.is_empty();
        add(waiting);
        drop(inbox);
        if first {
            self.driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In each order in which the threads may run.
#[cfg(all(test, chat_loom))]
mod orders {
    use std::{future::poll_fn, task::Poll};

    use loom::{future::block_on, model::Builder, sync::Arc, thread};

    use super::*;

    /// In each order with so many changes from a thread that could go on.
    fn all_orders(of: impl Fn() + Sync + Send + 'static) {
        let mut builder = Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(of);
    }

    #[test]
    fn a_hub_is_woken_for_all_that_others_say() {
        all_orders(|| {
            let inbox = Arc::new(Inbox::default());
            let others = [5, 6].map(|from| {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.push_word(from, &Bytes::from_static(b"here")))
            });
            let mut news = Vec::new();
            // A word that woke nobody would leave this asleep for ever, which is an error.
            block_on(poll_fn(|context| {
                inbox.register(context.waker());
                inbox.take(&mut news);
                match news.len() {
                    2 => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }));
            for other in others {
                other.join().unwrap();
            }
        });
    }

    #[test]
    fn what_a_hub_said_comes_before_its_death_or_not_at_all() {
        all_orders(|| {
            let inbox = Arc::new(Inbox::default());
            let other = {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || {
                    inbox.push_word(5, &Bytes::from_static(b"here"));
                    inbox.push_lost(5);
                })
            };
            let closes = {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.close())
            };
            let mut news = Vec::new();
            inbox.take(&mut news);
            other.join().unwrap();
            closes.join().unwrap();
            inbox.take(&mut news);
            assert!(matches!(
                news[..],
                [] | [News::Word { .. }] | [News::Word { .. }, News::Lost { node: 5 }]
            ));
        });
    }
}

#[cfg(all(test, not(chat_loom)))]
mod tests {
    use chat_core::id::RoomId;

    use super::*;

    const ROOM: Partition = Partition::Room(RoomId([7; 16]));

    fn page(seq: u64) -> Page {
        let head = Place { epoch: 1, seq };
        let records = vec![Bytes::from(vec![0; 1_024])];
        let first = seq;
        Page {
            first,
            records,
            ..Page::look_again(head)
        }
    }

    fn taken(inbox: &Inbox) -> Vec<News> {
        let mut news = Vec::new();
        inbox.take(&mut news);
        news
    }

    #[test]
    fn words_and_records_come_in_their_order() {
        let inbox = Inbox::default();
        inbox.push_word(5, &Bytes::from_static(b"one"));
        inbox.push_page(ROOM, &page(1));
        inbox.push_word(5, &Bytes::from_static(b"two"));
        let news = taken(&inbox);
        let [
            News::Word {
                from: 5,
                bytes: one,
            },
            News::Page { .. },
            News::Word {
                from: 5,
                bytes: two,
            },
        ] = &news[..]
        else {
            panic!("{news:?}");
        };
        assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
        assert!(taken(&inbox).is_empty());
    }

    #[test]
    fn what_a_hub_said_before_its_death_comes_before_it() {
        let inbox = Inbox::default();
        inbox.push_word(5, &Bytes::from_static(b"here"));
        inbox.push_lost(5);
        let news = taken(&inbox);
        assert!(
            matches!(news[..], [News::Word { .. }, News::Lost { node: 5 }]),
            "{news:?}"
        );
        inbox.close();
        for _ in 0..2 {
            inbox.push_word(6, &Bytes::from_static(b"here"));
            assert!(taken(&inbox).is_empty(), "the dead take nothing");
        }
    }

    /// A hub that said too much and then died is not asked anew.
    #[test]
    fn a_death_comes_after_words_that_were_too_many() {
        let inbox = Inbox::default();
        let large = Bytes::from(vec![0; WORD_BYTES]);
        inbox.push_word(5, &large);
        inbox.push_word(5, &large);
        inbox.push_lost(5);
        let news = taken(&inbox);
        assert!(
            matches!(news[..], [News::Word { .. }, News::Lost { node: 5 }]),
            "{news:?}"
        );
    }

    #[test]
    fn of_too_many_records_the_last_place_is_told() {
        let inbox = Inbox::default();
        for seq in 1..=5_000 {
            inbox.push_page(ROOM, &page(seq));
        }
        let news = taken(&inbox);
        assert_eq!(news.len(), WAITING + 1);
        let Some(News::Page { page, .. }) = news.last() else {
            panic!("{news:?}");
        };
        assert_eq!((page.head.seq, page.records.len()), (5_000, 0));
    }

    /// A hub that says too much is lost and there again; nothing that it says meanwhile comes
    /// before that.
    #[test]
    fn of_too_many_words_it_is_told_that_some_are_lost() {
        let inbox = Inbox::default();
        let large = Bytes::from(vec![0; WORD_BYTES / 4]);
        for _ in 0..6 {
            inbox.push_word(5, &large);
        }
        inbox.push_word(5, &Bytes::from_static(b"late"));
        inbox.push_word(6, &Bytes::from_static(b"late"));
        let news = taken(&inbox);
        let (kept, end) = news.split_at(4);
        let is_large =
            |news: &News| matches!(news, News::Word { from: 5, bytes } if *bytes == large);
        assert!(kept.iter().all(is_large));
        let [
            News::Lost { node: 5 },
            News::Word {
                from: 5,
                bytes: five,
            },
            News::Lost { node: 6 },
            News::Word {
                from: 6,
                bytes: six,
            },
        ] = end
        else {
            panic!("{end:?}");
        };
        assert!(five.is_empty() && six.is_empty());
        inbox.push_word(5, &Bytes::from_static(b"again"));
        assert_eq!(taken(&inbox).len(), 1);
    }
}
