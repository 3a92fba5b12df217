//! Codec configurations and frames: what a sequence header says, pure functions of bytes.
