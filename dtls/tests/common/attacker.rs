//! An attacker who is not on the path: knows both addresses, guesses everything else well, and authenticates nothing.
//!
//! What it guesses is better than guessed: [`Knowledge`] has the record and message numbers that the wire really carries,
//! so that each number is tried that could be the right one.

use super::wire::{self, Fragment, Record};

/// The latest sequence number there can be (RFC 6347 §4.1).
pub const LAST: u64 = (1 << 48) - 1;

/// Content types of classic headers, and first bytes that are none; 24 is heartbeat, 25 tls12_cid, 26 ACK.
pub const CONTENT_TYPES: [u8; 12] = [0, 19, 20, 21, 22, 23, 24, 25, 26, 27, 31, 64];

pub const EPOCHS: [u16; 5] = [0, 1, 2, 3, 0xffff];

/// Every handshake type of RFC 5246, RFC 6347, RFC 8446 and the registry's rest up to 25, and the synthetic one.
pub const HANDSHAKE_TYPES: [u8; 27] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    254,
];

/// What is true on the wire of one direction at one moment.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// The highest record sequence number written so far, by epoch.
    pub newest_record: [u64; 5],
    /// The message_seq that the victim expects next.
    pub next_message: u16,
    /// Whether the victim expects that message in plaintext: then it is the one thing that must be believed.
    pub plaintext_expected: bool,
    /// What the victim itself wrote: record numbers (epoch, sequence), the newest last.
    pub victims_records: Vec<(u16, u64)>,
}

impl Knowledge {
    /// First, seen, next, far ahead, last.
    fn sequences(&self, epoch: u16) -> [u64; 5] {
        let newest = self.newest_record.get(usize::from(epoch)).copied();
        let newest = newest.unwrap_or_default();
        [0, newest, newest + 1, newest + (1 << 40), LAST]
    }

    /// Everything: each content type, epoch, sequence number and body in a classic header, and each form of the unified one.
    pub fn arsenal(&self) -> Vec<Vec<u8>> {
        let mut arsenal = Vec::new();
        for content_type in CONTENT_TYPES {
            for epoch in EPOCHS {
                arsenal.extend(self.classic(content_type, epoch));
            }
        }
        arsenal.extend(self.unified());
        arsenal.extend(self.malformed());
        arsenal
    }

    fn classic(&self, content_type: u8, epoch: u16) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        for body in self.bodies(content_type, epoch) {
            let record = |sequence| Record::new(content_type, epoch, sequence, &body).to_bytes();
            datagrams.extend(self.sequences(epoch).map(record));
        }
        datagrams
    }

    fn bodies(&self, content_type: u8, epoch: u16) -> Vec<Vec<u8>> {
        let shapes = [vec![], vec![0; 5], vec![0x17; 40], vec![0xa5; 300]];
        match content_type {
            wire::CHANGE_CIPHER_SPEC => vec![vec![1], vec![], vec![0], vec![1, 1]],
            wire::ALERT => {
                let alerts: [&[u8]; 8] = [
                    &[2, 40],
                    &[2, 10],
                    &[1, 0],
                    &[2, 0],
                    &[1, 90],
                    &[1, 100],
                    &[2],
                    &[],
                ];
                alerts.map(<[u8]>::to_vec).to_vec()
            }
            wire::HANDSHAKE => [self.handshakes(epoch), shapes[..2].to_vec()].concat(),
            26 => vec![
                vec![],
                vec![0, 0],
                vec![0, 16, 0],
                self.acks(),
                vec![0xff; 64],
            ],
            _ => shapes.to_vec(),
        }
    }

    /// Messages of every type, none of which is the next one where that would be believed.
    fn handshakes(&self, epoch: u16) -> Vec<Vec<u8>> {
        let believed = self.plaintext_expected && epoch == 0;
        let mut numbers = vec![self.next_message.wrapping_add(500), u16::MAX];
        numbers.extend(self.next_message.checked_sub(1));
        if !believed {
            numbers.extend([self.next_message, self.next_message + 1]);
        }
        let mut bodies = Vec::new();
        for message_seq in numbers {
            for message_type in HANDSHAKE_TYPES {
                bodies.push(Fragment::whole(message_type, message_seq, &[7; 36]).to_bytes());
            }
        }
        bodies.extend(self.malformed_fragments());
        bodies
    }

    /// Fragments that contradict themselves, of the message that is expected next too.
    fn malformed_fragments(&self) -> Vec<Vec<u8>> {
        let next = Fragment::whole(wire::CERTIFICATE, self.next_message, &[7; 40]);
        let beyond = Fragment {
            offset: 30,
            length: 35,
            ..next.clone()
        };
        let past_u24 = Fragment {
            offset: 0xff_ffff,
            length: 0xff_ffff,
            ..next.clone()
        };
        let endless = Fragment {
            length: 0xff_ffff,
            ..next.clone()
        };
        let mut cut = next.to_bytes();
        cut.pop();
        let header_only = next.to_bytes()[..11].to_vec();
        vec![
            beyond.to_bytes(),
            past_u24.to_bytes(),
            endless.to_bytes(),
            cut,
            header_only,
        ]
    }

    /// The victim's own newest records, acknowledged by somebody who has seen none of them (RFC 9147 §7).
    fn acks(&self) -> Vec<u8> {
        let newest = self.victims_records.iter().rev().take(20);
        let numbers: Vec<u8> = newest
            .flat_map(|(epoch, sequence)| [u64::from(*epoch).to_be_bytes(), sequence.to_be_bytes()])
            .flatten()
            .collect();
        [&(numbers.len() as u16).to_be_bytes()[..], &numbers].concat()
    }

    /// All 32 first bytes of the unified header: connection id or none, long and short numbers, with length and without,
    /// all epoch bits (RFC 9147 §4).
    fn unified(&self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        for first in 0x20..=0x3f {
            for sequence in [0, 1, 7, 0xffff] {
                datagrams
                    .extend([0, 1, 15, 16, 17, 60, 1100].map(|len| unified(first, sequence, len)));
            }
        }
        datagrams
    }

    /// Records that are none: cut, too long, of other versions; and plaintext glued to each other.
    fn malformed(&self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        for epoch in EPOCHS {
            let record = Record::new(wire::APPLICATION_DATA, epoch, 9, &[1; 40]);
            let bytes = record.to_bytes();
            datagrams.extend([1, 5, 12, 13, 30].map(|len| bytes[..len].to_vec()));
            for version in [0x0303, 0xfeff, 0xfefc, 0x0000] {
                // A ClientHello may say DTLS 1.0, but this is none.
                datagrams.push(
                    Record {
                        version,
                        ..record.clone()
                    }
                    .to_bytes(),
                );
            }
            let oversized = Record::new(wire::APPLICATION_DATA, epoch, 9, &vec![1; 0x4801]);
            datagrams.push(oversized.to_bytes());
            datagrams.push([&bytes[..], &[0x2f, 0xff], &bytes].concat());
        }
        datagrams
    }
}

fn unified(first: u8, sequence: u16, len: usize) -> Vec<u8> {
    let mut datagram = vec![first];
    match first & 0x08 {
        0 => datagram.push(sequence as u8),
        _ => datagram.extend_from_slice(&sequence.to_be_bytes()),
    }
    if first & 0x04 != 0 {
        datagram.extend_from_slice(&(len as u16).to_be_bytes());
    }
    datagram.resize(datagram.len() + len, 0x5c);
    datagram
}
