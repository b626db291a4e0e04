//! How much may go to an address that nobody has shown the peer to be at: three times what came from there, checks, answers
//! and handshake together (I56, as RFC 9000 §8.1 has it), in no more than twice as many datagrams (I42).
//!
//! It exists for a lite agent's path that is not proven: its first, until the handshake that ran there has finished or a check of
//! its own was answered there, and any that it moves to before that. What may not go yet is held, one datagram of it; the rest stays in DTLS.

use floe_ice::FiveTuple;

/// How much more than it sent an address may be sent.
const FACTOR: u64 = 3;
/// How many datagrams it may be sent for each of its own that is no check. A check has its answer, and pays for one of ours
/// (I42).
const DATAGRAMS: u32 = 2;
/// How much longer than the peer's check ours can be: both name the same two username fragments.
const OWN_CHECK: u64 = 16;
/// How many addresses have an account. One that loses its own starts from nothing: it is owed less then, never more.
const MAX_ACCOUNTS: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The latest heard from is last.
    accounts: Vec<Account>,
    held: Vec<u8>,
    handshake: Handshake,
}

#[derive(Debug)]
struct Account {
    path: FiveTuple,
    /// How many bytes of DTLS it may be sent.
    owed: u64,
    /// In how many datagrams, beside those that take the place of a check.
    datagrams: u32,
}

/// Where the datagrams of the handshake went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Handshake {
    #[default]
    Unsent,
    On(FiveTuple),
    /// On several paths: that it finishes proves none of them.
    Moved,
}

impl Meter {
    /// A check came from there. What the agent's own check may need, which each of them pays for (I42), is set aside.
    pub(super) fn on_check(&mut self, path: FiveTuple, len: usize) {
        let own_check = len as u64 + OWN_CHECK;
        self.credit(path, (FACTOR * len as u64).saturating_sub(own_check), 0);
    }

    /// Anything but a check came from there.
    pub(super) fn on_received(&mut self, path: FiveTuple, len: usize) {
        self.credit(path, FACTOR * len as u64, DATAGRAMS);
    }

    fn credit(&mut self, path: FiveTuple, bytes: u64, datagrams: u32) {
        let known = self
            .accounts
            .iter()
            .position(|account| account.path == path);
        let mut account = match known {
            Some(place) => self.accounts.remove(place),
            None => Account {
                path,
                owed: 0,
                datagrams: 0,
            },
        };
        account.owed += bytes;
        account.datagrams = account.datagrams.saturating_add(datagrams);
        if self.accounts.len() == MAX_ACCOUNTS {
            self.accounts.remove(0);
        }
        self.accounts.push(account);
    }

    /// The answer to a check went there.
    pub(super) fn on_answer(&mut self, path: &FiveTuple, len: usize) {
        if let Some(account) = self.account(path) {
            account.owed = account.owed.saturating_sub(len as u64);
        }
    }

    /// Whether a datagram of this length may go there; if so, it is counted. `spare` says whether it may take the place of
    /// a check.
    pub(super) fn takes(
        &mut self,
        path: &FiveTuple,
        len: usize,
        spare: impl FnOnce() -> bool,
    ) -> bool {
        let Some(account) = self.account(path) else {
            return false;
        };
        let Some(left) = account.owed.checked_sub(len as u64) else {
            return false;
        };
        match account.datagrams.checked_sub(1) {
            Some(left) => account.datagrams = left,
            None if spare() => {}
            None => return false,
        }
        account.owed = left;
        true
    }

    /// A datagram of the handshake went there.
    pub(super) fn on_handshake(&mut self, path: FiveTuple) {
        self.handshake = match self.handshake {
            Handshake::Unsent => Handshake::On(path),
            Handshake::On(known) if known == path => Handshake::On(path),
            _ => Handshake::Moved,
        };
    }

    /// What the end of the handshake proves: whoever finished it has read what went there.
    pub(super) fn proven_by_handshake(&self) -> Option<FiveTuple> {
        match self.handshake {
            Handshake::On(path) => Some(path),
            Handshake::Unsent | Handshake::Moved => None,
        }
    }

    pub(super) fn hold(&mut self, datagram: &[u8]) {
        self.held.clear();
        self.held.extend_from_slice(datagram);
    }

    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes what is held into `buf`, which holds an MTU.
    pub(super) fn release(&mut self, buf: &mut [u8]) -> Option<usize> {
        let len = self.held.len();
        buf.get_mut(..len)?.copy_from_slice(&self.held);
        self.held.clear();
        (len > 0).then_some(len)
    }

