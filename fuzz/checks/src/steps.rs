//! The steps of a hub, as the fuzzer chooses them: small numbers that name people, rooms and
//! connections.

use arbitrary::Arbitrary;

/// One thing that happens.
#[derive(Arbitrary, Debug)]
pub(crate) enum Step {
    Connect {
        json: bool,
        stream: bool,
        address: u8,
    },
    Hello {
        conn: u8,
        who: u8,
        nick: u8,
        kept: bool,
        back: Back,
    },
    Ask {
        conn: u8,
        txn: Txn,
        ask: Ask,
    },
    Ping {
        conn: u8,
    },
    Bye {
        conn: u8,
    },
    Closed {
        conn: u8,
    },
    /// Anything at all.
    Raw {
        conn: u8,
        bytes: Vec<u8>,
    },
    Disconnect {
        conn: u8,
    },
    /// The peer stops reading, or reads all that waits and goes on.
    Reads {
        conn: u8,
        on: bool,
    },
    /// How the next append ends.
    Append(Ending),
    /// Held appends are done.
    Release,
    /// The next read fails.
    Unreadable,
    /// The log is lost; another begins, with another epoch.
    Lost,
    /// News of a partition that the hub has read already, or has not.
    News {
        room: u8,
        after: u8,
    },
    Pass {
        tenths: u8,
        long: bool,
    },
    /// Another hub says anything at all.
    Word {
        node: u8,
        bytes: Vec<u8>,
    },
    /// Another hub is gone.
    Gone {
        node: u8,
    },
    Shutdown {
        restarting: bool,
    },
}

/// Where somebody who comes back says they were.
#[derive(Arbitrary, Debug)]
pub(crate) enum Back {
    Nowhere,
    WhereTheyWere,
    Earlier(u8),
    Elsewhere { epoch: u8, seq: u8 },
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Txn {
    Next,
    Again(u8),
    None,
}

/// How an append ends.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Ending {
    Committed,
    /// The append waits for a release.
    Held,
    Mismatch,
    Unavailable,
    /// Nobody knows: it is in the log.
    UnknownDone,
    /// Nobody knows: it is not in the log.
    UnknownLost,
}

/// A request.
#[derive(Arbitrary, Debug)]
pub(crate) enum Ask {
    List {
        after: Option<u8>,
        limit: u8,
    },
    Nick {
        nick: u8,
        label: bool,
    },
    Register {
        room: Option<u8>,
    },
    Create {
        name: Option<u8>,
        cipher: u8,
        key: bool,
        since_joined: bool,
        presence: u8,
        password: bool,
    },
    Login {
        room: u8,
        right: bool,
    },
    Join {
        room: u8,
        by_number: bool,
        proof: bool,
    },
    Leave {
        room: u8,
    },
    Direct {
        to: Whom,
    },
    Send {
        room: u8,
        action: bool,
        form: u8,
        length: u8,
    },
    Members {
        room: u8,
        after: Option<u8>,
        limit: u8,
    },
    History {
        room: u8,
        from: u8,
        seq: u8,
        limit: u8,
    },
    Topic {
        room: u8,
        length: u8,
    },
    Role {
        room: u8,
        target: Whom,
        role: u8,
    },
    Kick {
        room: u8,
        target: Whom,
    },
    Ban {
        room: u8,
        target: Whom,
    },
    Unban {
        room: u8,
        target: Whom,
    },
    Mute {
        room: u8,
        target: Whom,
        seconds: Option<u8>,
    },
    Unmute {
        room: u8,
        target: Whom,
    },
    Password {
        room: u8,
        fresh: bool,
    },
    Block {
        room: u8,
        blocked: bool,
    },
    Redact {
        room: u8,
        who: u8,
        txn: u8,
        seq: u8,
    },
    Unknown {
        kind: u16,
        body: Vec<u8>,
    },
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Whom {
    Nick(u8),
    Member(u8),
}
