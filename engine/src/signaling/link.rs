//! The signaling channel: numbers, acknowledgements, order, and coming back after a loss.
