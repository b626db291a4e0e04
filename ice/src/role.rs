//! Who nominates: the role (RFC 8445 §6.1.1) and what to do when both think it is them (§7.3.1.1).
//!
//! | initiating | we | they | role |
//! |---|---|---|---|
//! | yes | full | full | controlling |
//! | no | full | full | controlled |
//! | either | full | lite | controlling |
//! | either | lite | full | controlled |
//! | yes | lite | lite | controlling |
//! | no | lite | lite | controlled |

use std::fmt;

use floe_stun::RoleAttribute;

/// Which side nominates. `RTCIceRole` of W3C webrtc-pc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We nominate.
    Controlling,
    /// They nominate.
    Controlled,
}

impl Role {
    /// The role that an initiating or responding agent takes (the table above). Kept over restarts.
    pub fn determine(initiation: Initiation, local: Mode, remote: Mode) -> Self {
        match (local, remote, initiation) {
            (Mode::Full, Mode::Lite, _) => Self::Controlling,
            (Mode::Lite, Mode::Full, _) => Self::Controlled,
            (_, _, Initiation::Initiating) => Self::Controlling,
            (_, _, Initiation::Responding) => Self::Controlled,
        }
    }

    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }

    /// What our checks carry.
    pub(crate) fn attribute(self, tie_breaker: u64) -> RoleAttribute {
        match self {
            Self::Controlling => RoleAttribute::Controlling(tie_breaker),
            Self::Controlled => RoleAttribute::Controlled(tie_breaker),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Controlling => "controlling",
            Self::Controlled => "controlled",
        })
    }
}

/// Full or lite (RFC 8445 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Sends checks and answers them.
    Full,
    /// Only answers.
    Lite,
}

/// Who made the first offer of the session (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiation {
    /// We did.
    Initiating,
    /// They did.
    Responding,
}

/// What a request's role attribute asks of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    None,
    /// We keep our role and answer 487.
    Refuse,
    /// We take the other role.
    Switch,
}

/// RFC 8445 §7.3.1.1, all four cases. A lite agent never switches: its role follows from what the two sides are
/// (RFC 8445 §6.1.1), and it has nothing to nominate with.
pub(crate) fn conflict(
    role: Role,
    mode: Mode,
    tie_breaker: u64,
    theirs: Option<RoleAttribute>,
) -> Conflict {
    match (role, theirs) {
        (Role::Controlled, Some(RoleAttribute::Controlled(_)))
        | (Role::Controlling, Some(RoleAttribute::Controlling(_)))
            if mode == Mode::Lite =>
        {
            Conflict::Refuse
        }
        (Role::Controlling, Some(RoleAttribute::Controlling(other))) if tie_breaker >= other => {
            Conflict::Refuse
        }
        (Role::Controlling, Some(RoleAttribute::Controlling(_))) => Conflict::Switch,
        (Role::Controlled, Some(RoleAttribute::Controlled(other))) if tie_breaker >= other => {
            Conflict::Switch
        }
        (Role::Controlled, Some(RoleAttribute::Controlled(_))) => Conflict::Refuse,
        _ => Conflict::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I1
    #[test]
    fn the_role_follows_from_three_facts() {
        use Initiation::{Initiating, Responding};
        use Mode::{Full, Lite};
        let table = [
            (Initiating, Full, Full, Role::Controlling),
            (Responding, Full, Full, Role::Controlled),
            (Initiating, Full, Lite, Role::Controlling),
            (Responding, Full, Lite, Role::Controlling),
            (Initiating, Lite, Full, Role::Controlled),
            (Responding, Lite, Full, Role::Controlled),
            (Initiating, Lite, Lite, Role::Controlling),
            (Responding, Lite, Lite, Role::Controlled),
        ];
        for (initiation, local, remote, role) in table {
            assert_eq!(
                Role::determine(initiation, local, remote),
                role,
                "{initiation:?} {local:?} {remote:?}"
            );
        }
    }

    // req: I9
    #[test]
    fn the_larger_tie_breaker_controls() {
        let controlling = |t| Some(RoleAttribute::Controlling(t));
        let controlled = |t| Some(RoleAttribute::Controlled(t));
        let table = [
            (Role::Controlling, controlling(4), Conflict::Refuse),
            (Role::Controlling, controlling(5), Conflict::Refuse),
            (Role::Controlling, controlling(6), Conflict::Switch),
            (Role::Controlled, controlled(4), Conflict::Switch),
            (Role::Controlled, controlled(5), Conflict::Switch),
            (Role::Controlled, controlled(6), Conflict::Refuse),
            (Role::Controlling, controlled(9), Conflict::None),
            (Role::Controlled, controlling(9), Conflict::None),
            (Role::Controlled, None, Conflict::None),
        ];
        for (role, theirs, expected) in table {
            assert_eq!(
                conflict(role, Mode::Full, 5, theirs),
                expected,
                "{role} {theirs:?}"
            );
        }
        for theirs in [controlled(0), controlled(9)] {
            assert_eq!(
                conflict(Role::Controlled, Mode::Lite, 5, theirs),
                Conflict::Refuse
            );
        }
        for theirs in [controlling(0), controlling(9)] {
            assert_eq!(
                conflict(Role::Controlling, Mode::Lite, 5, theirs),
                Conflict::Refuse
            );
        }
    }
}
