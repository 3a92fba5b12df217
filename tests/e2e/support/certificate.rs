//! Certificates, made by the `openssl` command when a test wants them, and its plain client for TLS.

use std::fs;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::program::run;

/// The form of a private key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// RSA as PKCS#8: `PRIVATE KEY`.
    Pkcs8,
    /// RSA as PKCS#1: `RSA PRIVATE KEY`.
    Pkcs1,
    /// Elliptic as SEC1, with its parameters before it: `EC PRIVATE KEY`.
    Sec1,
}

/// Makes `NAME.key` and the self-signed `NAME.crt` for localhost in `folder`.
#[track_caller]
pub fn make(folder: &Path, name: &str, form: Form) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    match form {
        Form::Pkcs8 => openssl(folder, &["genpkey", "-algorithm", "RSA", "-out", &key]),
        Form::Pkcs1 => openssl(folder, &["genrsa", "-traditional", "-out", &key, "2048"]),
        Form::Sec1 => openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-out", &key]),
    }
    let label = fs::read_to_string(folder.join(&key)).expect("the key");
    let expected = match form {
        Form::Pkcs8 => "BEGIN PRIVATE KEY",
        Form::Pkcs1 => "BEGIN RSA PRIVATE KEY",
        Form::Sec1 => "BEGIN EC PARAMETERS",
    };
    assert!(label.contains(expected), "openssl made another form than {form:?}");
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    let subject = format!("/CN={name}");
    let request = ["req", "-x509", "-key", &key, "-out", &certificate, "-days", "2"];
    openssl(folder, &[&request[..], &["-subj", &subject, "-addext", names]].concat());
}

/// Makes `root.crt`, and `NAME.key` with a `NAME.crt` that holds a certificate for localhost and the one between.
#[track_caller]
pub fn make_chain(folder: &Path, name: &str) {
    let authority = "basicConstraints=critical,CA:TRUE";
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    fs::write(folder.join("between.ext"), authority).expect("write extensions");
    fs::write(folder.join("leaf.ext"), names).expect("write extensions");
    let key = |name: &str| {
        let file = format!("{name}.key");
        openssl(
            folder,
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &file],
        );
        file
    };
    let root = key("root");
    let request = ["req", "-x509", "-key", &root, "-out", "root.crt", "-days", "2"];
    openssl(folder, &[&request[..], &["-subj", "/CN=root"]].concat());
    for (name, by, extensions) in [("between", "root", "between.ext"), (name, "between", "leaf.ext")] {
        let (key, subject) = (key(name), format!("/CN={name}"));
        let asked = format!("{name}.csr");
        openssl(
            folder,
            &["req", "-new", "-key", &key, "-subj", &subject, "-out", &asked],
        );
        let (issuer, issuer_key, certificate) = (format!("{by}.crt"), format!("{by}.key"), format!("{name}.crt"));
        let sign = ["x509", "-req", "-in", &asked, "-CA", &issuer, "-CAkey", &issuer_key];
        let rest = [
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            extensions,
            "-out",
            &certificate,
        ];
        openssl(folder, &[&sign[..], &rest].concat());
    }
    let file = folder.join(format!("{name}.crt"));
    let chain = fs::read_to_string(&file).expect("the certificate")
        + &fs::read_to_string(folder.join("between.crt")).expect("the one between");
    fs::write(file, chain).expect("write the chain");
}

#[track_caller]
fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    run("openssl", folder, 20, command.args(arguments).current_dir(folder)).ok();
}

/// A TLS connection by `openssl s_client`: what is written to one side comes out of the peer, and the other way round.
#[derive(Debug)]
pub struct Tls {
    child: Child,
    pub input: ChildStdin,
    pub output: ChildStdout,
}

impl Tls {
    pub fn connect(port: u16, arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start openssl (see scripts/clients.sh)");
        let input = child.stdin.take().expect("a pipe to openssl");
        let output = child.stdout.take().expect("a pipe of openssl");
        Tls { child, input, output }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
