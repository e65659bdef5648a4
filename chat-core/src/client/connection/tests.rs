//! The connection alone: what the driver and the server do, and what is wanted then.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    id::{MemberId, SessionId},
    keys::{Nonce, PublicKey, Signature},
    limits::Limits,
    time::Wall,
    wire::{
        CloseReason, ErrorCode,
        client::{GuestHello, Open, Versions},
        server::Durability,
    },
};

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(30);

struct Line {
    connection: Connection,
    now: Monotonic,
    rng: ChaCha20Rng,
}

impl Line {
    fn new() -> Self {
        Self::of(Connection::new(None, false))
    }

    fn of(connection: Connection) -> Self {
        Self {
            connection,
            now: Monotonic(7),
            rng: ChaCha20Rng::from_seed([7; 32]),
        }
    }

    /// Welcomed.
    fn up() -> Self {
        let mut line = Self::new();
        assert_eq!(line.connection.start(), [Effect::Connect]);
        line.connect();
        line.connection.admit(line.now, INTERVAL);
        line
    }

    /// The driver has made the connection, and `open` is said.
    fn open(&mut self) {
        let effects = self
            .connection
            .connected(self.now, Framing::Message, Form::Postcard);
        assert_eq!(effects, [Effect::SayOpen]);
        let sent = self.connection.open(self.now, open());
        assert!(matches!(sent[..], [Effect::Send(_)]));
    }

    /// The server shows its key.
    fn challenged(&mut self) {
        let effects = self.say(challenge()).expect("it was asked for");
        assert!(matches!(effects[..], [Effect::Challenged(_)]));
    }

    /// The driver has made the connection, and `hello` is said.
    fn connect(&mut self) {
        self.open();
        self.challenged();
        let sent = self.connection.hello(self.now, &hello());
        assert!(matches!(sent[..], [Effect::Send(_)]));
    }

    fn disconnected(&mut self) -> Vec<Effect> {
        self.connection.disconnected(self.now, &mut self.rng)
    }

    /// Waits for the next try, which succeeds.
    fn come_back(&mut self) {
        self.now = self.connection.deadline().expect("there is another try");
        assert_eq!(self.connection.timeout(self.now), [Effect::Connect]);
        self.connect();
    }

    fn say(&mut self, message: ServerMessage) -> Result<Vec<Effect>, String> {
        self.connection.message(self.now, message)
    }

    fn closing(&mut self, reason: CloseReason) -> Vec<Effect> {
        let closing = Closing {
            reason,
            reconnect: reason.reconnect(),
            retry_after: None,
            text: String::new(),
        };
        let mut effects = self
            .say(ServerMessage::Closing(closing))
            .expect("at any time");
        assert!(
            matches!(effects.remove(0), Effect::Send(_)),
            "it is confirmed"
        );
        assert_eq!(effects.pop(), Some(Effect::Disconnect));
        effects
    }
}

fn open() -> Open {
    Open {
        versions: Versions { min: 1, max: 1 },
        nonce: Nonce([1; 32]),
        capabilities: Vec::new(),
    }
}

fn challenge() -> ServerMessage {
    ServerMessage::Challenge(Challenged {
        version: 1,
        nonce: Nonce([2; 32]),
        key: PublicKey([3; 32]),
        signature: Signature([4; 64]),
        time: Wall(0),
        capabilities: Vec::new(),
    })
}

fn hello() -> ClientMessage {
    ClientMessage::GuestHello(GuestHello {
        nick: "Adina".to_owned(),
        label: String::new(),
        agent: String::new(),
        secret: None,
        session: SessionId(1),
        resume: Vec::new(),
    })
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        capabilities: Vec::new(),
        agent: String::new(),
        member: MemberId([1; 16]),
        nick: "Adina".to_owned(),
        label: String::new(),
        limits: Limits::default().wire(),
        ping_interval: 30_000,
        durability: Durability::Memory,
        time: Wall(0),
        lobby: true,
        rooms: Vec::new(),
        proof: None,
        any_audience: false,
    }
}

fn failure(code: ErrorCode) -> ServerMessage {
    ServerMessage::Error(Failure {
        id: 0,
        code,
        temporary: code.is_temporary(),
        retry_after: None,
        text: String::new(),
    })
}

fn ended(ended: Ended) -> Vec<Effect> {
    vec![Effect::Lost, Effect::Ended(ended)]
}

#[test]
fn before_the_welcome_only_what_belongs_there_is_listened_to() {
    let mut line = Line::new();
    line.connection.start();
    line.connect();
    let pong = ServerMessage::Pong(Ping { nonce: 1 });
    assert_eq!(line.say(pong.clone()), Ok(Vec::new()));
    let early = ServerMessage::Error(Failure {
        id: 4,
        code: ErrorCode::Busy,
        temporary: true,
        retry_after: None,
        text: String::new(),
    });
    assert!(line.say(early).is_err());
    let said = line.say(ServerMessage::Welcome(welcome()));
    assert!(matches!(said.as_deref(), Ok([Effect::Welcome(_)])));
    line.connection.admit(line.now, INTERVAL);
    assert!(
        line.say(ServerMessage::Welcome(welcome())).is_err(),
        "there is one"
    );
}

