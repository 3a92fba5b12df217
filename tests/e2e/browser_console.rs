//! The console in Chromium: streams, clients and charts; kick-off and reload; names that are traps; passwords; many
//! streams; phones.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::browser_player::Site;
use crate::support::browser::Browser;
use crate::support::bystander::numbered_header;
use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};

/// A server with media and the API on one port, which is the console's as well.
fn site(api: &str) -> Site {
    let web = Port::free();
    let listen = format!("127.0.0.1:{}", web.number());
    let setup = Setup::default()
        .globals(&format!(
            "http_api {{ enabled on; listen {listen}; https {{ listen 8088; }} {api} }}\n"
        ))
        .vhost("http_remux { enabled on; } publish { firstpkt_timeout 60000; normal_timeout 60000; }");
    Site::at(web, setup)
}

fn play(site: &Site, stream: &str) -> crate::support::program::Program {
    let (url, file) = (
        site.server.url(stream),
        site.server.file(&format!("played-{}.flv", fastrand::u32(..))),
    );
    Ffmpeg::Debian.record(site.server.folder(), &[], &url, 60, &file)
}

/// Publishes a stream of any name that sends a header and no pictures.
fn publish_raw(server: &Server, app: &str, stream: &str) -> Rtmp {
    let client = Rtmp::connect(server.port(), app).and_then(|client| client.publish(app, stream));
    let mut client = client.unwrap_or_else(|e| panic!("publish {app}/{stream}: {e}"));
    client.send_tag(&numbered_header()).expect("send a header");
    client
}

fn count_points(browser: &Browser, chart: usize) -> usize {
    let script = format!(
        "[...document.querySelectorAll('.chart')][{chart}].querySelector('.line')?.getAttribute('points').split(' ').length ?? 0"
    );
    browser.eval(&script).as_u64().unwrap_or(0) as usize
}

#[test]
fn the_console_shows_what_goes_on() {
    let site = site("");
    let _publisher = site.publish(Sample::H264Aac, "livestream");
    let _player = play(&site, "livestream");
    let browser = &site.browser;
    browser.open(&site.url("/console/"));
    browser.wait_for("document.getElementById('state').innerText === 'Live'", 10);
    browser.wait_for(
        "/live\\/livestream/.test(document.getElementById('main').innerText)",
        10,
    );
    browser.wait_for("/2 clients/.test(document.querySelector('.list')?.innerText)", 15);
    for chart in 0..4 {
        browser.wait_for(
            &format!("[...document.querySelectorAll('.chart')][{chart}].querySelector('.line')?.getAttribute('points').split(' ').length >= 3"),
            25,
        );
    }
    assert!(count_points(browser, 0) >= 3);
    browser.wait_for(
        "/[1-9]\\d* kbit\\/s/.test(document.querySelector('.chart .legend b').innerText)",
        10,
    );
    browser.picture("console-overview-light");
    browser.set_appearance("dark");
    browser.picture("console-overview-dark");
    browser.set_appearance("light");

    browser.click("nav.tabs a[data-tab=streams]");
    browser.wait_for("/25 fps/.test(document.querySelector('tbody')?.innerText)", 40);
    let row = browser.text("tbody tr");
    for part in [
        "live/livestream",
        "H.264 320×180",
        "High 1.2",
        "AAC 44.1 kHz",
        "LC · mono",
    ] {
        assert!(row.contains(part), "{part} in {row}");
    }
    browser.picture("console-streams-light");
    let link = browser.eval("document.querySelector('tbody .actions a').href");
    assert_eq!(
        link,
        json!(site.url("/players/?app=live&stream=livestream&autostart=true"))
    );

    browser.click("tbody th a");
    browser.wait_for("/RTMP publisher/.test(document.querySelector('.facts')?.innerText)", 10);
    browser.wait_for("document.querySelectorAll('.chart .line').length === 2", 15);
    browser.picture("console-stream-light");
    browser.click(".head-end a");
    browser.wait_for("document.querySelectorAll('tbody tr').length === 2", 10);
    browser.picture("console-clients-light");
    browser.click("nav.tabs a[data-tab=server]");
    browser.wait_for(
        "/Version 7\\.0\\.18/.test(document.getElementById('main').innerText)",
        10,
    );
    let text = browser.text("#main");
    assert!(text.contains("raw_api") && text.contains("__defaultVhost__"), "{text}");
    browser.picture("console-server-light");
    browser.assert_content();
}

