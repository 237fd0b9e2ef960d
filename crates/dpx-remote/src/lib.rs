//! Object stores under the cache that machines share: S3, Google Cloud Storage, Azure Blob Storage, WebDAV.
//!
//! `object_store` knows their protocols; requests go through ureq, which dpx has anyway, so that no second HTTP client, no second
//! TLS and no C library is built.

#[cfg(feature = "stores")]
mod http;
#[cfg(feature = "stores")]
mod storage;

#[cfg(feature = "stores")]
pub use storage::{ObjectStorage, open};
