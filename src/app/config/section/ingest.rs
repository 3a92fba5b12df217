//! Streams and files that are pulled in.

use super::engine::{self, Engine};
use crate::app::config::scope::Scope;
use crate::kernel::error_code::ErrorCode;

/// One `ingest` block of a vhost.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingest {
    /// The block's argument.
    pub id: String,
    /// Whether it runs.
    pub enabled: bool,
    /// The program.
    pub ffmpeg: String,
    /// `input.type`: `file` or `stream`.
    pub input_type: String,
    /// `input.url`: what is read.
    pub input_url: String,
    /// `engine`: each is a process of its own.
    pub engines: Vec<Engine>,
}

impl Ingest {
    pub(crate) fn read(id: &str, ingest: &Scope<'_>) -> Self {
        let input = ingest.section("input");
        Ingest {
            id: id.to_owned(),
            enabled: ingest.flag("enabled"),
            ffmpeg: ingest.text("ffmpeg"),
            input_type: input.text("type"),
            input_url: input.text("url"),
            engines: engine::read_all(ingest),
        }
    }

    /// What keeps it from running, as SRS numbers it.
    pub fn fault(&self) -> Option<(ErrorCode, String)> {
        if self.ffmpeg.is_empty() {
            return Some((ErrorCode::FFmpegBinary, "no ffmpeg is named".into()));
        }
        if self.input_url.is_empty() {
            return Some((ErrorCode::FFmpegNoInput, "input.url is missing".into()));
        }
        if !matches!(self.input_type.as_str(), "file" | "stream") {
            let text = format!("input.type is neither file nor stream but \"{}\"", self.input_type);
            return Some((ErrorCode::FFmpegInputType, text));
        }
        if self.engines.is_empty() {
            let text = "it has no engine, which names the output".to_owned();
            return Some((ErrorCode::EncoderNoOutput, text));
        }
        self.engines.iter().find_map(|engine| {
            if engine.output.is_empty() {
                let text = format!("engine {} has no output", engine.shown());
                return Some((ErrorCode::EncoderNoOutput, text));
            }
            if engine.copies() { None } else { engine.fault() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingest() -> Ingest {
        Ingest {
            id: "a".into(),
            enabled: true,
            ffmpeg: "ffmpeg".into(),
            input_type: "file".into(),
            input_url: "a.flv".into(),
            engines: vec![Engine {
                output: "rtmp://h/live/a".into(),
                ..Engine::default()
            }],
        }
    }

    #[test]
    fn faults_have_the_numbers_of_srs() {
        assert_eq!(ingest().fault(), None);
        let number = |change: fn(&mut Ingest)| {
            let mut ingest = ingest();
            change(&mut ingest);
            ingest.fault().map(|(code, _)| code.number())
        };
        assert_eq!(number(|ingest| ingest.ffmpeg.clear()), Some(3032));
        assert_eq!(number(|ingest| ingest.input_url.clear()), Some(3033));
        assert_eq!(number(|ingest| ingest.engines.clear()), Some(3034));
        assert_eq!(number(|ingest| ingest.engines[0].output.clear()), Some(3034));
        assert_eq!(number(|ingest| ingest.input_type = "tape".into()), Some(3035));
        // A disabled engine copies, whatever it says.
        let bad = |ingest: &mut Ingest| {
            let engine = &mut ingest.engines[0];
            (engine.vcodec, engine.acodec) = ("vn".into(), "an".into());
        };
        assert_eq!(number(bad), None);
        let both = |ingest: &mut Ingest| {
            let engine = &mut ingest.engines[0];
            (engine.vcodec, engine.acodec, engine.enabled) = ("vn".into(), "an".into(), true);
        };
        assert_eq!(number(both), Some(3015));
    }
}
