//! The HTTP API as its users see it: curl, with FFmpeg publishing and playing.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::api::Api;
use crate::support::clients::Ffmpeg;
use crate::support::port::Port;
use crate::support::program::Program;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

impl Api {
    #[track_caller]
    fn wait_for_clients(&self, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} clients"), 15, || {
            let clients = self.get("/api/v1/clients/")["clients"].as_array().cloned()?;
            (clients.len() == count).then_some(clients)
        })
    }

    fn play(&self, seconds: u32) -> Program {
        let file = self.server.file("played.flv");
        Ffmpeg::Debian.record(
            self.server.folder(),
            &[],
            &self.server.url("livestream"),
            seconds,
            &file,
        )
    }
}

fn of_kind<'a>(clients: &'a [Value], kind: &str) -> &'a Value {
    let found = clients.iter().find(|client| client["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {clients:?}"))
}

#[test]
fn a_stream_and_its_clients_are_told() {
    let api = Api::start("", Setup::default());
    assert_eq!(api.get("/api/v1/streams/")["streams"], Value::Array(Vec::new()));
    let _publisher = api.publish();
    let _player = api.play(60);
    let clients = api.wait_for_clients(2);
    let (publisher, player) = (of_kind(&clients, "fmle-publish"), of_kind(&clients, "rtmp-play"));
    assert_eq!(
        (&publisher["publish"], &player["publish"]),
        (&true.into(), &false.into())
    );
    assert_eq!(publisher["ip"], "127.0.0.1");
    api.server
        .wait_for_line(&["B video sh, codec(7, profile=High, level=1.2, 320x180, 0kbps, 25.0fps, 0.0s)"]);
    api.server.wait_for_line(&[
        &format!("[{}]", publisher["id"].as_str().unwrap_or_default()),
        "B audio sh, codec(10, profile=LC, 1channels, 0kbps, 44100HZ), flv(16bits, ",
    ]);
    let stream = wait_for("bytes of both sides", 15, || {
        let stream = api.get("/api/v1/streams/")["streams"][0].clone();
        let carried = |name: &str| stream[name].as_u64().is_some_and(|bytes| bytes > 50_000);
        (carried("recv_bytes") && carried("send_bytes")).then_some(stream)
    });
    assert_eq!(
        (&stream["name"], &stream["app"], &stream["url"]),
        (&"livestream".into(), &"live".into(), &"/live/livestream".into())
    );
    assert_eq!(
        (&stream["publish"]["active"], &stream["publish"]["cid"]),
        (&true.into(), &publisher["id"])
    );
    assert_eq!(
        (
            &stream["video"]["codec"],
            &stream["video"]["width"],
            &stream["video"]["height"]
        ),
        (&"H264".into(), &320.into(), &180.into())
    );
    assert_eq!(
        (
            &stream["audio"]["codec"],
            &stream["audio"]["sample_rate"],
            &stream["audio"]["profile"]
        ),
        (&"AAC".into(), &44_100.into(), &"LC".into())
    );
    assert!(
        stream["frames"].as_u64() > Some(25) && stream["kbps"]["recv_30s"].as_u64() > Some(50),
        "{stream}"
    );
    let vhost = &api.get("/api/v1/vhosts/")["vhosts"][0];
    assert_eq!(
        (&vhost["id"], &vhost["streams"], &vhost["clients"]),
        (&stream["vhost"], &1.into(), &2.into())
    );
    let summaries = api.get("/api/v1/summaries");
    assert_eq!(
        (&summaries["data"]["ok"], &summaries["data"]["system"]["conn_srs"]),
        (&true.into(), &2.into())
    );
    assert!(
        summaries["data"]["system"]["srs_recv_bytes"].as_u64() > Some(50_000),
        "{summaries}"
    );
}

#[test]
fn kicked_clients_are_gone() {
    let api = Api::start("", Setup::default());
    let mut publisher = api.publish();
    let mut player = api.play(60);
    let clients = api.wait_for_clients(2);
    let kick = |kind: &str| {
        let id = of_kind(&clients, kind)["id"].as_str().expect("an id").to_owned();
        let answer = api.curl(&format!("/api/v1/clients/{id}"), &["-X", "DELETE"]);
        assert!(answer.starts_with("{\"code\":0,\"server\":\"vid-"), "{answer}");
        assert_eq!(
            wait_for("the client to be gone", 5, || {
                let answer = api.curl(&format!("/api/v1/clients/{id}"), &["-X", "DELETE"]);
                (answer == "{\"code\":2049}").then_some(answer)
            }),
            "{\"code\":2049}"
        );
    };
    kick("rtmp-play");
    player.wait(10);
    assert!(publisher.is_running(), "the publisher stays");
    kick("fmle-publish");
    publisher.wait(10);
    api.wait_for_clients(0);
    assert_eq!(api.get("/api/v1/streams/")["streams"], Value::Array(Vec::new()));
    assert_eq!(api.get("/api/v1/vhosts/")["vhosts"][0]["clients"], 0);
}

