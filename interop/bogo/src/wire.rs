//! The runner's framing: one byte of what it is, then big-endian numbers and, for a datagram, its bytes.

use std::io::{self, Read, Write};
use std::time::Duration;

/// More than any datagram: a length beyond it is a broken stream.
const LONGEST: usize = 1 << 20;

/// What the runner sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    /// `P`: a datagram has arrived.
    Datagram(Vec<u8>),
    /// `T`: so much time passes, once this has been acknowledged.
    Advance(Duration),
    /// `M`: datagrams may be so long from now on, in bytes.
    Mtu(usize),
    /// `E`: the next timer is exactly so far away, or there is none.
    ExpectTimer(Option<Duration>),
    /// `U`: the first time-out of a flight becomes this.
    InitialTimeout(Duration),
}

/// Reads one opcode; `None` at the end of the stream.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Opcode>> {
    let mut kind = [0];
    if from.read(&mut kind)? == 0 {
        return Ok(None);
    }
    Ok(Some(match kind[0] {
        b'P' => {
            let len = read_u32(from)? as usize;
            if len > LONGEST {
                return Err(io::Error::other("a datagram longer than any"));
            }
            let mut datagram = vec![0; len];
            from.read_exact(&mut datagram)?;
            Opcode::Datagram(datagram)
        }
        b'T' => Opcode::Advance(Duration::from_nanos(read_u64(from)?)),
        b'M' => Opcode::Mtu(read_u32(from)? as usize),
        b'E' => Opcode::ExpectTimer(match read_u64(from)? {
            u64::MAX => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }),
        b'U' => Opcode::InitialTimeout(Duration::from_millis(read_u32(from)?.into())),
        other => return Err(io::Error::other(format!("opcode {other:#04x}"))),
    }))
}

/// Says which test this process is for; the first bytes of the stream.
pub(crate) fn write_id(to: &mut impl Write, id: u64) -> io::Result<()> {
    to.write_all(&id.to_le_bytes())
}

/// `P`: sends a datagram.
pub(crate) fn write_datagram(to: &mut impl Write, datagram: &[u8]) -> io::Result<()> {
    let mut framed = Vec::with_capacity(5 + datagram.len());
    framed.push(b'P');
    framed.extend_from_slice(&(datagram.len() as u32).to_be_bytes());
    framed.extend_from_slice(datagram);
    to.write_all(&framed)
}

/// `t`: acknowledges that time passes.
pub(crate) fn write_time_taken(to: &mut impl Write) -> io::Result<()> {
    to.write_all(b"t")
}

fn read_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn read_u64(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> io::Result<Vec<Opcode>> {
        let mut opcodes = Vec::new();
        while let Some(opcode) = read(&mut bytes)? {
            opcodes.push(opcode);
        }
        Ok(opcodes)
    }

    #[test]
    fn every_opcode_is_read_and_the_end_is_the_end() {
        let mut stream = Vec::new();
        write_datagram(&mut stream, &[22, 254, 253]).unwrap();
        stream.extend_from_slice(&[b'T', 0, 0, 0, 0, 0x17, 0xd7, 0x84, 0]);
        stream.extend_from_slice(&[b'M', 0, 0, 2, 0]);
        stream.extend_from_slice(&[b'E', 0, 0, 0, 0, 0, 0, 3, 0xe8]);
        stream.extend_from_slice(&[b'E', 255, 255, 255, 255, 255, 255, 255, 255]);
        stream.extend_from_slice(&[b'U', 0, 0, 0, 250]);
        assert_eq!(
            all(&stream).unwrap(),
            [
                Opcode::Datagram(vec![22, 254, 253]),
                Opcode::Advance(Duration::from_millis(400)),
                Opcode::Mtu(512),
                Opcode::ExpectTimer(Some(Duration::from_micros(1))),
                Opcode::ExpectTimer(None),
                Opcode::InitialTimeout(Duration::from_millis(250)),
            ]
        );
    }

    #[test]
    fn a_broken_stream_is_an_error() {
        for broken in [
            &b"X"[..],
            b"P\0\0",
            b"P\0\0\0\x02a",
            b"P\xff\xff\xff\xff",
            b"T\0",
        ] {
            assert!(all(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn the_id_is_little_endian() {
        let mut stream = Vec::new();
        write_id(&mut stream, 0x0102).unwrap();
        assert_eq!(stream, [2, 1, 0, 0, 0, 0, 0, 0]);
    }
}
