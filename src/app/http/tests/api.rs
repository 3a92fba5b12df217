//! The HTTP API against answers that dashboards know: each key, its place and its type.

use std::cell::Cell;

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::app::http::conn;
use crate::app::stat::{Carrier, ClientKind, Entry, NewClient, Publishing};
use crate::kernel::frame::Frame;

const SUMMARIES: &str = r#"{"code":0,"server":"vid-a931414","service":"i1gh93tv","pid":"8645","data":{"ok":true,"now_ms":1795375558798,"self":{"version":"7.0.18","pid":8645,"ppid":1,"argv":"./objs/srs -c conf/srs.conf","cwd":"/usr/local/srs","mem_kbyte":30880,"mem_percent":0.00,"cpu_percent":0.01,"srs_uptime":41,"water_level":"normal"},"system":{"cpu_percent":0.86,"disk_read_KBps":3298,"disk_write_KBps":2276,"disk_busy_percent":0.00,"mem_ram_kbyte":24684084,"mem_ram_percent":0.06,"mem_swap_kbyte":0,"mem_swap_percent":0.00,"cpus":2,"cpus_online":2,"uptime":2966.40,"ilde_time":4368.81,"load_1m":2.00,"load_5m":1.13,"load_15m":0.72,"net_sample_time":1795375553596,"net_recv_bytes":0,"net_send_bytes":0,"net_recvi_bytes":18676149188,"net_sendi_bytes":17531448363,"srs_sample_time":1795375556597,"srs_recv_bytes":472990,"srs_send_bytes":620148,"conn_sys":79,"conn_sys_et":10,"conn_sys_tw":54,"conn_sys_udp":6,"conn_srs":3}}}"#;
const VHOSTS: &str = r#"{"code":0,"server":"vid-a931414","service":"i1gh93tv","pid":"8645","vhosts":[{"id":"vid-72365s2","name":"__defaultVhost__","enabled":true,"clients":3,"streams":1,"send_bytes":620148,"recv_bytes":472990,"kbps":{"recv_30s":0,"send_30s":0},"hls":{"enabled":false}}]}"#;
const STREAMS: &str = r#"{"code":0,"server":"vid-a931414","service":"i1gh93tv","pid":"8645","streams":[{"id":"vid-1lkm01i","name":"livestream","vhost":"vid-72365s2","app":"live","tcUrl":"rtmp://127.0.0.1:1935/live","url":"/live/livestream","live_ms":1795375558869,"clients":3,"frames":0,"send_bytes":620148,"recv_bytes":472990,"kbps":{"recv_30s":0,"send_30s":0},"publish":{"active":true,"cid":"1978fhct"},"video":{"codec":"H264","profile":"Main","level":"3","width":768,"height":432},"audio":{"codec":"AAC","sample_rate":44100,"channel":2,"profile":"LC"}}]}"#;
const CLIENTS: &str = r#"{"code":0,"server":"vid-a931414","service":"i1gh93tv","pid":"8645","clients":[{"id":"1978fhct","vhost":"vid-72365s2","stream":"vid-1lkm01i","ip":"127.0.0.1","pageUrl":"","swfUrl":"","tcUrl":"rtmp://127.0.0.1:1935/live","url":"/live/livestream","name":"livestream","type":"fmle-publish","publish":true,"alive":17.84,"send_bytes":4384,"recv_bytes":469348,"kbps":{"recv_30s":0,"send_30s":0}}]}"#;
const INDEX: &str = r#"{"code":0,"server":"vid-a931414","service":"i1gh93tv","pid":"8645","urls":{"api":"…","rtc":{"v1":{"play":"…","publish":"…","nack":"…"}}}}"#;
const CLUSTERS: &str = r#"{"code":0,"data":{"query":{"ip":"1.1.1.1","vhost":"__defaultVhost__","app":"live","stream":"livestream"},"origin":{"ip":"127.0.0.1","port":1935,"vhost":"__defaultVhost__","api":"127.0.0.1:1985","routers":["127.0.0.1:1985"]}}}"#;
const RAW: &str = r#"{"code":0,"http_api":{"enabled":true,"listen":"1985","crossdomain":true,"raw_api":{"enabled":true,"allow_reload":true,"allow_query":false,"allow_update":false}}}"#;
/// SRS's members, and ours behind them.
const RELOAD: &str = r#"{"code":0,"data":{"err":0,"msg":"Success","state":90,"rid":"…","time_ms":1,"duration_ms":0,
    "changes":[],"left_out":0}}"#;

