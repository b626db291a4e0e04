//! Recovery: from a flap to a restart, within bounds.
