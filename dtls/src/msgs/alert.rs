//! Alerts: two bytes, a level and a description (RFC 5246 §7.2, RFC 8446 §6).

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, Codec, Reader};
use crate::msgs::enums::{AlertDescription, AlertLevel};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) level: AlertLevel,
    pub(crate) description: AlertDescription,
}

impl Alert {
    pub(crate) fn fatal(description: AlertDescription) -> Self {
        Self {
            level: AlertLevel::FATAL,
            description,
        }
    }

    pub(crate) fn warning(description: AlertDescription) -> Self {
        Self {
            level: AlertLevel::WARNING,
            description,
        }
    }

    /// The body of the record that carries it.
    pub(crate) fn to_bytes(self) -> [u8; 2] {
        [self.level.0, self.description.0]
    }
}

impl<'a> Codec<'a> for Alert {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            level: AlertLevel::take(reader)?,
            description: AlertDescription::take(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_exactly_two_bytes() {
        let alert = Alert::warning(AlertDescription::NO_RENEGOTIATION);
        assert_eq!(alert.to_bytes(), [1, 100]);
        assert_eq!(Alert::read_all(&[1, 100]), Ok(alert));
        assert_eq!(
            Alert::read_all(&[2, 40]),
            Ok(Alert::fatal(AlertDescription::HANDSHAKE_FAILURE))
        );
        assert_eq!(Alert::read_all(&[2]), Err(InvalidMessage::MessageTooShort));
        assert_eq!(
            Alert::read_all(&[2, 40, 0]),
            Err(InvalidMessage::TrailingBytes)
        );
    }
}
