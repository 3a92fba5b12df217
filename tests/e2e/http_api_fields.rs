//! The HTTP API field by field, as dashboards and scripts of SRS know it: names, their order, and what they hold.

use serde_json::Value;

use crate::support::api::Api;
use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

/// A name and its kind: s text, i whole number, f number with two decimals, b flag, o object, a array.
type Fields<'a> = &'a [(&'a str, char)];

const VERSIONS: Fields<'_> = &[("major", 'i'), ("minor", 'i'), ("revision", 'i'), ("version", 's')];
const SUMMARIES: Fields<'_> = &[("ok", 'b'), ("now_ms", 'i'), ("self", 'o'), ("system", 'o')];
const SUMMARIES_SELF: Fields<'_> = &[
    ("version", 's'),
    ("pid", 'i'),
    ("ppid", 'i'),
    ("argv", 's'),
    ("cwd", 's'),
    ("mem_kbyte", 'i'),
    ("mem_percent", 'f'),
    ("cpu_percent", 'f'),
    ("srs_uptime", 'i'),
    ("water_level", 's'),
];
const SUMMARIES_SYSTEM: Fields<'_> = &[
    ("cpu_percent", 'f'),
    ("disk_read_KBps", 'i'),
    ("disk_write_KBps", 'i'),
    ("disk_busy_percent", 'f'),
    ("mem_ram_kbyte", 'i'),
    ("mem_ram_percent", 'f'),
    ("mem_swap_kbyte", 'i'),
    ("mem_swap_percent", 'f'),
    ("cpus", 'i'),
    ("cpus_online", 'i'),
    ("uptime", 'f'),
    ("ilde_time", 'f'),
    ("load_1m", 'f'),
    ("load_5m", 'f'),
    ("load_15m", 'f'),
    ("net_sample_time", 'i'),
    ("net_recv_bytes", 'i'),
    ("net_send_bytes", 'i'),
    ("net_recvi_bytes", 'i'),
    ("net_sendi_bytes", 'i'),
    ("srs_sample_time", 'i'),
    ("srs_recv_bytes", 'i'),
    ("srs_send_bytes", 'i'),
    ("conn_sys", 'i'),
    ("conn_sys_et", 'i'),
    ("conn_sys_tw", 'i'),
    ("conn_sys_udp", 'i'),
    ("conn_srs", 'i'),
];
const RUSAGES: &str = "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap ru_inblock \
                       ru_oublock ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw";
const SELF_PROC: &str = "ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime \
                         priority nice num_threads itrealvalue starttime vsize rss rsslim startcode endcode startstack \
                         kstkesp kstkeip signal blocked sigignore sigcatch wchan nswap cnswap exit_signal processor \
                         rt_priority policy delayacct_blkio_ticks guest_time cguest_time";
const SYSTEM_PROC: &str = "user nice sys idle iowait irq softirq steal guest";
const MEMORY: &str = "MemActive RealInUse NotInUse MemTotal MemFree Buffers Cached SwapTotal SwapFree";
const FEATURES: &str = "ssl hls hds callback api httpd dvr transcode ingest stat caster complex_send tcp_nodelay \
                        so_sendbuf mr";
const VHOST: Fields<'_> = &[
    ("id", 's'),
    ("name", 's'),
    ("enabled", 'b'),
    ("clients", 'i'),
    ("streams", 'i'),
    ("send_bytes", 'i'),
    ("recv_bytes", 'i'),
    ("kbps", 'o'),
    ("hls", 'o'),
];
const STREAM: Fields<'_> = &[
    ("id", 's'),
    ("name", 's'),
    ("vhost", 's'),
    ("app", 's'),
    ("tcUrl", 's'),
    ("url", 's'),
    ("live_ms", 'i'),
    ("clients", 'i'),
    ("frames", 'i'),
    ("send_bytes", 'i'),
    ("recv_bytes", 'i'),
    ("kbps", 'o'),
    ("publish", 'o'),
    ("video", 'o'),
    ("audio", 'o'),
];
const CLIENT: Fields<'_> = &[
    ("id", 's'),
    ("vhost", 's'),
    ("stream", 's'),
    ("ip", 's'),
    ("pageUrl", 's'),
    ("swfUrl", 's'),
    ("tcUrl", 's'),
    ("url", 's'),
    ("name", 's'),
    ("type", 's'),
    ("publish", 'b'),
    ("alive", 'f'),
    ("send_bytes", 'i'),
    ("recv_bytes", 'i'),
    ("kbps", 'o'),
];
const KBPS: Fields<'_> = &[("recv_30s", 'i'), ("send_30s", 'i')];
const V1_URLS: &str = "versions summaries rusages self_proc_stats system_proc_stats meminfos authors features requests \
                       vhosts streams clients raw clusters perf tcmalloc";

