//! What travels: state machines that take bytes and give bytes and events. The socket is a parameter.

pub mod amf0;
pub mod http;
#[cfg(not(feature = "tls"))]
pub mod no_tls;
pub mod redis;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
pub mod sdp;
#[cfg(feature = "tls")]
pub mod tls;
pub mod token;
pub mod websocket;

#[cfg(not(feature = "tls"))]
pub use no_tls as tls;
