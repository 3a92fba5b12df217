//! connect: what a client says in it, and what the server tells about itself in the answer.

use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;
use crate::protocol::amf0::{Object, Value};
use crate::protocol::rtmp::message::{Command, Level, Status, StatusCode};

/// The version of Flash Media Server whose behaviour clients may expect.
const FMS_VERSION: &str = "3,5,3,888";

/// What a client said in connect. Texts are empty where it left them out.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRequest {
    /// Where it connected to.
    pub tc_url: String,
    /// The web page that it runs in.
    pub page_url: String,
    /// The Flash movie that it is, or pretends to be.
    pub swf_url: String,
    /// The application, as the client cut it from the URL.
    pub app: String,
    /// The client's name and version.
    pub flash_ver: String,
    /// The encoding of its commands: 0 is AMF0, 3 is AMF3.
    pub object_encoding: f64,
    /// The argument behind the command object; other servers identify themselves here.
    pub args: Option<Object>,
    transaction_id: f64,
}

/// What a server tells about itself in the answer to connect.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Short signature.
    pub signature: &'a str,
    /// Name and version.
    pub server: &'a str,
    /// License.
    pub license: &'a str,
    /// Home page.
    pub url: &'a str,
    /// Version.
    pub version: &'a str,
    /// Authors.
    pub authors: &'a str,
    /// The local address of the socket.
    pub ip: &'a str,
    /// Process id.
    pub pid: u32,
    /// Context id of the connection.
    pub id: &'a str,
}

/// The answer to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectReply<'a> {
    /// The client shall acknowledge after so many bytes; 0 says nothing about it.
    pub out_ack_size: u32,
    /// We acknowledge after half of so many bytes; 0 leaves it to the client.
    pub in_ack_size: u32,
    /// The bandwidth that the client may use, bytes.
    pub peer_bandwidth: u32,
    /// Our chunk size, bytes.
    pub chunk_size: u32,
    /// Who we are.
    pub identity: Identity<'a>,
}

impl ConnectRequest {
    pub(super) fn from_command(command: &Command) -> Result<Self> {
        let text = |name| command.object().and_then(|object| object.string(name));
        let owned = |name| text(name).unwrap_or_default().to_owned();
        let Some(tc_url) = text("tcUrl") else {
            return Err(Error::new(ErrorCode::RtmpConnect, "connect has no tcUrl"));
        };
        Ok(ConnectRequest {
            tc_url: tc_url.to_owned(),
            page_url: owned("pageUrl"),
            swf_url: owned("swfUrl"),
            app: owned("app"),
            flash_ver: owned("flashVer"),
            object_encoding: command
                .object()
                .and_then(|object| object.number("objectEncoding"))
                .unwrap_or(0.0),
            args: command.argument(0).and_then(Value::as_object).cloned(),
            transaction_id: command.transaction_id,
        })
    }

    /// The result that accepts the request.
    pub(super) fn accept(&self, identity: &Identity) -> Command {
        let properties = Object::new()
            .with("fmsVer", format!("FMS/{FMS_VERSION}"))
            .with("capabilities", 127.0)
            .with("mode", 1.0);
        let info = Status::object(&Level::Status, &StatusCode::ConnectSuccess, "Connection succeeded")
            .with("objectEncoding", self.object_encoding)
            .with("data", Value::EcmaArray(identity.to_object()));
        // Clients number connect 1; one that says nothing expects that too.
        let transaction_id = if self.transaction_id > 0.0 {
            self.transaction_id
        } else {
            1.0
        };
        Command::result(transaction_id, properties.into(), info.into())
    }
}

impl Identity<'_> {
    /// The properties by which servers of this family know each other.
    fn to_object(self) -> Object {
        Object::new()
            .with("version", FMS_VERSION)
            .with("srs_sig", self.signature)
            .with("srs_server", self.server)
            .with("srs_license", self.license)
            .with("srs_url", self.url)
            .with("srs_version", self.version)
            .with("srs_authors", self.authors)
            .with("srs_server_ip", self.ip)
            .with("srs_pid", f64::from(self.pid))
            .with("srs_id", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtmp::message::CommandName;

    fn connect(transaction_id: f64, object: Object, args: Value) -> Result<ConnectRequest> {
        ConnectRequest::from_command(&Command::new(
            CommandName::Connect,
            transaction_id,
            [object.into(), args],
        ))
    }

    #[test]
    fn only_the_url_must_be_there() {
        let request = connect(1.0, Object::new().with("tcUrl", "rtmp://h/a"), "no object".into()).unwrap();
        assert_eq!(
            (request.app.as_str(), request.object_encoding, request.args),
            ("", 0.0, None)
        );
        for object in [Object::new(), Object::new().with("tcUrl", 1.0)] {
            let error = connect(1.0, object, Value::Null).unwrap_err();
            assert_eq!(error.code(), ErrorCode::RtmpConnect);
        }
    }

    #[test]
    fn the_result_has_the_number_of_the_call() {
        let identity = Identity {
            signature: "",
            server: "",
            license: "",
            url: "",
            version: "",
            authors: "",
            ip: "",
            pid: 1,
            id: "",
        };
        for (sent, answered) in [(1.0, 1.0), (7.0, 7.0), (0.0, 1.0), (f64::NAN, 1.0)] {
            let request = connect(sent, Object::new().with("tcUrl", "rtmp://h/a"), Value::Null).unwrap();
            assert_eq!(request.accept(&identity).transaction_id, answered);
        }
    }
}
