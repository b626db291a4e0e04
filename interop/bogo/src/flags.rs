//! The runner's flags, as far as floe has what they ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use floe_dtls::{AlertDescription, ClientAuth, NamedGroup, ProtocolVersion, Side, SrtpProfile};

/// A flag, or its value, that floe has nothing for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotUnderstood(pub(crate) String);

/// What may be exported and written once connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Export {
    pub(crate) len: usize,
    pub(crate) label: String,
    pub(crate) context: String,
    pub(crate) with_context: bool,
}

/// What the verdict on the peer's certificate is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verify {
    #[default]
    Accept,
    /// By this alert.
    Refuse(AlertDescription),
}

/// One test, as the runner describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) runner: SocketAddr,
    pub(crate) shim_id: u64,
    pub(crate) side: Side,
    pub(crate) certificate: Option<String>,
    pub(crate) private_key: Option<String>,
    /// Oldest and newest; empty if all were switched off.
    pub(crate) versions: Vec<ProtocolVersion>,
    pub(crate) mtu: Option<usize>,
    pub(crate) initial_timeout: Option<Duration>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) verify: Verify,
    pub(crate) groups: Vec<NamedGroup>,
    pub(crate) srtp_profiles: Vec<SrtpProfile>,
    pub(crate) export: Option<Export>,
    pub(crate) writes_first: bool,
    pub(crate) shuts_down: bool,
    pub(crate) checks_close_notify: bool,
    pub(crate) sends_alert: bool,
    pub(crate) updates_keys_before_read: bool,
    pub(crate) private_key_delay: Duration,
}

/// Connections after the first: floe does not resume, so these flags, and their values, say nothing to it.
const OTHER_CONNECTIONS: [&str; 3] = ["-on-resume-", "-on-retry-", "-on-handshaker-"];

/// What is the same for floe whether it is said or not. With a value:
const IGNORED_WITH_VALUE: [&str; 2] = ["-trust-cert", "-expect-early-data-reason"];
/// And without:
const IGNORED: [&str; 12] = [
    "-async",
    "-implicit-handshake",
    "-expect-verify-result",
    "-no-tls1",
    "-no-tls11",
    "-no-ticket",
    "-expect-no-session",
    "-expect-no-session-id",
    "-renegotiate-freely",
    "-expect-hrr",
    "-expect-no-hrr",
    "-expect-extended-master-secret",
];

impl Flags {
    /// Understands a command line, without the program's name.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, NotUnderstood> {
        let mut parser = Parser::default();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(flag) = rest.next() {
            let is_other = OTHER_CONNECTIONS
                .iter()
                .any(|prefix| flag.starts_with(prefix));
            let name = match ["-on-initial", "-on-shim"].iter().find_map(|prefix| {
                flag.strip_prefix(prefix)
                    .filter(|rest| rest.starts_with('-'))
            }) {
                Some(name) => name,
                None => flag,
            };
            if is_other {
                skip_value(&mut rest);
            } else {
                parser.take(name, &mut rest)?;
            }
        }
        parser.finish()
    }
}

/// A flag of another connection: what follows belongs to it unless it is a flag itself.
fn skip_value<'a>(rest: &mut (impl Iterator<Item = &'a str> + Clone)) {
    if rest
        .clone()
        .next()
        .is_some_and(|next| !next.starts_with('-'))
    {
        rest.next();
    }
}

struct Parser {
    flags: Flags,
    is_dtls: bool,
    is_ipv6: bool,
    min: u16,
    max: u16,
    without: Vec<ProtocolVersion>,
    export: Export,
    refuses: bool,
    refusal: AlertDescription,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            flags: Flags {
                runner: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
                shim_id: 0,
                side: Side::Client,
                certificate: None,
                private_key: None,
                versions: Vec::new(),
                mtu: None,
                initial_timeout: None,
                client_auth: ClientAuth::None,
                verify: Verify::Accept,
                groups: Vec::new(),
                srtp_profiles: Vec::new(),
                export: None,
                writes_first: false,
                shuts_down: false,
                checks_close_notify: false,
                sends_alert: false,
                updates_keys_before_read: false,
                private_key_delay: Duration::ZERO,
            },
            is_dtls: false,
            is_ipv6: false,
            // DTLS counts its versions downwards.
            min: u16::MAX,
            max: 0,
            without: Vec::new(),
            export: Export::default(),
            refuses: false,
            refusal: AlertDescription::HANDSHAKE_FAILURE,
        }
    }
}

