//! The words that all of dpx shares: kinds of stage and their parameters, labels of what an artifact may reveal, digests,
//! records, the public schema of a dataset, and what runner and worker say to each other.

pub mod context;
pub mod conversation;
mod counted;
mod device;
pub mod digest;
mod error;
mod fault;
pub mod files;
mod guard;
mod instance_name;
mod kind;
mod ledger;
mod nearest;
pub mod params;
mod printable;
pub mod privacy;
pub mod progress;
mod prompt;
pub mod protocol;
mod public_schema;
pub mod publication;
mod record;
mod release_label;
pub mod units;

pub use context::{
    Context, Finish, INTERNAL_FOLDER, Input, NoProgress, Progress, StageContext, StageError,
    StageResult,
};
pub use counted::{counted, grouped};
pub use device::{Device, device_failure, device_list, device_names, divided_devices};
pub use digest::{Digest, Key};
pub use error::SchemaError;
pub use guard::guard;
pub use instance_name::InstanceName;
pub use kind::Kind;
pub use ledger::{Budget, LedgerAccess};
pub use nearest::nearest;
pub use params::LabelIntegration;
pub use printable::{is_invisible, listed, printable, printable_lines};
pub use privacy::{Guarantee, NoiseSource, PRIVACY_FILE, PrivacyRecord, PrivateRun, PublicInputs};
pub use prompt::{Prompt, PromptParts};
pub use public_schema::{MODEL_SCHEMA_FILE, PublicSchema, SCHEMA_FILE};
pub use record::{FileEntry, Manifest, Record};
pub use release_label::ReleaseLabel;
pub use units::{PeopleBounds, Population, Unit, UnitBounds, UnitSampling};
