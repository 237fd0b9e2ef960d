//! An object store by its address, with blocking calls.

use crate::http::Connector;
use dpx_engine::cache::{Created, Listed, Store, StoreError};
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};
use std::time::Duration;
use tokio::runtime::Runtime;

/// What a store did not answer is asked again for this long; above that, the cache decides.
const RETRY: Duration = Duration::from_secs(20);

/// A bucket, or a folder of one. Credentials and endpoint come from the environment, as for the provider's own tools.
#[derive(Debug)]
pub struct ObjectStorage {
    url: String,
    prefix: Path,
    store: Box<dyn ObjectStore>,
}

/// Opens a store.
///
/// # Errors
/// In words: the address is not understood, or the environment does not say what is needed.
pub fn open(url: &str) -> Result<ObjectStorage, String> {
    let told = |what: String| format!("the remote cache `{url}`: {what}");
    let parsed = url::Url::parse(url).map_err(|error| told(error.to_string()))?;
    let connector = Connector::new().map_err(told)?;
    let retry = RetryConfig {
        max_retries: 3,
        retry_timeout: RETRY,
        ..RetryConfig::default()
    };
    let failed = |error: Error| told(error.to_string());
    let mut path = parsed.path();
    let store: Box<dyn ObjectStore> = match parsed.scheme() {
        "s3" | "s3a" => Box::new(
            AmazonS3Builder::from_env()
                .with_url(url)
                .with_retry(retry)
                .with_http_connector(connector)
                .build()
                .map_err(failed)?,
        ),
        "gs" => Box::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(url)
                .with_retry(retry)
                .with_http_connector(connector)
                .build()
                .map_err(failed)?,
        ),
        "az" | "abfs" | "abfss" | "azure" => Box::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(url)
                .with_retry(retry)
                .with_http_connector(connector)
                .build()
                .map_err(failed)?,
        ),
        "http" | "https" => {
            path = "";
            Box::new(
                HttpBuilder::new()
                    .with_url(url)
                    .with_retry(retry)
                    .with_http_connector(connector)
                    .build()
                    .map_err(failed)?,
            )
        }
        other => {
            return Err(told(format!(
                "`{other}://` is unknown: expected s3://, gs://, az://, https:// or file:///"
            )));
        }
    };
    Ok(ObjectStorage {
        url: url.to_owned(),
        prefix: Path::parse(path.trim_matches('/')).map_err(|error| told(error.to_string()))?,
        store,
    })
}

thread_local! {
    /// Nothing runs on it but one call at a time.
    static RUNTIME: std::io::Result<Runtime> = tokio::runtime::Builder::new_current_thread().enable_time().build();
}

impl ObjectStorage {
    fn path(&self, name: &str) -> Path {
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn wait<T>(
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<object_store::Result<T>, StoreError> {
        RUNTIME.with(|runtime| match runtime {
            Ok(runtime) => Ok(runtime.block_on(call)),
            Err(error) => Err(StoreError::Refused {
                what: format!("cannot wait for it: {error}"),
            }),
        })
    }
}

/// What an error means: whether another try may do better.
fn told(error: &Error) -> StoreError {
    let what = words(error);
    match error {
        Error::Generic { .. } | Error::JoinError { .. } => StoreError::Silent { what },
        _ => StoreError::Refused { what },
    }
}

/// The error with its causes.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text.replace('\n', " ")
}

fn or_nothing<T>(result: object_store::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

impl Store for ObjectStorage {
    fn describe(&self) -> String {
        self.url.clone()
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        let got = Self::wait(async { self.store.get(&path).await?.bytes().await })?;
        Ok(or_nothing(got)?.map(|bytes| bytes.to_vec()))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path(name);
        let found = Self::wait(self.store.head(&path))?;
        Ok(or_nothing(found)?.map(|found| found.size))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        let put = Self::wait(self.store.put(&path, bytes.to_vec().into()))?;
        put.map(|_| ()).map_err(|error| told(&error))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        let path = self.path(name);
        let options = PutOptions::from(PutMode::Create);
        match Self::wait(self.store.put_opts(&path, bytes.to_vec().into(), options))? {
            Ok(_) => Ok(Created::New),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Created::Exists),
            Err(error) => Err(told(&error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        let path = self.path(folder);
        let listed =
            Self::wait(async { self.store.list(Some(&path)).try_collect::<Vec<_>>().await })?;
        let listed = or_nothing(listed)?.unwrap_or_default();
        let folder = folder.trim_end_matches('/');
        Ok(listed
            .into_iter()
            .filter_map(|found| {
                let name = format!("{folder}/{}", found.location.filename()?);
                Some(Listed {
                    name,
                    size: found.size,
                    modified: found.last_modified.into(),
                })
            })
            .collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        or_nothing(Self::wait(self.store.delete(&path))?).map(|_| ())
    }
}
