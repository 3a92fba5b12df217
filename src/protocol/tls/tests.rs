//! Two machines back to back, the wire between them in memory.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};

use rcgen::{CertificateParams, CertifiedKey, Issuer, KeyPair};

use super::Machine;
use super::client::ClientSettings;
use super::server::{Fault, ServerSettings};
use crate::core::limits::TLS_PENDING_BYTES;

/// A certificate that nobody vouches for, and its key, as PEM.
pub(crate) fn self_signed(name: &str) -> (String, String) {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

pub(crate) fn server_settings(name: &str) -> ServerSettings {
    let (certificate, key) = self_signed(name);
    ServerSettings::from_pem(certificate.as_bytes(), key.as_bytes(), true).unwrap()
}

/// One direction of a wire, which gives at most so many bytes at a time.
struct Wire {
    bytes: VecDeque<u8>,
    piece: usize,
    is_cut: bool,
}

impl Wire {
    fn new(piece: usize) -> Self {
        Wire {
            bytes: VecDeque::new(),
            piece,
            is_cut: false,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && !self.is_cut {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let limit = buffer.len().min(self.piece);
        self.bytes.read(&mut buffer[..limit])
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.piece);
        self.bytes.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pair {
    client: Machine,
    server: Machine,
    to_server: Wire,
    to_client: Wire,
}

impl Pair {
    fn new(client: &ClientSettings, server: &ServerSettings, host: &str, piece: usize) -> Self {
        Pair {
            client: client.machine(host).unwrap(),
            server: server.machine().unwrap(),
            to_server: Wire::new(piece),
            to_client: Wire::new(piece),
        }
    }

    fn agreed(piece: usize) -> Self {
        let trust = ClientSettings::trusting_all().unwrap();
        let mut pair = Pair::new(&trust, &server_settings("a.com"), "a.com", piece);
        pair.carry().unwrap();
        assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
        pair
    }

    /// Carries bytes both ways until none are left.
    fn carry(&mut self) -> io::Result<()> {
        loop {
            self.client.send(&mut self.to_server)?;
            self.server.send(&mut self.to_client)?;
            let forth = took(self.server.receive(&mut self.to_server))?;
            let back = took(self.client.receive(&mut self.to_client))?;
            if !forth && !back {
                return Ok(());
            }
        }
    }
}

fn took(received: io::Result<()>) -> io::Result<bool> {
    match received {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// All that a machine sends, and what its peer reads of it.
fn pass(from: &mut Machine, to: &mut Machine, wire: &mut Wire, bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut received = Vec::new();
    let mut buffer = [0; 5000];
    while !rest.is_empty() {
        let taken = from.write(&[IoSlice::new(rest)]).unwrap();
        rest = &rest[taken..];
        from.send(wire).unwrap();
        loop {
            match to.read(&mut buffer).unwrap() {
                Some(count) => received.extend_from_slice(&buffer[..count]),
                None if took(to.receive(wire)).unwrap() => {}
                None => break,
            }
        }
        assert_eq!(to.waiting_bytes(), 0);
    }
    received
}

#[test]
fn bytes_pass_both_ways_however_they_are_cut() {
    for piece in [1, 2, 3, 5, 7, 64, 1000, usize::MAX] {
        let mut pair = Pair::agreed(piece);
        let sent: Vec<u8> = (0..200_000u32).map(|index| (index % 251) as u8).collect();
        let sent = if piece < 64 { &sent[..3000] } else { &sent[..] };
        let up = pass(&mut pair.client, &mut pair.server, &mut pair.to_server, sent);
        assert!(up == sent, "{piece}");
        let down = pass(&mut pair.server, &mut pair.client, &mut pair.to_client, sent);
        assert!(down == sent, "{piece}");
        assert!(
            pair.server.describe().starts_with("TLSv1_3 TLS13_"),
            "{}",
            pair.server.describe()
        );
    }
}

#[test]
fn what_waits_for_the_wire_is_bounded() {
    let mut pair = Pair::agreed(usize::MAX);
    let much = vec![7; 1 << 20];
    let mut taken = 0;
    loop {
        let count = pair.server.write(&[IoSlice::new(&much), IoSlice::new(&much)]).unwrap();
        if count == 0 {
            break;
        }
        taken += count;
    }
    assert!(taken <= TLS_PENDING_BYTES && taken > TLS_PENDING_BYTES / 2);
    pair.server.send(&mut pair.to_client).unwrap();
    assert!(pair.to_client.bytes.len() < TLS_PENDING_BYTES + 1024);
    assert!(!pair.server.wants_to_send());
}

#[test]
fn a_farewell_ends_the_stream_and_so_does_a_cut() {
    for is_polite in [true, false] {
        let mut pair = Pair::agreed(usize::MAX);
        pair.client.write(&[IoSlice::new(b"last words")]).unwrap();
        if is_polite {
            pair.client.close();
        }
        pair.client.send(&mut pair.to_server).unwrap();
        pair.to_server.is_cut = true;
        pair.server.receive(&mut pair.to_server).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(pair.server.read(&mut buffer).unwrap(), Some(10));
        pair.server.receive(&mut pair.to_server).unwrap();
        assert_eq!(pair.server.read(&mut buffer).unwrap(), Some(0));
        assert!(pair.server.has_ended());
        assert_eq!(pair.server.read(&mut buffer).unwrap(), Some(0));
    }
}

#[test]
fn a_record_that_is_cut_or_changed_gives_nothing() {
    let mut pair = Pair::agreed(usize::MAX);
    pair.client.write(&[IoSlice::new(b"secret")]).unwrap();
    pair.client.send(&mut pair.to_server).unwrap();
    let length = pair.to_server.bytes.len();
    for cut in 0..length {
        let mut pair = Pair::agreed(usize::MAX);
        pair.client.write(&[IoSlice::new(b"secret")]).unwrap();
        pair.client.send(&mut pair.to_server).unwrap();
        pair.to_server.bytes.truncate(cut);
        pair.to_server.is_cut = true;
        while !pair.server.has_ended() {
            pair.server.receive(&mut pair.to_server).unwrap();
        }
        assert_eq!(pair.server.read(&mut [0; 10]).unwrap(), Some(0), "{cut}");
    }
    for place in 5..length {
        let mut pair = Pair::agreed(usize::MAX);
        pair.client.write(&[IoSlice::new(b"secret")]).unwrap();
        pair.client.send(&mut pair.to_server).unwrap();
        pair.to_server.bytes[place] ^= 1;
        let error = pair.server.receive(&mut pair.to_server).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(pair.server.wants_to_send(), "the peer is not told");
        pair.server.send(&mut pair.to_client).unwrap();
        let error = pair.client.receive(&mut pair.to_client).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    }
}

fn hello() -> Vec<u8> {
    let trust = ClientSettings::trusting_all().unwrap();
    let mut hello = Wire::new(usize::MAX);
    trust.machine("a.com").unwrap().send(&mut hello).unwrap();
    hello.bytes.into()
}

#[test]
fn every_prefix_of_a_hello_waits_or_ends() {
    let settings = server_settings("a.com");
    let hello = hello();
    for cut in 0..hello.len() {
        let mut machine = settings.machine().unwrap();
        let mut wire = Wire::new(usize::MAX);
        wire.bytes.extend(&hello[..cut]);
        wire.is_cut = true;
        while !machine.has_ended() {
            machine.receive(&mut wire).unwrap();
        }
        assert!(machine.is_handshaking());
    }
}

#[test]
fn garbage_is_refused_and_harms_nobody() {
    let settings = server_settings("a.com");
    let hello = hello();
    let mut random = fastrand::Rng::with_seed(5);
    let mut refused = 0;
    for round in 0..2000 {
        let mut bytes = hello.clone();
        for _ in 0..random.usize(1..6) {
            let place = random.usize(0..bytes.len());
            bytes[place] = random.u8(..);
        }
        if round % 4 == 0 {
            random.fill(&mut bytes);
        }
        let mut machine = settings.machine().unwrap();
        let mut wire = Wire::new(random.usize(1..600));
        wire.bytes.extend(&bytes);
        wire.is_cut = true;
        let mut result = Ok(());
        while result.is_ok() && !machine.has_ended() {
            result = machine.receive(&mut wire);
        }
        refused += usize::from(result.is_err());
        let _ = machine.send(&mut Wire::new(usize::MAX));
    }
    assert!(refused > 800, "{refused}");
}

#[test]
fn who_speaks_something_else_is_named() {
    let settings = server_settings("a.com");
    for (bytes, named) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "plain HTTP"),
        (b"\x03\x00\x00\x00\x00\x00\x00\x00", "plain RTMP"),
        (b"\x80\x80\x80\x80\x80\x80\x80\x80", "first byte is 0x80"),
        (b"\x16\xff\xff\xff\xff\xff\xff\xff", "TLS: "),
    ] {
        let mut machine = settings.machine().unwrap();
        let error = machine.receive(&mut { bytes }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn texts_that_are_no_pair_say_why() {
    let (certificate, key) = self_signed("a.com");
    let (_, other) = self_signed("a.com");
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let certificate_faults = [("", &*key), ("hello", &key), (&key, &key)];
    for (certificate, key) in certificate_faults {
        match ServerSettings::from_pem(certificate.as_bytes(), key.as_bytes(), true) {
            Err(Fault::Certificate(cause)) => assert!(cause.contains("CERTIFICATE"), "{cause}"),
            _ => panic!("{certificate} is no certificate"),
        }
    }
    let key_faults = [
        ("", "PRIVATE KEY"),
        (&*certificate, "PRIVATE KEY"),
        (&other, "does not belong"),
        (&encrypted, "password"),
        ("-----BEGIN PRIVATE KEY-----\nMDAw\n-----END PRIVATE KEY-----\n", "key"),
    ];
    for (key, named) in key_faults {
        match ServerSettings::from_pem(certificate.as_bytes(), key.as_bytes(), true) {
            Err(Fault::Key(cause)) => assert!(cause.contains(named), "{cause}"),
            _ => panic!("{key} is no key of this certificate"),
        }
    }
    let both = format!("{key}{certificate}");
    assert!(ServerSettings::from_pem(both.as_bytes(), both.as_bytes(), true).is_ok());
}

#[test]
fn who_verifies_believes_a_chain_and_no_other_name() {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new([]).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let middle_key = KeyPair::generate().unwrap();
    let mut middle = CertificateParams::new([]).unwrap();
    middle.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    middle.distinguished_name.push(rcgen::DnType::CommonName, "middle");
    let middle_certificate = middle.signed_by(&middle_key, &issuer).unwrap();
    let issuer = Issuer::new(middle, middle_key);
    let key = KeyPair::generate().unwrap();
    let names = ["a.com".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let chain = leaf.pem() + &middle_certificate.pem();
    let server = ServerSettings::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes(), true).unwrap();
    let trust = ClientSettings::trusting([root_certificate.der().to_vec()]).unwrap();
    for host in ["a.com", "127.0.0.1", "[::1]", "::1"] {
        let mut pair = Pair::new(&trust, &server, host, usize::MAX);
        pair.carry().unwrap();
    }
    let mut pair = Pair::new(&trust, &server, "b.com", usize::MAX);
    let error = pair.carry().unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    pair.client.send(&mut pair.to_server).unwrap();
    let error = loop {
        if let Err(error) = pair.server.receive(&mut pair.to_server) {
            break error;
        }
    };
    assert!(error.to_string().contains("TLS alert"), "{error}");
    let mut pair = Pair::new(&trust, &server_settings("a.com"), "a.com", usize::MAX);
    let error = pair.carry().unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert!(ClientSettings::trusting([b"no certificate".to_vec()]).is_err());
    assert!(trust.machine("not a host").is_err());
}
