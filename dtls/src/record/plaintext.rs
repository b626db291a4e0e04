//! The epoch of plaintext: its records pass through as they are.

use super::header::{ContentType, Epoch, Header, RecordNumber};
use super::outcome::{Opened, Record, SealError, Sealed, fill};
use crate::msgs::enums::ProtocolVersion;
use crate::stats::DropReason;

#[derive(Debug)]
pub(super) struct Plaintext {
    pub(super) next: u64,
    pub(super) refused: bool,
    /// What the headers of ours say.
    pub(super) version: ProtocolVersion,
}

impl Default for Plaintext {
    fn default() -> Self {
        Self {
            next: 0,
            refused: false,
            version: ProtocolVersion::DTLS1_2,
        }
    }
}

impl Plaintext {
    pub(super) fn open(&self, header: &Header, from: usize) -> Opened {
        let body = from + Header::LEN;
        let next = body + header.length;
        let record = match header.content_type {
            _ if self.refused => Err(DropReason::PlaintextAfterKeys),
            None => Err(DropReason::WrongConnectionId),
            Some(content_type) => Ok(Record {
                content_type,
                number: header.number,
                payload: body..next,
            }),
        };
        Opened {
            record,
            next,
            limit: None,
            fault: None,
        }
    }

    pub(super) fn write(
        &mut self,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        let header = Header {
            content_type: Some(content_type),
            version: self.version,
            number: RecordNumber::new(Epoch::PLAINTEXT, self.next),
            length: parts.iter().map(|part| part.len()).sum(),
        };
        let (head, body) = header.split(out, &[])?;
        header.write(head, &[]);
        fill(body, parts);
        self.next += 1;
        Ok(Sealed {
            len: Header::LEN + header.length,
            number: header.number,
        })
    }
}
