//! A socket against one of the standard library's.

use std::{net::TcpListener, time::Duration};

use super::*;

/// Both ends of a connection.
fn pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let cancel = Cancel::new().unwrap();
    let socket = Socket::connect("127.0.0.1", port, soon(), &cancel).unwrap();
    (socket, listener.accept().unwrap().0)
}

/// Later than anything here takes.
fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn now() -> Deadline {
    Deadline::after(Duration::ZERO)
}

/// Waits for something new, and reads it.
fn next(socket: &mut Socket) -> Option<Vec<u8>> {
    socket.wait(true, false, soon()).unwrap();
    read(socket)
}

fn read(socket: &mut Socket) -> Option<Vec<u8>> {
    let mut bytes = [0; 4096];
    socket.read(&mut bytes).unwrap().map(|count| bytes[..count].to_vec())
}

/// How much the kernel has for whoever reads.
fn left(socket: &Socket) -> usize {
    socket.stream.peek(&mut [0; 4096]).unwrap_or(0)
}

#[test]
fn what_was_read_is_left_there_until_something_is_written_and_is_no_news() {
    let (mut socket, mut hub) = pair();
    for (said, kept) in [("one", 3), ("two", 6)] {
        hub.write_all(said.as_bytes()).unwrap();
        assert_eq!(next(&mut socket).unwrap(), said.as_bytes());
        assert_eq!(read(&mut socket), None);
        assert_eq!(socket.wait(true, false, now()).unwrap_err().reason(), Reason::HubTimeout);
        assert_eq!(left(&socket), kept);
    }
    assert_eq!(socket.write(b"answer").unwrap(), Some(6));
    assert_eq!(left(&socket), 0);
    hub.write_all(b"three").unwrap();
    assert_eq!(next(&mut socket).unwrap(), b"three");
    assert_eq!(socket.write(b"").unwrap(), Some(0));
    assert_eq!(left(&socket), 5);
    socket.acknowledge().unwrap();
    assert_eq!(left(&socket), 0);
}

#[test]
fn the_end_is_noticed_behind_what_is_left_there() {
    let (mut socket, mut hub) = pair();
    hub.write_all(b"one").unwrap();
    assert_eq!(next(&mut socket).unwrap(), b"one");
    hub.write_all(b"two").unwrap();
    drop(hub);
    let mut rest = Vec::new();
    loop {
        match next(&mut socket) {
            Some(bytes) if bytes.is_empty() => break,
            bytes => rest.extend(bytes.unwrap_or_default()),
        }
    }
    assert_eq!(rest, b"two");
}

#[test]
fn a_connection_that_is_reset_fails() {
    let (mut socket, mut hub) = pair();
    hub.write_all(b"one").unwrap();
    assert_eq!(next(&mut socket).unwrap(), b"one");
    // Who closes without having read all resets.
    socket.write(b"answer").unwrap();
    hub.peek(&mut [0]).unwrap();
    drop(hub);
    socket.wait(true, false, soon()).unwrap();
    assert_eq!(socket.read(&mut [0; 4096]).unwrap_err().reason(), Reason::HubUnreachable);
}

#[test]
fn a_long_answer_is_read_once_and_in_order() {
    let (mut socket, mut hub) = pair();
    let said: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let told = said.clone();
    let teller = std::thread::spawn(move || told.chunks(700).try_for_each(|chunk| hub.write_all(chunk)));
    let mut heard = Vec::new();
    while heard.len() < said.len() {
        heard.extend(next(&mut socket).unwrap_or_default());
        assert!(socket.seen < LEFT_BYTES + 4096);
    }
    assert_eq!(heard, said);
    teller.join().unwrap().unwrap();
}

#[test]
fn whoever_watches_the_descriptor_sees_only_what_is_new() {
    let (mut socket, mut hub) = pair();
    hub.write_all(b"one").unwrap();
    assert_eq!(next(&mut socket).unwrap(), b"one");
    let descriptor = socket.descriptor().unwrap();
    let is_readable = |most| {
        let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: most, tv_nsec: 0 })).unwrap() > 0
    };
    assert!(!is_readable(0));
    hub.write_all(b"two").unwrap();
    assert!(is_readable(30));
    assert_eq!(read(&mut socket).unwrap(), b"two");
    assert!(!is_readable(0));
}
