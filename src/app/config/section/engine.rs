//! One output of FFmpeg.

use crate::app::config::scope::Scope;
use crate::kernel::error_code::ErrorCode;

/// A codec that is not coded again.
pub const COPY: &str = "copy";
/// The video codec that leaves video out.
pub const NO_VIDEO: &str = "vn";
/// The audio codec that leaves audio out.
pub const NO_AUDIO: &str = "an";
/// The picture codec, which takes any setting.
const PNG: &str = "png";
/// The audio codec with a narrow range of bitrates.
const AAC_PLUS: &str = "libaacplus";

/// An `engine` block; fields are called as its directives. Numbers are as written: those that FFmpeg would refuse are
/// told by [`Engine::fault`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the table of directives tells what each is")]
pub struct Engine {
    /// The block's argument.
    pub name: String,
    pub enabled: bool,
    /// As words of a command line, here and in the other blocks of options.
    pub perfile: Vec<String>,
    pub iformat: String,
    pub vfilter: Vec<String>,
    pub vcodec: String,
    /// Kilobits a second.
    pub vbitrate: i32,
    pub vfps: f64,
    pub vwidth: i32,
    pub vheight: i32,
    pub vthreads: i32,
    pub vprofile: String,
    pub vpreset: String,
    pub vparams: Vec<String>,
    pub acodec: String,
    /// Kilobits a second.
    pub abitrate: i32,
    /// Hertz.
    pub asample_rate: i32,
    pub achannels: i32,
    pub aparams: Vec<String>,
    pub oformat: String,
    pub output: String,
}

/// All `engine` blocks inside this one.
pub(super) fn read_all(scope: &Scope<'_>) -> Vec<Engine> {
    scope
        .every("engine")
        .map(|engine| Engine::read(engine.arg_text(), &scope.inside("engine", engine.children())))
        .collect()
}

impl Engine {
    fn read(name: &str, engine: &Scope<'_>) -> Self {
        Engine {
            name: name.to_owned(),
            enabled: engine.flag("enabled"),
            perfile: engine.options("perfile"),
            iformat: engine.text("iformat"),
            vfilter: engine.options("vfilter"),
            vcodec: engine.text("vcodec"),
            vbitrate: engine.integer("vbitrate"),
            vfps: engine.decimal("vfps"),
            vwidth: engine.integer("vwidth"),
            vheight: engine.integer("vheight"),
            vthreads: engine.integer("vthreads"),
            vprofile: engine.text("vprofile"),
            vpreset: engine.text("vpreset"),
            vparams: engine.options("vparams"),
            acodec: engine.text("acodec"),
            abitrate: engine.integer("abitrate"),
            asample_rate: engine.integer("asample_rate"),
            achannels: engine.integer("achannels"),
            aparams: engine.options("aparams"),
            oformat: engine.text("oformat"),
            output: engine.text("output"),
        }
    }

    /// Its name for messages.
    pub fn shown(&self) -> &str {
        if self.name.is_empty() {
            "without a name"
        } else {
            &self.name
        }
    }

    /// Whether an ingest with it copies both codecs.
    pub fn copies(&self) -> bool {
        !self.enabled || self.vcodec.is_empty() || self.acodec.is_empty()
    }

    /// Whether video is coded again.
    pub fn codes_video(&self) -> bool {
        self.vcodec != COPY && self.vcodec != NO_VIDEO
    }

    /// Whether audio is coded again.
    pub fn codes_audio(&self) -> bool {
        self.acodec != COPY && self.acodec != NO_AUDIO
    }

    /// What keeps it from running, as SRS numbers it.
    pub fn fault(&self) -> Option<(ErrorCode, String)> {
        let faults = [Self::codec_fault, Self::video_fault, Self::audio_fault];
        let found = faults.iter().find_map(|fault| fault(self)).or_else(|| {
            let missing = self.output.is_empty();
            missing.then(|| (ErrorCode::FFmpegNoOutput, "output is missing".to_owned()))
        });
        found.map(|(code, text)| (code, format!("engine {}: {text}", self.shown())))
    }

    fn codec_fault(&self) -> Option<(ErrorCode, String)> {
        if self.vcodec == NO_VIDEO && self.acodec == NO_AUDIO {
            let text = "vcodec vn and acodec an leave nothing";
            return Some((ErrorCode::FFmpegNoCodec, text.into()));
        }
        let missing = [("vcodec", &self.vcodec), ("acodec", &self.acodec)]
            .into_iter()
            .find_map(|(name, codec)| codec.is_empty().then_some(name))?;
        let code = match missing {
            "vcodec" => ErrorCode::FFmpegNoCodec,
            _ => ErrorCode::FFmpegAudioCodec,
        };
        Some((code, format!("{missing} is missing")))
    }

