//! Who may publish and play over RTMP, by address. Players over HTTP: `http_players.rs`.

use crate::support::bystander::{numbered_frame, numbered_header};
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};

fn with(rules: &str) -> Server {
    Setup::default()
        .vhost(&format!("security {{ enabled on; {rules} }}"))
        .allow_error("security: ")
        .start()
}

fn may_publish(server: &Server) -> bool {
    let publish = || {
        let mut publisher = Rtmp::connect(server.port(), "live")?.publish("live", "s")?;
        publisher.send_tag(&numbered_header())?;
        publisher.send_tag(&numbered_frame(0))
    };
    publish().is_ok()
}

fn may_play(server: &Server) -> bool {
    Rtmp::connect(server.port(), "live")
        .and_then(|session| session.play("s"))
        .is_ok()
}

#[test]
fn rules_decide_by_role_and_address() {
    for (rules, publishes, plays) in [
        ("allow publish 127.0.0.1; allow play all;", true, true),
        ("deny publish all; allow play 127.0.0.0/8;", false, true),
        ("deny play 127.0.0.1;", true, false),
        ("deny play 192.0.2.1; allow publish all;", true, false),
        ("", false, false),
    ] {
        let server = with(rules);
        assert_eq!((may_publish(&server), may_play(&server)), (publishes, plays), "{rules}");
        if !publishes {
            server.wait_for_line(&["code=105", "security"]);
        }
    }
}
