//! What can happen to two ends and to the wires between them, whatever the ends are.

use std::{collections::VecDeque, time::Duration};

use arbitrary::Arbitrary;

use crate::ignore;

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

/// One thing that happens; `Own` is what can happen to these ends only.
#[derive(Arbitrary, Debug)]
pub(crate) enum Operation<Own> {
    /// Everything under way to this end arrives in order.
    DeliverAll(End),
    /// One datagram under way to this end meets its fate.
    Datagram {
        to: End,
        which: u8,
        fate: Fate,
    },
    /// Somebody else's datagram.
    Inject {
        to: End,
        datagram: Vec<u8>,
    },
    Advance {
        millis: u16,
    },
    Say {
        from: End,
        len: u8,
    },
    Close(End),
    Own(Own),
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Fate {
    Deliver,
    Drop,
    Duplicate,
    /// Where records are not protected, this is a change before sealing.
    Mutate {
        at: u16,
        byte: u8,
    },
    Truncate {
        len: u16,
    },
    /// It is overtaken by all the others.
    Delay,
}

/// Two ends.
pub(crate) trait World {
    type Own;
    /// How a datagram comes to its receiver.
    type Path: Copy;

    /// What is under way to `to`, first come first.
    fn under_way(&mut self, to: End) -> &mut VecDeque<(Self::Path, Vec<u8>)>;
    /// How a datagram of a stranger's comes.
    fn path_of_a_stranger(&mut self, to: End) -> Self::Path;
    fn deliver(&mut self, to: End, path: Self::Path, datagram: Vec<u8>);
    fn advance(&mut self, by: Duration);
    fn say(&mut self, from: End, len: u8);
    fn close(&mut self, end: End);
    fn own(&mut self, operation: Self::Own);

    fn apply(&mut self, operation: Operation<Self::Own>) {
        match operation {
            Operation::DeliverAll(to) => {
                for (path, datagram) in std::mem::take(self.under_way(to)) {
                    self.deliver(to, path, datagram);
                }
            }
            Operation::Datagram { to, which, fate } => {
                let wire = self.under_way(to);
                let which = usize::from(which).checked_rem(wire.len());
                if let Some((path, datagram)) = which.and_then(|which| wire.remove(which)) {
                    self.meet(to, path, datagram, fate);
                }
            }
            Operation::Inject { to, datagram } => {
                let path = self.path_of_a_stranger(to);
                self.deliver(to, path, datagram);
            }
            Operation::Advance { millis } => self.advance(Duration::from_millis(millis.into())),
            Operation::Say { from, len } => self.say(from, len),
            Operation::Close(end) => self.close(end),
            Operation::Own(operation) => self.own(operation),
        }
    }

    fn meet(&mut self, to: End, path: Self::Path, mut datagram: Vec<u8>, fate: Fate) {
        match fate {
            Fate::Deliver => {}
            Fate::Drop => return ignore(datagram),
            Fate::Duplicate => self.deliver(to, path, datagram.clone()),
            Fate::Mutate { at, byte } => {
                let at = usize::from(at) % datagram.len();
                datagram[at] = byte;
            }
            Fate::Truncate { len } => datagram.truncate(len.into()),
            Fate::Delay => return self.under_way(to).push_back((path, datagram)),
        }
        self.deliver(to, path, datagram);
    }
}
