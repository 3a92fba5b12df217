//! The client's side: which servers are believed.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{Machine, WallClock};

/// What all connections of one trust share. A clone is the same one.
#[derive(Clone)]
pub struct ClientSettings(Arc<ClientConfig>);

impl ClientSettings {
    /// Believes every server, whoever it is: it hides what is said from those who only listen, not from those who
    /// stand in the middle.
    ///
    /// # Errors
    /// A text; none is known.
    pub fn trusting_all() -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(provider.clone(), Arc::new(WallClock))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAll(provider)))
            .with_no_client_auth();
        Ok(ClientSettings(Arc::new(config)))
    }

    /// Believes servers whose certificates lead to one of `authorities` (DER) and name the host.
    ///
    /// # Errors
    /// A text when no authority is usable: no server could be believed.
    pub fn trusting(authorities: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let (known, ignored) =
            roots.add_parsable_certificates(authorities.into_iter().map(CertificateDer::<'static>::from));
        if known == 0 {
            return Err(format!("none of {ignored} certificates of authorities is usable"));
        }
        let config = ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), Arc::new(WallClock))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(ClientSettings(Arc::new(config)))
    }

    /// One connection that we open to `host`: a name, which the server is told, or an address, an IPv6 one with or
    /// without brackets.
    ///
    /// # Errors
    /// A text when `host` is neither.
    pub fn machine(&self, host: &str) -> Result<Machine, String> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let name = ServerName::try_from(bare.unwrap_or(host).to_owned()).map_err(|error| error.to_string())?;
        let connection = ClientConnection::new(self.0.clone(), name).map_err(|error| error.to_string())?;
        Ok(Machine::new(connection.into()))
    }
}

#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Who may show any certificate may show one whose key he has: to check signatures would prove nothing, and refuse
    // the old forms of certificates that private servers still have.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
