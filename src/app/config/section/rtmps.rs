//! RTMP behind TLS.

use super::listen::SecureListen;
use crate::app::config::scope::Scope;

/// The `rtmps` block.
pub type Rtmps = SecureListen;

pub(crate) fn read(rtmps: &Scope<'_>) -> Rtmps {
    let mut rtmps = SecureListen::read(rtmps, "rtmps", "rtmps.listen");
    // Its connections are few and long, and librtmp over GnuTLS takes a ticket for a broken connection.
    rtmps.files.resumable = false;
    rtmps
}
