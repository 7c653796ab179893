//! What TLS trusts, and what is said to a webhook's owner when it does not.

use std::io;
use std::path::Path;
use std::sync::Arc;

use actors::webhooks::Undelivered;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

/// Certificate authorities that are trusted besides those of the system.
#[derive(Debug, Clone)]
pub struct Authorities(RootCertStore);

impl Default for Authorities {
    fn default() -> Self {
        Self(RootCertStore::empty())
    }
}

impl Authorities {
    /// Reads the certificates in a file of PEM.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &str) -> Result<Self, String> {
        let file = std::fs::read(Path::new(path)).map_err(|error| format!("cannot be read: {error}"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&file) {
            let certificate = certificate.map_err(|error| format!("must be a file of PEM: {error}"))?;
            roots.add(certificate).map_err(|error| format!("holds what is no certificate authority: {error}"))?;
        }
        if roots.is_empty() { Err("must hold a certificate, in PEM".to_owned()) } else { Ok(Self(roots)) }
    }

    /// What connects: it trusts these authorities, and the system's.
    pub(super) fn connector(&self) -> Result<TlsConnector, Undelivered> {
        let mut roots = self.0.clone();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            tracing::warn!("the system has no certificate authorities: no webhook can be sent over TLS");
            return Err(Undelivered("no certificate authorities are known here".into()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| Undelivered("TLS cannot be set up here".into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Why there is no TLS with a receiver, in words for somebody who has to mend its certificate.
pub(super) fn refused(error: &io::Error) -> Undelivered {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    let what = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::InvalidCertificate(UnknownIssuer)) => "nobody who is trusted here issued the certificate".into(),
        Some(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
            "the certificate is for another host".into()
        }
        Some(Error::InvalidCertificate(Expired | ExpiredContext { .. })) => "the certificate has expired".into(),
        Some(Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. })) => {
            "the certificate is not valid yet".into()
        }
        Some(Error::InvalidMessage(_)) => "the receiver does not speak it".into(),
        Some(other) => other.to_string(),
        None => error.kind().to_string(),
    };
    Undelivered(format!("TLS failed: {what}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_told_and_not_taken() {
        assert!(Authorities::read("/nowhere/at/all.pem").is_err_and(|problem| problem.starts_with("cannot be read")));
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(Authorities::read(manifest).err().as_deref(), Some("must hold a certificate, in PEM"));
    }
}
