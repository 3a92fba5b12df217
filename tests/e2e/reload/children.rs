//! Child processes of a stream that goes on: each option of their command line, where their logs go, and their ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::site::{Endless, Site};
use crate::support::wait::wait_for;

/// Makes a stand-in for FFmpeg that writes down how it is called, and that it ends.
fn stand_in(site: &Site, name: &str) {
    let path = site.server.file(name);
    let calls = site.server.file(&format!("{name}.calls"));
    let text = format!(
        "#!/bin/sh\necho \"$0 $*\" >> {0}\ntrap 'echo ended >> {0}; exit' TERM\nwhile :; do sleep 0.05; done\n",
        calls.display()
    );
    fs::write(&path, text).expect("write a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make a script a program");
}

/// How it was called so far.
fn calls(site: &Site, name: &str) -> Vec<String> {
    let text = fs::read_to_string(site.server.file(&format!("{name}.calls"))).unwrap_or_default();
    text.lines()
        .filter(|line| *line != "ended")
        .map(str::to_owned)
        .collect()
}

fn ends(site: &Site, name: &str) -> usize {
    let text = fs::read_to_string(site.server.file(&format!("{name}.calls"))).unwrap_or_default();
    text.lines().filter(|line| *line == "ended").count()
}

/// The newest of so many calls.
#[track_caller]
fn call(site: &Site, name: &str, count: usize) -> String {
    wait_for(&format!("call {count} of {name}"), 15, || {
        calls(site, name).get(count - 1).cloned()
    })
}

/// Each option of an engine: its directive, what is written, and what is on the command line then.
const OPTIONS: [(&str, &str, &str); 21] = [
    ("perfile.re", "perfile { re; rtsp_transport tcp; }", "-re"),
    ("perfile.rtsp_transport", "", "-rtsp_transport tcp"),
    (
        "vfilter.i",
        "vfilter { i ./logo.png; filter_complex overlay=10:10; vf scale=80:-2; }",
        "-i ./logo.png",
    ),
    ("vfilter.filter_complex", "", "-filter_complex overlay=10:10"),
    ("vfilter.vf", "", "-vf scale=80:-2"),
    ("vcodec", "vcodec libx265;", "-vcodec libx265"),
    ("vbitrate", "vbitrate 300;", "-b:v 300000"),
    ("vfps", "vfps 12.5;", "-r 12.50"),
    ("vwidth", "vwidth 640;", "-s 640x"),
    ("vheight", "vheight 360;", "x360 "),
    ("vthreads", "vthreads 3;", "-threads 3"),
    ("vprofile", "vprofile high;", "-profile:v high"),
    ("vpreset", "vpreset slow;", "-preset slow"),
    (
        "vparams.t",
        "vparams { t 100; coder 1; b_strategy 2; bf 3; refs 10; }",
        "-t 100 -coder 1 -b_strategy 2 -bf 3 -refs 10",
    ),
    ("acodec", "acodec libmp3lame;", "-acodec libmp3lame"),
    ("abitrate", "abitrate 64;", "-b:a 64000"),
    ("asample_rate", "asample_rate 44100;", "-ar 44100"),
    ("achannels", "achannels 2;", "-ac 2"),
    (
        "aparams.profile:a",
        "aparams { profile:a aac_low; bsf:a aac_adtstoasc; }",
        "-profile:a aac_low -bsf:a aac_adtstoasc",
    ),
    ("oformat", "oformat mpegts;", "-f mpegts -y"),
    (
        "output",
        "output rtmp://127.0.0.1:1/live/new;",
        "-y rtmp://127.0.0.1:1/live/new",
    ),
];

/// An engine before any of that.
const PLAIN: &str = "vcodec libx264; vbitrate 100; vfps 10; vwidth 320; vheight 180; vthreads 1; vprofile main;
    vpreset fast; acodec libfdk_aac; abitrate 32; asample_rate 22050; achannels 1; output rtmp://127.0.0.1:1/live/old;";

fn all_options() -> String {
    OPTIONS.map(|(_, written, _)| written).concat()
}

#[track_caller]
fn assert_options(block: &str, before: &str, after: &str) {
    for (directive, _, expected) in OPTIONS {
        // A file is read at its own speed anyway.
        let is_always = block == "ingest" && directive == "perfile.re";
        assert!(
            is_always || !before.contains(expected),
            "{block}.engine.{directive}: {before}"
        );
        assert!(after.contains(expected), "{block}.engine.{directive}: {after}");
    }
}

