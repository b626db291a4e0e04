//! RTCSignalingState, and which description may be applied in which state.
