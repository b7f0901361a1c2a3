//! What answers at the hub's port, and is no SSH server.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    thread,
};

use giter_edge::api::Reason;

use super::WAY;
use crate::{
    common::{hub::Hub, sshd::url},
    reason,
};

/// A port that answers each connection so.
fn answering(answer: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().for_each(|connection| answer(connection.unwrap())));
    port
}

fn refused(answer: impl Fn(TcpStream) + Send + 'static) -> Reason {
    let (sshd, hub) = (WAY.start(), Hub::empty());
    reason(WAY.link(WAY.config_at(&sshd, &url(answering(answer), &hub.path()))).list())
}

#[test]
fn a_port_that_closes_at_once() {
    assert_eq!(refused(drop), Reason::HubUnreachable);
}

#[test]
fn garbage() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-1.5-old\r\n", b"SSH-2.0-\xff\r\n", &[0; 5000]] {
        let answer = move |mut connection: TcpStream| {
            let _ = connection.write_all(bytes);
        };
        assert_eq!(refused(answer), Reason::HubUnreachable, "{bytes:?}");
    }
    // A length that is no packet's.
    let answer = |mut connection: TcpStream| {
        let _ = connection.write_all(&[b"SSH-2.0-x\r\n".as_slice(), &[0xff; 64]].concat());
    };
    assert_eq!(refused(answer), Reason::HubUnreachable);
}

#[test]
fn a_greeting_of_ten_megabytes() {
    for line in [&b"welcome to this hub, please read on\r\n"[..], &[b'x'; 4096]] {
        let answer = move |mut connection: TcpStream| {
            for _ in 0..(10 << 20) / line.len() {
                if connection.write_all(line).is_err() {
                    return;
                }
            }
            panic!("the client has read it all");
        };
        assert_eq!(refused(answer), Reason::HubUnreachable);
    }
}