#[test]
fn a_client_that_never_was_in_tries_once() {
    let mut line = Line::new();
    line.connection.start();
    assert_eq!(line.disconnected(), ended(Ended::CannotConnect));
    let mut line = Line::new();
    line.connection.start();
    line.connect();
    line.now = line
        .connection
        .deadline()
        .expect("the answer to hello is due");
    assert_eq!(line.connection.timeout(line.now), [Effect::Disconnect]);
    assert_eq!(line.disconnected(), ended(Ended::CannotConnect));
    assert!(line.connection.has_ended() && line.connection.deadline().is_none());
}

#[test]
fn a_hello_that_went_unanswered_may_be_what_replaces_the_client_once() {
    for (answered, comes_back) in [(false, true), (true, false)] {
        let mut line = Line::up();
        line.disconnected();
        line.come_back();
        if answered {
            line.connection.admit(line.now, INTERVAL);
        }
        line.disconnected();
        line.come_back();
        line.connection.admit(line.now, INTERVAL);
        line.closing(CloseReason::Replaced);
        let effects = line.disconnected();
        let retries = matches!(effects[..], [Effect::Lost, Effect::Retrying { .. }]);
        assert_eq!(retries, comes_back, "{effects:?}");
        if comes_back {
            line.come_back();
            line.connection.admit(line.now, INTERVAL);
            line.closing(CloseReason::Replaced);
            assert_eq!(
                line.disconnected(),
                ended(Ended::Closed(CloseReason::Replaced))
            );
        }
    }
}

#[test]
fn a_name_is_waited_for_with_and_without_a_connection() {
    let mut line = Line::up();
    line.disconnected();
    line.come_back();
    let refused = line.say(failure(ErrorCode::NickTaken));
    assert!(matches!(refused.as_deref(), Ok([Effect::Refused(_)])));
    assert!(line.connection.wants_name() && line.connection.deadline().is_none());
    assert_eq!(line.connection.rename(line.now), [Effect::SayHello]);
    assert!(!line.connection.wants_name());
    line.say(failure(ErrorCode::NickTaken))
        .expect("it may be refused again");
    assert!(line.closing(CloseReason::Idle).is_empty(), "of no interest");
    assert!(line.connection.wants_name());
    assert_eq!(line.disconnected(), [Effect::Lost]);
    assert!(line.connection.wants_name());
    assert_eq!(line.connection.rename(line.now), [Effect::Connect]);
}

#[test]
fn a_server_that_cannot_just_now_is_no_refusal_of_the_name() {
    let mut line = Line::up();
    line.disconnected();
    line.come_back();
    let later = line.say(failure(ErrorCode::Unavailable));
    assert_eq!(later, Ok(vec![Effect::Disconnect]));
    let effects = line.disconnected();
    assert!(matches!(
        effects[..],
        [Effect::Lost, Effect::Retrying { .. }]
    ));
}

#[test]
fn only_what_time_heals_brings_a_client_back_that_returns() {
    for reason in CloseReason::ALL {
        let mut line = Line::of(Connection::new(None, true));
        line.connection.start();
        line.connect();
        line.connection.admit(line.now, INTERVAL);
        let told = line.closing(*reason);
        let effects = line.disconnected();
        let retries = matches!(effects[..], [Effect::Lost, Effect::Retrying { .. }]);
        let gone = [
            CloseReason::Version,
            CloseReason::Protocol,
            CloseReason::FrameTooLarge,
            CloseReason::Replaced,
            CloseReason::Bye,
            CloseReason::TlsRequired,
        ];
        assert_eq!(retries, !gone.contains(reason), "{reason}");
        let Some(Effect::Closing(closing)) = told.first() else {
            panic!("{reason}: {told:?}")
        };
        assert_eq!(
            closing.reconnect, retries,
            "{reason}: the application is told which"
        );
    }
}

#[test]
fn a_bye_waits_two_seconds_for_the_servers_word() {
    let mut line = Line::up();
    let bye = line.connection.close(line.now);
    assert!(matches!(bye[..], [Effect::Send(_)]));
    let answer = ServerMessage::Error(Failure {
        id: 4,
        code: ErrorCode::Busy,
        temporary: true,
        retry_after: None,
        text: String::new(),
    });
    let said = line.say(answer);
    assert!(
        matches!(said.as_deref(), Ok([Effect::Said(_)])),
        "answers are heard yet"
    );
    assert_eq!(line.connection.deadline(), Some(line.now + 2 * SECOND));
    line.now = line.now + 2 * SECOND;
    assert_eq!(line.connection.timeout(line.now), [Effect::Disconnect]);
    line.now = line.now + 2 * SECOND;
    assert_eq!(
        line.connection.timeout(line.now),
        [Effect::Ended(Ended::Asked)]
    );
    assert!(line.disconnected().is_empty(), "told once");
}

