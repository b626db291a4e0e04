//! Every entry as a `tracing` event, target `floe::journal`: changes at info, alerts, drift and refusals at warn, the rest at debug.

use super::{CorrelationId, Record, Seconds};
use std::{fmt::Display, time::Duration};
use tracing::{debug, info, warn};

const TARGET: &str = "floe::journal";

pub(super) fn emit<I>(session: CorrelationId, at: Duration, record: &Record<I>) {
    let at = Seconds(at);
    match record {
        Record::Transition(change) => {
            let parts = change.parts();
            let word = |word: Option<&dyn Display>| word.map(ToString::to_string);
            info!(
                target: TARGET,
                %session,
                %at,
                machine = %parts.machine,
                from = word(parts.from),
                to = %parts.to,
                action = word(parts.action),
                cause = word(parts.cause),
            );
        }
        Record::Alert { .. } | Record::Drift { .. } | Record::Refused { .. } => {
            warn!(target: TARGET, %session, %at, "{record}");
        }
        Record::Ended { .. } => info!(target: TARGET, %session, %at, "{record}"),
        Record::Stats { .. } | Record::Ignored { .. } | Record::Input { .. } => {
            debug!(target: TARGET, %session, %at, "{record}");
        }
    }
}
