//! Looking into a running server: its configuration, its coroutines, the lines of one client; and what a crash leaves.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::amf::Amf;
use crate::support::api::Api;
use crate::support::clients::Ffmpeg;
use crate::support::program::Program;
use crate::support::rtmp::Rtmp;
use crate::support::server::{PROGRAM, Setup};
use crate::support::wait::wait_for;

const RAW: &str = "raw_api { enabled on; allow_reload on; }";

impl Api {
    fn record(&self, file: &str) -> Program {
        let (folder, file) = (self.server.folder(), self.server.file(file));
        Ffmpeg::Debian.record(folder, &[], &self.server.url("livestream"), 60, &file)
    }

    /// The ids of the clients of a kind, as soon as there are that many.
    #[track_caller]
    fn clients(&self, kind: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} clients of type {kind}"), 15, || {
            let clients = self.get("/api/v1/clients/")["clients"].as_array().cloned()?;
            let of_kind = clients.iter().filter(|client| client["type"] == kind);
            let ids: Vec<_> = of_kind
                .filter_map(|client| client["id"].as_str().map(str::to_owned))
                .collect();
            (ids.len() == count).then_some(ids)
        })
    }
}

/// The value and the origin of a directive.
fn told(configuration: &Value, directive: &str, place: &str) -> (String, String) {
    let all = configuration["data"]["directives"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = all
        .iter()
        .find(|entry| entry["directive"] == directive && entry["place"] == place)
        .unwrap_or_else(|| panic!("no {directive} in {configuration}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("value"), text("origin"))
}

#[test]
fn the_configuration_in_force_follows_a_reload() {
    let auth = format!("auth {{ enabled on; username admin; password secret; }} {RAW}");
    let api = Api::start(&auth, Setup::default().vhost("play { gop_cache off; }"));
    let get = |path: &str| -> Value {
        let text = api.curl(path, &["-u", "admin:secret"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    };
    assert_eq!(
        api.curl("/api/v1/configs", &["-o", "/dev/null", "-w", "%{http_code}"]),
        "401"
    );
    let file = api.server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    let line = |part: &str| {
        let line = text.lines().position(|line| line.contains(part)).expect("the line") + 1;
        format!("{}:{line}", file.display())
    };
    let before = get("/api/v1/configs");
    assert_eq!(
        told(&before, "vhost.play.gop_cache", "vhost __defaultVhost__"),
        ("off".to_owned(), line("gop_cache"))
    );
    assert_eq!(
        told(&before, "http_api.auth.password", ""),
        ("***".to_owned(), line("password"))
    );
    assert_eq!(
        told(&before, "chunk_size", ""),
        ("60000".to_owned(), "default".to_owned())
    );
    let changed = text.replace("gop_cache off;", "queue_length 7;");
    fs::write(&file, changed).expect("write the configuration");
    assert_eq!(get("/api/v1/raw?rpc=reload")["code"], 0);
    wait_for("the reload", 10, || {
        (get("/api/v1/raw?rpc=reload-fetch")["data"]["state"] == 90).then_some(())
    });
    let after = get("/api/v1/configs");
    assert_eq!(
        told(&after, "vhost.play.gop_cache", "vhost __defaultVhost__"),
        ("on".to_owned(), "default".to_owned())
    );
    assert_eq!(
        told(&after, "vhost.play.queue_length", "vhost __defaultVhost__"),
        ("7".to_owned(), line("gop_cache"))
    );
    let shown = api.curl("/api/v1/configs?format=text", &["-u", "admin:secret"]);
    assert!(
        shown.starts_with("# The effective")
            && shown.contains(&format!("        queue_length 7; # {}\n", line("gop_cache"))),
        "{shown}"
    );
}

#[test]
fn the_coroutine_of_each_client_is_listed() {
    let api = Api::start(RAW, Setup::default());
    let _publisher = api.publish();
    let publisher = api.clients("fmle-publish", 1).remove(0);
    let _player = api.record("played.flv");
    let player = api.clients("rtmp-play", 1).remove(0);
    let of = |id: &str| -> Vec<Value> {
        let list = api.get(&format!("/api/v1/coroutines?cid={id}"));
        list["coroutines"].as_array().cloned().unwrap_or_default()
    };
    wait_for("the publisher to be waited for", 15, || {
        of(&publisher).into_iter().find(|entry| entry["state"] == "socket read")
    });
    let waiting = wait_for("the player to wait for media", 15, || {
        of(&player).into_iter().find(|entry| entry["state"] == "event")
    });
    assert_eq!(waiting["pid"], api.server.pid());
    assert!(
        waiting["stack_bytes"].as_u64().is_some_and(|bytes| bytes >= 64 << 10),
        "{waiting}"
    );
    let all = api.get("/api/v1/coroutines?count=1000");
    let all = all["coroutines"].as_array().cloned().unwrap_or_default();
    let states: Vec<_> = all.iter().filter_map(|entry| entry["state"].as_str()).collect();
    for state in ["runs", "accept", "timer", "socket read"] {
        assert!(states.contains(&state), "nobody is in \"{state}\": {all:?}");
    }
    // Nobody comes to the listener of RTMP any more.
    wait_for("a listener to wait ever longer", 10, || {
        let all = api.get("/api/v1/coroutines?count=1000")["coroutines"]
            .as_array()
            .cloned()?;
        let mut listeners = all.iter().filter(|entry| entry["state"] == "accept");
        listeners.find_map(|entry| entry["wait_ms"].as_u64().filter(|waited| *waited > 100))
    });
}

#[test]
fn without_the_raw_api_nobody_looks_inside() {
    let api = Api::start("", Setup::default());
    for path in ["/api/v1/configs", "/api/v1/coroutines"] {
        assert_eq!(api.get(path)["code"], 1061, "{path}");
    }
}

#[test]
fn one_client_of_two_is_traced() {
    let api = Api::start(RAW, Setup::default());
    let connect = || {
        let client = Rtmp::connect(api.server.port(), "live").expect("connect");
        client.play("livestream").expect("play")
    };
    let mut traced = connect();
    let id = api.clients("rtmp-play", 1).remove(0);
    let mut other = connect();
    let both = api.clients("rtmp-play", 2);
    let other_id = both.into_iter().find(|client| *client != id).expect("the other");
    let order = |id: &str, on: &str| api.get(&format!("/api/v1/raw?rpc=trace&cid={id}&on={on}"));
    assert_eq!(order("nobody00", "1")["code"], 2049);
    assert_eq!(order(&id, "maybe")["code"], 1063);
    assert_eq!(order(&id, "1")["traced"], serde_json::json!([id]));
    let pause = |client: &mut Rtmp, pauses: bool| {
        let arguments = [Amf::Null, Amf::Boolean(pauses), Amf::Number(0.0)];
        client.command("pause", 0.0, 1, &arguments).expect("pause");
        let code = if pauses {
            "NetStream.Pause.Notify"
        } else {
            "NetStream.Unpause.Notify"
        };
        client.status(code).expect("the answer to a pause");
    };
    // The answer to the other comes after its lines would have been written.
    pause(&mut traced, true);
    pause(&mut other, true);
    let context = format!("[{id}]");
    api.server.wait_for_line(&["[DEBUG]", &context, "<- pause #0"]);
    api.server.wait_for_line(&["[DEBUG]", &context, "the player pauses"]);
    api.server
        .wait_for_line(&["[TRACE]", &context, "-> UserControl(StreamEof"]);
    let detailed = |log: &str| -> Vec<String> {
        let lines = log
            .lines()
            .filter(|line| line.contains("[DEBUG]") || line.contains("[TRACE]"));
        lines.map(str::to_owned).collect()
    };
    let lines = detailed(&api.server.log());
    assert!(
        lines.iter().all(|line| line.contains(&context)),
        "{other_id} too: {lines:#?}"
    );
    assert_eq!(order(&id, "0")["traced"], serde_json::json!([]));
    // What the request itself had written is in the log by the time of the next one's answer.
    let before = detailed(&api.server.log()).len();
    pause(&mut traced, false);
    pause(&mut other, false);
    let _ = api.get("/api/v1/raw?rpc=trace");
    assert_eq!(detailed(&api.server.log()).len(), before);
    order(&id, "1");
    drop(traced);
    wait_for("the trace to end with its client", 10, || {
        (api.get("/api/v1/raw?rpc=trace")["traced"] == serde_json::json!([])).then_some(())
    });
}

#[test]
fn a_crash_leaves_its_traces_in_the_log() {
    let setup = Setup::default()
        .allow_error("fatal signal")
        .allow_error("[0] #")
        .allow_error("addr2line");
    let server = setup.start();
    let pid = server.pid();
    let folder = server.folder().to_owned();
    let file = folder.join("crash.log");
    // In a file, as a server in service has it.
    let text = fs::read_to_string(folder.join("srs.conf")).expect("read the configuration");
    let text = text.replace("srs_log_tank console;", "srs_log_tank file;\nsrs_log_file ./crash.log;");
    fs::write(folder.join("srs.conf"), text).expect("write the configuration");
    server.signal(Signal::SIGHUP);
    wait_for("the log to be moved", 10, || {
        fs::read_to_string(&file)
            .ok()
            .filter(|log| log.contains("reload success"))
    });
    server.signal(Signal::SIGSEGV);
    let log = wait_for("the report of the crash", 10, || {
        fs::read_to_string(&file)
            .ok()
            .filter(|log| log.contains("addr2line -fCpe"))
    });
    let line = log
        .lines()
        .find(|line| line.contains("fatal signal"))
        .expect("the report");
    let sender = std::process::id();
    assert!(
        line.contains(&format!("][ERROR][{pid}]["))
            && line.contains(&format!(
                "fatal signal SIGSEGV (11) sent by process {sender}, pid {pid}, context "
            )),
        "{line}"
    );
    let program = fs::canonicalize(PROGRAM).expect("the program");
    let frames = log.lines().filter(|line| line.contains("[0] #"));
    assert!(
        frames
            .clone()
            .any(|line| line.contains(&format!(" {} 0x", program.display()))),
        "{:?}",
        frames.collect::<Vec<_>>()
    );
    let ended = server.end_by(Signal::SIGSEGV);
    assert_eq!(ended.signal(), Some(Signal::SIGSEGV as i32));
}
