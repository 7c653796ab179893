//! Whom an export trusts, and who it says that it is.

use std::sync::Arc;

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::super::SetupError;
use super::super::settings::Destination;

/// For HTTP; none where there is no TLS.
pub(super) fn of_http(to: &Destination) -> Result<Option<TlsConnector>, SetupError> {
    if !to.encrypted {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    match &to.authorities {
        Some(path) => {
            for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
                roots.add(certificate.map_err(unfit)?).map_err(unfit)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_root_certificates(roots);
    let config = match &to.identity {
        Some((certificate, key)) => {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(unfit)?;
            config.with_client_auth_cert(certificates.map_err(unfit)?, key).map_err(unfit)?
        }
        None => config.with_no_client_auth(),
    };
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

/// For gRPC; none where there is no TLS.
pub(super) fn of_grpc(to: &Destination) -> Result<Option<ClientTlsConfig>, SetupError> {
    if !to.encrypted {
        return Ok(None);
    }
    let trusting = match &to.authorities {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(Some(match &to.identity {
        Some((certificate, key)) => trusting.identity(Identity::from_pem(read(certificate)?, read(key)?)),
        None => trusting,
    }))
}

fn read(path: &str) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|error| SetupError(format!("a file for TLS cannot be read: {}", error.kind())))
}

fn unfit(error: impl std::fmt::Display) -> SetupError {
    SetupError(format!("TLS with the collector: {error}"))
}
