//! Which protocol a datagram speaks, from its first bytes (RFC 9443 §3, RFC 5761 §4 for RTCP).
//!
//! ```text
//!   0 ..   3  STUN, if cookie and length agree
//!   4 ..  15  nobody: dropped
//!  16 ..  19  ZRTP
//!  20 ..  63  DTLS
//!  64 ..  79  TURN channel data if it comes from a TURN server, else QUIC
//!  80 .. 127  QUIC
//! 128 .. 191  RTP; RTCP if the second byte is 192 .. 223
//! 192 .. 255  QUIC
//! ```
//!
//! Pure: who sent the datagram is the [`Endpoint`](crate::Endpoint)'s knowledge, and the [`Transport`](crate::Transport)
//! decides what is taken from there.

use floe_stun as stun;

/// The protocol of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A STUN message: the cookie is right and the length is that of the datagram.
    Stun,
    /// ZRTP (RFC 6189).
    Zrtp,
    /// A DTLS record.
    Dtls,
    /// TURN channel data (RFC 8656 §12.4) if the sender is a TURN server; QUIC from anybody else.
    TurnChannelOrQuic,
    /// QUIC.
    Quic,
    /// SRTP or SRTCP.
    Media(MediaKind),
}

/// The two halves of multiplexed media (RFC 5761 §4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediaKind {
    /// An SRTP packet.
    Rtp,
    /// An SRTCP packet.
    Rtcp,
}

/// The protocol of `datagram`, or `None` for what belongs to nobody: an empty datagram, a first byte of 4 to 15, one of
/// 0 to 3 that is not STUN.
///
/// ```
/// use floe::demux::{classify, Kind, MediaKind};
/// assert_eq!(classify(&[22, 254, 253]), Some(Kind::Dtls));
/// assert_eq!(classify(&[0x80, 200]), Some(Kind::Media(MediaKind::Rtcp)));
/// assert_eq!(classify(&[7]), None);
/// ```
#[must_use]
pub fn classify(datagram: &[u8]) -> Option<Kind> {
    match *datagram.first()? {
        0..=3 => stun::is_stun(datagram).then_some(Kind::Stun),
        4..=15 => None,
        16..=19 => Some(Kind::Zrtp),
        20..=63 => Some(Kind::Dtls),
        64..=79 => Some(Kind::TurnChannelOrQuic),
        80..=127 | 192..=255 => Some(Kind::Quic),
        128..=191 => Some(Kind::Media(media_kind(datagram))),
    }
}

fn media_kind(datagram: &[u8]) -> MediaKind {
    match datagram.get(1) {
        Some(192..=223) => MediaKind::Rtcp,
        _ => MediaKind::Rtp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 9443 §3, written down a second time as ranges, first match wins.
    const TABLE: [(u8, u8, Option<Kind>); 8] = [
        (0, 3, None), // not STUN without its cookie; with it below
        (4, 15, None),
        (16, 19, Some(Kind::Zrtp)),
        (20, 63, Some(Kind::Dtls)),
        (64, 79, Some(Kind::TurnChannelOrQuic)),
        (80, 127, Some(Kind::Quic)),
        (128, 191, Some(Kind::Media(MediaKind::Rtp))),
        (192, 255, Some(Kind::Quic)),
    ];

    // req: I53
    #[test]
    fn every_first_byte_has_its_protocol() {
        for first in 0..=u8::MAX {
            let (.., expected) = *TABLE
                .iter()
                .find(|(low, high, _)| (*low..=*high).contains(&first))
                .unwrap();
            for rest in [&[][..], &[0; 11], &[0; 19], &[0; 1200]] {
                let datagram = [&[first], rest].concat();
                assert_eq!(classify(&datagram), expected, "first byte {first}");
            }
        }
        assert_eq!(classify(&[]), None);
    }

    // req: I53
    #[test]
    fn the_second_byte_tells_rtcp_from_rtp() {
        for first in 128..=191 {
            for second in 0..=u8::MAX {
                let expected = if (192..=223).contains(&second) {
                    MediaKind::Rtcp
                } else {
                    MediaKind::Rtp
                };
                assert_eq!(
                    classify(&[first, second, 0, 1]),
                    Some(Kind::Media(expected))
                );
            }
        }
    }

    // req: I53
    #[test]
    fn stun_needs_its_cookie_and_its_length() {
        let mut message = [0; 24];
        message[1] = 1;
        message[3] = 4;
        message[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        for first in 0..=3 {
            message[0] = first;
            assert_eq!(classify(&message), Some(Kind::Stun), "first byte {first}");
        }
        for position in 3..8 {
            let mut wrong = message;
            wrong[position] ^= 4;
            assert_eq!(classify(&wrong), None, "byte {position}");
        }
        for cut in 1..message.len() {
            assert_eq!(classify(&message[..cut]), None, "cut to {cut}");
        }
    }
}
