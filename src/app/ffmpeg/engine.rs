//! From the settings of an engine to FFmpeg's command line, in the order that SRS gives it.

use crate::app::config::section::engine::{COPY, Engine, NO_AUDIO, NO_VIDEO};

/// The one option for audio that FFmpeg also wants when it copies.
const ADTS_TO_ASC: [&str; 2] = ["-bsf:a", "aac_adtstoasc"];

/// What FFmpeg reads.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// A path or URL.
    pub url: &'a str,
    /// Whether it is read at its own speed (`-re`).
    pub real_time: bool,
}

/// The words behind the program's name, without `-loglevel`, which comes before them.
pub fn arguments(engine: &Engine, input: Input<'_>, output: &str) -> Vec<String> {
    let mut line = Line(Vec::new());
    if input.real_time {
        line.word("-re");
    }
    line.words(&engine.perfile);
    // Another input tells its own format.
    if input.url.starts_with("rtmp://") {
        line.format(&engine.iformat);
    }
    line.option("-i", input.url);
    line.words(&engine.vfilter);
    line.video(engine);
    line.audio(engine);
    line.format(&engine.oformat);
    line.option("-y", output);
    line.0
}

/// The same for an ingest without an engine that codes.
pub fn copying_arguments(input: Input<'_>, output: &str) -> Vec<String> {
    let engine = Engine {
        vcodec: COPY.into(),
        acodec: COPY.into(),
        oformat: "flv".into(),
        ..Engine::default()
    };
    arguments(&engine, input, output)
}

struct Line(Vec<String>);

impl Line {
    fn word(&mut self, word: &str) {
        self.0.push(word.to_owned());
    }

    fn words(&mut self, words: &[String]) {
        self.0.extend_from_slice(words);
    }

    fn option(&mut self, name: &str, value: impl ToString) {
        self.word(name);
        self.0.push(value.to_string());
    }

    /// A count or rate, of which zero leaves the choice to FFmpeg.
    fn number(&mut self, name: &str, value: i64) {
        if value > 0 {
            self.option(name, value);
        }
    }

    fn format(&mut self, format: &str) {
        if !format.is_empty() && format != "off" {
            self.option("-f", format);
        }
    }

    fn video(&mut self, engine: &Engine) {
        if engine.vcodec == NO_VIDEO {
            return self.word("-vn");
        }
        self.option("-vcodec", &engine.vcodec);
        if !engine.codes_video() {
            return;
        }
        self.number("-b:v", i64::from(engine.vbitrate) * 1000);
        if engine.vfps > 0.0 {
            self.option("-r", format!("{:.2}", engine.vfps));
        }
        // Encoders want even sizes.
        let (width, height) = (engine.vwidth & !1, engine.vheight & !1);
        if width > 0 && height > 0 {
            self.option("-s", format!("{width}x{height}"));
            self.option("-aspect", format!("{width}:{height}"));
        }
        self.number("-threads", engine.vthreads.into());
        if !engine.vprofile.is_empty() {
            self.option("-profile:v", &engine.vprofile);
        }
        if !engine.vpreset.is_empty() {
            self.option("-preset", &engine.vpreset);
        }
        self.words(&engine.vparams);
    }

