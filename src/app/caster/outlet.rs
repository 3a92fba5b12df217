//! Where a caster's stream goes: a publisher at the URL that its template makes.

use std::time::Duration;

use crate::app::rtmp::dialogue::Approach;
use crate::app::rtmp::push::{PushOptions, Pusher};
use crate::app::server::Server;
use crate::kernel::error::{Error, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};
use crate::kernel::log::printable;

/// How long connecting may take: pushes wait meanwhile, and most outputs are on this machine.
const CONNECT: Duration = Duration::from_secs(3);
/// How long the server may take until it lets us publish: it may have to ask others.
const DIALOGUE: Duration = Duration::from_secs(10);
/// How long it may take to take anything.
const SEND: Duration = Duration::from_secs(10);

/// The names that a template may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// `[vhost]`.
    pub vhost: String,
    /// `[app]`.
    pub app: String,
    /// `[stream]`.
    pub stream: String,
}

impl Names {
    /// The names in a path such as `/live/livestream.flv`: the folder is the app, the last part the stream, without
    /// `suffix`.
    ///
    /// # Errors
    /// [`ErrorCode::RtmpTcUrl`] when one of them is empty or has characters that mean something in a URL.
    pub fn of_path(vhost: &str, path: &str, suffix: &str) -> Result<Self> {
        let trimmed = path.trim_matches('/');
        let (app, stream) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
        let names = Names {
            vhost: vhost.to_owned(),
            app: app.to_owned(),
            stream: stream.strip_suffix(suffix).unwrap_or(stream).to_owned(),
        };
        let is_plain = |name: &str| {
            let foreign = |c: char| c.is_control() || c.is_whitespace() || "?#[]@\\".contains(c);
            !name.contains(foreign) && !name.split('/').any(|part| part == "..")
        };
        if names.stream.is_empty()
            || ![&names.app, &names.stream, &names.vhost]
                .into_iter()
                .all(|name| is_plain(name))
        {
            let text = format!("{} names no stream: write /app/stream", printable(path));
            return Err(Error::new(ErrorCode::RtmpTcUrl, text));
        }
        Ok(names)
    }

    /// Fills a template in. Other brackets stay; what is filled in is not looked at again.
    pub fn fill(&self, template: &str) -> String {
        let mut filled = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('[') {
            let (before, from) = rest.split_at(at);
            filled.push_str(before);
            let known = [
                ("[vhost]", &self.vhost),
                ("[app]", &self.app),
                ("[stream]", &self.stream),
            ];
            match known.into_iter().find(|(name, _)| from.starts_with(name)) {
                Some((name, value)) => {
                    filled.push_str(value);
                    rest = &from[name.len()..];
                }
                None => {
                    filled.push('[');
                    rest = &from[1..];
                }
            }
        }
        filled + rest
    }
}

/// A stream that is being published. Nothing is connected before the first message.
pub struct Outlet<'s> {
    server: &'s Server,
    url: String,
    pusher: Option<Pusher>,
    headers: Headers,
}

/// What a server must be told again when it is connected to anew.
#[derive(Default)]
struct Headers {
    metadata: Option<Frame>,
    video: Option<Frame>,
    audio: Option<Frame>,
}

impl Headers {
    fn keep(&mut self, frame: &Frame) {
        let slot = match frame.kind {
            Kind::Data => &mut self.metadata,
            Kind::Video if frame.facts.is_video_sequence_header() => &mut self.video,
            Kind::Audio if frame.facts.is_audio_sequence_header() => &mut self.audio,
            _ => return,
        };
        *slot = Some(frame.clone());
    }

    /// With the time of the message that follows.
    fn at(&self, timestamp: u32) -> Vec<Frame> {
        let all = [&self.metadata, &self.video, &self.audio].into_iter().flatten();
        all.map(|frame| Frame {
            timestamp,
            ..frame.clone()
        })
        .collect()
    }
}

impl<'s> Outlet<'s> {
    /// Publishes at `url` when there is something to publish.
    pub fn new(server: &'s Server, url: String) -> Self {
        Outlet {
            server,
            url,
            pusher: None,
            headers: Headers::default(),
        }
    }

