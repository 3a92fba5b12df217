//! The other origins of a cluster (`origin_cluster on`): which of them has a stream that is not published here.

use std::rc::Rc;

use serde::Deserialize;

use crate::app::config::section::vhost::Vhost;
use crate::app::http::client::{self, Timeouts};
use crate::app::server::Server;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::http::percent;
use crate::protocol::rtmp::message::Redirect;
use crate::protocol::rtmp::url::StreamUrl;

/// What a coworker says.
#[derive(Deserialize)]
struct Answer {
    data: Option<Found>,
}

#[derive(Deserialize)]
struct Found {
    origin: Option<Origin>,
}

#[derive(Deserialize)]
struct Origin {
    ip: String,
    port: u16,
}

/// Asks the coworkers one after the other where a stream is. Yields.
///
/// # Errors
/// [`ErrorCode::OriginClusterRedirect`] when none has it; [`ErrorCode::OriginClusterDiscover`] when the last one cannot be
/// asked.
pub(super) fn find(server: &Rc<Server>, vhost: &Vhost, url: &StreamUrl) -> Result<Redirect> {
    let coworkers = &vhost.cluster.coworkers;
    for (number, coworker) in coworkers.iter().enumerate() {
        match ask(server, vhost, url, coworker) {
            Ok(Some(origin)) => return Ok(redirect(url, &origin)),
            Ok(None) => {}
            Err(error) if number + 1 < coworkers.len() => {
                log::warn!("origin cluster: the next coworker is asked, {}", error.summary());
            }
            Err(error) => return Err(error),
        }
    }
    let text = format!(
        "none of {} coworkers has the stream {}",
        coworkers.len(),
        url.stream_url()
    );
    Err(Error::new(ErrorCode::OriginClusterRedirect, text))
}

fn ask(server: &Rc<Server>, vhost: &Vhost, url: &StreamUrl, coworker: &str) -> Result<Option<Origin>> {
    let text = percent::encode_path;
    let target = format!(
        "http://{coworker}/api/v1/clusters?vhost={}&ip={}&app={}&stream={}&coworker={}",
        text(&vhost.name),
        text(&url.host),
        text(&url.app),
        text(&url.stream),
        text(coworker),
    );
    let what = || format!("ask coworker {coworker}");
    let answer = client::fetch(&server.trust, "POST", &target, b"", Timeouts::default()).wrap_with(what)?;
    let parsed = serde_json::from_slice::<Answer>(&answer.body);
    match parsed {
        Ok(found) => Ok(found.data.and_then(|data| data.origin)),
        Err(cause) => {
            let text = format!("{}: status {}, {cause}", what(), answer.status);
            Err(Error::new(ErrorCode::OriginClusterDiscover, text))
        }
    }
}

fn redirect(url: &StreamUrl, origin: &Origin) -> Redirect {
    redirect_to(url, &origin.ip, origin.port)
}

/// Tells a client of a stream where else it is.
pub(super) fn redirect_to(url: &StreamUrl, host: &str, port: u16) -> Redirect {
    let whole = url.relay_url(host, port);
    let tc_url = whole.rsplit_once('/').map_or("", |(tc_url, _)| tc_url);
    let vhost = whole.split_once("vhost=").map(|(_, vhost)| vhost.split('&').next());
    Redirect {
        tc_url: match vhost.flatten() {
            Some(vhost) => format!("{tc_url}?vhost={vhost}"),
            None => tc_url.to_owned(),
        },
        url: Some(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_where_to_connect_and_what_to_play() {
        let origin = Origin {
            ip: "10.0.0.2".to_owned(),
            port: 19350,
        };
        let url = StreamUrl::parse("rtmp://v.com/live", "s?token=t").unwrap();
        let told = redirect(&url, &origin);
        assert_eq!(told.tc_url, "rtmp://10.0.0.2:19350/live?vhost=v.com");
        let whole = told.url.unwrap();
        assert_eq!(whole, "rtmp://10.0.0.2:19350/live/s?token=t&vhost=v.com");
        let same = StreamUrl::parse_whole(&whole).unwrap();
        assert_eq!(same.stream_url(), url.stream_url());
        let url = StreamUrl::parse("rtmp://10.0.0.1/live", "s").unwrap();
        let mut url = url;
        url.vhost = "__defaultVhost__".to_owned();
        assert_eq!(redirect(&url, &origin).tc_url, "rtmp://10.0.0.2:19350/live");
    }
}
