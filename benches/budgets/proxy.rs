//! A TCP proxy on loopback that counts what passes, both directions together.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

/// A counting proxy; it accepts connections until the program ends.
pub(crate) struct Proxy {
    port: u16,
    transfers: Arc<Mutex<Vec<JoinHandle<u64>>>>,
}

impl Proxy {
    /// A proxy to a port of the loopback interface.
    pub(crate) fn to(target: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let transfers = Arc::new(Mutex::new(vec![]));
        let running = Arc::clone(&transfers);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose transfers cannot start sees its connection closed, and fails itself.
                if let Ok(pair) = relay(client, target) {
                    running.lock().unwrap_or_else(PoisonError::into_inner).extend(pair);
                }
            }
        });
        Ok(Self { port, transfers })
    }

    /// The port to connect to instead.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The bytes of TCP's payload since the last call. Waits until the connections made since then are closed.
    pub(crate) fn take(&self) -> u64 {
        let transfers = std::mem::take(&mut *self.transfers.lock().unwrap_or_else(PoisonError::into_inner));
        transfers.into_iter().map(|transfer| transfer.join().unwrap_or_default()).sum()
    }
}

/// Starts both directions of a connection.
fn relay(client: TcpStream, target: u16) -> io::Result<[JoinHandle<u64>; 2]> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_too, server_too) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || transfer(client, server));
    let down = thread::spawn(move || transfer(server_too, client_too));
    Ok([up, down])
}

/// Hands bytes on until one side is done, and returns how many.
fn transfer(mut from: TcpStream, mut to: TcpStream) -> u64 {
    let mut buffer = [0; 16 << 10];
    let mut passed = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
        passed += length as u64;
    }
    // Where the other side is gone already, there is nothing left to shut down.
    let _ = to.shutdown(Shutdown::Write);
    passed
}