/// Names in their order, and what is behind them: text, whole or decimal number, flag.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "b".to_owned(),
        Value::Number(number) if number.is_f64() => "f".to_owned(),
        Value::Number(_) => "i".to_owned(),
        Value::String(_) => "s".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{name}:{}", shape(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

#[derive(Default)]
struct Fake {
    kicked: Cell<bool>,
}

impl Carrier for Fake {
    fn received_bytes(&self) -> u64 {
        469_348
    }

    fn sent_bytes(&self) -> u64 {
        4384
    }

    fn kick(&self) -> bool {
        !self.kicked.replace(true)
    }
}

/// A site whose connections come to the API's own port.
fn with_api(label: &'static str, directives: &'static str, test: impl FnOnce(&Site) + Send + 'static) {
    let body = move || {
        // Off for the configuration, so that it opens no port; the test's own listener is the API's.
        let text = format!("http_server {{ dir DIR; }} http_api {{ {directives} }}");
        let mut site = Site::new(label, "127.0.0.1:0", &text);
        let accepting = site.server.clone();
        let accept = move |stream, peer| accepting.admit(Door::plain("http", conn::serve_api), stream, peer);
        site.listener = Listener::open("test", "127.0.0.1:0".parse().unwrap(), accept).unwrap();
        test(&site);
    };
    run(body).unwrap();
}

impl Site {
    fn json(&self, target: &str) -> Value {
        let answer = self.get(target, "");
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (200, Some("application/json"))
        );
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{target}: {error}: {}", answer.text()))
    }

    #[track_caller]
    fn assert_like(&self, target: &str, sample: &str) {
        let sample: Value = serde_json::from_str(sample).unwrap();
        assert_eq!(shape(&self.json(target)), shape(&sample), "{target}");
    }

    fn code(&self, target: &str) -> u64 {
        self.json(target)["code"].as_u64().unwrap()
    }

    fn enter(&self, id: &str, kind: ClientKind) -> Entry {
        let new = NewClient {
            id,
            kind,
            ip: [127, 0, 0, 1].into(),
            page_url: "",
            swf_url: "",
            tc_url: "rtmp://127.0.0.1:1935/live",
            vhost: "v.com",
            app: "live",
            name: "livestream",
            stream: "livestream",
            url: "v.com/live/livestream",
            before: (0, 0),
        };
        self.server.stat.enter(new, Rc::<Fake>::default())
    }

    fn publish(&self) -> (Entry, Publishing) {
        let client = self.enter("1978fhct", ClientKind::FmlePublish);
        let mut publishing = client.publish(true);
        for (kind, payload) in [
            (Kind::Audio, &b"\xaf\x00\x12\x10"[..]),
            (Kind::Video, b"\x17\x00\x00\x00\x00\x01"),
        ] {
            publishing.see(&Frame::new(kind, 0, Bytes::from_static(payload)));
        }
        self.server.stat.sample();
        (client, publishing)
    }
}

#[test]
fn answers_have_the_keys_that_dashboards_know() {
    with_api("keys", "", |site| {
        let _publisher = site.publish();
        site.assert_like("/api/v1/summaries", SUMMARIES);
        site.assert_like("/api/v1/vhosts/", VHOSTS);
        site.assert_like("/api/v1/streams/", STREAMS);
        site.assert_like("/api/v1/clients/", CLIENTS);
        site.assert_like("/", INDEX);
        site.assert_like("/no/such/path", INDEX);
        let clusters = "/api/v1/clusters?ip=1.1.1.1&vhost=v.com&app=live&stream=livestream";
        site.assert_like(clusters, CLUSTERS);
        let unknown = site.json("/api/v1/clusters?vhost=v.com&app=live&stream=other");
        assert_eq!(unknown["data"]["origin"], Value::Null);
        let stream = &site.json("/api/v1/streams/")["streams"][0];
        assert_eq!(
            (
                &stream["audio"]["codec"],
                &stream["audio"]["sample_rate"],
                &stream["frames"]
            ),
            (&"AAC".into(), &44_100.into(), &1.into())
        );
        let text = site.get("/api/v1/summaries", "");
        assert!(
            text.text().contains("\"mem_percent\":0.0"),
            "two decimals: {}",
            text.text()
        );
    });
}

