//! Live streams that a vhost serves over HTTP.

use std::time::Duration;

use crate::app::config::scope::Scope;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// The `http_remux` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRemux {
    /// Whether live streams are served.
    pub enabled: bool,
    /// How much sound a new player of AAC or MP3 gets at once.
    pub fast_cache: Duration,
    /// Whether an FLV player gets only the tracks that its file header tells.
    pub drop_if_not_match: bool,
    /// Whether an FLV file header tells sound, where it is not guessed.
    pub has_audio: bool,
    /// Whether an FLV file header tells pictures, where it is not guessed.
    pub has_video: bool,
    /// Whether an FLV file header tells what the stream has.
    pub guess_has_av: bool,
    /// Where the streams are.
    pub mount: Mount,
}

impl HttpRemux {
    pub(crate) fn read(remux: &Scope<'_>) -> Self {
        HttpRemux {
            enabled: remux.flag("enabled"),
            fast_cache: remux.duration("fast_cache"),
            drop_if_not_match: remux.flag("drop_if_not_match"),
            has_audio: remux.flag("has_audio"),
            has_video: remux.flag("has_video"),
            guess_has_av: remux.flag("guess_has_av"),
            mount: Mount::new(&remux.text("mount")),
        }
    }

    /// Sound that a source keeps for players to come: none where no format needs it.
    pub fn kept_sound(&self) -> Duration {
        match self.mount.format() {
            Ok(Format::Aac | Format::Mp3) if self.enabled => self.fast_cache,
            _ => Duration::ZERO,
        }
    }
}

/// What a live stream is sent as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// FLV tags.
    Flv,
    /// MPEG transport stream packets.
    Ts,
    /// AAC in ADTS.
    Aac,
    /// MP3 frames.
    Mp3,
    /// Fragmented MP4; not in SRS.
    Mp4,
}

/// A template of paths, such as `[vhost]/[app]/[stream].flv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    text: String,
    /// The path's segments, without the extension.
    segments: Vec<String>,
    extension: String,
}

impl Mount {
    /// Reads a template. What comes before its first `/` names the vhost, which the caller knows.
    pub fn new(text: &str) -> Self {
        let path = text.split_once('/').map_or("", |(_, path)| path);
        let (stem, extension) = split_extension(path);
        Mount {
            text: text.to_owned(),
            segments: stem.split('/').map(str::to_owned).collect(),
            extension: extension.to_owned(),
        }
    }

    /// What its extension stands for.
    ///
    /// # Errors
    /// [`ErrorCode::HttpStreamExt`] when that is none of the five.
    pub fn format(&self) -> Result<Format> {
        match self.extension.as_str() {
            "flv" => Ok(Format::Flv),
            "ts" => Ok(Format::Ts),
            "aac" => Ok(Format::Aac),
            "mp3" => Ok(Format::Mp3),
            "mp4" => Ok(Format::Mp4),
            _ => Err(Error::new(
                ErrorCode::HttpStreamExt,
                format!(
                    "http_remux.mount {} ends with none of .flv .ts .aac .mp3 .mp4",
                    self.text
                ),
            )),
        }
    }

    /// The app and the stream that a request's path names; `None` when the path does not fit. As many `/` and the same
    /// extension make a path fit, and fixed segments must be equal.
    pub fn find<'p>(&self, path: &'p str) -> Option<(&'p str, &'p str)> {
        let (stem, extension) = split_extension(path.strip_prefix('/')?);
        if extension != self.extension || stem.split('/').count() != self.segments.len() {
            return None;
        }
        // Without a place of its own in the template, the app is all before the stream.
        let (mut app, mut stream) = stem.rsplit_once('/')?;
        for (pattern, segment) in self.segments.iter().zip(stem.split('/')) {
            if let Some(found) = capture(pattern, "[app]", segment) {
                app = found;
            } else if let Some(found) = capture(pattern, "[stream]", segment) {
                stream = found;
            } else if pattern != segment {
                return None;
            }
        }
        (!app.is_empty() && !stream.is_empty()).then_some((app, stream))
    }
}

fn split_extension(path: &str) -> (&str, &str) {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => (stem, extension),
        _ => (path, ""),
    }
}

/// What stands in `text` where `pattern` has `name`.
fn capture<'t>(pattern: &str, name: &str, text: &'t str) -> Option<&'t str> {
    let (before, behind) = pattern.split_once(name)?;
    text.strip_prefix(before)?.strip_suffix(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_by_slashes_and_extension() {
        let mount = Mount::new("[vhost]/[app]/[stream].flv");
        assert_eq!(mount.find("/live/s.flv"), Some(("live", "s")));
        assert_eq!(mount.find("/live/a.b.flv"), Some(("live", "a.b")));
        for path in [
            "/s.flv",
            "/a/b/s.flv",
            "/live/s.ts",
            "/live/s",
            "/live/.flv",
            "//s.flv",
            "",
            "/",
        ] {
            assert_eq!(mount.find(path), None, "{path}");
        }
    }

    #[test]
    fn fixed_parts_of_a_template_must_be_there() {
        let mount = Mount::new("[vhost]/tv/[app]/x-[stream]-y.ts");
        assert_eq!(mount.find("/tv/live/x-s-y.ts"), Some(("live", "s")));
        assert_eq!(mount.find("/tw/live/x-s-y.ts"), None);
        assert_eq!(mount.find("/tv/live/s.ts"), None);
    }

    #[test]
    fn extensions_tell_the_format() {
        let format = |text| Mount::new(text).format();
        assert_eq!(format("[vhost]/[app]/[stream].mp3").ok(), Some(Format::Mp3));
        assert_eq!(format("v.com/[app]/[stream].aac").ok(), Some(Format::Aac));
        assert_eq!(format("[vhost]/[app]/[stream].mp4").ok(), Some(Format::Mp4));
        for wrong in [
            "[vhost]/[app]/[stream].mkv",
            "[vhost]/[app]/[stream]",
            "[vhost].flv",
            "",
        ] {
            let code = format(wrong).map_err(|error| error.code());
            assert_eq!(code, Err(ErrorCode::HttpStreamExt), "{wrong}");
        }
    }
}