#[test]
fn transcoders_follow() {
    let site = Site::start("", "");
    stand_in(&site, "one");
    stand_in(&site, "two");
    let publisher = Endless::start(site.publish("s"));
    let block = |switch: &str, program: &str, engine: &str| {
        let program = site.server.file(program);
        format!(
            "transcode {{ enabled {switch}; ffmpeg {}; engine ff {{ {engine} }} }}",
            program.display()
        )
    };
    site.reload("", &block("on", "one", &format!("enabled on; {PLAIN}")));
    let before = call(&site, "one", 1);
    assert!(
        before.contains("-loglevel info") && before.contains("-f flv -i rtmp://"),
        "{before}"
    );

    // The log's settings are for children that start.
    let logs = "ff_log_dir ./logs;\nff_log_level debug;\n";
    site.reload(logs, &block("on", "one", &format!("enabled on; {PLAIN}")));
    site.reload(
        logs,
        &block("on", "one", &format!("enabled on; iformat live_flv; {}", all_options())),
    );
    let after = call(&site, "one", 2);
    assert_options("transcode", &before, &after);
    assert!(
        after.contains("-f live_flv -i rtmp://"),
        "transcode.engine.iformat: {after}"
    );
    assert!(after.contains("-loglevel debug"), "ff_log_level: {after}");
    wait_for("ff_log_dir", 10, || {
        let mut entries = fs::read_dir(site.server.file("logs")).ok()?.flatten();
        entries.find(|entry| entry.file_name().to_string_lossy().contains("ff.log"))
    });
    wait_for("the first one to end", 10, || (ends(&site, "one") == 1).then_some(()));
    assert_eq!(calls(&site, "one").len(), 2, "nothing else starts it again");

    site.reload("", &block("on", "two", &format!("enabled on; {PLAIN}")));
    call(&site, "two", 1);
    wait_for("transcode.ffmpeg", 10, || (ends(&site, "one") == 2).then_some(()));
    site.reload("", &block("on", "two", &format!("enabled off; {PLAIN}")));
    wait_for("transcode.engine.enabled off", 10, || {
        (ends(&site, "two") == 1).then_some(())
    });
    site.reload("", &block("on", "two", &format!("enabled on; {PLAIN}")));
    call(&site, "two", 2);
    site.reload("", &block("off", "two", &format!("enabled on; {PLAIN}")));
    wait_for("transcode.enabled off", 10, || (ends(&site, "two") == 2).then_some(()));
    publisher.finish();
}

#[test]
fn ingests_follow() {
    let site = Site::start("", "");
    for name in ["one", "two"] {
        stand_in(&site, name);
    }
    let publisher = Endless::start(site.publish("s"));
    let block = |switch: &str, program: &str, input: &str, engine: &str| {
        let program = site.server.file(program);
        format!(
            "ingest a {{ enabled {switch}; ffmpeg {}; input {{ {input} }} engine {{ {engine} }} }}",
            program.display()
        )
    };
    let file = "type file; url ./a.flv;";
    let plain = format!("enabled on; {PLAIN}");
    site.reload("", &block("on", "one", file, &plain));
    let before = call(&site, "one", 1);
    site.reload("", &block("on", "one", file, &format!("enabled on; {}", all_options())));
    assert_options("ingest", &before, &call(&site, "one", 2));
    site.reload(
        "",
        &block(
            "on",
            "one",
            "type stream; url rtmp://127.0.0.1:1/live/in;",
            &format!("{plain} iformat live_flv;"),
        ),
    );
    let stream = call(&site, "one", 3);
    assert!(
        stream.contains("-i rtmp://127.0.0.1:1/live/in"),
        "ingest.input.url and type: {stream}"
    );
    assert!(stream.contains("-f live_flv -i"), "ingest.engine.iformat: {stream}");
    site.reload(
        "",
        &block("on", "two", file, "enabled off; output rtmp://127.0.0.1:1/live/copy;"),
    );
    let copy = call(&site, "two", 1);
    assert!(
        copy.contains("-vcodec copy -acodec copy"),
        "ingest.engine.enabled off: {copy}"
    );
    wait_for("ingest.ffmpeg", 10, || (ends(&site, "one") == 3).then_some(()));
    site.reload("", &block("off", "two", file, &plain));
    wait_for("ingest.enabled off", 10, || (ends(&site, "two") == 1).then_some(()));
    publisher.finish();
}

#[test]
fn commands_follow() {
    let site = Site::start("", "");
    stand_in(&site, "one");
    let publisher = Endless::start(site.publish("s"));
    let program = site.server.file("one").display().to_string();
    let exec =
        |switch: &str, argument: &str| format!("exec {{ enabled {switch}; publish {program} {argument} [stream]; }}");
    site.reload("", &exec("on", "first"));
    assert!(call(&site, "one", 1).ends_with(" first s"), "exec.enabled on");
    site.reload("", &exec("on", "second"));
    assert!(call(&site, "one", 2).ends_with(" second s"), "exec.publish");
    wait_for("exec.publish to end the one before", 10, || {
        (ends(&site, "one") == 1).then_some(())
    });
    site.reload("", &exec("off", "second"));
    wait_for("exec.enabled off", 10, || (ends(&site, "one") == 2).then_some(()));
    publisher.finish();
}
