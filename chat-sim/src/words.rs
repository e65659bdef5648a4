//! Words among hubs, which no log has. The words of one come to another in the order in
//! which they were said. Some are lost: then the hub that was to hear them takes the other for
//! lost, and hears of it anew.

use bytes::Bytes;
use chat_core::hub::Input;

use crate::world::{Happening, World};

/// One hub's news of another.
#[derive(Debug)]
pub(crate) enum Word {
    Said {
        node: u64,
        bytes: Bytes,
    },
    /// The other hub is gone, or cannot be heard.
    Lost {
        node: u64,
    },
}

impl World {
    /// A hub says something to all others.
    pub(crate) fn spread_word(&mut self, from: usize, bytes: &Bytes) {
        let node = self.nodes[from].name();
        for to in 0..self.nodes.len() {
            if to == from || self.nodes[to].hub.is_none() {
                continue;
            }
            let bytes = bytes.clone();
            self.send_word(from, to, Word::Said { node, bytes });
        }
    }

    /// A hub's process is gone, and its name with it: those who have heard of it hear so.
    pub(crate) fn is_lost(&mut self, hub: usize) {
        let node = self.nodes[hub].name();
        self.nodes[hub].words.clear();
        for to in 0..self.nodes.len() {
            if to != hub && self.nodes[to].hub.is_some() {
                self.send_word(hub, to, Word::Lost { node });
            }
        }
        self.nodes[hub].starts += 1;
    }

    fn send_word(&mut self, from: usize, to: usize, word: Word) {
        let after = self.word_delay(to);
        let node = &mut self.nodes[to];
        node.words.entry(from).or_default().push_back(word);
        let life = node.life;
        self.soon(after, Happening::Word { from, to, life });
    }

    fn word_delay(&mut self, to: usize) -> u64 {
        let usual = u64::from(self.plan.shape.delay_us) * 1_000;
        // Hubs of one process are near.
        let most = if self.plan.shape.disk {
            usual / 8
        } else {
            usual
        };
        self.nodes[to].rng.below(most + 1)
    }

    /// The next word of one hub comes to another.
    pub(crate) fn deliver_word(&mut self, from: usize, to: usize, life: u32) {
        let node = &mut self.nodes[to];
        if node.life != life {
            return;
        }
        let Some(word) = node
            .words
            .get_mut(&from)
            .and_then(|words| words.pop_front())
        else {
            return;
        };
        self.book.note(|| match &word {
            Word::Said { node, bytes } => format!("hub {to} hears of {node}: {bytes:?}"),
            Word::Lost { node } => format!("hub {to} hears that {node} is lost"),
        });
        match word {
            Word::Said { node, bytes } => self.hub_input(to, Input::Word { from: node, bytes }),
            Word::Lost { node } => self.hub_input(to, Input::Lost { node }),
        }
    }
}
