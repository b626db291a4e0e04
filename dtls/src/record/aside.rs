//! What a record layer has beside its newest epochs while a handshake lasts, and where there are connection ids.

use super::epochs::WriteEpoch;
use super::header::{ContentType, Epoch};
use super::outcome::{SealError, Sealed};
use super::plaintext::Plaintext;
use crate::connection_id::ConnectionId;

/// What most established connections do not have.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// `None` when nothing is ever written in plaintext again.
    pub(super) plaintext: Option<Plaintext>,
    /// The epoch before the newest that can be written, while the handshake still speaks in it.
    pub(super) write_before: Option<WriteEpoch>,
    pub(super) connection_ids: Option<Box<ConnectionIds>>,
}

impl Aside {
    pub(super) fn is_empty(&self) -> bool {
        self.plaintext.is_none() && self.write_before.is_none() && self.connection_ids.is_none()
    }

    /// What the peer is called; nothing while nothing was negotiated.
    pub(super) fn their_id(&self) -> &[u8] {
        their_id(&self.connection_ids)
    }

    /// As [`RecordLayer::seal`](super::RecordLayer::seal), in an epoch before the newest.
    pub(super) fn seal(
        &mut self,
        epoch: Epoch,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        if let (Some(plaintext), Epoch::PLAINTEXT) = (&mut self.plaintext, epoch) {
            return plaintext.write(content_type, parts, out);
        }
        let before = self.write_before.as_mut();
        let before = before.filter(|before| before.epoch() == epoch);
        let id = their_id(&self.connection_ids);
        let before = before.ok_or(SealError::NoKeys)?;
        before.seal(content_type, id, parts, out)
    }
}

/// What stands in protected records (RFC 9146 §3): each end chooses what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionIds {
    pub(crate) ours: ConnectionId,
    pub(crate) theirs: ConnectionId,
}

/// What the peer is called.
fn their_id(ids: &Option<Box<ConnectionIds>>) -> &[u8] {
    ids.as_ref().map_or(&[], |ids| ids.theirs.as_bytes())
}

/// What we are called; nothing while nothing was negotiated.
#[inline]
pub(super) fn own_id(aside: &Option<Box<Aside>>) -> &[u8] {
    let ids = aside
        .as_ref()
        .and_then(|aside| aside.connection_ids.as_deref());
    ids.map_or(&[], |ids| ids.ours.as_bytes())
}