impl Parser {
    fn take<'a>(
        &mut self,
        flag: &str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), NotUnderstood> {
        if self.take_switch(flag) || IGNORED.contains(&flag) {
            return Ok(());
        }
        let value = rest.next().ok_or_else(|| NotUnderstood(flag.to_owned()))?;
        let refused = || NotUnderstood(format!("{flag} {value}"));
        let flags = &mut self.flags;
        match flag {
            "-port" => flags.runner.set_port(number(value).ok_or_else(refused)?),
            "-shim-id" => flags.shim_id = number(value).ok_or_else(refused)?,
            "-cert-file" => flags.certificate = Some(value.to_owned()),
            "-key-file" => flags.private_key = Some(value.to_owned()),
            "-min-version" => self.min = number(value).ok_or_else(refused)?,
            "-max-version" => self.max = number(value).ok_or_else(refused)?,
            "-mtu" => flags.mtu = Some(number(value).ok_or_else(refused)?),
            "-initial-timeout-duration-ms" => {
                flags.initial_timeout = Some(milliseconds(value).ok_or_else(refused)?);
            }
            "-private-key-delay-ms" => {
                flags.private_key_delay = milliseconds(value).ok_or_else(refused)?;
            }
            "-curves" => flags.groups.push(group(value).ok_or_else(refused)?),
            "-srtp-profiles" => {
                flags.srtp_profiles = srtp_profiles(value).ok_or_else(refused)?;
            }
            "-export-keying-material" => self.export.len = number(value).ok_or_else(refused)?,
            "-export-label" => self.export.label = value.to_owned(),
            "-export-context" => self.export.context = value.to_owned(),
            _ if IGNORED_WITH_VALUE.contains(&flag) => {}
            _ => return Err(NotUnderstood(flag.to_owned())),
        }
        Ok(())
    }

    /// The flags that have no value.
    fn take_switch(&mut self, flag: &str) -> bool {
        let flags = &mut self.flags;
        match flag {
            "-dtls" => self.is_dtls = true,
            "-ipv6" => self.is_ipv6 = true,
            "-server" => flags.side = Side::Server,
            "-no-tls12" => self.without.push(ProtocolVersion::DTLS1_2),
            "-no-tls13" => self.without.push(ProtocolVersion::DTLS1_3),
            "-verify-peer" if flags.client_auth == ClientAuth::None => {
                flags.client_auth = ClientAuth::Requested;
            }
            "-verify-peer" => {}
            "-require-any-client-certificate" => flags.client_auth = ClientAuth::Required,
            "-use-custom-verify-callback" => self.refusal = AlertDescription::CERTIFICATE_UNKNOWN,
            "-verify-fail" => self.refuses = true,
            "-use-export-context" => self.export.with_context = true,
            "-shim-writes-first" => flags.writes_first = true,
            "-shim-shuts-down" => flags.shuts_down = true,
            "-check-close-notify" => flags.checks_close_notify = true,
            "-send-alert" => flags.sends_alert = true,
            "-key-update-before-read" => flags.updates_keys_before_read = true,
            _ => return false,
        }
        true
    }

    fn finish(mut self) -> Result<Flags, NotUnderstood> {
        if !self.is_dtls {
            return Err(NotUnderstood("TLS over a stream".to_owned()));
        }
        if self.is_ipv6 {
            self.flags.runner.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST));
        }
        self.flags.versions = [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3]
            .into_iter()
            .filter(|version| !self.without.contains(version))
            .filter(|version| (self.max..=self.min).contains(&wire(*version)))
            .collect();
        // A peer that is not verified is not refused either.
        if self.refuses && self.flags.client_auth != ClientAuth::None {
            self.flags.verify = Verify::Refuse(self.refusal);
        }
        if self.export.len > 0 {
            self.flags.export = Some(self.export);
        }
        Ok(self.flags)
    }
}

fn wire(version: ProtocolVersion) -> u16 {
    if version == ProtocolVersion::DTLS1_3 {
        65276
    } else {
        65277
    }
}

fn number<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

fn milliseconds(value: &str) -> Option<Duration> {
    number(value).map(Duration::from_millis)
}

fn group(value: &str) -> Option<NamedGroup> {
    match value {
        "23" => Some(NamedGroup::SECP256R1),
        "24" => Some(NamedGroup::SECP384R1),
        "29" => Some(NamedGroup::X25519),
        "4588" => Some(NamedGroup::X25519MLKEM768),
        _ => None,
    }
}

