//! The pages that come with the program.

use std::fs;

use super::{Answer, Client, Site, with_site};
use crate::app::http::conn;
use crate::app::listener::Listener;
use crate::app::server::Door;
use crate::core::runtime::run;

fn assert_is_ours(answer: &Answer, title: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.text().contains(&format!("<title>{title}</title>")),
        "{}",
        answer.text()
    );
}

#[test]
fn pages_come_with_the_program() {
    with_site("pages", |site| {
        assert_is_ours(&site.get("/console/", ""), "Console");
        assert_is_ours(&site.get("/players/?stream=s&autostart=true", ""), "Player");
        assert_is_ours(&site.get("/players/srs_player.html?schema=http", ""), "Player");
        let moved = site.get("/players?stream=s", "");
        assert_eq!(
            (moved.status, moved.field("Location")),
            (302, Some("/players/?stream=s"))
        );
        let script = site.get("/players/flv/remuxer.js", "");
        assert_eq!(script.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(
            site.get("/players/icon.svg", "").field("Content-Type"),
            Some("image/svg+xml")
        );
        for missing in [
            "/players/none.js",
            "/players/flv/",
            "/console/../secret/x",
            "/consoles/",
        ] {
            assert!(matches!(site.get(missing, "").status, 400 | 404), "{missing}");
        }
        assert_eq!(
            site.ask("POST /console/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                .status,
            405
        );
        assert_eq!(site.ask("HEAD /console/ HTTP/1.1\r\nHost: a\r\n\r\n").body, b"");
    });
}

#[test]
fn pages_are_asked_for_again_but_not_sent_again() {
    with_site("pages-cached", |site| {
        let page = site.get("/console/", "");
        assert_eq!(page.field("Cache-Control"), Some("no-cache"));
        let tag = page.field("ETag").expect("an entity tag").to_owned();
        let again = site.get("/console/", &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_ne!(site.get("/players/", "").field("ETag"), Some(tag.as_str()));
        let date = page.field("Last-Modified").expect("a date");
        assert_eq!(
            site.get("/console/", &format!("If-Modified-Since: {date}\r\n")).status,
            304
        );
    });
}

#[test]
fn pages_keep_to_their_own_origin() {
    with_site("pages-policy", |site| {
        for path in ["/console/", "/players/", "/players/main.js"] {
            let page = site.get(path, "");
            let policy = page.field("Content-Security-Policy").expect("a policy");
            assert!(policy.contains("default-src 'none'; script-src 'self';"), "{policy}");
            assert_eq!(page.field("X-Content-Type-Options"), Some("nosniff"));
        }
        let console = site.get("/console/", "");
        let policy = console.field("Content-Security-Policy").expect("a policy");
        assert!(
            policy.contains("connect-src 'self' http://localhost:* https://localhost:*;"),
            "{policy}"
        );
    });
}

#[test]
fn what_pages_load_is_there() {
    with_site("pages-files", |site| {
        for folder in ["/console/", "/players/"] {
            let mut wanted = vec!["index.html".to_owned()];
            let mut seen = Vec::new();
            while let Some(name) = wanted.pop() {
                let answer = site.get(&format!("{folder}{name}"), "");
                assert_eq!(answer.status, 200, "{folder}{name}");
                wanted.extend(
                    linked(&name, answer.text())
                        .into_iter()
                        .filter(|name| !seen.contains(name)),
                );
                seen.push(name);
            }
            assert!(seen.len() > 10, "{seen:?}");
            assert!(seen.iter().any(|name| name == "base.css"));
        }
    });
}

/// The files that a page, or a module, names.
fn linked(from: &str, text: &str) -> Vec<String> {
    let (folder, _) = from.rsplit_once('/').unwrap_or_default();
    let starts = match from.ends_with(".js") {
        true => [" from \"", "import \""],
        false => ["href=\"", "src=\""],
    };
    let mut found = Vec::new();
    for (start, part) in starts
        .iter()
        .flat_map(|start| text.split(start).skip(1).map(move |part| (start, part)))
    {
        let name = part.split('"').next().unwrap_or_default();
        if start.contains('=') && (name.starts_with(['#', '.']) || name.is_empty()) {
            continue;
        }
        found.push(match name.strip_prefix("../") {
            Some(above) => above.to_owned(),
            None if folder.is_empty() => name.trim_start_matches("./").to_owned(),
            None => format!("{folder}/{}", name.trim_start_matches("./")),
        });
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn a_folder_of_the_site_takes_the_place_of_a_page() {
    with_site("pages-own", |site| {
        let own = site.folder.join("html/console");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("index.html"), "their own").unwrap();
        assert_eq!(site.get("/console/", "").text(), "their own");
        assert_eq!(
            site.get("/console/main.js", "").status,
            404,
            "nothing of ours is mixed in"
        );
        assert_is_ours(&site.get("/players/", ""), "Player");
    });
}

#[test]
fn the_console_is_on_the_port_of_the_api_too() {
    run(|| {
        let site = Site::files("pages-api");
        let accepting = site.server.clone();
        let accept = move |stream, peer| accepting.admit(Door::plain("http", conn::serve_api), stream, peer);
        let listener = Listener::open("test", "127.0.0.1:0".parse().unwrap(), accept).unwrap();
        let get = |path: &str| {
            let mut client = Client::connect(listener.address);
            client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            client.answer(false)
        };
        assert_is_ours(&get("/console/"), "Console");
        assert_eq!(get("/console").field("Location"), Some("/console/"));
        assert!(get("/players/").text().contains("\"urls\""), "all else is the API's");
    })
    .unwrap();
}

#[test]
fn a_page_of_another_port_may_log_in() {
    with_site("pages-login", |site| {
        let allowed = |wanted: &str| {
            let fields = format!("Host: a\r\nOrigin: http://a:8080\r\nAccess-Control-Request-Headers: {wanted}\r\n");
            let answer = site.ask(&format!("OPTIONS /api/v1/versions HTTP/1.1\r\n{fields}\r\n"));
            answer.field("Access-Control-Allow-Headers").map(str::to_owned)
        };
        assert_eq!(allowed("x-mine, authorization").as_deref(), Some("*, Authorization"));
        assert_eq!(allowed("x-mine").as_deref(), Some("*"));
    });
}
