//! Metrics as Prometheus reads them, at the API and at the exporter's own port, and guests there who mean harm.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bystander::Bystander;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{PROGRAM, Server, Setup};
use crate::support::wait::wait_for;

/// Names and types in the order of SRS, then ours.
const FAMILIES: [(&str, &str); 21] = [
    ("srs_node_uname_info", "gauge"),
    ("srs_build_info", "gauge"),
    ("srs_cpu_percent", "gauge"),
    ("srs_memory", "gauge"),
    ("srs_send_bytes_total", "counter"),
    ("srs_receive_bytes_total", "counter"),
    ("srs_streams", "gauge"),
    ("srs_clients", "gauge"),
    ("srs_clients_total", "counter"),
    ("srs_clients_errs_total", "counter"),
    ("srs_event_loop_lag_seconds", "gauge"),
    ("srs_coroutines", "gauge"),
    ("srs_connections_refused_total", "counter"),
    ("srs_circuit_breaker_state", "gauge"),
    ("srs_overload_refused_total", "counter"),
    ("srs_open_files", "gauge"),
    ("srs_open_files_limit", "gauge"),
    ("srs_memory_maps", "gauge"),
    ("srs_memory_maps_limit", "gauge"),
    ("srs_memory_limit", "gauge"),
    ("srs_log_lines_lost_total", "counter"),
];

struct Site {
    server: Server,
    api: Port,
    exporter: Port,
}

impl Site {
    fn start(directives: &str) -> Self {
        let (api, exporter) = (Port::free(), Port::free());
        let globals = format!(
            "http_api {{ enabled on; listen 127.0.0.1:{}; }}\nexporter {{ enabled on; listen 127.0.0.1:{}; {directives} }}\n",
            api.number(),
            exporter.number()
        );
        let server = Setup::default().globals(&globals).start();
        server.wait_for_line(&["Exporter listen at tcp://127.0.0.1:"]);
        Site { server, api, exporter }
    }

    #[track_caller]
    fn curl(&self, port: &Port, path: &str, options: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "5"]).args(options);
        command.arg(format!("http://127.0.0.1:{}{path}", port.number()));
        run("curl", self.server.folder(), 10, &mut command).ok().output
    }

    #[track_caller]
    fn metrics(&self) -> BTreeMap<String, f64> {
        let (_, samples) = parse(&self.curl(&self.exporter, "/metrics", &[]));
        samples.into_iter().map(|sample| (sample.name, sample.value)).collect()
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.exporter.number()).into()
    }
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Reads the text format strictly: each family has its HELP, its TYPE and one sample.
#[track_caller]
fn parse(text: &str) -> (Vec<(String, String)>, Vec<Sample>) {
    assert!(text.ends_with('\n'), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let (mut families, mut samples) = (Vec::new(), Vec::new());
    for family in lines.chunks(3) {
        let [help, kind, sample] = family else {
            panic!("half a family: {family:?}");
        };
        let words: Vec<&str> = kind.split(' ').collect();
        let ["#", "TYPE", name, kind] = words[..] else {
            panic!("no TYPE: {kind}");
        };
        assert!(help.starts_with(&format!("# HELP {name} ")), "{help}");
        let sample = parse_sample(sample);
        assert_eq!(sample.name, name);
        families.push((name.to_owned(), kind.to_owned()));
        samples.push(sample);
    }
    (families, samples)
}

fn parse_sample(line: &str) -> Sample {
    let (front, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match front.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("the end of labels")),
        None => (front, ""),
    };
    let mut sample = Sample {
        name: name.to_owned(),
        labels: Vec::new(),
        value: value.parse().expect("a number"),
    };
    let mut rest = labels;
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"").expect("a label");
        let (mut value, mut letters) = (String::new(), quoted.char_indices());
        let end = loop {
            match letters.next().expect("the end of a label") {
                (_, '\\') => value.push(match letters.next().expect("an escape").1 {
                    'n' => '\n',
                    other => other,
                }),
                (at, '"') => break at,
                (_, letter) => value.push(letter),
            }
        };
        sample.labels.push((name.to_owned(), value));
        rest = quoted[end + 1..].trim_start_matches(',');
    }
    sample
}

#[test]
fn metrics_have_the_names_types_and_order_that_dashboards_know() {
    let site = Site::start("label 'a \"b\" \\'; tag edge;");
    let page = site.curl(&site.exporter, "/metrics", &["-i"]);
    let (head, page) = page.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8"), "{head}");
    let (families, samples) = parse(page);
    let families: Vec<_> = families
        .iter()
        .map(|(name, kind)| (name.as_str(), kind.as_str()))
        .collect();
    assert_eq!(families, FAMILIES);
    let labels = |index: usize| {
        samples[index]
            .labels
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(0), ["sysname", "nodename", "release", "version", "machine"]);
    assert_eq!(
        labels(1),
        [
            "server",
            "service",
            "pid",
            "build_date",
            "major",
            "version",
            "code",
            "label",
            "tag"
        ]
    );
    let build: BTreeMap<_, _> = samples[1].labels.iter().cloned().collect();
    assert_eq!((build["major"].as_str(), build["code"].as_str()), ("7", "Hang"));
    assert_eq!((build["label"].as_str(), build["tag"].as_str()), ("a \"b\" \\", "edge"));
    assert_eq!(build["pid"], site.server.pid().to_string());
    assert_eq!(samples[0].labels[0].1, "Linux");
    assert_eq!((samples[0].value, samples[1].value), (1.0, 1.0));
    assert!(samples[3].value > 1000.0, "{samples:?}");

    let of_api = site.curl(&site.api, "/metrics", &["-i"]);
    assert!(
        of_api.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"),
        "{of_api}"
    );
    let (of_api, _) = parse(of_api.split_once("\r\n\r\n").expect("a body").1);
    assert_eq!(of_api.len(), FAMILIES.len());
    for path in ["/", "/api/v1/versions", "/metricsx"] {
        let status = site.curl(&site.exporter, path, &["-o", "/dev/null", "-w", "%{http_code}"]);
        assert_eq!(status, "404", "{path}");
    }
    assert!(
        site.curl(&site.exporter, "/metrics?a=b", &[])
            .contains("srs_cpu_percent ")
    );
}

