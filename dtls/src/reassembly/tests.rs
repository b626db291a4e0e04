use proptest::prelude::*;

use super::*;

const PLAIN: Epoch = Epoch::PLAINTEXT;

fn fragment<'a>(message_seq: u16, whole: &'a [u8], offset: usize, len: usize) -> Fragment<'a> {
    Fragment {
        header: HandshakeHeader {
            fragment_offset: offset as u32,
            fragment_length: len as u32,
            ..HandshakeHeader::whole(HandshakeType::CERTIFICATE, message_seq, whole.len() as u32)
        },
        body: &whole[offset..offset + len],
    }
}

fn claim(message_seq: u16, length: u32, fragment_offset: u32, body: &[u8]) -> Fragment<'_> {
    Fragment {
        header: HandshakeHeader {
            length,
            fragment_offset,
            fragment_length: body.len() as u32,
            ..HandshakeHeader::whole(HandshakeType::CERTIFICATE, message_seq, 0)
        },
        body,
    }
}

fn text(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| (index * 7 + index / 256) as u8)
        .collect()
}

proptest! {
    // req: T2
    #[test]
    fn any_cover_of_a_message_gives_the_message(
        len in 0usize..3000,
        cuts in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 0..30),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let whole = text(len);
        let mut pieces: Vec<(usize, usize)> = cuts
            .iter()
            .map(|(a, b)| {
                let start = (a * len as f64) as usize;
                (start, (b * (len - start) as f64) as usize)
            })
            .collect();
        // Whatever is covered already, these three complete it, overlapping all the others.
        pieces.extend([(0, len / 2), (len / 2, len - len / 2), (len, 0)]);
        let turn = shuffle.index(pieces.len());
        pieces.rotate_left(turn);
        let mut reassembler = Reassembler::default();
        for (offset, len) in pieces {
            if reassembler.next_seq() == 0 {
                reassembler.accept(PLAIN, &fragment(0, &whole, offset, len)).unwrap();
            }
        }
        let message = reassembler.pop().unwrap();
        prop_assert_eq!(message.body(), &whole[..]);
        prop_assert!(reassembler.messages.is_empty());
        prop_assert_eq!(reassembler.pages, 0);
    }

    // req: T2 T32
    #[test]
    fn any_fragments_stay_within_the_cap(
        fragments in prop::collection::vec((0u16..9, 0u32..70_000, 0u32..70_000, 0usize..1500), 0..200),
    ) {
        let bytes = vec![7; 1500];
        let mut reassembler = Reassembler::default();
        let mut received = 0;
        for (seq, length, offset, len) in fragments {
            let offset = offset.min(length);
            let len = len.min((length - offset) as usize);
            received += len + 1;
            let _ = reassembler.accept(PLAIN, &claim(seq, length, offset, &bytes[..len]));
            let _ = reassembler.pop();
            let pages: usize = reassembler.messages.iter().map(|partial| partial.size()).sum();
            prop_assert_eq!(pages, reassembler.pages);
            prop_assert!(pages * PAGE <= MAX_BYTES + 2 * PAGE);
            prop_assert!(pages <= received, "a page for every byte at most");
            prop_assert!(reassembler.messages.len() <= WINDOW);
        }
    }
}

#[test]
fn messages_come_out_in_order_whatever_order_they_came_in() {
    let mut reassembler = Reassembler::default();
    let texts = [text(100), text(0), text(200)];
    for seq in [2, 1] {
        let whole = &texts[usize::from(seq)];
        reassembler
            .accept(PLAIN, &fragment(seq, whole, 0, whole.len()))
            .unwrap();
        assert_eq!(reassembler.pop(), None);
    }
    reassembler
        .accept(PLAIN, &fragment(0, &texts[0], 0, 100))
        .unwrap();
    for whole in &texts {
        assert_eq!(reassembler.pop().unwrap().body(), &whole[..]);
    }
    assert_eq!(reassembler.pop(), None);
}

// req: T2
#[test]
fn seven_messages_are_told_apart_and_older_ones_are_stale() {
    let mut reassembler = Reassembler::default();
    let whole = text(10);
    assert_eq!(
        reassembler.accept(PLAIN, &fragment(7, &whole, 0, 10)),
        Err(DropReason::FarFutureMessage)
    );
    reassembler
        .accept(PLAIN, &fragment(6, &whole, 0, 10))
        .unwrap();
    reassembler
        .accept(PLAIN, &fragment(0, &whole, 0, 10))
        .unwrap();
    assert!(reassembler.pop().is_some());
    assert_eq!(
        reassembler.accept(PLAIN, &fragment(0, &whole, 0, 10)),
        Err(DropReason::StaleMessage)
    );
    reassembler
        .accept(PLAIN, &fragment(7, &whole, 0, 10))
        .unwrap();
}