    /// Sends messages, connecting first if need be. Yields.
    ///
    /// # Errors
    /// Those of [`Pusher::open`] and [`Pusher::push`]; the connection is cut then, and the next call makes another one,
    /// which starts with the newest sequence headers.
    pub fn send(&mut self, frames: &[Frame]) -> Result<()> {
        let Some(first) = frames.first() else {
            return Ok(());
        };
        let sent = self.send_to_pusher(first.timestamp, frames);
        self.keep_headers(frames);
        if sent.is_err() {
            self.pusher = None;
        }
        sent
    }

    /// Remembers what a server must be told first, of messages that are not sent.
    pub fn keep_headers(&mut self, frames: &[Frame]) {
        frames.iter().for_each(|frame| self.headers.keep(frame));
    }

    fn send_to_pusher(&mut self, timestamp: u32, frames: &[Frame]) -> Result<()> {
        if let Some(pusher) = &mut self.pusher {
            return pusher.push(frames);
        }
        let config = self.server.config();
        let options = PushOptions {
            approach: Approach {
                trust: &self.server.trust,
                connect_timeout: CONNECT,
                dialogue_timeout: DIALOGUE,
                tells_who: true,
                client: None,
            },
            chunk_size: config.chunk_size,
            send_timeout: SEND,
        };
        let mut pusher = Pusher::open(&self.url, options).wrap("open output")?;
        log::info!("caster publishes at {}", pusher.place());
        pusher.push(&self.headers.at(timestamp))?;
        pusher.push(frames)?;
        self.pusher = Some(pusher);
        Ok(())
    }

    /// Where it publishes, without parameters; for logs.
    pub fn place(&self) -> &str {
        self.url.split('?').next().unwrap_or(&self.url)
    }

    /// Ends the publication politely; another message begins it anew, without the old headers. Yields.
    pub fn finish(&mut self) {
        self.headers = Headers::default();
        if let Some(pusher) = self.pusher.take()
            && let Err(error) = pusher.finish()
        {
            log::debug!("caster's output ends, {}", error.summary());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_app_and_stream() {
        let names = |path| Names::of_path("v", path, ".flv").map(|names| (names.app, names.stream));
        let both = |app: &str, stream: &str| (app.to_owned(), stream.to_owned());
        assert_eq!(names("/live/livestream.flv").unwrap(), both("live", "livestream"));
        assert_eq!(names("/a/b/c").unwrap(), both("a/b", "c"));
        assert_eq!(names("/s.flv").unwrap(), both("", "s"));
        for path in [
            "/",
            "",
            "/live/.flv",
            "/live/s?vhost=x",
            "/live/[app]",
            "/live/a b",
            "/../s",
            "/live/s\n",
        ] {
            assert!(names(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn templates_are_filled_once() {
        let names = Names {
            vhost: "v".to_owned(),
            app: "live".to_owned(),
            stream: "cam".to_owned(),
        };
        assert_eq!(names.fill("rtmp://[::1]/[app]/[stream]_x"), "rtmp://[::1]/live/cam_x");
        assert_eq!(
            names.fill("rtmp://h/[app]/[stream]?vhost=[vhost]"),
            "rtmp://h/live/cam?vhost=v"
        );
        assert_eq!(names.fill("rtmp://h/a/[other]["), "rtmp://h/a/[other][");
    }

    #[test]
    fn the_newest_headers_are_told_again() {
        let mut headers = Headers::default();
        for (kind, payload) in [
            (Kind::Video, &b"\x17\0\0\0\0\x01"[..]),
            (Kind::Video, b"\x17\0\0\0\0\x02"),
            (Kind::Video, b"\x17\x01\0\0\0\x09"),
            (Kind::Audio, b"\xaf\0\x12\x10"),
        ] {
            headers.keep(&Frame::new(kind, 1, payload.into()));
        }
        let told: Vec<_> = headers
            .at(77)
            .iter()
            .map(|frame| (frame.timestamp, frame.payload[frame.payload.len() - 1]))
            .collect();
        assert_eq!(told, [(77, 2), (77, 0x10)]);
    }
}
