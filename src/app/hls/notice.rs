//! Who is told of a segment: `on_hls`, and `on_hls_notify` for caches that fetch it before players do.

use std::rc::Rc;

use super::playlist::Segment;
use crate::app::config::section::hls::Hls;
use crate::app::hooks::{Caller, Details, Event, HlsSegment};
use crate::app::recording::Publisher;

/// Tells of a segment that the playlist lists by now.
pub fn tell(publisher: &Publisher, caller: &Rc<Caller>, settings: &Hls, playlist: &str, segment: &Segment) {
    let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
    let url = match is_absolute(&segment.uri) || folder.is_empty() {
        true => segment.uri.clone(),
        false => format!("{folder}/{}", segment.uri),
    };
    let details = HlsSegment {
        duration_ms: segment.duration_ms,
        file: &segment.file,
        url: &url,
        m3u8: &settings.place(playlist).display().to_string(),
        m3u8_url: playlist,
        seq_no: segment.number,
    };
    caller.tell(Event::Hls, &publisher.subject, Details::Segment(details));
    caller.notify_segment(&publisher.subject, &segment.uri, settings.nb_notify as usize);
}

/// Whether a segment's URI names a server.
pub fn is_absolute(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}
