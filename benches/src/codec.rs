//! One Binding request of 96 bytes parsed, verified and answered in 64, by each STUN implementation.

#[cfg(feature = "peers")]
mod peers;

use std::hint::black_box;
use std::net::SocketAddr;

use floe_stun::{
    FingerprintStatus, IntegrityKey, Message, Method, RoleAttribute, RouteKey, TransactionIds,
    Writer,
};

use crate::floor;
use crate::peers::Credentials;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const ANSWER_LEN: usize = 64;
const USERNAME: &str = "evtjXXXX:h6vYYYY";

/// Two requests, a forged one, and what each implementation holds ready.
///
/// An implementation gets the slice that holds its last answer, and the last byte of that says which request comes next: it cannot be read
/// before its predecessor was answered.
pub struct Codec {
    requests: [[u8; 96]; 2],
    forged: [u8; 96],
    source: SocketAddr,
    floor: floor::Key,
    key: IntegrityKey,
    #[cfg(feature = "peers")]
    peers: peers::Ready,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl Default for Codec {
    fn default() -> Self {
        let credentials = |password: &str| Credentials {
            ufrag: String::new(),
            password: password.to_owned(),
        };
        let mut requests = Requests::default();
        let mut request = |password| {
            let mut request = [0; 96];
            let len = requests.write(&mut request, USERNAME, &credentials(password));
            assert_eq!(len, request.len());
            request
        };
        Self {
            requests: [request(PASSWORD), request(PASSWORD)],
            forged: request("a password nobody uses"),
            source: SocketAddr::from(([192, 0, 2, 1], 32853)),
            floor: floor::Key::new(PASSWORD),
            key: IntegrityKey::short_term(PASSWORD.as_bytes()),
            #[cfg(feature = "peers")]
            peers: peers::Ready::default(),
        }
    }
}

impl Codec {
    fn next(&self, before: &[u8]) -> &[u8; 96] {
        let which = before.get(ANSWER_LEN - 1).map_or(0, |byte| byte & 1);
        &black_box(&self.requests)[usize::from(which)]
    }

    /// The crypto of the job and nothing else: the request verified, the answer, of which all else is there, sealed.
    pub fn floor(&self, out: &mut [u8]) -> usize {
        let request = self.next(out);
        assert!(self.floor.verify(request), "authentic");
        let answer = &mut out[..ANSWER_LEN];
        answer[8..20].copy_from_slice(&request[8..20]);
        answer[2..4].copy_from_slice(&(ANSWER_LEN as u16 - 20).to_be_bytes());
        self.floor.seal(answer);
        ANSWER_LEN
    }

    /// floe.
    pub fn floe(&self, out: &mut [u8]) -> usize {
        let message = Message::parse(self.next(out)).expect("well-formed");
        assert!(message.username() == Some(USERNAME.as_bytes()));
        let request = message.verify(&self.key).expect("authentic");
        assert!(request.fingerprint() == FingerprintStatus::Valid);
        Writer::success(out, request.method(), request.transaction_id())
            .xor_mapped_address(black_box(self.source))
            .integrity_as(request.algorithm(), &self.key)
            .fingerprint()
            .expect("it fits")
    }

    /// floe's reader alone: as far as an answer gets that nobody asked for.
    #[must_use]
    pub fn parse(&self) -> bool {
        Message::parse(black_box(&self.requests[0])).is_ok()
    }

    /// As far as a request for somebody else gets.
    #[must_use]
    pub fn wrong_username(&self) -> bool {
        Message::parse(black_box(&self.requests[0]))
            .is_ok_and(|message| message.username() == Some(b"somebody:elses--"))
    }

    /// As far as a request gets that somebody made who does not know the password.
    #[must_use]
    pub fn forged_mac(&self) -> bool {
        Message::parse(black_box(&self.forged))
            .is_ok_and(|message| message.verify(&self.key).is_ok())
    }
}

/// Writes requests as a controlling browser sends them on the pair it has nominated.
#[derive(Debug)]
pub struct Requests(TransactionIds);

impl Default for Requests {
    fn default() -> Self {
        Self(TransactionIds::new(RouteKey::from_bytes([1; 16]), [2; 32]))
    }
}

impl Requests {
    /// A new one for `receiver`, from the peer it knows by this username; gives its length in bytes.
    pub fn write(&mut self, buf: &mut [u8], username: &str, receiver: &Credentials) -> usize {
        let key = IntegrityKey::short_term(receiver.password.as_bytes());
        Writer::request(buf, Method::BINDING, self.0.mint(0))
            .username(username.as_bytes())
            .priority(0x6E00_01FF)
            .role(RoleAttribute::Controlling(0x932F_F9B1_5126_3B36))
            .use_candidate()
            .integrity(&key)
            .fingerprint()
            .expect("it fits")
    }

    /// An answer to a question that nobody asked.
    pub fn write_answer(&mut self, buf: &mut [u8], of: &Credentials, to: SocketAddr) -> usize {
        let key = IntegrityKey::short_term(of.password.as_bytes());
        Writer::success(buf, Method::BINDING, self.0.mint(0))
            .xor_mapped_address(to)
            .integrity(&key)
            .fingerprint()
            .expect("it fits")
    }
}
