//! What is served of files.

use std::fs;

use super::{flv_file, with_site};
use crate::kernel::flv::mux::{file_start, put_tag};
use crate::kernel::flv::tag::Kind;
use crate::protocol::http::date;

#[test]
fn files_are_served_with_their_types() {
    with_site("types", |site| {
        let answer = site.get("/", "");
        assert_eq!((answer.status, answer.text()), (200, "the index"));
        let names: Vec<&str> = answer
            .head
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split(':').next())
            .collect();
        assert!(
            names.is_sorted() && answer.head.starts_with("HTTP/1.1 200 OK\r\n"),
            "{}",
            answer.head
        );
        assert_eq!(answer.field("Content-Type"), Some("text/html"));
        assert_eq!(answer.field("Server"), Some("SRS/7.0.18(Hang)"));
        assert!(answer.field("Date").and_then(date::parse).is_some());
        let segment = site.get("/live/a.ts?token=x", "");
        assert_eq!(
            (segment.field("Content-Type"), segment.body.len()),
            (Some("video/MP2T"), 376_000)
        );
        assert_eq!(segment.field("Cache-Control"), Some("max-age=60"));
        let playlist = site.get(
            "/live//./a.m3u8",
            "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
        );
        assert_eq!(
            (playlist.status, playlist.field("Cache-Control")),
            (200, Some("no-cache"))
        );
        let missing = site.get("/none", "");
        assert_eq!((missing.status, missing.text()), (404, "Not Found"));
        assert_eq!(missing.field("Content-Type"), Some("text/plain; charset=utf-8"));
        let folder = site.get("/live?a=b", "");
        assert_eq!((folder.status, folder.field("Location")), (302, Some("/live/?a=b")));
        assert_eq!(site.get("/live/", "").status, 404);
        assert_eq!(site.get("/index.html/x", "").status, 404);
        assert_eq!(site.get(&format!("/{}", "x".repeat(5000)), "").status, 404);
    });
}

#[test]
fn nothing_outside_the_root_is_served() {
    with_site("escape", |site| {
        let targets = [
            "/../secret",
            "/%2e%2e/secret",
            "/%2e%2e%2fsecret",
            "/live/..%2f..%2fsecret",
            "/%252e%252e/secret",
            "/..\\secret",
            "/..%5csecret",
            "/secret%00.html",
            "/link",
            "//etc/passwd",
            "/./../secret",
        ];
        for target in targets {
            let answer = site.get(target, "");
            assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
            assert!(!answer.text().contains("secret"), "{target}: {answer:?}");
        }
        let elsewhere = site.get("//live", "").field("Location").unwrap().to_owned();
        assert_eq!(elsewhere, "/live/");
    });
}

#[test]
fn parts_of_files() {
    with_site("parts", |site| {
        let part = |target: &str, field: &str| {
            let answer = site.get(target, field);
            let range = answer.field("Content-Range").map(str::to_owned);
            (answer.status, range, answer.body)
        };
        let expected = |first: u8, last: u8| (206, Some(format!("bytes {first}-{last}/256")), (first..=last).collect());
        assert_eq!(part("/a.mp4", "Range: bytes=10-19\r\n"), expected(10, 19));
        assert_eq!(part("/a.mp4", "Range: bytes=250-\r\n"), expected(250, 255));
        assert_eq!(part("/a.mp4", "Range: bytes=-6\r\n"), expected(250, 255));
        assert_eq!(part("/a.mp4?range=10-19", ""), expected(10, 19));
        assert_eq!(part("/a.mp4?bytes=10-99999999999999999999", ""), expected(10, 255));
        let beyond = part("/a.mp4", "Range: bytes=256-\r\n");
        assert_eq!((beyond.0, beyond.1.as_deref()), (416, Some("bytes */256")));
        assert_eq!(part("/a.mp4", "Range: bytes=0-1,5-6\r\n").0, 200);
        assert_eq!(part("/a.mp4", "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n").0, 200);
        assert_eq!(part("/live/a.ts?range=1-2", "").0, 200);
    });
}

#[test]
fn a_copy_that_is_still_good_is_not_sent_again() {
    with_site("fresh", |site| {
        let first = site.get("/a.mp4", "");
        let (etag, modified) = (first.field("ETag").unwrap(), first.field("Last-Modified").unwrap());
        for field in [
            format!("If-None-Match: {etag}\r\n"),
            format!("If-Modified-Since: {modified}\r\n"),
        ] {
            let answer = site.get("/a.mp4", &field);
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{field}");
            assert_eq!(
                (answer.field("ETag"), answer.field("Content-Length")),
                (Some(etag), None)
            );
        }
        let old = site.get("/a.mp4", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(old.status, 200);
    });
}

#[test]
fn flv_goes_on_in_the_middle_with_its_sequence_headers() {
    with_site("flv", |site| {
        let file = flv_file();
        let start = file.len() - 21 * 50;
        let answer = site.get(&format!("/a.flv?start={start}"), "");
        let mut expected = file_start(true, true).to_vec();
        put_tag(&mut expected, Kind::Video, 0, b"\x17\x00\x00\x00\x00\x01").unwrap();
        put_tag(&mut expected, Kind::Audio, 0, b"\xaf\x00\x12\x10").unwrap();
        expected.extend_from_slice(&file[start..]);
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (200, Some("video/x-flv"))
        );
        assert_eq!(answer.body, expected);
        for start in ["0", "-5", "x", "99999999999999999999", "100000"] {
            assert_eq!(site.get(&format!("/a.flv?start={start}"), "").body, file, "{start}");
        }
        fs::write(site.folder.join("html/b.flv"), "no FLV at all").unwrap();
        assert_eq!(site.get("/b.flv?start=3", "").text(), "no FLV at all");
    });
}

#[test]
fn vhosts_have_files_of_their_own() {
    with_site("vhosts", |site| {
        let ask = |target: &str, host: &str| site.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(ask("/vod/b.txt", "V.com:8080").text(), "of the vhost");
        assert_eq!(ask("/vod/b.txt?vhost=v.com", "x").text(), "of the vhost");
        assert_eq!(ask("/vod/b.txt?domain=v.com", "x").text(), "of the vhost");
        assert_eq!(ask("/vod", "v.com").field("Location"), Some("/vod/"));
        assert_eq!(ask("/vod/../b.txt", "v.com").status, 400);
        for host in ["x", "off.com", "", "[::1]"] {
            assert_eq!(ask("/vod/b.txt", host).status, 404, "{host}");
            assert_eq!(ask("/", host).status, 200, "{host}");
        }
        assert_eq!(ask("/", "v.com").text(), "the index");
    });
}
