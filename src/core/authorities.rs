//! The certificates of authorities that the system trusts.

use std::io;

use super::offload::{Class, offload};

/// Those certificates, DER; from the files that `SSL_CERT_FILE` or `SSL_CERT_DIR` names, else where distributions keep
/// them. Yields.
///
/// # Errors
/// The first file that is not readable, when there is no certificate at all.
pub fn system() -> io::Result<Vec<Vec<u8>>> {
    offload(Class::Disk, load)?
}

#[cfg(feature = "tls")]
fn load() -> io::Result<Vec<Vec<u8>>> {
    let found = rustls_native_certs::load_native_certs();
    let certificates: Vec<Vec<u8>> = found.certs.iter().map(|certificate| certificate.to_vec()).collect();
    match found.errors.first() {
        Some(error) if certificates.is_empty() => Err(io::Error::other(error.to_string())),
        None if certificates.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "there are none")),
        _ => Ok(certificates),
    }
}

#[cfg(not(feature = "tls"))]
fn load() -> io::Result<Vec<Vec<u8>>> {
    Err(io::ErrorKind::Unsupported.into())
}
