//! Where the stream is that a player of a cluster of origins wants (`origin_cluster on`): the registry tells, else the
//! coworkers.

use std::rc::Rc;

use super::{coworkers, origin};
use crate::app::config::section::vhost::Vhost;
use crate::app::server::Server;
use crate::kernel::error::Result;
use crate::kernel::log::printable;
use crate::protocol::rtmp::message::Redirect;
use crate::protocol::rtmp::url::{RTMP_PORT, StreamUrl};

/// Looks for the origin of a stream that is not here. Yields.
///
/// # Errors
/// [`crate::kernel::error_code::ErrorCode::OriginClusterRedirect`] when nobody has it;
/// [`crate::kernel::error_code::ErrorCode::OriginClusterDiscover`] when the last coworker cannot be asked.
pub fn find(server: &Rc<Server>, vhost: &Vhost, url: &StreamUrl) -> Result<Redirect> {
    match server.edges.registry.find(server, &[url.stream_url()]) {
        Ok(Some(record)) => match origin::split(&record.rtmp, RTMP_PORT) {
            Ok((host, port)) => return Ok(coworkers::redirect_to(url, host, port)),
            Err(_) => log::warn!("registry: {} is no address of an origin", printable(&record.rtmp)),
        },
        Ok(None) => {}
        Err(error) => log::warn!("registry: coworkers are asked instead, {}", error.summary()),
    }
    coworkers::find(server, vhost, url)
}
