//! Perfect negotiation: one offer at a time, and who yields when two cross.
