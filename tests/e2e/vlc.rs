//! VLC as a player.

use std::path::Path;
use std::process::Command;

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::media::Sample;
use crate::support::program::Program;
use crate::support::server::Server;

const SECONDS: usize = 5;

/// Plays for [`SECONDS`] and writes what it got to a file, remuxed; decodes nothing. Ends by itself.
#[track_caller]
pub fn play(folder: &Path, url: &str, file: &Path) -> Program {
    // The shell opens the file, since VLC refuses to run as root and nobody may not write here.
    const SCRIPT: &str = r#"
        as_nobody=
        [ "$(id -u)" -ne 0 ] || as_nobody="setpriv --reuid=nobody --regid=nogroup --clear-groups"
        file=$0
        exec $as_nobody env HOME=/nonexistent cvlc "$@" >"$file""#;
    let seconds = SECONDS.to_string();
    let mut command = Command::new("sh");
    command.arg("-c").arg(SCRIPT).arg(file);
    command.args(["--intf", "dummy", "--no-color", "--run-time", &seconds, url]);
    // VLC's own multiplexer of TS drops the first pictures when a stream's time is not the machine's; this one does not.
    command.args(["--sout", "#std{access=file,mux=avformat{mux=flv},dst=-}", "vlc://quit"]);
    Program::start("cvlc", folder, &mut command)
}

#[test]
fn vlc_plays() {
    let server = Server::start();
    let url = server.url("vlc");
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &url);
    server.wait_for_line(&["client identified", "publish"]);
    let recording = server.file("played.flv");
    let played = play(server.folder(), &url, &recording).wait(40);
    let size = std::fs::metadata(&recording).map_or(0, |file| file.len());
    assert!(size > 50_000, "{size} bytes came; {}", played.output);
    let report = probe(server.folder(), &recording.display().to_string());
    let mut names = codecs(&report);
    names.sort_unstable();
    assert_eq!(names, ["aac", "h264"]);
    // The pictures begin with a keyframe and none is broken.
    let pictures = Ffmpeg::Debian.decode(server.folder(), &recording);
    assert!(
        pictures >= SECONDS * 25 / 2,
        "{SECONDS} seconds of 25 pictures hold {pictures}"
    );
}
