//! Sample media, made once by FFmpeg and kept in the target folder.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use super::clients::Ffmpeg;
use super::program::run;
use super::workdir::target;

/// Eight seconds of moving test picture (320x180, 25 a second, a keyframe each second) and a tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    H264Aac,
    H264Mp3,
    H264,
    Aac,
    HevcAac,
    Av1Opus,
    Vp9Opus,
}

const SECONDS: &str = "8";
const PICTURE: &str = "testsrc2=size=320x180:rate=25";
const TONE: &str = "sine=frequency=440:sample_rate=44100";
// Two B-frames, so that composition times are not all zero.
const H264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-bf",
    "2",
    "-sc_threshold",
    "0",
    "-pix_fmt",
    "yuv420p",
];
const HEVC: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=error:scenecut=0",
];
const AV1: &[&str] = &["-c:v", "libsvtav1", "-preset", "12", "-b:v", "300k"];
const VP9: &[&str] = &[
    "-c:v",
    "libvpx-vp9",
    "-deadline",
    "realtime",
    "-cpu-used",
    "8",
    "-b:v",
    "300k",
];
const AAC: &[&str] = &["-c:a", "aac", "-b:a", "64k"];
const MP3: &[&str] = &["-c:a", "libmp3lame", "-b:a", "64k"];
const OPUS: &[&str] = &["-c:a", "libopus", "-b:a", "64k", "-ar", "48000"];

impl Sample {
    /// The FLV file, made now if it is not there yet.
    #[track_caller]
    pub fn path(self) -> PathBuf {
        let folder = target().join("media");
        fs::create_dir_all(&folder).expect("create the folder of samples");
        let arguments = self.arguments();
        let mut hasher = DefaultHasher::new();
        (&arguments, self.encoder() == Ffmpeg::Eight).hash(&mut hasher);
        // The name changes with the recipe, so an old file is never taken for a new one.
        let path = folder.join(format!("{self:?}-{:016x}.flv", hasher.finish()));
        if path.exists() {
            return path;
        }
        let lock = File::create(folder.join("lock")).expect("create the lock of samples");
        let _lock = Flock::lock(lock, FlockArg::LockExclusive).expect("lock the samples");
        if !path.exists() {
            self.make(&folder, &path, &arguments);
        }
        path
    }

    /// Whether the sample has pictures, and sound.
    pub fn tracks(self) -> (bool, bool) {
        (self != Sample::Aac, self != Sample::H264)
    }

    /// Who made it, and can publish it.
    pub fn encoder(self) -> Ffmpeg {
        match self {
            Sample::HevcAac | Sample::Av1Opus | Sample::Vp9Opus => Ffmpeg::Eight,
            _ => Ffmpeg::Debian,
        }
    }

    fn arguments(self) -> Vec<&'static str> {
        let video: &[&str] = match self {
            Sample::H264Aac | Sample::H264Mp3 | Sample::H264 => H264,
            Sample::HevcAac => HEVC,
            Sample::Av1Opus => AV1,
            Sample::Vp9Opus => VP9,
            Sample::Aac => &[],
        };
        let audio: &[&str] = match self {
            Sample::H264Aac | Sample::HevcAac | Sample::Aac => AAC,
            Sample::H264Mp3 => MP3,
            Sample::Av1Opus | Sample::Vp9Opus => OPUS,
            Sample::H264 => &[],
        };
        let mut all = Vec::new();
        if !video.is_empty() {
            all.extend(["-f", "lavfi", "-i", PICTURE]);
        }
        if !audio.is_empty() {
            all.extend(["-f", "lavfi", "-i", TONE]);
        }
        if !video.is_empty() {
            all.extend(video.iter().copied().chain(["-g", "25"]));
        }
        all.extend(audio);
        all.extend(["-t", SECONDS, "-f", "flv"]);
        all
    }

    fn make(self, folder: &Path, path: &Path, arguments: &[&str]) {
        let unfinished = folder.join(format!("{self:?}.tmp"));
        let mut command = Command::new(self.encoder().program());
        command.args(["-nostdin", "-hide_banner", "-v", "error", "-y"]);
        command.args(arguments).arg(&unfinished);
        run(self.encoder().name(), folder, 120, &mut command).ok();
        fs::rename(&unfinished, path).expect("give a sample its name");
    }
}