    fn account(&mut self, path: &FiveTuple) -> Option<&mut Account> {
        self.accounts
            .iter_mut()
            .find(|account| account.path == *path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> FiveTuple {
        FiveTuple::udp(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], port).into())
    }

    /// As far as bytes go: there are checks enough to spare.
    fn takes(meter: &mut Meter, path: &FiveTuple, len: usize) -> bool {
        meter.takes(path, len, || true)
    }

    // req: I42
    #[test]
    fn two_datagrams_may_go_for_one_and_what_checks_spare() {
        let mut meter = Meter::default();
        let takes = |meter: &mut Meter, mut spare: u32| {
            let before = spare;
            let taken = meter.takes(&path(1), 10, || {
                spare = spare.saturating_sub(1);
                before > 0
            });
            (taken, before - spare)
        };
        meter.on_check(path(1), 1000);
        assert_eq!(
            takes(&mut meter, 0),
            (false, 0),
            "that check's place is its own"
        );
        assert_eq!(takes(&mut meter, 1), (true, 1));
        meter.on_received(path(1), 1000);
        assert_eq!(takes(&mut meter, 5), (true, 0));
        assert_eq!(takes(&mut meter, 5), (true, 0));
        assert_eq!(takes(&mut meter, 5), (true, 1));
        assert_eq!(takes(&mut meter, 0), (false, 0));
        // What is too long costs nothing.
        meter.on_received(path(1), 1);
        assert!(!meter.takes(&path(1), 10_000, || panic!("not asked")));
        assert_eq!(takes(&mut meter, 0), (true, 0));
    }

    // req: I56
    #[test]
    fn three_times_what_came_may_go_and_not_a_byte_more() {
        let mut meter = Meter::default();
        assert!(!takes(&mut meter, &path(1), 1), "nothing came from there");
        meter.on_received(path(1), 100);
        meter.on_answer(&path(1), 50);
        assert!(takes(&mut meter, &path(1), 200));
        assert!(!takes(&mut meter, &path(1), 51));
        assert!(takes(&mut meter, &path(1), 50) && !takes(&mut meter, &path(1), 1));
        meter.on_received(path(1), 1);
        assert!(!takes(&mut meter, &path(1), 4) && takes(&mut meter, &path(1), 3));
        assert!(!takes(&mut meter, &path(2), 1), "each address for itself");
        // Of a check's worth, a check of our own is set aside.
        meter.on_check(path(2), 100);
        meter.on_answer(&path(2), 64);
        assert!(!takes(&mut meter, &path(2), 121) && takes(&mut meter, &path(2), 120));
    }

    // req: I56
    #[test]
    fn an_address_whose_account_is_lost_is_owed_nothing() {
        let mut meter = Meter::default();
        for port in 1..=5 {
            meter.on_received(path(port), 100);
        }
        assert!(!takes(&mut meter, &path(1), 1) && takes(&mut meter, &path(2), 300));
        meter.on_received(path(1), 10);
        assert!(takes(&mut meter, &path(1), 30) && !takes(&mut meter, &path(1), 1));
        assert_eq!(meter.accounts.len(), MAX_ACCOUNTS);
    }

    // req: I56
    #[test]
    fn a_handshake_proves_the_path_it_ran_on_if_it_was_one() {
        let mut meter = Meter::default();
        assert_eq!(meter.proven_by_handshake(), None);
        meter.on_handshake(path(1));
        meter.on_handshake(path(1));
        assert_eq!(meter.proven_by_handshake(), Some(path(1)));
        meter.on_handshake(path(2));
        assert_eq!(meter.proven_by_handshake(), None);
        meter.on_handshake(path(2));
        assert_eq!(meter.proven_by_handshake(), None);
    }

    #[test]
    fn what_is_held_comes_out_once() {
        let (mut meter, mut buf) = (Meter::default(), [0; 8]);
        assert!(!meter.holds() && meter.release(&mut buf).is_none());
        meter.hold(b"flight");
        assert!(meter.holds());
        assert_eq!(meter.release(&mut buf), Some(6));
        assert_eq!(&buf[..6], b"flight");
        assert!(!meter.holds() && meter.release(&mut buf).is_none());
    }
}
