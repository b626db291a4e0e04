//! OpenSSL, DTLS 1.2, with its own cryptography. Its timers read the machine's clock, so there is no virtual time for it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::time::Instant;

use floe_dtls::Side;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;

use super::{End, PEM, Progress, Stack};

/// OpenSSL on P-256.
pub struct OpenSsl {
    context: SslContext,
    mtu: u32,
}

impl fmt::Debug for OpenSsl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSsl").finish_non_exhaustive()
    }
}

impl OpenSsl {
    /// With datagrams of at most `mtu` bytes.
    #[must_use]
    pub fn new(mtu: u32) -> Self {
        Self {
            context: context().expect("a good configuration"),
            mtu,
        }
    }
}

fn context() -> Result<SslContext, openssl::error::ErrorStack> {
    let mut context = SslContext::builder(SslMethod::dtls())?;
    context.set_certificate(&*X509::from_pem(PEM.as_bytes())?)?;
    context.set_private_key(&*PKey::private_key_from_pem(PEM.as_bytes())?)?;
    let mutual = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    context.set_verify_callback(mutual, |_, _| true);
    context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_groups_list("P-256")?;
    context.set_cipher_list("ECDHE-ECDSA-AES128-GCM-SHA256")?;
    context.set_options(SslOptions::NO_QUERY_MTU);
    Ok(context.build())
}

/// A datagram in, datagrams out.
#[derive(Debug, Default)]
pub(super) struct Wire {
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    lengths: VecDeque<usize>,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.inbox.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = self.inbox.len().min(buf.len());
        buf[..len].copy_from_slice(&self.inbox[..len]);
        self.inbox.clear();
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outbox.extend_from_slice(datagram);
        self.lengths.push_back(datagram.len());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct OpenSslEnd {
    stream: SslStream<Wire>,
    side: Side,
    progress: Progress,
    /// How much of the outbox has been taken.
    taken: usize,
}

impl Stack for OpenSsl {
    type End = OpenSslEnd;

    fn name(&self) -> String {
        "OpenSSL 3, DTLS 1.2, its own, secp256r1".to_owned()
    }

    fn end(&self, _: Instant, side: Side) -> OpenSslEnd {
        let mut ssl = Ssl::new(&self.context).expect("a good configuration");
        ssl.set_mtu(self.mtu).expect("a good MTU");
        let mut end = OpenSslEnd {
            stream: SslStream::new(ssl, Wire::default()).expect("a stream"),
            side,
            progress: Progress::Connecting,
            taken: 0,
        };
        if side == Side::Client {
            end.work();
        }
        end
    }
}

impl OpenSslEnd {
    fn work(&mut self) {
        if self.progress != Progress::Connecting {
            return;
        }
        let result = match self.side {
            Side::Client => self.stream.connect(),
            Side::Server => self.stream.accept(),
        };
        self.progress = match result {
            Ok(()) => Progress::Connected,
            Err(error) if error.code() == ErrorCode::WANT_READ => Progress::Connecting,
            Err(_) => Progress::Failed,
        };
    }
}

impl End for OpenSslEnd {
    fn receive(&mut self, _: Instant, datagram: &mut [u8]) {
        self.stream.get_mut().inbox.extend_from_slice(datagram);
        self.work();
    }

    fn transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        let wire = self.stream.get_mut();
        let Some(len) = wire.lengths.pop_front() else {
            wire.outbox.clear();
            self.taken = 0;
            return None;
        };
        let datagram = &wire.outbox[self.taken..self.taken + len];
        buf[..len].copy_from_slice(datagram);
        self.taken += len;
        Some(len)
    }

    fn seal(&mut self, _: Instant, data: &[u8], out: &mut [u8]) -> usize {
        self.stream.ssl_write(data).expect("connected");
        let len = self.transmit(out).expect("a record");
        while self.transmit(out).is_some() {}
        len
    }

    fn open(&mut self, _: Instant, datagram: &mut [u8], buf: &mut [u8]) -> usize {
        self.stream.get_mut().inbox.extend_from_slice(datagram);
        self.stream.ssl_read(buf).unwrap_or(0)
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn wake(&mut self, _: Instant) {}

    fn progress(&self) -> Progress {
        self.progress
    }
}
