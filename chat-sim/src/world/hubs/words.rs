//! Words among hubs, which no log has. The words of one come to another in the order in
//! which they were said. Some are lost: then the hub that was to hear them takes the other for
//! lost, and hears of it anew.

use bytes::Bytes;
use chat_core::hub::Input;

use super::Hubs;
use crate::{
    happening::{Happening, HubDue},
    turn::Turn,
};

/// One hub's news of another.
#[derive(Debug)]
pub(super) enum Word {
    Said {
        node: u64,
        bytes: Bytes,
    },
    /// The other hub is gone, or cannot be heard.
    Lost {
        node: u64,
    },
}

impl Hubs {
    /// A hub says something to all others.
    pub(crate) fn spread_word(&mut self, turn: &mut Turn, from: usize, bytes: &Bytes) {
        let node = self.nodes[from].name();
        for to in 0..self.nodes.len() {
            if to == from || self.nodes[to].hub.is_none() {
                continue;
            }
            let bytes = bytes.clone();
            self.send_word(turn, from, to, Word::Said { node, bytes });
        }
    }

    /// A hub's process is gone, and its name with it: those who have heard of it hear so.
    pub(crate) fn is_lost(&mut self, turn: &mut Turn, hub: usize) {
        let node = self.nodes[hub].name();
        self.nodes[hub].words.clear();
        for to in 0..self.nodes.len() {
            if to != hub && self.nodes[to].hub.is_some() {
                self.send_word(turn, hub, to, Word::Lost { node });
            }
        }
        self.nodes[hub].starts += 1;
    }

    fn send_word(&mut self, turn: &mut Turn, from: usize, to: usize, word: Word) {
        let usual = turn.delay();
        // Hubs of one process are near.
        let most = if turn.shape.disk { usual / 8 } else { usual };
        let after = turn.rngs[to].below(most + 1);
        let node = &mut self.nodes[to];
        node.words.entry(from).or_default().push_back(word);
        let life = node.life;
        turn.soon(after, Happening::Hub(to, HubDue::Word { from, life }));
    }

    /// The next word of one hub comes to another.
    pub(crate) fn next_word(
        &mut self,
        turn: &mut Turn,
        from: usize,
        to: usize,
        life: u32,
    ) -> Option<Input<'static>> {
        let node = &mut self.nodes[to];
        if node.life != life {
            return None;
        }
        let word = node.words.get_mut(&from)?.pop_front()?;
        turn.book.note(|| match &word {
            Word::Said { node, bytes } => format!("hub {to} hears of {node}: {bytes:?}"),
            Word::Lost { node } => format!("hub {to} hears that {node} is lost"),
        });
        Some(match word {
            Word::Said { node, bytes } => Input::Word { from: node, bytes },
            Word::Lost { node } => Input::Lost { node },
        })
    }
}