/// OpenSSL's names, between colons.
fn srtp_profiles(value: &str) -> Option<Vec<SrtpProfile>> {
    value
        .split(':')
        .map(|name| match name {
            "SRTP_AES128_CM_SHA1_80" => Some(SrtpProfile::Aes128CmSha1_80),
            "SRTP_AES128_CM_SHA1_32" => Some(SrtpProfile::Aes128CmSha1_32),
            "SRTP_AEAD_AES_128_GCM" => Some(SrtpProfile::Aes128Gcm),
            "SRTP_AEAD_AES_256_GCM" => Some(SrtpProfile::Aes256Gcm),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, NotUnderstood> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Flags::parse(&arguments)
    }

    #[test]
    fn a_servers_command_line_is_understood() {
        let flags = parse(
            "-port 4433 -shim-id 7 -ipv6 -dtls -server -cert-file c -key-file k -async -trust-cert t -mtu 512 \
             -initial-timeout-duration-ms 250 -curves 4588 -curves 29 -require-any-client-certificate -verify-peer",
        )
        .unwrap();
        assert_eq!(flags.runner, "[::1]:4433".parse().unwrap());
        assert_eq!((flags.shim_id, flags.side), (7, Side::Server));
        assert_eq!(flags.certificate.as_deref(), Some("c"));
        assert_eq!(flags.private_key.as_deref(), Some("k"));
        assert_eq!(flags.mtu, Some(512));
        assert_eq!(flags.initial_timeout, Some(Duration::from_millis(250)));
        assert_eq!(
            flags.groups,
            [NamedGroup::X25519MLKEM768, NamedGroup::X25519]
        );
        assert_eq!(flags.client_auth, ClientAuth::Required);
        assert_eq!(flags.verify, Verify::Accept);
        assert_eq!(
            flags.versions,
            [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3]
        );
    }

    #[test]
    fn versions_are_limited_from_both_ends_and_switched_off() {
        let versions = |line: &str| parse(line).unwrap().versions;
        assert_eq!(
            versions("-dtls -min-version 65276"),
            [ProtocolVersion::DTLS1_3]
        );
        assert_eq!(
            versions("-dtls -max-version 65277 -min-version 65279"),
            [ProtocolVersion::DTLS1_2]
        );
        assert_eq!(versions("-dtls -max-version 65279"), []);
        assert_eq!(versions("-dtls -no-tls12"), [ProtocolVersion::DTLS1_3]);
        assert_eq!(versions("-dtls -no-tls12 -no-tls13 -no-tls1"), []);
    }

    #[test]
    fn what_is_exported_is_collected() {
        let flags = parse(
            "-dtls -export-keying-material 64 -export-label l -export-context c -use-export-context",
        );
        let export = flags.unwrap().export.unwrap();
        assert_eq!((export.len, export.with_context), (64, true));
        assert_eq!((export.label.as_str(), export.context.as_str()), ("l", "c"));
        assert_eq!(parse("-dtls").unwrap().export, None);
    }

    #[test]
    fn flags_of_other_connections_are_skipped_with_their_values() {
        let flags = parse(
            "-dtls -on-resume-verify-fail -on-retry-expect-early-data-reason ok -on-initial-mtu 300",
        );
        let flags = flags.unwrap();
        assert_eq!(flags.verify, Verify::Accept);
        assert_eq!(flags.mtu, Some(300));
    }

    #[test]
    fn only_who_verifies_refuses() {
        let verify = |line: &str| parse(line).unwrap().verify;
        for (callback, alert) in [
            ("", AlertDescription::HANDSHAKE_FAILURE),
            (
                "-use-custom-verify-callback",
                AlertDescription::CERTIFICATE_UNKNOWN,
            ),
        ] {
            let line = format!("-dtls -verify-fail -verify-peer {callback}");
            assert_eq!(verify(&line), Verify::Refuse(alert));
        }
        assert_eq!(verify("-dtls -verify-fail"), Verify::Accept);
    }

    #[test]
    fn what_floe_has_not_is_said_by_name() {
        for (line, word) in [
            ("-dtls -psk 00", "-psk"),
            ("-dtls -curves 25", "-curves 25"),
            ("-dtls -resume-count 1", "-resume-count"),
            ("-dtls -mtu", "-mtu"),
            ("-dtls -srtp-profiles NULL", "-srtp-profiles NULL"),
            ("-server", "TLS over a stream"),
        ] {
            assert_eq!(parse(line), Err(NotUnderstood(word.to_owned())), "{line}");
        }
    }
}
