//! Records and handshake fragments as an attacker sees and makes them (RFC 6347 §4.1, §4.2.2).

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;
pub const ACK: u8 = 26;

pub const CLIENT_HELLO: u8 = 1;
pub const SERVER_HELLO: u8 = 2;
pub const HELLO_VERIFY_REQUEST: u8 = 3;
pub const CERTIFICATE: u8 = 11;
pub const SERVER_KEY_EXCHANGE: u8 = 12;
pub const CERTIFICATE_VERIFY: u8 = 15;

pub const SUPPORTED_GROUPS: u16 = 10;
pub const EC_POINT_FORMATS: u16 = 11;
pub const SIGNATURE_ALGORITHMS: u16 = 13;
pub const USE_SRTP: u16 = 14;
pub const EXTENDED_MASTER_SECRET: u16 = 23;
pub const SUPPORTED_VERSIONS: u16 = 43;
pub const COOKIE: u16 = 44;
pub const KEY_SHARE: u16 = 51;
pub const CONNECTION_ID: u16 = 54;
pub const RENEGOTIATION_INFO: u16 = 0xff01;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub content_type: u8,
    pub version: u16,
    pub epoch: u16,
    pub sequence: u64,
    pub body: Vec<u8>,
}

impl Record {
    pub fn new(content_type: u8, epoch: u16, sequence: u64, body: &[u8]) -> Self {
        Self {
            content_type,
            version: 0xfefd,
            epoch,
            sequence,
            body: body.to_vec(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.content_type];
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes()[2..]);
        out.extend_from_slice(&(self.body.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.body);
        out
    }

    /// The handshake messages in a plaintext record.
    pub fn fragments(&self) -> Vec<Fragment> {
        let mut fragments = Vec::new();
        if self.content_type != HANDSHAKE || self.epoch != 0 {
            return fragments;
        }
        let mut rest = &self.body[..];
        while let Some((header, after)) = rest.split_at_checked(12) {
            let u24 =
                |at: usize| u32::from_be_bytes([0, header[at], header[at + 1], header[at + 2]]);
            let len = u24(9) as usize;
            fragments.push(Fragment {
                message_type: header[0],
                length: u24(1),
                message_seq: u16::from_be_bytes([header[4], header[5]]),
                offset: u24(6),
                body: after[..len].to_vec(),
            });
            rest = &after[len..];
        }
        fragments
    }
}

/// The records of a datagram.
pub fn records(mut datagram: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((header, rest)) = datagram.split_at_checked(13) {
        let mut sequence = [0; 8];
        sequence[2..].copy_from_slice(&header[5..11]);
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        records.push(Record {
            content_type: header[0],
            version: u16::from_be_bytes([header[1], header[2]]),
            epoch: u16::from_be_bytes([header[3], header[4]]),
            sequence: u64::from_be_bytes(sequence),
            body: rest[..len].to_vec(),
        });
        datagram = &rest[len..];
    }
    records
}

/// All handshake messages in plaintext in a datagram.
pub fn fragments(datagram: &[u8]) -> Vec<Fragment> {
    records(datagram)
        .iter()
        .flat_map(Record::fragments)
        .collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub message_type: u8,
    pub length: u32,
    pub message_seq: u16,
    pub offset: u32,
    pub body: Vec<u8>,
}

impl Fragment {
    /// A whole message.
    pub fn whole(message_type: u8, message_seq: u16, body: &[u8]) -> Self {
        Self {
            message_type,
            length: body.len() as u32,
            message_seq,
            offset: 0,
            body: body.to_vec(),
        }
    }

