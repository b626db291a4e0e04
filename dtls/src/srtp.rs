//! DTLS-SRTP: the protection profiles and the keys that come out of the exporter (RFC 5764 §4.1.2, §4.2; RFC 7714 §14.2).

use std::fmt;

use zeroize::Zeroizing;

use crate::association::AssociationId;
use crate::config::Side;
use crate::msgs::enums::SrtpProtectionProfile;

/// How SRTP and SRTCP are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SrtpProfile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80`: AES-128 counter mode, HMAC-SHA1 tags of 80 bits. Everybody has it.
    Aes128CmSha1_80,
    /// `SRTP_AES128_CM_HMAC_SHA1_32`: the same with RTP tags of 32 bits.
    Aes128CmSha1_32,
    /// `SRTP_AEAD_AES_128_GCM`.
    Aes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`.
    Aes256Gcm,
}

/// The longest master key and the longest salt, in bytes.
const MASTER_MAX: usize = 32 + 12;

impl SrtpProfile {
    const ALL: [Self; 4] = [
        Self::Aes128CmSha1_80,
        Self::Aes128CmSha1_32,
        Self::Aes128Gcm,
        Self::Aes256Gcm,
    ];

    /// Bytes of each side's master key: 16 or 32.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 | Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
        }
    }

    /// Bytes of each side's master salt: 14 in counter mode, 12 in GCM.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 14,
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
        }
    }

    /// The code point of use_srtp.
    pub(crate) const fn code_point(self) -> SrtpProtectionProfile {
        match self {
            Self::Aes128CmSha1_80 => SrtpProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_80,
            Self::Aes128CmSha1_32 => SrtpProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_32,
            Self::Aes128Gcm => SrtpProtectionProfile::SRTP_AEAD_AES_128_GCM,
            Self::Aes256Gcm => SrtpProtectionProfile::SRTP_AEAD_AES_256_GCM,
        }
    }

    pub(crate) fn from_code_point(code_point: SrtpProtectionProfile) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.code_point() == code_point)
    }
}

impl fmt::Display for SrtpProfile {
    /// The name in the registry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.code_point(), f)
    }
}

/// The SRTP master keys and salts of one association. Wiped when dropped, never printed.
///
/// Media from the DTLS client is protected with the client's, media from the server with the server's.
#[derive(Clone)]
pub struct SrtpKeys {
    association: AssociationId,
    profile: SrtpProfile,
    client: Master,
    server: Master,
}

/// Key and salt in one piece.
type Master = Zeroizing<[u8; MASTER_MAX]>;

impl SrtpKeys {
    /// The exporter's label (RFC 5764 §4.2); it has no context.
    pub(crate) const LABEL: &'static str = "EXTRACTOR-dtls_srtp";

    /// Fills `export`, which it is given zeroed, under [`Self::LABEL`] and cuts it up: both keys, then both salts, the
    /// client's first.
    pub(crate) fn derive<E>(
        association: AssociationId,
        profile: SrtpProfile,
        export: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
        let mut material = Zeroizing::new([0; 2 * MASTER_MAX]);
        let (material, _) = material.split_at_mut(2 * (key_len + salt_len));
        export(material)?;
        let (keys, salts) = material.split_at(2 * key_len);
        let (client_key, server_key) = keys.split_at(key_len);
        let (client_salt, server_salt) = salts.split_at(salt_len);
        Ok(Self {
            association,
            profile,
            client: master(client_key, client_salt),
            server: master(server_key, server_salt),
        })
    }

    /// Which association of the transport they belong to.
    #[must_use]
    pub fn association(&self) -> AssociationId {
        self.association
    }

    /// The profile they are for.
    #[must_use]
    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// The master key of what `side` sends: [`SrtpProfile::key_len`] bytes.
    #[must_use]
    pub fn key(&self, side: Side) -> &[u8] {
        let (key, _) = self.split(side);
        key
    }

    /// The master salt of what `side` sends: [`SrtpProfile::salt_len`] bytes.
    #[must_use]
    pub fn salt(&self, side: Side) -> &[u8] {
        let (_, salt) = self.split(side);
        salt
    }

    /// Key and salt of what `side` sends in one piece, as libsrtp's policies take them.
    #[must_use]
    pub fn libsrtp_key(&self, side: Side) -> &[u8] {
        let master = match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        };
        let (used, _) = master.split_at(self.profile.key_len() + self.profile.salt_len());
        used
    }

    fn split(&self, side: Side) -> (&[u8], &[u8]) {
        self.libsrtp_key(side).split_at(self.profile.key_len())
    }
}

fn master(key: &[u8], salt: &[u8]) -> Master {
    let mut master = Zeroizing::new([0; MASTER_MAX]);
    for (to, from) in master.iter_mut().zip(key.iter().chain(salt)) {
        *to = *from;
    }
    master
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeys")
            .field("association", &self.association)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn counted(profile: SrtpProfile) -> SrtpKeys {
        let keys = SrtpKeys::derive(AssociationId::default(), profile, |material| {
            for (index, byte) in material.iter_mut().enumerate() {
                *byte = index as u8 + 1;
            }
            Ok::<_, Infallible>(())
        });
        keys.unwrap_or_else(|never| match never {})
    }

    fn bytes(range: std::ops::RangeInclusive<u8>) -> Vec<u8> {
        range.collect()
    }

    // req: T8
    #[test]
    fn keys_and_salts_are_cut_as_the_profile_says() {
        for (profile, code, cuts) in [
            (SrtpProfile::Aes128CmSha1_80, 1, [16, 32, 46, 60]),
            (SrtpProfile::Aes128CmSha1_32, 2, [16, 32, 46, 60]),
            (SrtpProfile::Aes128Gcm, 7, [16, 32, 44, 56]),
            (SrtpProfile::Aes256Gcm, 8, [32, 64, 76, 88]),
        ] {
            assert_eq!(profile.code_point().0, code);
            assert_eq!(
                SrtpProfile::from_code_point(profile.code_point()),
                Some(profile)
            );
            let keys = counted(profile);
            let [client_key, server_key, client_salt, server_salt] = cuts;
            assert_eq!(keys.key(Side::Client), bytes(1..=client_key));
            assert_eq!(keys.key(Side::Server), bytes(client_key + 1..=server_key));
            assert_eq!(keys.salt(Side::Client), bytes(server_key + 1..=client_salt));
            assert_eq!(
                keys.salt(Side::Server),
                bytes(client_salt + 1..=server_salt)
            );
            for side in [Side::Client, Side::Server] {
                assert_eq!(
                    keys.libsrtp_key(side),
                    [keys.key(side), keys.salt(side)].concat()
                );
            }
        }
    }

    #[test]
    fn profiles_of_others_are_not_ours() {
        for code in [0x0000, 0x0005, 0x0006, 0x0009, 0xffff] {
            assert_eq!(
                SrtpProfile::from_code_point(SrtpProtectionProfile(code)),
                None
            );
        }
    }

    // req: T36
    #[test]
    fn keys_are_not_printed() {
        let printed = format!("{:?}", counted(SrtpProfile::Aes128Gcm));
        assert_eq!(
            printed,
            "SrtpKeys { association: AssociationId(0), profile: Aes128Gcm, .. }"
        );
    }
}
