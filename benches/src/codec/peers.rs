//! The same by the peers.

use std::hint::black_box;
use std::sync::Arc;

use is::{DefaultSha1HmacProvider, Sha1HmacProvider, stun as str0m};
use rtc_ice::crypto::{RTCCryptoProvider, default_provider};
use rtc_stun::attributes::ATTR_USERNAME;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_SUCCESS, Getter as _, Message as RtcMessage};
use rtc_stun::textattrs::Username;
use rtc_stun::xoraddr::XorMappedAddress as RtcXorMappedAddress;
use stun_types::{attribute::XorMappedAddress, message as peer, prelude::*};

use super::{Codec, PASSWORD, USERNAME};

/// What they hold ready.
pub(super) struct Ready {
    of_stun_types: peer::IntegrityKey,
    of_rtc: Arc<dyn RTCCryptoProvider>,
    is_hmac: DefaultSha1HmacProvider,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            of_stun_types: peer::ShortTermCredentials::new(PASSWORD.to_owned()).make_key(),
            of_rtc: default_provider().expect("ring"),
            is_hmac: DefaultSha1HmacProvider,
        }
    }
}

impl Codec {
    /// `stun-types` with a key that is made once, into a slice.
    pub fn stun_types(&self, out: &mut [u8]) -> usize {
        let request = peer::Message::from_bytes(self.next(out)).expect("well-formed");
        let username = request.raw_attribute(0x0006.into()).expect("present");
        assert!(&*username.value == USERNAME.as_bytes());
        let algorithm = request
            .validate_integrity_with_key(&self.peers.of_stun_types)
            .expect("authentic");
        let mut answer =
            peer::Message::builder_success(&request, peer::MessageWriteMutSlice::new(out));
        let address = XorMappedAddress::new(black_box(self.source), request.transaction_id());
        answer.add_attribute(&address).expect("it fits");
        answer
            .add_message_integrity_with_key(&self.peers.of_stun_types, algorithm)
            .expect("it fits");
        answer.add_fingerprint().expect("it fits");
        answer.finish()
    }

    /// `is`, which does not check FINGERPRINT.
    pub fn is(&self, out: &mut [u8]) -> usize {
        let hmac = |key: &[u8], parts: &[&[u8]]| self.peers.is_hmac.sha1_hmac(key, parts);
        let request = str0m::StunMessage::parse(self.next(out)).expect("well-formed");
        assert!(request.username() == Some(USERNAME));
        assert!(request.verify(PASSWORD.as_bytes(), hmac), "authentic");
        str0m::StunMessage::binding_reply(request.trans_id(), black_box(self.source))
            .to_bytes(Some(PASSWORD.as_bytes()), out, hmac)
            .expect("it fits")
    }

    /// `rtc-stun` on `ring`, as `rtc-ice` uses it.
    pub fn rtc_stun(&self, out: &mut [u8]) -> usize {
        let crypto = self.peers.of_rtc.crypto();
        let mut request = RtcMessage {
            raw: self.next(out).to_vec(),
            ..RtcMessage::default()
        };
        request.decode().expect("well-formed");
        let mut username = Username::new(ATTR_USERNAME, String::new());
        username.get_from(&request).expect("present");
        assert!(username.text == USERNAME);
        FINGERPRINT.check(&request).expect("whole");
        MessageIntegrity::check(&mut request, PASSWORD.as_bytes(), crypto).expect("authentic");
        let (ip, port) = black_box((self.source.ip(), self.source.port()));
        let mut answer = RtcMessage::new();
        answer
            .build(&[
                Box::new(request),
                Box::new(BINDING_SUCCESS),
                Box::new(RtcXorMappedAddress { ip, port }),
                Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
                    PASSWORD.to_owned(),
                    crypto,
                )),
                Box::new(FINGERPRINT),
            ])
            .expect("an answer");
        out[..answer.raw.len()].copy_from_slice(&answer.raw);
        answer.raw.len()
    }
}
