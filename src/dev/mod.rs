//! stub
#![allow(missing_docs, clippy::unused_async)]
pub struct Servers;
pub struct Options {
    pub directory: std::path::PathBuf,
    pub durable: bool,
    pub database_url: Option<String>,
    pub redis_url: Option<String>,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct DevError;
impl Servers {
    pub async fn start(_: &Options, _: impl Fn(&str)) -> Result<Self, DevError> {
        Ok(Self)
    }
    pub fn database_url(&self) -> &str {
        ""
    }
    pub fn redis_url(&self) -> &str {
        ""
    }
    pub async fn stop(self) {}
}
pub mod wrap {
    pub async fn run_command(
        _: &super::Servers,
        _: &[std::ffi::OsString],
    ) -> Result<std::process::ExitStatus, super::DevError> {
        Err(super::DevError)
    }
}
