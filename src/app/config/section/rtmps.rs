//! RTMP behind TLS.

use super::listen::SecureListen;
use crate::app::config::scope::Scope;

/// The `rtmps` block.
pub type Rtmps = SecureListen;

pub(crate) fn read(rtmps: &Scope<'_>) -> Rtmps {
    SecureListen::read(rtmps, "rtmps", "rtmps.listen")
}
