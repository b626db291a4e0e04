//! A handshake in virtual time over 50 ms, where datagrams get lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{End, MTU, Progress, Stack, start};
use crate::call::epoch;
use crate::random::Random;

/// One way.
const DELAY: Duration = Duration::from_millis(50);

/// When waiting makes no sense any more.
const PATIENCE: Duration = Duration::from_secs(300);

struct Flying {
    at: Instant,
    to: usize,
    datagram: Vec<u8>,
}

/// How many milliseconds it takes until both are connected; `None` if one fails.
pub(super) fn course<S: Stack>(stack: &S, loss: f64, seed: u64) -> Option<u64> {
    let begin = epoch();
    let mut now = begin;
    let mut random = Random::new(seed);
    let mut ends = start(stack, now);
    let mut flying = VecDeque::new();
    while now < begin + PATIENCE {
        for from in [0, 1] {
            send(
                &mut ends[from],
                now,
                1 - from,
                loss,
                &mut random,
                &mut flying,
            );
        }
        match ends.each_ref().map(End::progress) {
            [Progress::Connected, Progress::Connected] => {
                return u64::try_from((now - begin).as_millis()).ok();
            }
            [Progress::Failed, _] | [_, Progress::Failed] => return None,
            _ => {}
        }
        now = go_on(now, &mut ends, &mut flying)?;
    }
    None
}

fn send(
    end: &mut impl End,
    now: Instant,
    to: usize,
    loss: f64,
    random: &mut Random,
    flying: &mut VecDeque<Flying>,
) {
    let mut buf = [0; MTU];
    while let Some(len) = end.transmit(&mut buf) {
        if !random.chance(loss) {
            flying.push_back(Flying {
                at: now + DELAY,
                to,
                datagram: buf[..len].to_vec(),
            });
        }
    }
}

/// On to the next arrival or deadline; `None` if there is none.
fn go_on(now: Instant, ends: &mut [impl End; 2], flying: &mut VecDeque<Flying>) -> Option<Instant> {
    let soon = now + Duration::from_millis(1);
    // Who wants to be woken at once would be for ever.
    let deadlines = ends
        .each_ref()
        .map(|end| end.deadline().map(|at| at.max(soon)));
    let arrival = flying.front().map(|flying| flying.at);
    let now = deadlines.into_iter().chain([arrival]).flatten().min()?;
    // Where both ends repeat themselves at the same pace, the one's repetition arrives just when the other's is due; and there
    // are those whose timer a repetition stops. So the timer goes first, in their favour.
    for (end, deadline) in ends.iter_mut().zip(deadlines) {
        if deadline.is_some_and(|at| at <= now) {
            end.wake(now);
        }
    }
    if deadlines.into_iter().flatten().all(|at| at > now)
        && let Some(Flying {
            to, mut datagram, ..
        }) = flying.pop_front()
    {
        ends[to].receive(now, &mut datagram);
    }
    Some(now)
}