impl Api {
    /// The one member behind an answer's envelope, which is looked at.
    #[track_caller]
    fn payload(&self, path: &str, member: &str) -> Value {
        self.answer(path, &[member])[member].clone()
    }

    /// An answer with these members behind its envelope.
    #[track_caller]
    fn answer(&self, path: &str, members: &[&str]) -> Value {
        let text = self.curl(path, &[]);
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        let names: Vec<&str> = answer
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            names,
            [&["code", "server", "service", "pid"], members].concat(),
            "{path}"
        );
        let is_word = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let word = |name: &str| answer[name].as_str().unwrap_or_default();
        assert!(
            word("server")
                .strip_prefix("vid-")
                .is_some_and(|id| id.len() == 7 && is_word(id)),
            "{text}"
        );
        assert!(word("service").len() == 8 && is_word(word("service")), "{text}");
        assert_eq!(
            (&answer["code"], word("pid")),
            (&0.into(), &*self.server.pid().to_string())
        );
        answer
    }
}

fn kind(value: &Value) -> char {
    match value {
        Value::Null => 'n',
        Value::Bool(_) => 'b',
        Value::Number(number) if number.is_f64() => 'f',
        Value::Number(_) => 'i',
        Value::String(_) => 's',
        Value::Array(_) => 'a',
        Value::Object(_) => 'o',
    }
}

#[track_caller]
fn assert_fields(value: &Value, fields: Fields<'_>) {
    let found: Vec<(&str, char)> = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
        .iter()
        .map(|(name, value)| (name.as_str(), kind(value)))
        .collect();
    assert_eq!(found, fields);
}

/// Some fields, then many of one kind.
#[track_caller]
fn assert_many(value: &Value, first: Fields<'_>, names: &str, kind: char) {
    let mut fields = first.to_vec();
    fields.extend(names.split_ascii_whitespace().map(|name| (name, kind)));
    assert_fields(value, &fields);
}

#[test]
fn every_field_of_the_process_and_the_machine_is_there() {
    let api = start("");
    assert_fields(&api.payload("/api/v1/versions", "data"), VERSIONS);
    let summaries = api.payload("/api/v1/summaries", "data");
    assert_fields(&summaries, SUMMARIES);
    assert_fields(&summaries["self"], SUMMARIES_SELF);
    assert_fields(&summaries["system"], SUMMARIES_SYSTEM);
    assert_eq!(summaries["ok"], true);
    let sampled = [("ok", 'b'), ("sample_time", 'i')];
    assert_many(&api.payload("/api/v1/rusages", "data"), &sampled, RUSAGES, 'i');
    let with_percent = [&sampled[..], &[("percent", 'f')]].concat();
    let process = [&with_percent[..], &[("pid", 'i'), ("comm", 's'), ("state", 's')]].concat();
    assert_many(
        &api.payload("/api/v1/self_proc_stats", "data"),
        &process,
        SELF_PROC,
        'i',
    );
    assert_many(
        &api.payload("/api/v1/system_proc_stats", "data"),
        &with_percent,
        SYSTEM_PROC,
        'i',
    );
    let percents = [&sampled[..], &[("percent_ram", 'f'), ("percent_swap", 'f')]].concat();
    assert_many(&api.payload("/api/v1/meminfos", "data"), &percents, MEMORY, 'i');
    assert_fields(
        &api.payload("/api/v1/authors", "data"),
        &[("license", 's'), ("contributors", 's')],
    );
    let features = api.payload("/api/v1/features", "data");
    let texts = [
        ("options", 's'),
        ("options2", 's'),
        ("build", 's'),
        ("build2", 's'),
        ("features", 'o'),
    ];
    assert_fields(&features, &texts);
    assert_many(&features["features"], &[], FEATURES, 'b');
}

#[test]
fn without_stats_the_machine_is_not_sampled() {
    let api = start("stats { enabled off; }\n");
    let summaries = api.payload("/api/v1/summaries", "data");
    assert_fields(&summaries["system"], SUMMARIES_SYSTEM);
    assert_eq!(
        (&summaries["ok"], &summaries["system"]["mem_ram_kbyte"]),
        (&false.into(), &0.into())
    );
    assert_eq!(summaries["self"]["pid"], api.server.pid());
}

