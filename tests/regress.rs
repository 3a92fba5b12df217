//! One test for each bug that was found and mended and that no unit test shows; inputs that broke a law of a fuzz target
//! are in its corpus instead, as `found-*`.

use srs_may::kernel::error_code::ErrorCode;
use srs_may::protocol::rtmp::client::Reply;
use srs_may::protocol::rtmp::message::{CommandName, Level, Status, StatusCode};

/// A line above 8,192 bytes is not logged: with a name as long as a message, a peer hid how its connection ended.
#[test]
fn a_peers_long_name_does_not_hide_its_log_line() {
    let name = CommandName::Other("\u{1b}\n".repeat(500_000));
    let shown = name.to_string();
    assert!(shown.len() < 2000, "{} bytes", shown.len());
    assert!(shown.starts_with("\\u{1b}\\n"));
    assert_eq!(CommandName::from("my.call").to_string(), "my.call");
}

/// The same for a server that refuses us with a long description, or redirects us to a long URL.
#[test]
fn a_servers_long_refusal_does_not_hide_our_log_line() {
    let status = Status {
        level: Level::Error,
        code: StatusCode::Other("c".repeat(60_000)),
        description: "no\n".repeat(20_000),
        redirect: None,
    };
    let error = Reply::<()>::Refused(status).accepted(ErrorCode::RtmpConnect);
    let text = error.expect_err("a refusal").summary();
    assert!(text.len() < 2000 && text.contains("(no\\nno"), "{} bytes", text.len());
}
