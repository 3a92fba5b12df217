//! Viewers of HLS (RFC 8216): they follow a playlist and fetch its segments as a player would, and stand still when those
//! come too late.

use std::rc::Rc;
use std::time::Duration;

use srs_may::app::stream::Stream;
use srs_may::core::clock::Moment;
use srs_may::core::coroutine;
use srs_may::kernel::error::{Error, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;
use srs_may::protocol::http::client::Url;

use crate::http::{self, Answer};
use crate::line::Way;
use crate::observer::Observer;
use crate::tally::Tally;
use crate::ts::Reader;

/// The longest playlist, bytes.
const PLAYLIST_BYTES: usize = 1 << 20;
/// Redirects and playlists of playlists that are followed.
const HOPS: usize = 5;
/// How many segments before the end a viewer begins (section 6.3.3).
const BEHIND: usize = 3;

/// Plays until interrupted. Yields.
///
/// # Errors
/// Whatever ends it before.
pub fn play(way: &Way, url: &Url, number: usize, mut observer: Observer) -> Result<()> {
    let mut viewer = Viewer {
        way,
        number,
        connection: None,
        reader: Reader::new(),
        next: None,
        plays_until: None,
    };
    let mut place = url.clone();
    let mut playlist = viewer.find_media(&mut place, &observer)?;
    observer.accepted();
    loop {
        let came = viewer
            .catch_up(&place, &playlist, &mut observer)
            .wrap("fetch a segment")?;
        if coroutine::is_interrupted() {
            return Ok(());
        }
        if playlist.is_ended {
            return Err(Error::new(ErrorCode::HttpResponseEof, "the playlist has an end"));
        }
        // Section 6.3.4: half the time if nothing was new.
        coroutine::sleep(if came { playlist.target } else { playlist.target / 2 });
        playlist = viewer.fetch_playlist(&place, &observer)?;
    }
}

/// What a media playlist says.
#[derive(Debug, PartialEq)]
struct Playlist {
    target: Duration,
    is_ended: bool,
    /// Number, length and address of each.
    segments: Vec<(u64, Duration, String)>,
    /// The first playlist that it names, if it is one of playlists.
    variant: Option<String>,
}

impl Playlist {
    fn parse(text: &str) -> Result<Self> {
        if !text.starts_with("#EXTM3U") {
            return Err(Error::new(ErrorCode::HttpResponseData, "what came is no playlist"));
        }
        let mut playlist = Playlist {
            target: Duration::from_secs(1),
            is_ended: false,
            segments: Vec::new(),
            variant: None,
        };
        let seconds = |text: &str| {
            let number = text.split(',').next().and_then(|text| text.trim().parse::<f64>().ok());
            number
                .and_then(|number| Duration::try_from_secs_f64(number).ok())
                .unwrap_or_default()
        };
        let (mut number, mut length, mut is_variant) = (0, Duration::ZERO, false);
        for line in text.lines().map(str::trim) {
            if let Some(value) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
                playlist.target = seconds(value).max(Duration::from_millis(100));
            } else if let Some(value) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                number = value.trim().parse().unwrap_or(0);
            } else if let Some(value) = line.strip_prefix("#EXTINF:") {
                length = seconds(value);
            } else if line.starts_with("#EXT-X-STREAM-INF:") {
                is_variant = true;
            } else if line.starts_with("#EXT-X-ENDLIST") {
                playlist.is_ended = true;
            } else if !line.is_empty() && !line.starts_with('#') {
                if is_variant {
                    playlist.variant.get_or_insert_with(|| line.to_owned());
                } else {
                    playlist.segments.push((number, length, line.to_owned()));
                    number += 1;
                }
            }
        }
        Ok(playlist)
    }
}

struct Viewer<'a> {
    way: &'a Way,
    number: usize,
    /// Kept from request to request.
    connection: Option<(Url, Rc<Stream>)>,
    reader: Reader,
    /// The next segment's number.
    next: Option<u64>,
    /// When what was fetched is played out.
    plays_until: Option<Moment>,
}

