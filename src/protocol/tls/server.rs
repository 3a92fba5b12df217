//! The server's side: a certificate and its key, out of PEM text (RFC 7468).

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::{Machine, WallClock};
use crate::core::clock;

/// What all connections that show one certificate share. A clone is the same one.
#[derive(Clone)]
pub struct ServerSettings(Arc<ServerConfig>);

/// Which of the two texts is at fault, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The certificate's.
    Certificate(String),
    /// The key's.
    Key(String),
}

impl ServerSettings {
    /// Reads a certificate with those that lead from it to a known authority, and its key: RSA or elliptic, as PKCS#8,
    /// PKCS#1 or SEC1. Clients of a `resumable` server get tickets, with which they save the costly part when they come
    /// back. Costs milliseconds, and a deep stack.
    ///
    /// # Errors
    /// Text that is not PEM, a key that is encrypted or does not belong to the certificate.
    pub fn from_pem(certificate: &[u8], key: &[u8], resumable: bool) -> Result<Self, Fault> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| Fault::Certificate(describe(&error, "CERTIFICATE")))?;
        if chain.is_empty() {
            return Err(Fault::Certificate(describe(&pem::Error::NoItemsFound, "CERTIFICATE")));
        }
        if key.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED) {
            return Err(Fault::Key("the key is encrypted with a password".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Fault::Key(describe(&error, "PRIVATE KEY")))?;
        Self::of(chain, key, resumable)
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>, resumable: bool) -> Result<Self, Fault> {
        let provider = aws_lc_rs::default_provider();
        // First alone, to tell a bad key from a bad certificate.
        if let Err(error) = provider.key_provider.load_private_key(key.clone_key()) {
            return Err(Fault::Key(error.to_string()));
        }
        let fault = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => Fault::Key("the key does not belong to the certificate".to_owned()),
            error => Fault::Certificate(error.to_string()),
        };
        let mut config = ServerConfig::builder_with_details(Arc::new(provider), Arc::new(WallClock))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(fault)?;
        // Tickets look at a clock of their own. Without a ticketer clients pay, nothing more.
        let ticketer = (resumable && !clock::is_beyond_std()).then(aws_lc_rs::Ticketer::new);
        match ticketer {
            Some(Ok(ticketer)) => config.ticketer = ticketer,
            _ => config.send_tls13_tickets = 0,
        }
        Ok(ServerSettings(Arc::new(config)))
    }

    /// Whether both are one.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// One connection that a client opened.
    ///
    /// # Errors
    /// A text; none is known.
    pub fn machine(&self) -> Result<Machine, String> {
        let connection = ServerConnection::new(self.0.clone()).map_err(|error| error.to_string())?;
        Ok(Machine::new(connection.into()))
    }
}

/// In the label of PKCS#8 and in a header of the older forms.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

fn describe(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("no section \"{wanted}\" is in it, PEM is expected"),
        error => format!("it is not PEM: {error}"),
    }
}
