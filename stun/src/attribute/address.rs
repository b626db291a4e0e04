//! XOR-MAPPED-ADDRESS (RFC 8489 §14.2): an address that NATs do not recognise and rewrite.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{
    header::{MAGIC_COOKIE, TransactionId},
    reader::Reader,
};

const FAMILY_IPV4: u16 = 0x01;
const FAMILY_IPV6: u16 = 0x02;

/// Whether family and length belong together. The first byte is ignored, as the RFC asks.
#[inline]
pub(crate) fn is_well_formed(value: &[u8]) -> bool {
    match value.get(1).copied().map(u16::from) {
        Some(FAMILY_IPV4) => value.len() == 8,
        Some(FAMILY_IPV6) => value.len() == 20,
        _ => false,
    }
}

/// Reads the value; `None` when family and length do not belong together. The first byte is ignored.
pub(crate) fn read(value: &[u8], id: &TransactionId) -> Option<SocketAddr> {
    let mut reader = Reader::new(value);
    let family = reader.take_u16()? & 0x00FF;
    let port = xor_port(reader.take_u16()?);
    let ip = match (family, reader.remaining()) {
        (FAMILY_IPV4, 4) => IpAddr::V4(xor_v4(reader.take_array()?).into()),
        (FAMILY_IPV6, 16) => IpAddr::V6(xor_v6(reader.take_array()?, id).into()),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The value for an IPv4 address.
pub(crate) fn encode_v4(ip: Ipv4Addr, port: u16) -> [u8; 8] {
    let [p0, p1] = xor_port(port).to_be_bytes();
    let [a, b, c, d] = xor_v4(ip.octets());
    [0, FAMILY_IPV4 as u8, p0, p1, a, b, c, d]
}

/// The value for an IPv6 address.
pub(crate) fn encode_v6(ip: Ipv6Addr, port: u16, id: &TransactionId) -> [u8; 20] {
    let head = u32::from(FAMILY_IPV6) << 16 | u32::from(xor_port(port));
    let mut value = [0; 20];
    let (front, address) = value.split_at_mut(4);
    front.copy_from_slice(&head.to_be_bytes());
    address.copy_from_slice(&xor_v6(ip.octets(), id));
    value
}

fn xor_port(port: u16) -> u16 {
    port ^ u16::from_be_bytes([MAGIC_COOKIE[0], MAGIC_COOKIE[1]])
}

fn xor_v4(octets: [u8; 4]) -> [u8; 4] {
    (u32::from_be_bytes(octets) ^ u32::from_be_bytes(MAGIC_COOKIE)).to_be_bytes()
}

fn xor_v6(octets: [u8; 16], id: &TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    let (cookie, rest) = mask.split_at_mut(4);
    cookie.copy_from_slice(&MAGIC_COOKIE);
    rest.copy_from_slice(id.as_bytes());
    (u128::from_be_bytes(octets) ^ u128::from_be_bytes(mask)).to_be_bytes()
}