#[test]
fn clients_and_bytes_are_counted() {
    let site = Site::start("");
    let before = site.metrics();
    assert_eq!((before["srs_streams"], before["srs_clients_total"]), (0.0, 0.0));
    let guests = Bystander::start(site.server.port());
    let during = wait_for("bytes to be counted", 10, || {
        let metrics = site.metrics();
        (metrics["srs_send_bytes_total"] > 3000.0 && metrics["srs_cpu_percent"] > 0.0).then_some(metrics)
    });
    assert_eq!((during["srs_streams"], during["srs_clients"]), (1.0, 2.0));
    assert!(during["srs_receive_bytes_total"] > 3000.0 && during["srs_event_loop_lag_seconds"] < 1.0);
    guests.finish();
    let after = wait_for("the clients to leave", 10, || {
        let metrics = site.metrics();
        (metrics["srs_clients"] == 0.0).then_some(metrics)
    });
    assert_eq!(after["srs_clients_total"], 2.0);
    assert!(after["srs_clients_errs_total"] >= 1.0, "{after:?}");
}

#[test]
fn without_the_exporter_there_is_a_code() {
    let api = Port::free();
    let server = Setup::default()
        .globals(&format!(
            "http_api {{ enabled on; listen 127.0.0.1:{}; }}\n",
            api.number()
        ))
        .start();
    server.wait_for_line(&["HTTP-API listen at"]);
    let exporter = Port::free();
    let site = Site { server, api, exporter };
    assert_eq!(site.curl(&site.api, "/metrics", &[]), "{\"code\":1090}");
    assert!(TcpStream::connect(site.address()).is_err());
}

#[test]
fn guests_of_the_exporter_cannot_stop_a_stream() {
    let site = Site::start("");
    let guests = Bystander::start(site.server.port());
    let (address, memory) = (site.address(), site.server.resident_kilobytes());
    let ends = Instant::now() + Duration::from_secs(4);
    let silent: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(address).expect("connect"))
        .collect();
    let kinds: [&[u8]; 4] = [
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: ",
        b"aaaaaaaaaaaaaaaaaaaaaaaa",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    ];
    let hostile: Vec<_> = kinds
        .into_iter()
        .map(|part| {
            thread::spawn(move || {
                let bytes = part.repeat(4000);
                while Instant::now() < ends {
                    let mut stream = TcpStream::connect(address).expect("connect");
                    stream
                        .set_write_timeout(Some(Duration::from_millis(500)))
                        .expect("set a time limit");
                    // Nothing of what comes back is read.
                    while Instant::now() < ends && stream.write_all(&bytes).is_ok() {}
                }
            })
        })
        .collect();
    while Instant::now() < ends {
        guests.assert_flows();
        assert!(site.metrics()["srs_streams"] >= 1.0);
    }
    hostile.into_iter().for_each(|one| one.join().expect("a hostile guest"));
    let grown = site.server.resident_kilobytes().saturating_sub(memory);
    assert!(grown < 30_000, "{grown} KB more than before");
    drop(silent);
    guests.finish();
}

#[test]
fn a_server_out_of_descriptors_goes_on_and_listens_again() {
    let site = Site::start("");
    let limit = |files: &str| {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &site.server.pid().to_string(), &format!("--nofile={files}:")]);
        run("prlimit", site.server.folder(), 5, &mut command).ok();
    };
    let guests = Bystander::start(site.server.port());
    site.metrics();
    limit(&site.server.open_files().to_string());
    let mut scrape = TcpStream::connect(site.address()).expect("connect");
    scrape.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("ask");
    site.server.wait_for_line(&["exporter failed to accept"]);
    guests.assert_flows();
    limit("1000");
    let metrics = wait_for("the exporter to be back", 10, || {
        let mut stream = TcpStream::connect(site.address()).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        page.contains("srs_streams 1").then_some(page)
    });
    assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
    guests.finish();
}

#[test]
fn a_port_that_the_server_uses_already_is_refused() {
    let port = Port::free();
    let folder = crate::support::workdir::WorkDir::new("taken");
    let text = format!(
        "listen 127.0.0.1:{0};\nmax_connections 100;\ndaemon off;\nsrs_log_tank console;\npid srs.pid;\n\
         exporter {{ enabled on; listen {0}; }}\nvhost __defaultVhost__ {{ }}\n",
        port.number()
    );
    std::fs::write(folder.join("srs.conf"), text).expect("write the configuration");
    let mut command = Command::new(PROGRAM);
    command.args(["-c", "srs.conf"]).current_dir(&*folder);
    let ended = Program::start("srs", &folder, &mut command).wait(10);
    assert!(ended.status.code().is_some_and(|code| code != 0), "{ended:?}");
    assert!(
        ended.output.contains("this server listens at 127.0.0.1:"),
        "{}",
        ended.output
    );
}