impl Viewer<'_> {
    /// Follows playlists of playlists; `place` becomes that of the media.
    fn find_media(&mut self, place: &mut Url, observer: &Observer) -> Result<Playlist> {
        for _ in 0..HOPS {
            let playlist = self.fetch_playlist(place, observer)?;
            let Some(variant) = &playlist.variant else {
                return Ok(playlist);
            };
            *place = resolve(place, variant)?;
        }
        Err(Error::new(ErrorCode::HttpRedirectDepth, "playlists name each other"))
    }

    fn fetch_playlist(&mut self, place: &Url, observer: &Observer) -> Result<Playlist> {
        let mut text = Vec::new();
        let took = self.fetch(place, observer.tally(), |bytes| {
            if text.len() + bytes.len() > PLAYLIST_BYTES {
                return Err(Error::new(ErrorCode::HttpContentLength, "the playlist has no end"));
            }
            text.extend_from_slice(bytes);
            Ok(())
        });
        observer
            .tally()
            .fetch
            .borrow_mut()
            .record(took.wrap("fetch the playlist")?);
        Playlist::parse(&String::from_utf8_lossy(&text))
    }

    /// Fetches what is new; gives whether something was.
    fn catch_up(&mut self, place: &Url, playlist: &Playlist, observer: &mut Observer) -> Result<bool> {
        let newest = playlist.segments.len().saturating_sub(BEHIND);
        let start = playlist.segments.get(newest).map_or(0, |segment| segment.0);
        let next = *self.next.get_or_insert(start);
        let mut came = false;
        for (number, length, address) in playlist.segments.iter().filter(|segment| segment.0 >= next) {
            let target = resolve(place, address)?;
            let is_ts = target
                .target
                .split('?')
                .next()
                .is_some_and(|path| path.ends_with(".ts"));
            let tally = observer.tally().clone();
            let mut reader = std::mem::replace(&mut self.reader, Reader::new());
            let took = self.fetch(&target, &tally, |bytes| {
                if is_ts {
                    reader.take(bytes, observer);
                }
                Ok(())
            });
            self.reader = reader;
            let took = took?;
            tally.fetch.borrow_mut().record(took);
            Tally::add(&tally.messages, 1);
            self.play_out(*length, &tally);
            self.next = Some(number + 1);
            came = true;
            if coroutine::is_interrupted() {
                break;
            }
        }
        Ok(came)
    }

    /// Counts how long the viewer had nothing to show before this segment.
    fn play_out(&mut self, length: Duration, tally: &Tally) {
        let now = Moment::now();
        let until = self.plays_until.unwrap_or(now);
        tally.stalled.set(tally.stalled.get() + now.since(until));
        self.plays_until = Some(until.max(now) + length);
    }

    fn fetch(&mut self, url: &Url, tally: &Tally, mut body: impl FnMut(&[u8]) -> Result<()>) -> Result<Duration> {
        let began = Moment::now();
        let mut url = url.clone();
        for _ in 0..HOPS {
            let answer = self.exchange(&url, tally, &mut body)?;
            match (answer.status, &answer.location) {
                (200 | 206, _) => return Ok(Moment::now().since(began)),
                (301 | 302 | 303 | 307 | 308, Some(location)) => url = resolve(&url, location)?,
                (status, _) => {
                    let text = format!("the server answers with status {status}");
                    return Err(Error::new(ErrorCode::HttpStatus, text));
                }
            }
        }
        Err(Error::new(ErrorCode::HttpRedirectDepth, "redirects have no end"))
    }

    fn exchange(&mut self, url: &Url, tally: &Tally, body: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<Answer> {
        let kept = self.connection.take().filter(|(peer, stream)| {
            (&peer.host, peer.port, peer.is_https) == (&url.host, url.port, url.is_https) && !stream.is_readable()
        });
        let stream = match kept {
            Some((_, stream)) => stream,
            None => http::connect(self.way, url, self.number)?,
        };
        http::ask(&stream, url)?;
        let (mut answer, mut rest) = (Answer::new(), Vec::new());
        while !answer.is_done() {
            let count = self.way.pump(&stream, &mut rest, |input, _| answer.take(input, body))?;
            Tally::add(&tally.bytes, count as u64);
            if count == 0 {
                if answer.status == 0 || answer.keeps_open {
                    return Err(Error::new(
                        ErrorCode::HttpResponseEof,
                        "the server closed within its answer",
                    ));
                }
                return Ok(answer);
            }
        }
        if answer.keeps_open {
            self.connection = Some((url.clone(), stream));
        }
        Ok(answer)
    }
}

/// The address that a playlist or redirect at `base` means.
fn resolve(base: &Url, reference: &str) -> Result<Url> {
    if reference.contains("://") {
        return Url::parse(reference);
    }
    let mut url = base.clone();
    url.target = if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let path = base.target.split('?').next().unwrap_or_default();
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{folder}{reference}")
    };
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_playlist_is_read() {
        let text =
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:3.5, x\na.ts\n#EXTINF:2,\nb.ts?k=v\n";
        let playlist = Playlist::parse(text).unwrap();
        assert_eq!(playlist.target, Duration::from_secs(4));
        let numbers: Vec<u64> = playlist.segments.iter().map(|segment| segment.0).collect();
        assert_eq!(numbers, [7, 8]);
        assert_eq!(playlist.segments[0].1, Duration::from_millis(3500));
        assert!(!playlist.is_ended && playlist.variant.is_none());
        assert!(Playlist::parse("<html>").is_err());
    }

    #[test]
    fn a_playlist_of_playlists_names_the_first() {
        let text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh.m3u8\n";
        assert_eq!(Playlist::parse(text).unwrap().variant.as_deref(), Some("low.m3u8"));
    }

    #[test]
    fn references_are_resolved() {
        let base = Url::parse("http://h:8080/live/s.m3u8?k=v/w").unwrap();
        for (reference, host, target) in [
            ("a.ts?x=y", "h", "/live/a.ts?x=y"),
            ("/other/a.ts", "h", "/other/a.ts"),
            ("http://cdn/a.ts", "cdn", "/a.ts"),
        ] {
            let url = resolve(&base, reference).unwrap();
            assert_eq!((url.host.as_str(), url.target.as_str()), (host, target));
        }
    }
}
