//! A way to the server that can be cut and restored.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Forwards connections to a server until it is cut; then it lets nobody through until it is
/// restored.
pub(crate) struct Link {
    pub(crate) address: String,
    /// The connections that are forwarded; none while it is cut.
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Link {
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let (server, through) = (server.to_owned(), Arc::clone(&open));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if let Some(connections) = &mut *through.lock().unwrap() {
                    let far = TcpStream::connect(&server).unwrap();
                    for (from, to) in [(&near, &far), (&far, &near)] {
                        forward(from.try_clone().unwrap(), to.try_clone().unwrap());
                    }
                    connections.extend([near, far]);
                }
            }
        });
        Self { address, open }
    }

    pub(crate) fn cut(&self) {
        for connection in self.open.lock().unwrap().take().unwrap_or_default() {
            // The peer may be gone already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn restore(&self) {
        *self.open.lock().unwrap() = Some(Vec::new());
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // How it ends does not matter; that the other side learns of it does.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
