//! Records and handshake fragments as an attacker sees and makes them (RFC 6347 §4.1, §4.2.2).

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

pub const CLIENT_HELLO: u8 = 1;
pub const CERTIFICATE: u8 = 11;
pub const CERTIFICATE_VERIFY: u8 = 15;

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

fn codes(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|code| code.to_be_bytes()).collect()
}

fn extension(out: &mut Vec<u8>, code: u16, body: &[u8]) {
    out.extend_from_slice(&code.to_be_bytes());
    vector16(out, body);
}

/// The versions a browser's ClientHello names.
pub const NEW_AND_OLD: &[u16] = &[0xfefc, 0xfefd];

/// The body of a ClientHello like today's Chromium sends: code points nobody knows, DTLS 1.3 first, a post-quantum key
/// share of 1216 bytes, and supported_versions behind it, so that it stands in the second datagram. 1413 bytes in all
/// with the handshake header of 12.
pub fn browser_client_hello(versions: &[u16]) -> Vec<u8> {
    let mut extensions = Vec::new();
    extension(&mut extensions, 0x3a3a, &[]);
    let groups = codes(&[0x11ec, 0x001d, 0x0017, 0x0018]);
    let mut body = Vec::new();
    vector16(&mut body, &groups);
    extension(&mut extensions, 10, &body);
    let mut shares = Vec::new();
    shares.extend_from_slice(&[0x11, 0xec]);
    vector16(&mut shares, &[0x5a; 1216]);
    let mut body = Vec::new();
    vector16(&mut body, &shares);
    extension(&mut extensions, 51, &body);
    extension(&mut extensions, 23, &[]);
    extension(&mut extensions, 0xff01, &[0]);
    extension(&mut extensions, 11, &[1, 0]);
    let mut body = Vec::new();
    vector16(
        &mut body,
        &codes(&[
            0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
        ]),
    );
    extension(&mut extensions, 13, &body);
    let mut body = Vec::new();
    vector16(&mut body, &codes(&[0x0008, 0x0007, 0x0001]));
    vector8(&mut body, &[]);
    extension(&mut extensions, 14, &body);
    let mut body = Vec::new();
    vector8(&mut body, &codes(versions));
    extension(&mut extensions, 43, &body);
    extension(&mut extensions, 0x9a9a, &[0]);

    let mut hello = vec![0xfe, 0xfd];
    hello.extend_from_slice(&[0xc4; 32]);
    vector8(&mut hello, &[]);
    vector8(&mut hello, &[]);
    vector16(
        &mut hello,
        &codes(&[
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc009, 0xc013,
        ]),
    );
    vector8(&mut hello, &[0]);
    let missing = 1413 - 12 - hello.len() - 2 - extensions.len() - 4;
    extension(&mut extensions, 0x4a4a, &vec![0; missing]);
    vector16(&mut hello, &extensions);
    hello
}