#[test]
fn every_field_of_the_indexes_is_there() {
    let api = start("");
    let root = api.payload("/", "urls");
    assert_fields(&root, &[("api", 's'), ("rtc", 'o')]);
    assert_fields(&root["rtc"]["v1"], &[("play", 's'), ("publish", 's'), ("nack", 's')]);
    assert_fields(&api.payload("/api/", "urls"), &[("v1", 's')]);
    let index = api.answer("/api/v1/", &["urls", "tests"]);
    let names: Vec<&str> = index["urls"]
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, V1_URLS.split_ascii_whitespace().collect::<Vec<_>>());
    let tests: Vec<&String> = index["tests"].as_object().expect("an object").keys().collect();
    assert_eq!(tests[..3], ["requests", "errors", "redirects"]);
    let data = api.payload("/api/v1/tests/requests?a=b", "data");
    assert_fields(&data, &[("uri", 's'), ("path", 's'), ("METHOD", 's'), ("headers", 'o')]);
    let headers = [("sigature", 's'), ("version", 's'), ("link", 's'), ("time", 'i')];
    assert_fields(&data["headers"], &headers);
    assert_eq!(api.curl("/api/v1/tests/errors", &[]), "{\"code\":100}");
    assert_eq!(api.curl("/api/v1/vhosts/none", &[]), "{\"code\":2014}");
    assert_eq!(api.curl("/api/v1/streams/none", &[]), "{\"code\":2048}");
    assert_eq!(api.curl("/api/v1/clients/none", &[]), "{\"code\":2049}");
    assert_eq!(api.curl("/api/v1/raw?rpc=none", &[]), "{\"code\":1061}");
    assert_eq!(api.curl("/api/v1/raw?rpc=reload", &[]), "{\"code\":1061}");
    assert_eq!(api.curl("/rtc/v1/play/", &[]), "{\"code\":400}");
    let raw: Value = serde_json::from_str(&api.curl("/api/v1/raw?rpc=raw", &[])).expect("JSON");
    assert_fields(&raw, &[("code", 'i'), ("http_api", 'o')]);
    let of_api = [
        ("enabled", 'b'),
        ("listen", 's'),
        ("crossdomain", 'b'),
        ("raw_api", 'o'),
    ];
    assert_fields(&raw["http_api"], &of_api);
    let of_raw = [
        ("enabled", 'b'),
        ("allow_reload", 'b'),
        ("allow_query", 'b'),
        ("allow_update", 'b'),
    ];
    assert_fields(&raw["http_api"]["raw_api"], &of_raw);
}

#[test]
fn every_field_of_streams_and_clients_is_there() {
    let api = start("");
    let (folder, url) = (api.server.folder(), api.server.url("livestream"));
    let _publisher = Ffmpeg::Debian.publish(folder, &Sample::H264Aac.path(), &url);
    let _player = Ffmpeg::Debian.record(folder, &[], &url, 60, &api.server.file("played.flv"));
    let clients = wait_for("publisher and player", 15, || {
        let clients = api.payload("/api/v1/clients/", "clients").as_array()?.clone();
        (clients.len() == 2).then_some(clients)
    });
    for client in &clients {
        assert_fields(client, CLIENT);
        assert_fields(&client["kbps"], KBPS);
        let id = client["id"].as_str().expect("an id");
        assert_fields(&api.payload(&format!("/api/v1/clients/{id}"), "client"), CLIENT);
    }
    let stream = wait_for("both codecs", 15, || {
        let stream = api.payload("/api/v1/streams/", "streams")[0].clone();
        (stream["video"].is_object() && stream["audio"].is_object()).then_some(stream)
    });
    assert_fields(&stream, STREAM);
    assert_fields(&stream["kbps"], KBPS);
    assert_fields(&stream["publish"], &[("active", 'b'), ("cid", 's')]);
    let video = [
        ("codec", 's'),
        ("profile", 's'),
        ("level", 's'),
        ("width", 'i'),
        ("height", 'i'),
    ];
    assert_fields(&stream["video"], &video);
    let audio = [("codec", 's'), ("sample_rate", 'i'), ("channel", 'i'), ("profile", 's')];
    assert_fields(&stream["audio"], &audio);
    let id = stream["id"].as_str().expect("an id");
    assert_fields(&api.payload(&format!("/api/v1/streams/{id}"), "stream"), STREAM);
    let vhost = api.payload("/api/v1/vhosts/", "vhosts")[0].clone();
    assert_fields(&vhost, VHOST);
    assert_fields(&vhost["kbps"], KBPS);
    let id = vhost["id"].as_str().expect("an id");
    assert_fields(&api.payload(&format!("/api/v1/vhosts/{id}"), "vhost"), VHOST);
    let clusters = api.curl(
        "/api/v1/clusters?ip=1.1.1.1&vhost=__defaultVhost__&app=live&stream=livestream",
        &[],
    );
    let clusters: Value = serde_json::from_str(&clusters).expect("JSON");
    assert_fields(&clusters, &[("code", 'i'), ("data", 'o')]);
    let query = [("ip", 's'), ("vhost", 's'), ("app", 's'), ("stream", 's')];
    assert_fields(&clusters["data"]["query"], &query);
    let origin = [
        ("ip", 's'),
        ("port", 'i'),
        ("vhost", 's'),
        ("api", 's'),
        ("routers", 'a'),
    ];
    assert_fields(&clusters["data"]["origin"], &origin);
}

fn start(globals: &str) -> Api {
    Api::start("", Setup::default().globals(globals))
}