#[test]
fn a_player_over_http_is_told_and_kicked() {
    let media = Port::free();
    let setup = Setup::default()
        .globals(&format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
            media.number()
        ))
        .vhost("http_remux { enabled on; }");
    let api = Api::start("", setup);
    let _publisher = api.publish();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-N", "-o", "/dev/null"]);
    curl.arg(format!("http://127.0.0.1:{}/live/livestream.flv", media.number()));
    let mut player = Program::start("curl", api.server.folder(), &mut curl);
    let clients = api.wait_for_clients(2);
    let client = of_kind(&clients, "flv-play");
    assert_eq!(
        (&client["name"], &client["stream"]),
        (&"livestream.flv".into(), &of_kind(&clients, "fmle-publish")["stream"])
    );
    let id = client["id"].as_str().expect("an id");
    api.curl(&format!("/api/v1/clients/{id}"), &["-X", "DELETE"]);
    player.wait(10);
    api.wait_for_clients(1);
}

#[test]
fn a_password_is_asked_for_and_a_reload_changes_it() {
    let api = Api::start(
        "auth { enabled on; username admin; password secret; } raw_api { enabled on; allow_reload on; }",
        Setup::default(),
    );
    let status = |options: &[&str]| {
        let options = [&["-o", "/dev/null", "-w", "%{http_code}"], options].concat();
        api.curl("/api/v1/versions", &options)
    };
    assert_eq!(status(&[]), "401");
    assert_eq!(status(&["-u", "admin:wrong"]), "401");
    assert_eq!(status(&["-u", "admin:secret"]), "200");

    let file = api.server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    fs::write(&file, text.replace("password secret", "password changed")).expect("write the configuration");
    let raw = |order: &str, password: &str| {
        let user = format!("admin:{password}");
        api.curl(&format!("/api/v1/raw?rpc={order}"), &["-u", &user])
    };
    assert_eq!(raw("reload", "secret"), "{\"code\":0}");
    wait_for("the new password", 5, || {
        (status(&["-u", "admin:changed"]) == "200").then_some(())
    });
    assert_eq!(status(&["-u", "admin:secret"]), "401");
    let fetched = raw("reload-fetch", "changed");
    assert!(
        fetched.starts_with("{\"code\":0,\"data\":{\"err\":0,\"msg\":\"Success\",\"state\":90,\"rid\":\""),
        "{fetched}"
    );
}

#[test]
fn a_reload_that_fails_is_told() {
    let setup = Setup::default().allow_error("reload failed");
    let api = Api::start("raw_api { enabled on; allow_reload on; }", setup);
    let file = api.server.file("srs.conf");
    let text = fs::read_to_string(&file).expect("read the configuration");
    fs::write(&file, text + "no_such_directive on;\n").expect("write the configuration");
    assert_eq!(api.curl("/api/v1/raw?rpc=reload", &[]), "{\"code\":0}");
    let data = wait_for("the failed reload", 5, || {
        let data = api.get("/api/v1/raw?rpc=reload-fetch")["data"].clone();
        (data["err"] != 0).then_some(data)
    });
    assert_eq!((&data["err"], &data["state"]), (&1023.into(), &20.into()));
    assert!(
        data["msg"]
            .as_str()
            .is_some_and(|text| text.contains("no_such_directive")),
        "{data}"
    );
}

#[test]
fn one_port_serves_the_api_and_files() {
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let server = Setup::default()
        .globals(&format!(
            "http_api {{ enabled on; listen {listen}; }}\nhttp_server {{ enabled on; listen {listen}; dir ./html; }}\n"
        ))
        .start();
    fs::create_dir_all(server.file("html")).expect("create a folder");
    fs::write(server.file("html/index.html"), "the page").expect("write a page");
    server.wait_for_line(&["HTTP-Server listen at tcp://"]);
    let api = Api { server, port };
    assert_eq!(api.curl("/", &[]), "the page");
    assert_eq!(api.get("/api/v1/clients/")["code"], 0);
    assert!(api.get("/api/v1/unknown")["urls"].is_object());
    assert_eq!(api.curl("/unknown", &["-o", "/dev/null", "-w", "%{http_code}"]), "404");
}

#[test]
fn an_open_api_is_warned_about() {
    let port = Port::free();
    let server = Setup::default()
        .globals(&format!("http_api {{ enabled on; listen {}; }}\n", port.number()))
        .start();
    server.wait_for_line(&["http_api listens at 0.0.0.0:", "without http_api.auth"]);
}
