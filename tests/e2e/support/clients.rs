//! Real clients: FFmpeg (Debian's, and version 8 for enhanced RTMP), FFprobe, rtmpdump, GStreamer.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::{Program, run};
use super::workdir::target;

/// Which FFmpeg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ffmpeg {
    /// The distribution's.
    Debian,
    /// Version 8, which speaks enhanced RTMP; `scripts/clients.sh` gets it.
    Eight,
}

impl Ffmpeg {
    pub fn name(self) -> &'static str {
        match self {
            Ffmpeg::Debian => "ffmpeg",
            Ffmpeg::Eight => "ffmpeg8",
        }
    }

    pub fn program(self) -> PathBuf {
        match self {
            Ffmpeg::Debian => "ffmpeg".into(),
            Ffmpeg::Eight => target().join("clients/ffmpeg8"),
        }
    }

    fn command(self) -> Command {
        let mut command = Command::new(self.program());
        command.args(["-nostdin", "-hide_banner", "-v", "warning"]);
        command
    }

    /// Publishes a file over and over at its own speed, until dropped.
    #[track_caller]
    pub fn publish(self, folder: &Path, file: &Path, url: &str) -> Program {
        self.publish_with(folder, file, &["-stream_loop", "-1"], &[], url)
    }

    /// Publishes a file at its own speed, with further options for its input and its output.
    #[track_caller]
    pub fn publish_with(self, folder: &Path, file: &Path, input: &[&str], output: &[&str], url: &str) -> Program {
        let mut command = self.command();
        command.arg("-re").args(input).arg("-i").arg(file).args(["-c", "copy"]);
        command.args(output).args(["-f", "flv", url]);
        Program::start(self.name(), folder, &mut command)
    }

    /// Plays to an FLV file without decoding; ends by itself after `seconds` of media.
    #[track_caller]
    pub fn record(self, folder: &Path, input: &[&str], url: &str, seconds: u32, file: &Path) -> Program {
        let mut command = self.command();
        command
            .args(input)
            .args(["-i", url, "-c", "copy", "-t", &seconds.to_string()]);
        command.args(["-y", "-f", "flv"]).arg(file);
        Program::start(self.name(), folder, &mut command)
    }

    /// Decodes a file; fails the test when FFmpeg has anything to complain about. Gives the number of pictures.
    #[track_caller]
    pub fn decode(self, folder: &Path, file: &Path) -> usize {
        let mut command = Command::new(self.program());
        command
            .args(["-nostdin", "-hide_banner", "-v", "error", "-i"])
            .arg(file);
        command.args(["-f", "null", "-progress", "pipe:1", "-"]);
        let output = run(self.name(), folder, 60, &mut command).ok().output;
        // A progress report is made of `name=value` lines only.
        let complaint = output.lines().find(|line| !line.contains('=') || line.starts_with('['));
        assert_eq!(
            complaint,
            None,
            "{} decodes {} with errors:\n{output}",
            self.name(),
            file.display()
        );
        let mut frames = output.lines().rev().filter_map(|line| line.strip_prefix("frame="));
        frames
            .next()
            .map_or(0, |count| count.trim().parse().expect("a frame count"))
    }
}

/// What FFprobe says of a file or stream: `streams` and `format`.
#[track_caller]
pub fn probe(folder: &Path, url: &str) -> serde_json::Value {
    let mut command = Command::new(target().join("clients/ffprobe8"));
    command.args([
        "-v",
        "quiet",
        "-print_format",
        "json",
        "-show_streams",
        "-show_format",
        url,
    ]);
    let output = run("ffprobe8", folder, 30, &mut command).ok().output;
    serde_json::from_str(&output).unwrap_or_else(|e| panic!("FFprobe's report on {url}: {e}\n{output}"))
}

/// The codec names of a report of [`probe`], in the order of the streams.
pub fn codecs(report: &serde_json::Value) -> Vec<&str> {
    let streams = report["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    streams
        .iter()
        .filter_map(|stream| stream["codec_name"].as_str())
        .collect()
}

/// rtmpdump of a live stream, which writes each message's payload to its file untouched. It plays until it is stopped.
#[track_caller]
pub fn rtmpdump(folder: &Path, url: &str, file: &Path, options: &[&str]) -> Program {
    let mut command = Command::new("rtmpdump");
    command.args(["--live", "--rtmp", url, "--flv"]).arg(file).args(options);
    Program::start("rtmpdump", folder, &mut command)
}

/// A GStreamer pipeline, written as on its command line (no quoting: blanks separate).
#[track_caller]
pub fn gstreamer(folder: &Path, pipeline: &str) -> Program {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-e").args(pipeline.split_whitespace());
    Program::start("gst-launch-1.0", folder, &mut command)
}

/// A player for browsers, by the name of its file; `scripts/clients.sh` gets it.
pub fn script(name: &str) -> PathBuf {
    target().join("clients/js").join(name)
}
