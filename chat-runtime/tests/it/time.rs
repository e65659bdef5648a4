//! Time and randomness are the embedder's: what takes ten minutes is tested in paused time, and
//! what is random is the same for the same seed.

use std::{sync::Arc, time::Duration};

use chat_runtime::{
    Client, Clock, Command, CommandError, Create, Events, MemoryLog, Outcome, RoomId, RoomRef,
    Server, SystemClock, TokioClock,
    chat_core::{
        client::{ClientConfig, ClientEvent, Credentials},
        hub::Event,
        id::Secret,
        keys::DeviceKeys,
        time::{Now, Wall},
        wire::{ErrorCode, client::Peer, server::Committed},
    },
    memory::{self, MemoryConnector},
};
use tokio::time::{Instant, sleep};

/// 2023-11-14, in the evening.
const EVENING: Wall = Wall(1_700_000_000_000);

const MINUTE: Duration = Duration::from_secs(60);

/// A server and the clients that reach it, all by one clock and nothing of the system's.
struct House {
    clock: Arc<dyn Clock>,
    server: Server,
    connector: MemoryConnector,
}

impl House {
    fn start(clock: impl Clock, seed: [u8; 32], log: Option<Arc<MemoryLog>>) -> Self {
        let (transport, connector) = memory::listener();
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let mut builder = Server::builder()
            .clock(Arc::clone(&clock))
            .seed(seed)
            .listen(transport);
        if let Some(log) = log {
            builder = builder.log(log);
        }
        Self {
            clock,
            server: builder.start().unwrap(),
            connector,
        }
    }

    async fn enter(&self, nick: &str) -> (Client, Events) {
        let mut secret = [0; 32];
        secret[..nick.len()].copy_from_slice(nick.as_bytes());
        let keys = DeviceKeys::from_secret(&Secret(secret));
        let config = ClientConfig::new(nick, Credentials::kept(keys), secret);
        let (client, events) = Client::builder(self.connector.clone(), config)
            .clock(Arc::clone(&self.clock))
            .connect();
        client.ready().await.unwrap();
        (client, events)
    }
}

async fn mute(owner: &Client, room: RoomId, nick: &str, time: Duration) -> Committed {
    let mute = Command::Mute {
        room,
        target: Peer::Nick(nick.to_owned()),
        seconds: Some(u32::try_from(time.as_secs()).unwrap()),
    };
    match owner.command(mute).await {
        Ok(Outcome::Committed(committed)) => committed,
        other => panic!("{other:?}"),
    }
}

/// Says something once a second until that is allowed; says how long that took.
async fn silence(guest: &Client, room: RoomId) -> Duration {
    let begun = Instant::now();
    loop {
        match guest.send(room, "and now?").await {
            Ok(_) => return begun.elapsed(),
            Err(CommandError::Refused(failure)) => assert_eq!(failure.code, ErrorCode::Muted),
            Err(other) => panic!("{other:?}"),
        }
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_mute_of_ten_minutes_lasts_ten_minutes() {
    let house = House::start(TokioClock::starting_at(EVENING), [1; 32], None);
    let (owner, mut events) = house.enter("owner").await;
    let room = owner.create(Create::default()).await.unwrap();
    let (guest, _events) = house.enter("guest").await;
    let number = RoomRef::Number(room.number.unwrap());
    guest.join(number).await.unwrap();
    guest.send(room.room, "hello").await.unwrap();
    sleep(MINUTE).await;
    mute(&owner, room.room, "guest", 10 * MINUTE).await;
    let silent = silence(&guest, room.room).await;
    assert!(
        (Duration::from_secs(599)..=Duration::from_secs(601)).contains(&silent),
        "{silent:?}"
    );
    // Messages carry the time of the clock that was given, and none of the system's.
    let (mut said, mut times) = (0, Vec::new());
    while said < 2 {
        if let Some(ClientEvent::Record { record, text, .. }) = events.next().await {
            said += usize::from(text.is_some());
            times.push(record.time - EVENING);
        }
    }
    assert!(times.first().unwrap() < &MINUTE, "{times:?}");
    let last = *times.last().unwrap();
    assert!(
        (11 * MINUTE..12 * MINUTE).contains(&last),
        "{last:?} of {times:?}"
    );
    house.server.stop().await;
}

/// How long there was no server, the wall clock says that its embedder gives it.
#[tokio::test(start_paused = true)]
async fn a_mute_goes_on_while_there_is_no_server() {
    let log = Arc::new(MemoryLog::new().unwrap());
    let first = House::start(
        TokioClock::starting_at(EVENING),
        [1; 32],
        Some(Arc::clone(&log)),
    );
    let (owner, _events) = first.enter("owner").await;
    let room = owner.create(Create::default()).await.unwrap();
    let (guest, _events) = first.enter("guest").await;
    let number = RoomRef::Number(room.number.unwrap());
    guest.join(number).await.unwrap();
    mute(&owner, room.room, "guest", 10 * MINUTE).await;
    sleep(2 * MINUTE).await;
    let stopped = first.clock.now().wall;
    first.server.stop().await;
    drop((owner, guest, first));

    let second = House::start(
        TokioClock::starting_at(stopped + 3 * MINUTE),
        [2; 32],
        Some(log),
    );
    let (guest, _events) = second.enter("guest").await;
    guest.join(number).await.unwrap();
    let silent = silence(&guest, room.room).await;
    let expected = 5 * MINUTE;
    assert!(
        silent.abs_diff(expected) < Duration::from_secs(5),
        "{silent:?}"
    );
}

/// The events of a server in its first minute: ids, numbers, times, in order.
async fn story(seed: [u8; 32]) -> Vec<String> {
    let house = House::start(TokioClock::starting_at(EVENING), seed, None);
    let mut events = house.server.events();
    let (owner, _owner_events) = house.enter("owner").await;
    let mut story = Vec::new();
    for _ in 0..3 {
        let view = owner.create(Create::default()).await.unwrap();
        sleep(MINUTE / 10).await;
        let said = owner.send(view.room, "first").await.unwrap();
        story.push(format!("{view:?} {said:?}"));
    }
    house.server.stop().await;
    while let Some((at, event)) = events.next_timed().await {
        if !matches!(event, Event::Connected { .. }) {
            story.push(format!("{at:?} {event:?}"));
        }
    }
    story
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_story() {
    let first = story([7; 32]).await;
    assert_eq!(first, story([7; 32]).await);
    let other = story([8; 32]).await;
    assert_eq!(first.len(), other.len());
    assert!(first[0] != other[0], "ids and epochs are random");
}

#[tokio::test]
async fn without_a_clock_it_is_the_systems() {
    let Now { wall, .. } = SystemClock::new().now();
    let now = Wall(0) + std::time::UNIX_EPOCH.elapsed().unwrap();
    assert!(now - wall < MINUTE && wall - now < MINUTE);
    let (transport, connector) = memory::listener();
    let server = Server::builder().listen(transport).start().unwrap();
    let (client, _events) = Client::connect(connector, chat_runtime::client_config("ada").unwrap());
    client.ready().await.unwrap();
    let (at, _) = server.events().next_timed().await.unwrap();
    assert!(at - now < MINUTE && now - at < MINUTE);
}
