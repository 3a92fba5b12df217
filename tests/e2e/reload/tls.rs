//! What is behind TLS: listeners that come and go, other certificates, and whom we trust.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::site::Site;
use crate::support::bystander::Bystander;
use crate::support::certificate::{self, Form};
use crate::support::port::Port;
use crate::support::server::Setup;
use crate::support::wait::wait_for;
use crate::support::workdir::WorkDir;

/// Whether the server there shows this certificate.
fn shows(port: &Port, certificate: &str) -> bool {
    let place = format!("127.0.0.1:{}", port.number());
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-connect",
        &place,
        "-CAfile",
        certificate,
        "-verify_return_error",
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
        .status()
        .expect("run openssl (see scripts/clients.sh)")
        .success()
}

fn is_closed(port: &Port) -> bool {
    TcpStream::connect(("127.0.0.1", port.number())).is_err()
}

#[test]
fn listeners_and_certificates_change() {
    let keys = WorkDir::new("keys");
    for name in ["one", "two"] {
        certificate::make(&keys, name, Form::Sec1);
    }
    let file = |name: &str| keys.join(name).display().to_string();
    let site = Site::start("", "");
    let stays = Bystander::start(site.server.port());
    let media = Port::free();
    let secure = |switch: &str, port: &Port, name: &str| {
        let (listen, file) = (port.number(), file(name));
        format!("enabled {switch}; listen 127.0.0.1:{listen}; key {file}.key; cert {file}.crt;")
    };
    let api = format!(
        "enabled on; listen 127.0.0.1:{}; raw_api {{ enabled on; allow_reload on; }}",
        site.http.number()
    );
    let reload = |block: &str, settings: &str| {
        let (mut server, mut api, mut rest) = (String::new(), api.clone(), String::new());
        match block {
            "http_server.https" => server = format!("https {{ {settings} }}"),
            "http_api.https" => api += &format!(" https {{ {settings} }}"),
            _ => rest = format!("rtmps {{ {settings} }}\n"),
        }
        let globals = format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; {server} }}\nhttp_api {{ {api} }}\n{rest}",
            media.number()
        );
        site.reload_text(
            &Setup::default()
                .globals(&globals)
                .vhost("")
                .configuration(site.server.port()),
        );
    };
    for block in ["http_server.https", "http_api.https", "rtmps"] {
        let ports = [Port::free(), Port::free()];
        reload(block, &secure("on", &ports[0], "one"));
        assert!(shows(&ports[0], &file("one.crt")), "{block}.enabled on, listen");
        reload(block, &secure("on", &ports[0], "two"));
        assert!(shows(&ports[0], &file("two.crt")), "{block}.key and cert");
        assert!(!shows(&ports[0], &file("one.crt")), "{block}.cert: not the old one");
        reload(block, &secure("on", &ports[1], "two"));
        assert!(shows(&ports[1], &file("two.crt")), "{block}.listen");
        wait_for(&format!("{block}.listen to leave the old port"), 5, || {
            is_closed(&ports[0]).then_some(())
        });
        reload(block, &secure("off", &ports[1], "two"));
        wait_for(&format!("{block}.enabled off"), 5, || {
            is_closed(&ports[1]).then_some(())
        });
    }
    stays.finish();
}

#[test]
fn strangers_are_trusted_or_not() {
    let keys = WorkDir::new("keys");
    certificate::make(&keys, "own", Form::Sec1);
    let file = keys.join("own").display().to_string();
    // The server's own API, behind a certificate that nobody vouches for, answers its callbacks.
    let site = Site::start_with(Setup::default().allow_error("serve error"), "", "");
    let stays = Bystander::start(site.server.port());
    let secure = Port::free();
    let globals = site.globals.replace(
        "dir ./html;",
        &format!(
            "dir ./html; https {{ enabled on; listen 127.0.0.1:{}; key {file}.key; cert {file}.crt; }}",
            secure.number()
        ),
    );
    let globals = globals.replace(
        "raw_api",
        &format!(
            "https {{ enabled on; listen 127.0.0.1:{}; key {file}.key; cert {file}.crt; }} raw_api",
            secure.number()
        ),
    );
    let hooks = format!(
        "http_hooks {{ enabled on; on_publish https://127.0.0.1:{}/api/v1/versions; }}",
        secure.number()
    );
    for (switch, trusts) in [("off", true), ("on", false), ("off", true)] {
        let text = Setup::default()
            .globals(&globals)
            .globals(&format!("tls_verify {switch};\n"))
            .vhost(&hooks);
        site.reload_text(&text.configuration(site.server.port()));
        let name = format!("other{}", fastrand::u32(..));
        assert_eq!(site.may_publish(&name), trusts, "tls_verify {switch}");
    }
    stays.finish();
}
