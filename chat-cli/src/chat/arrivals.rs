//! What is said in a room while the last lines from before are still on their way: it is shown after them.

use std::collections::BTreeMap;

use chat_core::{client::Text, id::RoomId, wire::Record};

/// A record that came, and what it says.
pub(crate) type Heard = (Record, Option<Text>);

/// Rooms that were entered, and whose last lines are not there yet.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(BTreeMap<RoomId, Vec<Heard>>);

impl Arrivals {
    /// The last lines are asked for: what comes from here on is newer than all of them.
    pub(crate) fn ask(&mut self, room: RoomId) {
        self.0.entry(room).or_default();
    }

    /// Keeps what was heard if it has to wait, or gives it back.
    pub(crate) fn hear(&mut self, room: RoomId, heard: Heard) -> Option<Heard> {
        match self.0.get_mut(&room) {
            Some(waiting) => {
                waiting.push(heard);
                None
            }
            None => Some(heard),
        }
    }

    /// Nothing is waited for any more: what has waited, in its order.
    pub(crate) fn end(&mut self, room: RoomId) -> Vec<Heard> {
        self.0.remove(&room).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use bytes::Bytes;
    use chat_core::{
        client::Command,
        id::{MemberId, Partition, PartitionKind, Place, RoomId},
        log::{
            Appended, Head, LogUnavailable, Manifest, Page, Query, ReadFailed, ReadFrom, SnapshotId,
        },
        wire::{client::RoomRef, server::Durability},
    };
    use chat_runtime::{Client, Log, MemoryLog, Server, client_config, memory};
    use tokio::sync::Semaphore;

    use crate::{
        chat::{
            input::Input,
            names::Names,
            screen::Screen,
            talk::{Me, Talk},
            voice::Voice,
        },
        command_line::Format,
        signals::Signals,
    };

    /// A log that reads backwards only as often as it may.
    struct Slow {
        log: MemoryLog,
        may: Arc<Semaphore>,
    }

    #[async_trait]
    impl Log for Slow {
        fn durability(&self) -> Durability {
            self.log.durability()
        }
        async fn append(
            &self,
            room: Partition,
            at: Place,
            entries: Vec<Bytes>,
            note: Bytes,
        ) -> Appended {
            self.log.append(room, at, entries, note).await
        }
        async fn read(&self, room: Partition, query: Query) -> Result<Page, ReadFailed> {
            if let ReadFrom::Before(_) | ReadFrom::Latest = query.from {
                self.may.acquire().await.unwrap().forget();
            }
            self.log.read(room, query).await
        }
        async fn heads(
            &self,
            kind: PartitionKind,
            after: Option<Partition>,
            limit: u32,
        ) -> Result<Vec<Head>, LogUnavailable> {
            self.log.heads(kind, after, limit).await
        }
        async fn notes_of(&self, rooms: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
            self.log.notes_of(rooms).await
        }
        async fn part(
            &self,
            room: Partition,
            id: SnapshotId,
            index: u32,
            bytes: Bytes,
        ) -> Result<(), LogUnavailable> {
            self.log.part(room, id, index, bytes).await
        }
        async fn manifest(&self, room: Partition, manifest: Manifest) {
            self.log.manifest(room, manifest).await;
        }
        async fn read_part(
            &self,
            room: Partition,
            id: SnapshotId,
            index: u32,
        ) -> Result<Bytes, ReadFailed> {
            self.log.read_part(room, id, index).await
        }
        async fn redact(
            &self,
            room: Partition,
            at: Place,
            by: Bytes,
        ) -> Result<(), LogUnavailable> {
            self.log.redact(room, at, by).await
        }
    }

    #[tokio::test]
    async fn what_is_said_while_the_last_lines_are_on_their_way_comes_after_them() {
        let may = Arc::new(Semaphore::new(0));
        let log = Slow {
            log: MemoryLog::new().unwrap(),
            may: Arc::clone(&may),
        };
        let (transport, connector) = memory::listener();
        let _server = Server::builder()
            .listen(transport)
            .log(log)
            .start()
            .unwrap();
        let join = || Command::Join {
            room: RoomRef::Lobby,
            password: None,
            key: None,
            unsealed_too: false,
        };
        let (ada, events) = Client::connect(connector.clone(), client_config("Ada").unwrap());
        drop(events);
        ada.command(join()).await.unwrap();
        let say = async |text: &str| ada.send(RoomId::LOBBY, text).await.unwrap().place.seq;
        say("one").await;
        say("two").await;

        let (screen, shown) = Screen::kept();
        let mut voice = Voice::new(screen, Format::Text);
        let (client, events) = Client::connect(connector, client_config("Berl").unwrap());
        let (input, signals) = (Input::nobody(), Signals::new().unwrap());
        let me = Me {
            member: MemberId([0; 16]),
            nick: "Berl".to_owned(),
            label: String::new(),
        };
        let mut talk = Talk::new(
            client,
            events,
            input,
            signals,
            &mut voice,
            Names::default(),
            me,
        );
        talk.command(join()).await.unwrap().unwrap();
        say("three").await;
        let four = say("four").await;
        // They are here, and the page is not.
        let seen = |talk: &Talk<'_>| talk.said.last_named(RoomId::LOBBY, "Ada");
        while seen(&talk).map(|(seq, _)| seq) != Some(four) {
            talk.until(tokio::task::yield_now()).await.unwrap();
        }
        assert!(
            !shown
                .lock()
                .unwrap()
                .iter()
                .any(|line| line.contains("Ada: "))
        );
        may.add_permits(1);
        while !talk.jobs.is_empty() {
            talk.until(tokio::task::yield_now()).await.unwrap();
        }
        say("five").await;
        while !shown
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("five"))
        {
            talk.until(tokio::task::yield_now()).await.unwrap();
        }
        let said = shown.lock().unwrap();
        let said: Vec<&str> = said
            .iter()
            .filter_map(|line| Some(line.split_once("Ada: ")?.1))
            .collect();
        assert_eq!(said, ["one", "two", "three", "four", "five"]);
    }
}