    /// A part of it.
    pub fn part(&self, start: usize, end: usize) -> Self {
        Self {
            offset: self.offset + start as u32,
            body: self.body[start..end].to_vec(),
            ..self.clone()
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.message_type];
        out.extend_from_slice(&self.length.to_be_bytes()[1..]);
        out.extend_from_slice(&self.message_seq.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes()[1..]);
        out.extend_from_slice(&(self.body.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&self.body);
        out
    }

    /// In a plaintext record of its own.
    pub fn in_record(&self, sequence: u64) -> Record {
        Record::new(HANDSHAKE, 0, sequence, &self.to_bytes())
    }
}

fn vector8(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

fn vector16(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A list of code points with its length.
pub fn list16(list: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = list.iter().flat_map(|code| code.to_be_bytes()).collect();
    let mut out = Vec::new();
    vector16(&mut out, &bytes);
    out
}

/// The body of use_srtp.
pub fn use_srtp(profiles: &[u16], mki: &[u8]) -> Vec<u8> {
    let mut body = list16(profiles);
    vector8(&mut body, mki);
    body
}

/// A cursor of a test's own; it panics where the machine would return an error.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn vector8(&mut self) -> Vec<u8> {
        let len = self.take(1)[0];
        self.take(len.into()).to_vec()
    }

    fn vector16(&mut self) -> Vec<u8> {
        let len = self.u16();
        self.take(len.into()).to_vec()
    }

    fn extensions(&mut self) -> Vec<(u16, Vec<u8>)> {
        let block = if self.0.is_empty() {
            Vec::new()
        } else {
            self.vector16()
        };
        let mut block = Cursor(&block);
        let mut extensions = Vec::new();
        while !block.0.is_empty() {
            extensions.push((block.u16(), block.vector16()));
        }
        extensions
    }
}

fn put_extensions(out: &mut Vec<u8>, extensions: &[(u16, Vec<u8>)]) {
    let mut block = Vec::new();
    for (code, body) in extensions {
        block.extend_from_slice(&code.to_be_bytes());
        vector16(&mut block, body);
    }
    vector16(out, &block);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    pub version: u16,
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    pub cookie: Vec<u8>,
    pub suites: Vec<u16>,
    pub compression: Vec<u8>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl ClientHello {
    pub fn parse(body: &[u8]) -> Self {
        let mut cursor = Cursor(body);
        Self {
            version: cursor.u16(),
            random: cursor.take(32).try_into().unwrap(),
            session_id: cursor.vector8(),
            cookie: cursor.vector8(),
            suites: cursor
                .vector16()
                .chunks(2)
                .map(|code| u16::from_be_bytes([code[0], code[1]]))
                .collect(),
            compression: cursor.vector8(),
            extensions: cursor.extensions(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.version.to_be_bytes().to_vec();
        out.extend_from_slice(&self.random);
        vector8(&mut out, &self.session_id);
        vector8(&mut out, &self.cookie);
        out.extend_from_slice(&list16(&self.suites));
        vector8(&mut out, &self.compression);
        put_extensions(&mut out, &self.extensions);
        out
    }

    /// Replaces an extension's body, or takes the extension away.
    pub fn set(&mut self, code: u16, body: Option<Vec<u8>>) {
        self.extensions.retain(|(other, _)| *other != code);
        self.extensions.extend(body.map(|body| (code, body)));
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    pub version: u16,
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    pub suite: u16,
    pub compression: u8,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl ServerHello {
    pub fn parse(body: &[u8]) -> Self {
        let mut cursor = Cursor(body);
        Self {
            version: cursor.u16(),
            random: cursor.take(32).try_into().unwrap(),
            session_id: cursor.vector8(),
            suite: cursor.u16(),
            compression: cursor.take(1)[0],
            extensions: cursor.extensions(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.version.to_be_bytes().to_vec();
        out.extend_from_slice(&self.random);
        vector8(&mut out, &self.session_id);
        out.extend_from_slice(&self.suite.to_be_bytes());
        out.push(self.compression);
        put_extensions(&mut out, &self.extensions);
        out
    }

    /// Replaces an extension's body, or takes the extension away.
    pub fn set(&mut self, code: u16, body: Option<Vec<u8>>) {
        self.extensions.retain(|(other, _)| *other != code);
        self.extensions.extend(body.map(|body| (code, body)));
    }

    pub fn extension(&self, code: u16) -> Option<&[u8]> {
        let found = self.extensions.iter().find(|(other, _)| *other == code);
        found.map(|(_, body)| &body[..])
    }
}

/// The versions a browser's ClientHello names.
pub const NEW_AND_OLD: &[u16] = &[0xfefc, 0xfefd];

/// A ClientHello like today's Chromium sends: code points nobody knows, DTLS 1.3 first, a post-quantum key share of 1216
/// bytes, and supported_versions behind it, so that it stands in the second datagram. 1413 bytes in all with the handshake
/// header of 12.
pub fn browser_hello(versions: &[u16]) -> ClientHello {
    let mut share = vec![0x11, 0xec];
    vector16(&mut share, &[0x5a; 1216]);
    let mut shares = Vec::new();
    vector16(&mut shares, &share);
    let schemes = [
        0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
    ];
    let [_, supported_versions @ ..] = &list16(versions)[..] else {
        unreachable!("a list has a length")
    };
    let mut hello = ClientHello {
        version: 0xfefd,
        random: [0xc4; 32],
        session_id: vec![],
        cookie: vec![],
        suites: vec![
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc009, 0xc013,
        ],
        compression: vec![0],
        extensions: vec![
            (0x3a3a, vec![]),
            (SUPPORTED_GROUPS, list16(&[0x11ec, 0x001d, 0x0017, 0x0018])),
            (51, shares),
            (EXTENDED_MASTER_SECRET, vec![]),
            (RENEGOTIATION_INFO, vec![0]),
            (EC_POINT_FORMATS, vec![1, 0]),
            (SIGNATURE_ALGORITHMS, list16(&schemes)),
            (USE_SRTP, use_srtp(&[8, 7, 1], &[])),
            (SUPPORTED_VERSIONS, supported_versions.to_vec()),
            (0x9a9a, vec![0]),
        ],
    };
    let missing = 1413 - 12 - hello.to_bytes().len() - 4;
    hello.extensions.push((0x4a4a, vec![0; missing]));
    hello
}

/// Its body.
pub fn browser_client_hello(versions: &[u16]) -> Vec<u8> {
    browser_hello(versions).to_bytes()
}
