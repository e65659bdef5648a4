//! A link between client and server that can be cut: at once, or after so many more bytes.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use crate::LIMIT;

/// Forwards connections to a server until it is cut; then it turns everybody away until it is
/// restored.
#[derive(Debug)]
pub struct Link {
    /// Where it listens.
    pub address: String,
    shared: Arc<Shared>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    server: String,
    cut: bool,
    /// The way and the bytes after which it will be cut.
    budget: Option<(Direction, usize)>,
    connections: Vec<TcpStream>,
    /// Clients turned away since it was cut.
    turned_away: usize,
}

impl Link {
    /// A link to this server.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback interface");
        let address = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared::default());
        shared.lock().server = server.to_owned();
        let through = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                through.accept(near);
            }
        });
        Self { address, shared }
    }

    /// Cuts it.
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        state.cut();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Cuts it once so many more bytes have gone that way; with 0, in place of the next byte.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.shared.lock().budget = Some((direction, bytes));
    }

    /// Waits until it is cut.
    pub fn until_cut(&self) {
        self.shared.wait("the link is not cut", |state| state.cut);
    }

    /// Waits until so many clients have been turned away since the cut.
    pub fn until_turned_away(&self, times: usize) {
        self.shared
            .wait("nobody tries again", |state| state.turned_away >= times);
    }

    /// Lets everybody through again.
    pub fn restore(&self) {
        let mut state = self.shared.lock();
        state.cut = false;
        state.turned_away = 0;
    }

    /// Leads to another server from now on.
    pub fn lead_to(&self, server: &str) {
        self.shared.lock().server = server.to_owned();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, failure: &str, is: impl Fn(&State) -> bool) {
        let end = Instant::now() + LIMIT;
        let mut state = self.lock();
        while !is(&state) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{failure}");
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn accept(self: &Arc<Self>, near: TcpStream) {
        let mut state = self.lock();
        // A server that is not there is a link that is cut.
        let far = (!state.cut)
            .then(|| TcpStream::connect(&state.server).ok())
            .flatten();
        let Some(far) = far else {
            state.turned_away += 1;
            drop(state);
            return self.changed.notify_all();
        };
        for (from, to, direction) in [(&near, &far, Direction::Up), (&far, &near, Direction::Down)]
        {
            let clone = |stream: &TcpStream| stream.try_clone().expect("a handle more");
            self.forward(clone(from), clone(to), direction);
        }
        state.connections.extend([near, far]);
    }

    fn forward(self: &Arc<Self>, mut from: TcpStream, mut to: TcpStream, direction: Direction) {
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                let mut state = shared.lock();
                let mut allowed = read;
                let mut last = false;
                if let Some((limited, left)) = &mut state.budget
                    && *limited == direction
                {
                    allowed = read.min(*left);
                    *left -= allowed;
                    last = allowed < read;
                }
                // Bytes go under the lock, so that none goes after a cut.
                if state.cut || to.write_all(&buffer[..allowed]).is_err() {
                    break;
                }
                if last {
                    state.cut();
                    shared.changed.notify_all();
                    break;
                }
            }
            // The other side learns of the end.
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

impl State {
    fn cut(&mut self) {
        self.cut = true;
        self.budget = None;
        for connection in self.connections.drain(..) {
            // The peer may be gone already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