#[test]
fn another_session_takes_another_connection_at_once() {
    let mut line = Line::up();
    assert_eq!(line.connection.renew(line.now), [Effect::Disconnect]);
    assert_eq!(line.disconnected(), [Effect::Lost, Effect::Connect]);
    let mut waiting = Line::up();
    waiting.disconnected();
    assert!(
        waiting.connection.renew(waiting.now).is_empty(),
        "the next hello says it"
    );
}

#[test]
fn what_makes_no_sense_ends_it_but_for_a_client_that_is_going() {
    let mut line = Line::up();
    assert_eq!(
        line.connection.fail(line.now, "x".to_owned()),
        [Effect::Disconnect]
    );
    assert!(line.connection.fail(line.now, "y".to_owned()).is_empty());
    assert_eq!(
        line.disconnected(),
        ended(Ended::ProtocolError("x".to_owned()))
    );
    let mut line = Line::up();
    line.connection.close(line.now);
    assert_eq!(
        line.connection.fail(line.now, "x".to_owned()),
        [Effect::Disconnect]
    );
    assert_eq!(line.disconnected(), ended(Ended::Asked));
}

#[test]
fn an_empty_message_is_none_of_the_protocols() {
    let mut line = Line::up();
    assert!(line.connection.next(&mut Some(&[])).is_err());
    assert_eq!(line.connection.next(&mut None), Ok(None));
}

#[test]
fn credentials_are_waited_for_and_then_hello_is_said() {
    let mut line = Line::new();
    line.connection.start();
    line.open();
    assert!(!line.connection.is_identifying());
    line.challenged();
    line.connection.identify(line.now);
    assert!(line.connection.is_identifying());
    assert!(line.say(challenge()).is_err(), "a second one");
    let sent = line.connection.hello(line.now, &hello());
    assert!(matches!(sent[..], [Effect::Send(_)]));
    assert!(!line.connection.is_identifying());
    assert!(matches!(
        line.say(ServerMessage::Welcome(welcome())).as_deref(),
        Ok([Effect::Welcome(_)])
    ));
}

#[test]
fn a_server_that_is_refused_is_left_for_good() {
    let mut line = Line::new();
    line.connection.start();
    line.open();
    line.challenged();
    line.connection.identify(line.now);
    let left = line.connection.refuse_server(line.now, Ended::Distrusted);
    assert_eq!(left, [Effect::Disconnect]);
    assert_eq!(
        line.disconnected(),
        [Effect::Lost, Effect::Ended(Ended::Distrusted)]
    );
    // One that is entered already is not left by a late word of the driver.
    let mut line = Line::up();
    assert_eq!(
        line.connection.refuse_server(line.now, Ended::Distrusted),
        []
    );
}

#[test]
fn a_server_that_does_not_answer_open_is_given_up() {
    for identifying in [false, true] {
        let mut line = Line::up();
        line.disconnected();
        line.now = line.connection.deadline().expect("there is another try");
        line.connection.timeout(line.now);
        line.open();
        if identifying {
            line.challenged();
            line.connection.identify(line.now);
        }
        line.now = line.connection.deadline().expect("it is waited for");
        assert_eq!(line.connection.timeout(line.now), [Effect::Disconnect]);
        assert!(matches!(
            line.disconnected()[..],
            [Effect::Lost, Effect::Retrying { .. }]
        ));
    }
}

#[test]
fn a_connection_that_comes_while_it_is_called_off_is_ended() {
    let mut line = Line::new();
    assert_eq!(line.connection.start(), [Effect::Connect]);
    assert_eq!(line.connection.close(line.now), [Effect::Disconnect]);
    let late = line
        .connection
        .connected(line.now, Framing::Message, Form::Postcard);
    assert_eq!(late, [Effect::Disconnect]);
    // The driver says nothing that was not asked for.
    let mut line = Line::up();
    let again = line
        .connection
        .connected(line.now, Framing::Message, Form::Postcard);
    assert_eq!(again, []);
}

#[test]
fn what_is_not_connected_is_not_disconnected_when_it_is_given_up() {
    let ended = || Effect::Ended(Ended::Asked);
    assert_eq!(Line::new().connection.abort(), [ended()]);
    let mut line = Line::up();
    line.disconnected();
    assert!(line.connection.deadline().is_some(), "it waits");
    assert_eq!(line.connection.abort(), [ended()]);
    assert_eq!(line.connection.abort(), []);
    let connected = Line::up().connection.abort();
    assert_eq!(connected, [Effect::Disconnect, ended()]);
}
