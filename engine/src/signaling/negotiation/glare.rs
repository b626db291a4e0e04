//! What becomes of an offer that comes: one pure function of the role, the moment and the offer's number.
//!
//! | moment | polite | impolite |
//! |---|---|---|
//! | stable | answer | answer |
//! | our offer awaits its answer | yield | ignore |
//! | its answer is being applied, or waits before this offer | answer, behind it | answer, behind it |
//! | our offer is being made | yield, behind it | ignore |
//! | their last offer is not answered yet | replace | ignore; replace if its number is newer |
//! | a provisional answer stands | refuse | ignore |
//! | closed | drop | drop |
//!
//! An offer whose number is not newer than the last one's is a repetition: the last one that was answered is answered again with
//! the same words, any other is dropped.

use super::Role;

/// What the side that gets an offer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    Stable,
    /// An own offer is being created or applied: `making_offer` of the W3C's example. The state may still read stable.
    MakingOffer,
    /// have-local-offer, and no answer in sight.
    AwaitingAnswer,
    /// have-local-offer, and the answer is being applied or waits for it: `isSettingRemoteAnswerPending` of the W3C's example.
    AnswerPending,
    /// have-remote-offer, or about to be.
    HaveRemoteOffer,
    /// have-local-pranswer or have-remote-pranswer.
    Pranswer,
    Closed,
}

/// How an offer's number compares with those that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Freshness {
    /// The peer does not number its offers, as W3C's example does not.
    Unnumbered,
    Newer,
    /// The last one, and its answer has gone.
    Answered,
    Old,
}

/// What is done with an offer. What has to wait for an operation waits; nothing overtakes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Verdict {
    /// Apply it, create an answer, send it.
    Answer,
    /// The same, and the rollback of our own offer goes with applying it, in one step.
    Yield,
    /// Apply it in the place of the one before, then answer.
    Replace,
    /// Our own offer wins; this one's candidates are not wanted either.
    Ignore,
    /// It cannot be applied while a provisional answer stands.
    Refuse,
    /// The answer has gone before: it goes again.
    Repeat,
    /// Forget it.
    Drop,
}

pub(super) fn judge(role: Role, moment: Moment, freshness: Freshness) -> Verdict {
    match (moment, freshness, role) {
        (Moment::Closed, ..) | (_, Freshness::Old, _) => Verdict::Drop,
        (_, Freshness::Answered, _) => Verdict::Repeat,
        (Moment::Stable | Moment::AnswerPending, ..) => Verdict::Answer,
        (Moment::MakingOffer | Moment::AwaitingAnswer, _, Role::Polite) => Verdict::Yield,
        (Moment::HaveRemoteOffer, _, Role::Polite)
        | (Moment::HaveRemoteOffer, Freshness::Newer, Role::Impolite) => Verdict::Replace,
        (Moment::Pranswer, _, Role::Polite) => Verdict::Refuse,
        (_, _, Role::Impolite) => Verdict::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENTS: [Moment; 7] = [
        Moment::Stable,
        Moment::AwaitingAnswer,
        Moment::AnswerPending,
        Moment::MakingOffer,
        Moment::HaveRemoteOffer,
        Moment::Pranswer,
        Moment::Closed,
    ];

    /// The table above, cell by cell, for offers that are new: [polite, impolite] without numbers, then with.
    fn table(moment: Moment) -> [Verdict; 4] {
        use Verdict as V;
        match moment {
            Moment::Stable | Moment::AnswerPending => [V::Answer; 4],
            Moment::AwaitingAnswer | Moment::MakingOffer => {
                [V::Yield, V::Ignore, V::Yield, V::Ignore]
            }
            Moment::HaveRemoteOffer => [V::Replace, V::Ignore, V::Replace, V::Replace],
            Moment::Pranswer => [V::Refuse, V::Ignore, V::Refuse, V::Ignore],
            Moment::Closed => [V::Drop; 4],
        }
    }

    #[test]
    fn every_cell_of_the_table() {
        let roles = [Role::Polite, Role::Impolite];
        for moment in MOMENTS {
            let judged = [Freshness::Unnumbered, Freshness::Newer]
                .map(|freshness| roles.map(|role| judge(role, moment, freshness)));
            assert_eq!(judged.concat(), table(moment), "{moment:?}");
        }
    }

    #[test]
    fn repetitions_never_change_anything() {
        for moment in MOMENTS {
            for role in [Role::Polite, Role::Impolite] {
                assert_eq!(judge(role, moment, Freshness::Old), Verdict::Drop);
                let again = match moment {
                    Moment::Closed => Verdict::Drop,
                    _ => Verdict::Repeat,
                };
                assert_eq!(judge(role, moment, Freshness::Answered), again);
            }
        }
    }
}