    fn audio(&mut self, engine: &Engine) {
        if engine.acodec == NO_AUDIO {
            return self.word("-an");
        }
        self.option("-acodec", &engine.acodec);
        if engine.codes_audio() {
            self.number("-b:a", i64::from(engine.abitrate) * 1000);
            self.number("-ar", engine.asample_rate.into());
            self.number("-ac", engine.achannels.into());
            self.words(&engine.aparams);
        } else if engine.aparams.windows(2).any(|pair| pair == ADTS_TO_ASC) {
            ADTS_TO_ASC.iter().for_each(|word| self.word(word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn line(engine: &Engine, url: &str, real_time: bool) -> String {
        arguments(engine, Input { url, real_time }, "rtmp://h/live/out").join(" ")
    }

    fn full() -> Engine {
        Engine {
            name: "ff".into(),
            enabled: true,
            perfile: words("-re -rtsp_transport tcp"),
            iformat: "flv".into(),
            vfilter: words("-i logo.png -filter_complex overlay=10:10"),
            vcodec: "libx264".into(),
            vbitrate: 1500,
            vfps: 25.0,
            vwidth: 769,
            vheight: 321,
            vthreads: 12,
            vprofile: "main".into(),
            vpreset: "medium".into(),
            vparams: words("-t 100 -coder 1"),
            acodec: "libfdk_aac".into(),
            abitrate: 70,
            asample_rate: 44_100,
            achannels: 2,
            aparams: words("-profile:a aac_low"),
            oformat: "flv".into(),
            output: String::new(),
        }
    }

    #[test]
    fn all_settings_come_in_their_order() {
        assert_eq!(
            line(&full(), "rtmp://127.0.0.1:1935/live?vhost=v/s", false),
            "-re -rtsp_transport tcp -f flv -i rtmp://127.0.0.1:1935/live?vhost=v/s -i logo.png -filter_complex \
             overlay=10:10 -vcodec libx264 -b:v 1500000 -r 25.00 -s 768x320 -aspect 768:320 -threads 12 -profile:v main \
             -preset medium -t 100 -coder 1 -acodec libfdk_aac -b:a 70000 -ar 44100 -ac 2 -profile:a aac_low -f flv -y \
             rtmp://h/live/out"
        );
    }

    #[test]
    fn what_is_zero_or_empty_is_left_out() {
        let engine = Engine {
            vcodec: "png".into(),
            acodec: "aac".into(),
            ..Engine::default()
        };
        let expected = "-i rtmp://a/b/c -vcodec png -acodec aac -y rtmp://h/live/out";
        assert_eq!(line(&engine, "rtmp://a/b/c", false), expected);
        type Change = fn(&mut Engine);
        let changes: [(Change, &str); 6] = [
            (|e| e.vwidth = 640, "-vcodec png"),
            (|e| (e.vwidth, e.vheight) = (1, 1), "-vcodec png"),
            (|e| (e.vwidth, e.vheight) = (-2, 360), "-vcodec png"),
            (|e| e.vfps = 29.97, "-vcodec png -r 29.97"),
            (|e| e.vbitrate = i32::MAX, "-vcodec png -b:v 2147483647000"),
            (|e| e.vthreads = 1, "-vcodec png -threads 1"),
        ];
        for (change, expected) in changes {
            let mut engine = engine.clone();
            change(&mut engine);
            let expected = format!("-i f -vcodec {} -acodec aac -y rtmp://h/live/out", &expected[8..]);
            assert_eq!(line(&engine, "f", false), expected);
        }
    }

    #[test]
    fn formats_can_be_off_and_the_inputs_is_for_rtmp_only() {
        let mut engine = full();
        let formats = |engine: &Engine, url: &str| line(engine, url, false).matches("-f flv").count();
        assert_eq!(formats(&engine, "rtmp://a/b/c"), 2);
        assert_eq!(formats(&engine, "rtsp://a/b/c"), 1);
        assert_eq!(formats(&engine, "./a.flv"), 1);
        (engine.iformat, engine.oformat) = ("off".into(), "off".into());
        assert_eq!(formats(&engine, "rtmp://a/b/c"), 0);
    }

    #[test]
    fn what_is_copied_or_left_out_takes_no_settings() {
        let with = |vcodec: &str, acodec: &str| {
            let engine = Engine {
                vcodec: vcodec.into(),
                acodec: acodec.into(),
                perfile: Vec::new(),
                vfilter: Vec::new(),
                ..full()
            };
            line(&engine, "a.ts", true)
        };
        assert_eq!(
            with("copy", "copy"),
            "-re -i a.ts -vcodec copy -acodec copy -f flv -y rtmp://h/live/out"
        );
        assert_eq!(
            with("vn", "copy"),
            "-re -i a.ts -vn -acodec copy -f flv -y rtmp://h/live/out"
        );
        assert_eq!(
            with("copy", "an"),
            "-re -i a.ts -vcodec copy -an -f flv -y rtmp://h/live/out"
        );
    }

    #[test]
    fn copied_audio_takes_the_one_filter_for_adts() {
        let mut engine = Engine {
            vcodec: "vn".into(),
            acodec: "copy".into(),
            aparams: words("-profile:a aac_low -bsf:a aac_adtstoasc"),
            ..Engine::default()
        };
        let expected = "-i a.ts -vn -acodec copy -bsf:a aac_adtstoasc -y rtmp://h/live/out";
        assert_eq!(line(&engine, "a.ts", false), expected);
        engine.aparams = words("-bsf:a other");
        assert_eq!(
            line(&engine, "a.ts", false),
            "-i a.ts -vn -acodec copy -y rtmp://h/live/out"
        );
    }

    #[test]
    fn an_ingest_without_an_engine_copies_to_flv() {
        let input = Input {
            url: "rtmp://a/b/c",
            real_time: true,
        };
        let line = copying_arguments(input, "rtmp://h/live/out").join(" ");
        assert_eq!(
            line,
            "-re -i rtmp://a/b/c -vcodec copy -acodec copy -f flv -y rtmp://h/live/out"
        );
    }
}
