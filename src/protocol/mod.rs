//! What travels: state machines that take bytes and give bytes and events. The socket is a parameter.

pub mod amf0;
pub mod http;
pub mod rtmp;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub mod tls;
pub mod websocket;
