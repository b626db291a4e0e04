//! The policies that come with the agent.

use std::time::Duration;

use super::rules::accepted;
use super::{Contender, Decision, Keep, Policy, Situation};
use crate::pair::PairState;

/// RFC 8445 §8.1.1: one pair, when it has succeeded and the waits of [`AcceptanceWaits`](crate::AcceptanceWaits) are over.
/// Another one only when that is lost; the rest is dropped. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Regular;

impl Policy for Regular {
    fn nominate(&self, situation: &Situation<'_>) -> Decision {
        match situation.nominated() {
            Some(_) => Decision::Nothing,
            None => accepted(situation, |_| true),
        }
    }
}

/// As browsers do: the best pair that works is nominated at once, and another one whenever a better one works, with
/// NOMINATION counting up (draft-thatcher-ice-renomination). The best pair of each local address is kept as a backup;
/// when the nominated one falls silent, the backups are checked, and the best that answers takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Continuous {
    /// How often a backup is checked. Default: 25 s.
    pub backup_interval: Duration,
    /// How long the nominated pair may leave consent checks unanswered before a backup takes over; three of its round trips
    /// at least. Default: 1 s, which is two checks in a row at the default RTO.
    pub silence: Duration,
}

impl Default for Continuous {
    fn default() -> Self {
        Self {
            backup_interval: Duration::from_secs(25),
            silence: Duration::from_secs(1),
        }
    }
}

impl Policy for Continuous {
    fn nominate(&self, situation: &Situation<'_>) -> Decision {
        self.nominate_best(situation, |c| (0, c.priority))
    }

    fn keep(&self, pair: &Contender, situation: &Situation<'_>) -> Keep {
        self.keep_best(pair, situation, |c| (0, c.priority))
    }

    fn counts_nominations(&self) -> bool {
        true
    }
}

impl Continuous {
    /// `worth` orders the pairs.
    fn nominate_best(
        &self,
        situation: &Situation<'_>,
        worth: impl Fn(&Contender) -> (u32, u64),
    ) -> Decision {
        let best = |wanted: &dyn Fn(&Contender) -> bool| {
            let working = situation.pairs().filter(Contender::has_succeeded);
            working.filter(wanted).max_by_key(&worth)
        };
        let Some(current) = situation.nominated() else {
            return best(&|_| true).map_or(Decision::Nothing, |c| Decision::Nominate(c.pair.id));
        };
        let patience = self.patience(&current);
        let other = if current.silence(situation.now()) >= patience {
            // Only an answer that is newer than its own last one proves that another pair does better.
            best(&|c| c.answered > current.answered)
        } else {
            best(&|c| worth(c) > worth(&current))
        };
        match (other, current.unanswered_since) {
            (Some(other), _) => Decision::Nominate(other.pair.id),
            (None, since) => since
                .and_then(|since| since.checked_add(patience))
                .map_or(Decision::Nothing, Decision::LookAgain),
        }
    }

    fn patience(&self, current: &Contender) -> Duration {
        self.silence.max(current.pair.rtt.unwrap_or_default() * 3)
    }

    fn keep_best(
        &self,
        pair: &Contender,
        situation: &Situation<'_>,
        worth: impl Fn(&Contender) -> (u32, u64),
    ) -> Keep {
        // What is about to be used is no backup, and takes no other's place as one.
        let upcoming = situation.upcoming().map(|c| c.pair.id);
        let beside =
            |c: &Contender| c.has_succeeded() && !c.pair.nominated && Some(c.pair.id) != upcoming;
        let better = |c: &Contender| {
            beside(c) && c.pair.path.local == pair.pair.path.local && worth(c) > worth(pair)
        };
        match pair.state {
            PairState::Failed => Keep::Drop,
            PairState::Succeeded if !situation.pairs().any(|c| better(&c)) => {
                Keep::Backup(self.interval(situation))
            }
            _ => Keep::ForNow,
        }
    }

    /// While the nominated pair is silent, what its backups answered long ago is worth nothing.
    fn interval(&self, situation: &Situation<'_>) -> Duration {
        let silent = |c: Contender| c.silence(situation.now()) >= self.patience(&c);
        if situation.nominated().is_some_and(silent) {
            self.silence.min(self.backup_interval)
        } else {
            self.backup_interval
        }
    }
}

/// For devices that move between networks: [`Continuous`], but a pair of a newer network is better than any of an older one,
/// whatever their priorities, and is nominated as soon as it works. After a change of network the application gives the
/// candidates it gathers there a greater epoch ([`Candidate::with_epoch`](crate::Candidate::with_epoch)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mobile {
    /// What it has in common with [`Continuous`].
    pub continuous: Continuous,
}

impl Policy for Mobile {
    fn nominate(&self, situation: &Situation<'_>) -> Decision {
        self.continuous
            .nominate_best(situation, |c| (c.epoch, c.priority))
    }

    fn keep(&self, pair: &Contender, situation: &Situation<'_>) -> Keep {
        self.continuous
            .keep_best(pair, situation, |c| (c.epoch, c.priority))
    }

    fn counts_nominations(&self) -> bool {
        true
    }
}

/// For servers whose clients decide: nothing is nominated, whatever the role; the peer's wishes are followed, and every
/// pair it checked stays for it to nominate, which costs a lite agent no packet. (Between two lite agents nobody can
/// nominate: there the highest priority decides, RFC 8445 §8.2, with any policy.)
#[derive(Clone, Copy, Debug, Default)]
pub struct LiteServer;

impl Policy for LiteServer {
    fn nominate(&self, _: &Situation<'_>) -> Decision {
        Decision::Nothing
    }

    fn keep(&self, pair: &Contender, _: &Situation<'_>) -> Keep {
        match pair.state {
            PairState::Failed => Keep::Drop,
            _ => Keep::ForNow,
        }
    }
}

/// Only what [`Agent::nominate`](crate::Agent::nominate) says is nominated, with NOMINATION counting up; every pair that works is
/// kept for it to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByApplication {
    /// How often a pair that is not in use is checked. Default: 25 s.
    pub backup_interval: Duration,
}

impl Default for ByApplication {
    fn default() -> Self {
        Self {
            backup_interval: Duration::from_secs(25),
        }
    }
}

impl Policy for ByApplication {
    fn nominate(&self, _: &Situation<'_>) -> Decision {
        Decision::Nothing
    }

    fn keep(&self, pair: &Contender, _: &Situation<'_>) -> Keep {
        match pair.state {
            PairState::Failed => Keep::Drop,
            PairState::Succeeded => Keep::Backup(self.backup_interval),
            PairState::Frozen | PairState::Waiting | PairState::InProgress => Keep::ForNow,
        }
    }

    fn counts_nominations(&self) -> bool {
        true
    }
}