// req: T32
#[test]
fn a_forged_whole_message_gives_way_to_the_honest_one_that_waits_with_it() {
    let whole = text(300);
    let mut forged = whole.clone();
    forged[299] ^= 1;
    for (offset, len) in [(0, 300), (100, 200)] {
        let mut reassembler = Reassembler::default();
        reassembler
            .accept(PLAIN, &fragment(1, &forged, 0, 300))
            .unwrap();
        let honest = fragment(1, &whole, offset, len);
        let conflict = Err(DropReason::FragmentConflict);
        assert_eq!(reassembler.accept(PLAIN, &honest), conflict);
        for honest in [fragment(1, &whole, 0, 300), fragment(0, &whole, 0, 300)] {
            reassembler.accept(PLAIN, &honest).unwrap();
        }
        assert_eq!(reassembler.pop().unwrap().body(), whole);
        assert_eq!(reassembler.pop().unwrap().body(), whole);
    }
}

// req: T32
#[test]
fn a_forged_length_type_or_byte_gives_way_to_the_honest_repetition() {
    let whole = text(300);
    let mut wrong_byte = whole.clone();
    wrong_byte[20] ^= 1;
    let mut wrong_type = fragment(0, &whole, 0, 100);
    wrong_type.header.handshake_type = HandshakeType::FINISHED;
    for forged in [
        claim(0, 299, 0, &whole[..100]),
        fragment(0, &wrong_byte, 0, 100),
        wrong_type,
    ] {
        let mut reassembler = Reassembler::default();
        reassembler.accept(PLAIN, &forged).unwrap();
        assert_eq!(
            reassembler.accept(PLAIN, &fragment(0, &whole, 0, 200)),
            Err(DropReason::FragmentConflict)
        );
        reassembler
            .accept(PLAIN, &fragment(0, &whole, 150, 150))
            .unwrap();
        assert_eq!(reassembler.pop().unwrap().body(), &whole[..]);
    }
}

// req: T2
#[test]
fn claimed_lengths_cost_nothing_and_the_cap_holds() {
    let mut reassembler = Reassembler::default();
    assert_eq!(
        reassembler.accept(PLAIN, &claim(0, 64 * 1024 + 1, 0, &[1])),
        Err(DropReason::ReassemblyFull)
    );
    for seq in 0..7 {
        reassembler
            .accept(PLAIN, &claim(seq, 64 * 1024, 60_000, &[1]))
            .unwrap();
    }
    assert_eq!(reassembler.pages, 7);
    let bytes = vec![1; 1024];
    let mut full = 0;
    for index in 0..200u32 {
        let fragment = claim(
            1 + (index % 2) as u16,
            64 * 1024,
            (index / 2 % 50) * 1024,
            &bytes,
        );
        full +=
            usize::from(reassembler.accept(PLAIN, &fragment) == Err(DropReason::ReassemblyFull));
    }
    assert!(full > 0);
    assert!(reassembler.pages * PAGE <= MAX_BYTES + 2 * PAGE);
}

#[test]
fn zero_length_fragments_anywhere_do_no_harm() {
    let whole = text(130);
    let mut reassembler = Reassembler::default();
    for offset in [0, 64, 65, 130] {
        reassembler
            .accept(PLAIN, &fragment(0, &whole, offset, 0))
            .unwrap();
        assert_eq!(reassembler.pop(), None);
    }
    reassembler
        .accept(PLAIN, &fragment(0, &whole, 0, 130))
        .unwrap();
    assert_eq!(reassembler.pop().unwrap().body(), &whole[..]);
}

// req: T32
#[test]
fn what_authenticates_outweighs_plaintext_whichever_came_first() {
    let whole = text(100);
    let forged = vec![0; 100];
    let mut reassembler = Reassembler::default();
    reassembler
        .accept(PLAIN, &fragment(0, &forged, 0, 50))
        .unwrap();
    reassembler
        .accept(Epoch::DTLS1_2, &fragment(0, &whole, 0, 60))
        .unwrap();
    assert_eq!(
        reassembler.accept(PLAIN, &fragment(0, &forged, 60, 40)),
        Err(DropReason::PlaintextAfterKeys)
    );
    reassembler
        .accept(Epoch::DTLS1_2, &fragment(0, &whole, 60, 40))
        .unwrap();
    let message = reassembler.pop().unwrap();
    assert_eq!(
        (message.epoch, message.body()),
        (Epoch::DTLS1_2, &whole[..])
    );

    reassembler
        .accept(PLAIN, &fragment(2, &forged, 0, 100))
        .unwrap();
    reassembler.forget_before(Epoch::DTLS1_2);
    assert_eq!(reassembler.pages, 0);
    reassembler
        .accept(Epoch::DTLS1_2, &fragment(1, &whole, 0, 100))
        .unwrap();
    assert!(reassembler.pop().is_some());
    assert_eq!(reassembler.pop(), None);
}
