//! Which recordings there are: what the settings and the API ask for, what is refused, and who is told.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::dvr::Site;
use crate::support::callbacks::{Callbacks, yes};
use crate::support::clients::Ffmpeg;
use crate::support::flv::{self, Tag, VIDEO};
use crate::support::media::Sample;
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

#[test]
fn the_api_begins_and_ends_recordings() {
    let callbacks = Callbacks::start(yes);
    let hooks = format!(
        "http_hooks {{ enabled on; on_dvr http://127.0.0.1:{}/dvrs; }}",
        callbacks.port
    );
    let site = Site::with(
        "dvr_apply none; dvr_path ./rec/[stream].[timestamp].flv;",
        &hooks,
        Setup::default(),
    );
    assert_eq!(site.api("GET", "/api/v1/features")["data"]["features"]["dvr"], true);
    assert_eq!(site.api("POST", "/api/v1/streams/vid-none/dvr")["code"], 2048);
    let publisher = site.publish(Sample::H264Aac, "s?token=1");
    site.server.wait_for_line(&["start publish"]);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(site.control("GET")["dvr"]["recording"], false);
    assert_eq!(site.control("DELETE")["code"], 3051);
    let begun = site.control("POST");
    assert_eq!(
        (&begun["code"], &begun["dvr"]["recording"]),
        (&0.into(), &true.into()),
        "{begun}"
    );
    assert_eq!(site.control("POST")["code"], 3051);
    std::thread::sleep(Duration::from_millis(2500));
    let ended = site.control("DELETE");
    assert_eq!(ended["dvr"]["recording"], false, "{ended}");
    let name = ended["dvr"]["file"].as_str().expect("a file");
    let file = site.server.file(name);
    assert!(ended["dvr"]["duration_ms"].as_u64() >= Some(2000), "{ended}");
    let tags = flv::read(&file);
    assert!(tags[..3].iter().all(Tag::is_header), "metadata and headers come first");
    assert_eq!(flv::media(&tags, VIDEO)[0][0], 0x17, "it begins with a keyframe");
    flv::assert_same_media(&flv::read(&Sample::H264Aac.path()), &tags, 50);
    assert!(Ffmpeg::Debian.decode(site.server.folder(), &file) >= 50);

    wait_for("on_dvr", 10, || (!callbacks.bodies().is_empty()).then_some(()));
    let (_, body) = callbacks.asked.lock().expect("the record")[0].clone();
    assert_told(&site, &body, name);

    // Again, until the publisher leaves.
    assert_eq!(site.control("POST")["code"], 0);
    std::thread::sleep(Duration::from_millis(1500));
    drop(publisher);
    assert_eq!(site.files("s", 2).len(), 2);
    wait_for("the second on_dvr", 10, || {
        (callbacks.bodies().len() == 2).then_some(())
    });
}

/// What `on_dvr` is told, field by field in the order of the contract.
#[track_caller]
fn assert_told(site: &Site, body: &str, name: &str) {
    let told: Value = serde_json::from_str(body).expect("a JSON body");
    assert_eq!((&told["action"], &told["file"]), (&"on_dvr".into(), &name.into()));
    assert_eq!((&told["stream"], &told["param"]), (&"s".into(), &"?token=1".into()));
    let at = |field: &str| {
        body.find(&format!("\"{field}\":"))
            .unwrap_or_else(|| panic!("no {field}: {body}"))
    };
    let order = [
        "client_id",
        "ip",
        "vhost",
        "app",
        "tcUrl",
        "stream",
        "param",
        "cwd",
        "file",
        "stream_url",
        "stream_id",
    ];
    assert!(order.map(at).is_sorted(), "{body}");
    let folder = site.server.folder().canonicalize().expect("the folder");
    assert_eq!(told["cwd"], folder.display().to_string());
}

#[test]
fn vhosts_without_dvr_have_no_control() {
    let off = Setup::default().vhosts("vhost off { }\n");
    let site = Site::with("dvr_apply none;", "", off);
    let url = site.server.url("t?vhost=off");
    let _other = Ffmpeg::Debian.publish(site.server.folder(), &Sample::Aac.path(), &url);
    site.server.wait_for_lines(1, &["start publish"]);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(site.control("POST")["code"], 3050);
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let vhost = |name: &str, dvr: &str| format!("vhost {name} {{ dvr {{ enabled on; {dvr} }} }}\n");
    let setup = Setup::default()
        .vhosts(&vhost("exists", "dvr_path ./rec/[stream].flv;"))
        .vhosts(&vhost("plan", "dvr_plan sesion; dvr_path ./rec/[stream].flv;"))
        .vhosts(&vhost("folder", "dvr_path /dev/null/[stream].flv;"))
        .vhosts(&vhost("names", "dvr_path ./rec/[app]/[stream].flv;"))
        .allow_error("dvr");
    let site = Site::with("dvr_apply none;", "", setup);
    fs::write(site.server.file("rec/s.flv"), b"kept").expect("a file");
    for (vhost, stream, parts) in [
        ("exists", "s", ["code=3082", "rec/s.flv exists already"]),
        ("plan", "s", ["code=3083", "sesion"]),
        ("folder", "s", ["code=1042", "/dev/null/s.flv.tmp"]),
        ("names", "../../s", ["dvr_path", "make no file name"]),
    ] {
        let name = format!("{stream}?vhost={vhost}");
        let client = Rtmp::connect_as(site.server.port(), "live", &format!("rtmp://{vhost}/live"));
        let refused = client.expect("connect").publish("live", &name).expect_err("a refusal");
        assert!(refused.to_string().contains("cannot be recorded"), "{vhost}: {refused}");
        site.server.wait_for_line(&parts);
    }
    assert_eq!(fs::read(site.server.file("rec/s.flv")).expect("the file"), b"kept");
    assert!(!site.server.file("s.flv").exists());
    // Others are not concerned.
    let _publisher = site.publish(Sample::Aac, "fine");
    site.server.wait_for_line(&["start publish"]);
}

#[test]
fn only_listed_streams_are_recorded() {
    let site = Site::start("dvr_apply live/a live/b; dvr_path ./rec/here;");
    let publishers = ["a", "c"].map(|stream| site.publish(Sample::Aac, stream));
    site.server.wait_for_lines(2, &["start publish"]);
    std::thread::sleep(Duration::from_secs(1));
    drop(publishers);
    site.server.wait_for_line(&["dvr: ./rec/here/a.", ".flv is complete"]);
    let names: Vec<_> = fs::read_dir(site.server.file("rec/here"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let stamp = names[0].strip_prefix("a.").and_then(|name| name.strip_suffix(".flv"));
    assert!(stamp.is_some_and(|stamp| stamp.parse::<u64>().is_ok()), "{names:?}");
}