#[test]
fn the_other_answers_keep_their_order() {
    with_api("order", "", |site| {
        let keys = |target: &str| -> String {
            let answer = site.json(target);
            let members = answer["data"].as_object().unwrap();
            members.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys("/api/v1/versions"), "major minor revision version");
        assert_eq!(
            keys("/api/v1/rusages"),
            "ok sample_time ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap \
             ru_inblock ru_oublock ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw"
        );
        assert!(keys("/api/v1/self_proc_stats").starts_with("ok sample_time percent pid comm state ppid pgrp session"));
        assert!(keys("/api/v1/self_proc_stats").ends_with("delayacct_blkio_ticks guest_time cguest_time"));
        assert_eq!(
            keys("/api/v1/system_proc_stats"),
            "ok sample_time percent user nice sys idle iowait irq softirq steal guest"
        );
        assert_eq!(
            keys("/api/v1/meminfos"),
            "ok sample_time percent_ram percent_swap MemActive RealInUse NotInUse MemTotal MemFree Buffers Cached \
             SwapTotal SwapFree"
        );
        assert_eq!(keys("/api/v1/authors"), "license contributors");
        assert_eq!(keys("/api/v1/features"), "options options2 build build2 features");
        let features = site.json("/api/v1/features");
        let flags: Vec<_> = features["data"]["features"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(
            flags.join(" "),
            "ssl hls hds callback api httpd dvr transcode ingest stat caster complex_send tcp_nodelay so_sendbuf mr"
        );
        for target in ["/api/v1/tests/requests", "/api/v1/requests?a=b"] {
            assert_eq!(keys(target), "uri path METHOD headers");
        }
        let index = site.json("/api/v1/");
        let urls: Vec<_> = index["urls"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            urls.join(" "),
            "versions summaries rusages self_proc_stats system_proc_stats meminfos authors features requests vhosts \
             streams clients raw clusters perf tcmalloc"
        );
        let tests: Vec<_> = index["tests"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(tests, ["requests", "errors", "redirects", "[vhost]"]);
        let own = [("server", "vid-0000000"), ("service", &site.server.identity.service)];
        for (name, value) in own {
            assert_eq!(index[name], value);
        }
        assert_eq!(index["pid"], std::process::id().to_string());
    });
}

#[test]
fn one_of_a_kind_is_found_by_its_id() {
    with_api("ids", "", |site| {
        let (client, _publishing) = site.publish();
        let (stream, vhost) = (client.client.stream.id.clone(), client.client.stream.vhost.id.clone());
        assert_eq!(site.json(&format!("/api/v1/vhosts/{vhost}"))["vhost"]["name"], "v.com");
        assert_eq!(
            site.json(&format!("/api/v1/streams/{stream}"))["stream"]["publish"]["cid"],
            "1978fhct"
        );
        assert_eq!(site.json("/api/v1/clients/1978fhct")["client"]["stream"], stream);
        for (target, code) in [("vhosts/x", 2014), ("streams/x", 2048), ("clients/x", 2049)] {
            assert_eq!(
                site.get(&format!("/api/v1/{target}"), "").text(),
                format!("{{\"code\":{code}}}")
            );
        }
    });
}

#[test]
fn lists_come_in_pages_of_ten_or_more() {
    with_api("pages", "", |site| {
        let ids: Vec<String> = (0..25).map(|n| format!("{n:08}")).collect();
        let _entries: Vec<_> = ids
            .iter()
            .rev()
            .map(|id| site.enter(id, ClientKind::RtmpPlay))
            .collect();
        let page = |query: &str| -> Vec<String> {
            let answer = site.json(&format!("/api/v1/clients/{query}"));
            let clients = answer["clients"].as_array().unwrap();
            clients
                .iter()
                .map(|client| client["id"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(page(""), ids[..10]);
        assert_eq!(page("?count=3"), ids[..10]);
        assert_eq!(page("?start=20&count=999999999999999999999"), ids[20..]);
        assert_eq!(page("?start=5&count=15"), ids[5..20]);
        assert_eq!(page("?start=-1&count=x"), ids[..10]);
        assert!(page("?start=25").is_empty() && page("?start=18446744073709551615").is_empty());
    });
}

#[test]
fn clients_are_kicked_once() {
    with_api("kick", "", |site| {
        let _client = site.enter("abcdefgh", ClientKind::RtmpPlay);
        let delete = |target: &str| {
            site.ask(&format!("DELETE {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
                .text()
                .to_owned()
        };
        let answer: Value = serde_json::from_str(&delete("/api/v1/clients/abcdefgh")).unwrap();
        assert_eq!(shape(&answer), "{code:i,server:s,service:s,pid:s}");
        assert_eq!(delete("/api/v1/clients/abcdefgh"), "{\"code\":400}");
        assert_eq!(delete("/api/v1/clients/"), "{\"code\":2049}");
        assert_eq!(delete("/api/v1/clients/x"), "{\"code\":2049}");
        let jsonp = site.get("/api/v1/clients/abcdefgh?callback=cb&method=DELETE", "");
        assert_eq!(jsonp.text(), "cb({\"code\":400})");
        assert!(
            site.get("/api/v1/clients/abcdefgh?method=DELETE", "")
                .text()
                .contains("\"client\"")
        );
    });
}

#[test]
fn methods_and_paths_are_as_in_srs() {
    with_api("methods", "", |site| {
        let ask = |method: &str, target: &str| site.ask(&format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        for (method, target) in [("DELETE", "vhosts/"), ("POST", "streams/"), ("PUT", "clients/")] {
            let answer = ask(method, &format!("/api/v1/{target}"));
            assert_eq!((answer.status, answer.text()), (405, "Method Not Allowed"));
        }
        assert_eq!(ask("POST", "/api/v1/versions").status, 200);
        assert_eq!(ask("HEAD", "/api/v1/clients/").status, 200);
        assert_eq!(ask("OPTIONS", "/api/v1/clients/").status, 200);
        for path in [
            "/api",
            "/api/v1",
            "/api/v1/vhosts",
            "/api/v1/streams",
            "/api/v1/clients",
            "/rtc/v1/play",
        ] {
            let answer = site.get(&format!("{path}?a=b"), "");
            let location = format!("{path}/?a=b");
            assert_eq!(
                (answer.status, answer.field("Location")),
                (302, Some(location.as_str())),
                "{path}"
            );
            assert_eq!(answer.text(), format!("Redirect to {path}/"));
        }
        assert!(site.json("/api/v1/nothing")["urls"]["versions"].is_string());
        assert!(site.json("/api/v2")["urls"]["v1"].is_string());
        let moved = site.get("/api/v1/tests/redirects", "");
        assert_eq!(
            (moved.status, moved.field("Location")),
            (301, Some("/api/v1/tests/errors"))
        );
        assert_eq!(site.get("/api/v1/tests/errors", "").text(), "{\"code\":100}");
        assert_eq!((site.code("/rtc/v1/play/"), site.code("/metrics")), (400, 1090));
        let answer = site.get("/api/v1/versions", "Origin: http://a.com\r\n");
        assert_eq!(answer.field("Connection"), Some("Close"));
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("*"));
    });
}

#[test]
fn jsonp_takes_names_only() {
    with_api("jsonp", "", |site| {
        let answer = site.get("/api/v1/versions?callback=a.b_c-1", "");
        assert_eq!(answer.field("Content-Type"), Some("text/javascript"));
        assert!(answer.text().starts_with("a.b_c-1({\"code\":0,") && answer.text().ends_with("})"));
        let mut client = site.connect();
        client.send("GET /api/v1/versions?callback=alert(1)// HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.rest(), b"");
    });
}

#[test]
fn a_password_guards_every_path_of_the_api() {
    let directives = "auth { enabled on; username admin; password secret; }";
    with_api("auth", directives, |site| {
        let ask = |target: &str, coded: &str| site.get(target, &format!("Authorization: Basic {coded}\r\n"));
        assert_eq!(ask("/api/v1/versions", "YWRtaW46c2VjcmV0").status, 200);
        for target in ["/api/v1/versions", "/api/", "/%61pi/v1/clients/", "/x/api/y"] {
            let answer = site.get(target, "");
            assert_eq!(
                (answer.status, answer.field("WWW-Authenticate")),
                (401, Some("Basic")),
                "{target}"
            );
            assert_eq!(answer.field("Transfer-Encoding"), Some("chunked"));
        }
        assert_eq!(
            ask("/api/v1/versions", "YWRtaW46d3Jvbmc=").field("WWW-Authenticate"),
            Some("Basic")
        );
        let broken = ask("/api/v1/versions", "%%%");
        assert_eq!((broken.status, broken.field("WWW-Authenticate")), (401, None));
        assert_eq!(site.get("/", "").status, 200);
        assert!(!site.get("/api/v1/raw?rpc=raw", "").text().contains("secret"));
    });
}

#[test]
fn orders_need_permission() {
    with_api("raw-off", "", |site| {
        site.assert_like("/api/v1/raw?rpc=raw", RAW);
        for order in ["reload", "upgrade", "reload-fetch", "trace", "query", "", "x"] {
            assert_eq!(site.code(&format!("/api/v1/raw?rpc={order}")), 1061, "{order}");
        }
    });
    with_api(
        "raw-on",
        "raw_api { enabled on; allow_query on; allow_update on; }",
        |site| {
            let about = site.json("/api/v1/raw?rpc=raw");
            assert_eq!(
                about["http_api"]["raw_api"]["allow_query"], false,
                "gone since version 4"
            );
            assert_eq!(site.code("/api/v1/raw?rpc=reload"), 1061);
            assert_eq!(site.code("/api/v1/raw?rpc=upgrade"), 1061);
            for target in ["?rpc=query&scope=global", "?rpc=update", "", "?rpc=x"] {
                assert_eq!(site.code(&format!("/api/v1/raw{target}")), 1060, "{target}");
            }
            site.assert_like("/api/v1/raw?rpc=reload-fetch", RELOAD);
            assert_eq!(site.code("/api/v1/raw?rpc=trace"), 0);
            assert_eq!(site.code("/api/v1/raw?rpc=trace&cid=nobody00&on=1"), 2049);
            assert_eq!(site.code("/api/v1/raw?rpc=trace&cid=x"), 1063);
        },
    );
}

#[test]
fn the_inside_is_shown_to_those_who_may_give_orders() {
    with_api("inside-off", "", |site| {
        for path in ["/api/v1/configs", "/api/v1/coroutines"] {
            assert_eq!(site.code(path), 1061, "{path}");
        }
    });
    with_api("inside-on", "raw_api { enabled on; }", |site| {
        let configs = site.json("/api/v1/configs");
        let found = |directive: &str| -> Vec<Value> {
            let all = configs["data"]["directives"].as_array().unwrap().iter();
            all.filter(|entry| entry["directive"] == directive).cloned().collect()
        };
        let raw = &found("http_api.raw_api.enabled")[0];
        assert_eq!((&raw["value"], &raw["place"]), (&"on".into(), &"".into()));
        assert!(raw["origin"].as_str().unwrap().contains("srs.conf:"), "{raw}");
        assert_eq!(found("vhost.enabled").len(), configs["data"]["vhosts"]);
        let answer = site.get("/api/v1/configs?format=text", "");
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
        let own = site.json("/api/v1/coroutines?count=1000");
        let all = own["coroutines"].as_array().unwrap();
        assert_eq!(own["total"], all.len());
        assert_eq!(all.iter().filter(|entry| entry["state"] == "runs").count(), 1);
        assert_eq!(site.json("/api/v1/coroutines?cid=x")["total"], 0);
    });
}

#[test]
fn the_media_port_tells_the_version_only() {
    with_site("media-port", |site| {
        assert!(
            site.get("/api/v1/versions", "")
                .text()
                .contains("\"version\":\"7.0.18\"")
        );
        assert_eq!(site.get("/api/v1/clients/", "").status, 404);
        assert_eq!(site.get("/", "").text(), "the index");
        assert_eq!(site.server.http.addresses().len(), 0);
    });
}
