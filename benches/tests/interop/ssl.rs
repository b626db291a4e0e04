//! A node over the part of their API that the bindings of OpenSSL and of BoringSSL have in common.
//!
//! The test binary's root has a module `library`: the bindings, and what is different about time and versions.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use floe_dtls::Side;
use sim::{Node, address};

use crate::interop::{Case, FLOE, STRANGER, Stranger};
use crate::library::{self, pkey::PKey, ssl::*, x509::X509};

/// Datagrams in, datagrams out.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    inbox: VecDeque<Vec<u8>>,
    outbox: VecDeque<Vec<u8>>,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let datagram = self.inbox.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let len = datagram.len().min(buf.len());
        buf[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outbox.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct SslNode {
    pub(crate) stream: SslStream<Wire>,
    side: Side,
    connected: bool,
    closed: bool,
    failed: Option<String>,
    heard: Vec<Vec<u8>>,
    deadline: Option<Instant>,
}

impl SslNode {
    /// Whatever the library can do with what it has.
    fn work(&mut self, now: Instant) {
        if !self.connected && self.failed.is_none() {
            let result = match self.side {
                Side::Client => self.stream.connect(),
                Side::Server => self.stream.accept(),
            };
            self.connected = result.is_ok();
            self.note(result.map(|()| 0));
        }
        let mut buf = [0; 16_384];
        while self.connected && !self.closed && self.failed.is_none() {
            let result = self.stream.ssl_read(&mut buf);
            match &result {
                Ok(len) => self.heard.push(buf[..*len].to_vec()),
                Err(_) => {
                    self.note(result);
                    break;
                }
            }
        }
        self.deadline = library::time_left(self.stream.ssl()).map(|left| now + left);
    }

    fn note(&mut self, result: Result<usize, Error>) {
        match result {
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => self.closed = true,
            Err(error) if error.code() != ErrorCode::WANT_READ => {
                println!("{}: {error}", library::NAME);
                self.failed = Some(error.to_string());
            }
            Ok(_) | Err(_) => {}
        }
    }
}

impl Stranger for SslNode {
    fn new(case: &Case, accepts: &[u8]) -> Self {
        let accepts = accepts.to_vec();
        let mut context = SslContext::builder(SslMethod::dtls()).unwrap();
        let certificate = X509::from_pem(case.pem.as_bytes()).unwrap();
        let key = PKey::private_key_from_pem(case.pem.as_bytes()).unwrap();
        context.set_certificate(&certificate).unwrap();
        context.set_private_key(&key).unwrap();
        let mutual = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        context.set_verify_callback(mutual, move |_, chain| {
            let shown = chain.current_cert().map(|shown| shown.to_der().unwrap());
            shown.is_some_and(|shown| shown == accepts)
        });
        let profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";
        context.set_tlsext_use_srtp(profiles).unwrap();
        context.set_options(SslOptions::NO_QUERY_MTU);
        library::prepare(&mut context, case);
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_mtu(case.mtu.try_into().unwrap()).unwrap();
        Self {
            stream: SslStream::new(ssl, Wire::default()).unwrap(),
            side: case.floe.peer(),
            connected: false,
            closed: false,
            failed: None,
            heard: Vec::new(),
            deadline: None,
        }
    }

    fn start(&mut self, now: Instant) {
        library::set_time(now);
        self.work(now);
    }

    fn is_connected(&self) -> bool {
        self.connected && self.failed.is_none()
    }

    fn has_closed(&self) -> bool {
        self.closed
    }

    fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn heard(&self) -> &[Vec<u8>] {
        &self.heard
    }

    fn say(&mut self, now: Instant, data: &[u8]) {
        library::set_time(now);
        assert_eq!(self.stream.ssl_write(data).unwrap(), data.len());
    }

    fn close(&mut self, now: Instant) {
        library::set_time(now);
        self.stream.shutdown().unwrap();
    }

    fn srtp(&self, len: usize) -> (String, Vec<u8>) {
        let ssl = self.stream.ssl();
        let mut material = vec![0; len];
        ssl.export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None)
            .unwrap();
        let profile = ssl.selected_srtp_profile().unwrap();
        (profile.name().to_owned(), material)
    }
}

impl Node for SslNode {
    fn handle_datagram(&mut self, now: Instant, _: SocketAddr, _: SocketAddr, datagram: &mut [u8]) {
        library::set_time(now);
        self.stream.get_mut().inbox.push_back(datagram.to_vec());
        self.work(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        library::set_time(now);
        library::time_is_up(self.stream.ssl());
        self.work(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let datagram = self.stream.get_mut().outbox.pop_front()?;
        buf[..datagram.len()].copy_from_slice(&datagram);
        Some((address(STRANGER), address(FLOE), datagram.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.failed.is_none())
    }
}