    fn video_fault(&self) -> Option<(ErrorCode, String)> {
        if !self.codes_video() || self.vcodec == PNG {
            return None;
        }
        let numbers = [
            (ErrorCode::FFmpegVideoBitrate, "vbitrate", f64::from(self.vbitrate)),
            (ErrorCode::FFmpegFps, "vfps", self.vfps),
            (ErrorCode::FFmpegWidth, "vwidth", f64::from(self.vwidth)),
            (ErrorCode::FFmpegHeight, "vheight", f64::from(self.vheight)),
            (ErrorCode::FFmpegThreads, "vthreads", f64::from(self.vthreads)),
        ];
        if let Some((code, name, value)) = numbers.into_iter().find(|(_, _, value)| *value < 0.0) {
            return Some((code, format!("{name} {value} is negative")));
        }
        let words = [
            (ErrorCode::FFmpegProfile, "vprofile", &self.vprofile),
            (ErrorCode::FFmpegPreset, "vpreset", &self.vpreset),
        ];
        let (code, name, _) = words.into_iter().find(|(_, _, word)| word.is_empty())?;
        Some((code, format!("{name} is missing, which vcodec {} needs", self.vcodec)))
    }

    fn audio_fault(&self) -> Option<(ErrorCode, String)> {
        if !self.codes_audio() {
            return None;
        }
        if self.acodec == AAC_PLUS && self.abitrate != 0 && !(16..=72).contains(&self.abitrate) {
            let text = format!(
                "abitrate {} is outside of 16 to 72, which {AAC_PLUS} takes",
                self.abitrate
            );
            return Some((ErrorCode::FFmpegAudioBitrate, text));
        }
        let numbers = [
            (ErrorCode::FFmpegAudioBitrate, "abitrate", self.abitrate),
            (ErrorCode::FFmpegSampleRate, "asample_rate", self.asample_rate),
        ];
        if let Some((code, name, value)) = numbers.into_iter().find(|(_, _, value)| *value < 0) {
            return Some((code, format!("{name} {value} is negative")));
        }
        let text = || format!("achannels {} is neither 1 nor 2", self.achannels);
        (!(0..=2).contains(&self.achannels)).then(|| (ErrorCode::FFmpegChannels, text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Engine {
        Engine {
            vcodec: "libx264".into(),
            vprofile: "main".into(),
            vpreset: "fast".into(),
            acodec: "aac".into(),
            output: "rtmp://h/live/s".into(),
            ..Engine::default()
        }
    }

    fn number(change: impl Fn(&mut Engine)) -> Option<u16> {
        let mut engine = engine();
        change(&mut engine);
        engine.fault().map(|(code, _)| code.number())
    }

    #[test]
    fn faults_have_the_numbers_of_srs() {
        assert_eq!(number(|_| {}), None);
        assert_eq!(
            number(|e| (e.vcodec, e.acodec) = ("vn".into(), "an".into())),
            Some(3015)
        );
        assert_eq!(number(|e| e.vcodec.clear()), Some(3015));
        assert_eq!(number(|e| e.acodec.clear()), Some(3020));
        assert_eq!(number(|e| e.output.clear()), Some(3016));
        assert_eq!(number(|e| e.achannels = 3), Some(3017));
        assert_eq!(number(|e| e.achannels = -1), Some(3017));
        assert_eq!(number(|e| e.asample_rate = -1), Some(3018));
        assert_eq!(number(|e| e.abitrate = -1), Some(3019));
        assert_eq!(number(|e| (e.acodec, e.abitrate) = (AAC_PLUS.into(), 73)), Some(3019));
        assert_eq!(number(|e| (e.acodec, e.abitrate) = (AAC_PLUS.into(), 72)), None);
        assert_eq!(number(|e| (e.acodec, e.abitrate) = (AAC_PLUS.into(), 0)), None);
        assert_eq!(number(|e| e.vpreset.clear()), Some(3021));
        assert_eq!(number(|e| e.vprofile.clear()), Some(3022));
        assert_eq!(number(|e| e.vthreads = -1), Some(3023));
        assert_eq!(number(|e| e.vheight = -2), Some(3024));
        assert_eq!(number(|e| e.vwidth = -2), Some(3025));
        assert_eq!(number(|e| e.vfps = -0.5), Some(3026));
        assert_eq!(number(|e| e.vbitrate = -1), Some(3027));
    }

    #[test]
    fn what_is_not_coded_again_needs_no_settings() {
        for vcodec in [COPY, NO_VIDEO, PNG] {
            let lax = |e: &mut Engine| {
                e.vcodec = vcodec.into();
                e.vprofile.clear();
                e.vbitrate = -1;
            };
            assert_eq!(number(lax), None, "{vcodec}");
        }
        assert_eq!(number(|e| (e.acodec, e.achannels) = (COPY.into(), 9)), None);
    }
}