#[test]
fn a_client_is_cut_off_after_a_question() {
    let site = site("");
    let _publisher = site.publish(Sample::H264Aac, "s");
    let mut player = play(&site, "s");
    let browser = &site.browser;
    browser.open(&site.url("/console/#/clients"));
    browser.wait_for("/RTMP player/.test(document.querySelector('tbody')?.innerText)", 15);
    let button = "tbody tr:has(.tag:not(.live)) button";
    browser.click(button);
    browser.wait_for("document.querySelector('dialog[open]')", 5);
    browser.picture("console-question-light");
    let before = site.server.log().matches("is kicked off").count();
    browser.click("dialog .dialog-end button:first-child");
    browser.wait_for("!document.querySelector('dialog')", 5);
    assert_eq!(site.server.log().matches("is kicked off").count(), before);
    assert!(player.is_running());
    browser.click(button);
    browser.click("dialog .primary");
    site.server.wait_for_line(&["is kicked off by the API"]);
    player.wait(10);
    browser.wait_for("/is disconnected/.test(document.getElementById('toasts').innerText)", 5);
    browser.wait_for("document.querySelectorAll('tbody tr').length === 1", 10);
    browser.assert_content();
}

#[test]
fn names_of_streams_are_text() {
    let site = site("");
    let names = [
        "<img/src=x/onerror=hacked=1>",
        "\"><script>hacked=2</script>",
        "'-javascript:hacked=3-'",
    ];
    let _publishers: Vec<Rtmp> = names
        .iter()
        .map(|name| publish_raw(&site.server, "live", name))
        .collect();
    let browser = &site.browser;
    for view in ["", "#/streams", "#/clients"] {
        browser.open("about:blank");
        browser.open(&site.url(&format!("/console/{view}")));
        for name in names {
            browser.wait_for(
                &format!("document.getElementById('main').innerText.includes({})", json!(name)),
                15,
            );
        }
    }
    browser.picture("console-names-light");
    assert_eq!(
        browser.eval("document.querySelectorAll('#main img, #main script').length"),
        0
    );
    browser.open(&site.url("/console/#/streams"));
    browser.wait_for("document.querySelector('tbody th a')", 10);
    browser.eval("document.querySelector('tbody th a').click()");
    browser.wait_for("document.querySelector('.facts')", 10);
    let link = browser.eval("document.querySelector('.head-end .primary').href");
    browser.open(link.as_str().unwrap_or_default());
    browser.wait_for("document.getElementById('message').innerText.length > 0", 10);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(browser.eval("String(window.hacked)"), "undefined");
    let complaints = browser.take_complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn a_password_is_asked_for() {
    let (web, api) = (Port::free(), Port::free());
    let setup = Setup::default().globals(&format!(
        "http_api {{ enabled on; listen 127.0.0.1:{}; auth {{ enabled on; username admin; password a:ü; }} }}\n",
        api.number()
    ));
    // The API has a port of its own: the console is on both, and the one on the other has to be told where it is.
    let site = Site::at(web, setup);
    let browser = &site.browser;
    for base in [format!("http://127.0.0.1:{}", api.number()), site.url("")] {
        browser.open(&format!("{base}/console/"));
        browser.wait_for("document.querySelector('dialog #ask-password')", 10);
        browser.picture("console-login-light");
        browser.type_into("#ask-name", "admin");
        browser.type_into("#ask-password", "wrong");
        browser.click("dialog .primary");
        browser.wait_for(
            "/not right/.test(document.querySelector('dialog .problem')?.innerText)",
            10,
        );
        browser.type_into("#ask-name", "admin");
        browser.type_into("#ask-password", "a:ü");
        browser.click("dialog .primary");
        if base == site.url("") {
            browser.wait_for(
                "/does not answer/.test(document.getElementById('trouble').innerText)",
                15,
            );
            browser.picture("console-trouble-light");
            browser.click("#trouble button");
            browser.type_into("#ask-api", &format!("127.0.0.1:{}", api.number()));
            browser.click("dialog .primary");
        }
        browser.wait_for("document.getElementById('state').innerText === 'Live'", 10);
        // Once for a tab: it is still known after the page is loaded anew.
        browser.open(&format!("{base}/console/#/server"));
        browser.wait_for("/Process id/.test(document.getElementById('main').innerText)", 10);
    }
    let complaints = browser.take_complaints();
    let odd: Vec<&String> = complaints
        .iter()
        .filter(|line| !line.contains("401") && !line.contains("404") && !line.contains(":1985"))
        .collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn the_configuration_is_reloaded() {
    let site = site("raw_api { enabled on; allow_reload on; }");
    let browser = &site.browser;
    browser.open(&site.url("/console/#/server"));
    let reload = || {
        browser.wait_for("document.querySelector('.facts-panel button')", 10);
        browser.click(".facts-panel button");
        browser.click("dialog .primary");
    };
    reload();
    browser.wait_for("document.querySelector('.fine')?.innerText === 'Reloaded.'", 15);
    browser.assert_content();
}

#[test]
fn many_streams_come_page_by_page() {
    let site = site("");
    let publish = |numbers: std::ops::Range<u32>| -> Vec<Rtmp> {
        numbers
            .map(|n| publish_raw(&site.server, "live", &format!("camera{n:03}")))
            .collect()
    };
    let few = publish(0..60);
    let browser = &site.browser;
    browser.open(&site.url("/console/#/streams"));
    let rows = |count: usize| {
        browser.wait_for(&format!("document.querySelectorAll('tbody tr').length === {count}"), 15);
    };
    rows(25);
    assert!(browser.text("h1").contains("60"));
    assert!(
        browser.text("tbody tr:nth-child(25)").contains("camera024"),
        "a short list is sorted"
    );
    browser.picture("console-many-light");
    let next = ".pager button:last-child";
    browser.click(next);
    browser.wait_for("/26 – 50 of 60/.test(document.querySelector('.pager').innerText)", 10);
    browser.click(next);
    rows(10);
    assert_eq!(
        browser.eval(&format!("document.querySelector('{next}').disabled")),
        true
    );

    // Too many for the page to take them all: the server gives a page of them.
    let many = publish(60..400);
    browser.wait_for("/400/.test(document.querySelector('h1').innerText)", 15);
    rows(25);
    browser.wait_for(
        "document.querySelector('.pager').innerText.startsWith('51 – 75\\n')",
        10,
    );
    browser.click(next);
    browser.wait_for("/76 – 100/.test(document.querySelector('.pager').innerText)", 10);
    browser.type_into("input[type=search]", "camera05");
    rows(10);
    browser.type_into("input[type=search]", "camera351 live");
    rows(1);
    assert_eq!(
        browser.eval("document.activeElement.type"),
        "search",
        "typing goes on while rows come"
    );
    browser.type_into("input[type=search]", "nobody");
    browser.wait_for("/No stream fits/.test(document.getElementById('main').innerText)", 10);
    browser.assert_content();
    drop((few, many));
}

#[test]
fn the_console_fits_a_phone() {
    let site = site("");
    let _publisher = site.publish(Sample::H264Aac, "livestream");
    let _long = publish_raw(
        &site.server,
        "live",
        &"a-name-that-is-far-too-long-for-a-phone".repeat(4),
    );
    let browser = &site.browser;
    browser.resize(390, 844, true);
    for (view, shown) in [
        ("overview", "Live now"),
        ("streams", "H.264"),
        ("clients", "publisher"),
        ("server", "Process id"),
    ] {
        browser.open(&site.url(&format!("/console/#/{view}")));
        browser.wait_for(
            &format!("document.getElementById('main').innerText.includes('{shown}')"),
            20,
        );
        if view == "overview" {
            std::thread::sleep(Duration::from_secs(8));
        }
        assert_eq!(browser.eval("document.documentElement.scrollWidth"), 390, "{view}");
        browser.picture(&format!("console-phone-{view}"));
    }
    browser.assert_content();
}

#[test]
fn an_empty_server_says_what_to_do() {
    let site = site("");
    let browser = &site.browser;
    browser.open(&site.url("/console/"));
    browser.wait_for("/Nothing is live/.test(document.getElementById('main').innerText)", 10);
    browser.picture("console-empty-light");
    browser.assert_content();
}

#[test]
fn pages_of_the_site_take_the_place_of_ours() {
    let site = site("");
    let folder = site.server.file("html/console");
    fs::create_dir_all(&folder).expect("create a folder");
    fs::write(folder.join("index.html"), "<title>their own</title>").expect("write a page");
    site.browser.open(&site.url("/console/"));
    assert_eq!(site.browser.eval("document.title"), "their own");
    site.browser.open(&site.url("/players/"));
    assert_eq!(site.browser.eval("document.title"), "Player");
}
