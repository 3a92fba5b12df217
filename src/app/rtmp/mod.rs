//! RTMP connections.
