//! HLS: live streams as files that any web server can serve, and the sessions of those who play them from ours. See
//! `docs/hls.md`.

mod floor;
mod key;
pub mod low_latency;
mod notice;
mod playlist;
mod recorder;
mod segment;
mod segmenter;
pub mod session;
pub mod stream;
pub mod uris;
pub mod variants;

use std::time::Duration;

use self::recorder::HlsRecorder;
use self::session::Sessions;
use self::stream::{Shelf, Stream};
use self::variants::Variant;
use super::recording::table::{Lasting, Table};
use super::recording::{Publisher, Recorder, template};
use super::workers::Workers;
use crate::core::clock::Moment;
use crate::core::coroutine;
use crate::kernel::error::Result;
use crate::kernel::error_code::ErrorCode;
use crate::protocol::rtmp::url::StreamUrl;

/// How often players that have left are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// All streams that are, or were, written as HLS.
#[derive(Default)]
pub struct HlsStreams {
    streams: Table<Stream>,
    /// What is served from memory.
    pub shelf: Shelf,
    /// Those who play them from this server.
    pub sessions: Sessions,
}

impl HlsStreams {
    /// What writes a publication, if the vhost asks for it.
    pub fn recorder(&self, publisher: &Publisher) -> Option<Box<dyn Recorder>> {
        let settings = publisher.vhost.hls.clone();
        let server = publisher.server.upgrade().filter(|_| settings.enabled)?;
        let url = &publisher.subject.url;
        let make = || {
            let stream = Stream::new(url.clone(), settings.clone(), self.shelf.clone());
            // Numbers go on where another worker has ended.
            stream.give_back(server.workers.taken_number(&url.stream_url()));
            stream
        };
        let stream = self.streams.get_or_insert(url, make);
        stream.set_settings(settings);
        Some(Box::new(HlsRecorder::new(publisher, stream)))
    }

    /// Whether a stream is written now.
    pub fn is_live(&self, key: &str) -> bool {
        self.streams.is_live(key)
    }

    /// Leaves a stream and its files to another worker; gives the number of the next segment.
    pub fn give_away(&self, key: &str) -> Option<u64> {
        let stream = self.streams.take(key)?;
        Some(stream.take_number())
    }

    /// Whether a stream has segments that players can fetch.
    pub fn has_playlist(&self, url: &StreamUrl) -> bool {
        self.streams.get(url).is_some_and(|stream| stream.has_segments())
    }

    /// A stream as one of several qualities, if it is live and players can fetch segments of it.
    pub fn variant(&self, key: &str) -> Option<Variant> {
        let stream = self.streams.get_by_key(key)?;
        if !stream.life().is_live() || !stream.has_segments() {
            return None;
        }
        let (peak, average) = stream.bandwidth();
        let description = stream.description.borrow();
        Some(Variant {
            name: stream.playlist_name().ok()?,
            peak,
            average,
            codecs: description.codecs(),
            resolution: description.resolution(),
        })
    }

    /// Writes the multivariant playlist of a stream and those that are shown with it, if the settings join some; these may
    /// be published at other workers. A failure is a warning: the stream itself plays. Yields.
    pub fn refresh_variants(&self, workers: &Workers, stream: &Stream) {
        if let Err(error) = self.write_variants(workers, stream) {
            log::warn!("the multivariant playlist is old, {}", error.summary());
        }
    }

    fn write_variants(&self, workers: &Workers, stream: &Stream) -> Result<()> {
        let settings = stream.settings();
        let group = variants::group(&settings, stream.url());
        let Some(base) = group.first() else {
            return Ok(());
        };
        let name = template::expand(&settings.variants_file, base, |_| None)?;
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let member = |url: &StreamUrl| {
            let key = url.stream_url();
            self.variant(&key).or_else(|| workers.variant_elsewhere(&key))
        };
        let listed: Vec<Variant> = group.iter().filter_map(member).collect();
        let path = settings.place(&name).display().to_string();
        if listed.is_empty() {
            return stream.files.remove(&path, ErrorCode::HlsWriteFile);
        }
        // Each member has a temporary name of its own, as several may write at once.
        let temporary = format!("{path}.{}.temp", stream.url().stream.replace('/', "-"));
        let text = variants::playlist(folder, &listed);
        stream
            .files
            .replace_by(temporary, &path, text.into_bytes(), ErrorCode::HlsWriteFile)
    }

    /// Deletes the files of streams that nobody has published for `hls_dispose`. Yields.
    pub fn dispose_idle(&self, workers: &Workers) {
        let idle = self.streams.take_idle(Moment::now());
        idle.iter().for_each(|stream| self.dispose(workers, stream));
    }

    /// Looks for players that have left, until the process ends. Yields.
    pub fn watch(&self) {
        loop {
            coroutine::sleep(LOOK);
            self.sessions.end_silent();
        }
    }

    /// Deletes the files of all streams whose settings ask for it: the server ends. Yields.
    pub fn dispose_all(&self, workers: &Workers) {
        let all = self.streams.take_disposable();
        all.iter().for_each(|stream| self.dispose(workers, stream));
    }

    fn dispose(&self, workers: &Workers, stream: &Stream) {
        stream.dispose();
        self.refresh_variants(workers, stream);
    }
}
