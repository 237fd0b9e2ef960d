//! What training leaves behind: the model, the guarantee as data and as text.

use super::start::Start;
use crate::private;
use dpx_nn::model::CausalModel;
use dpx_schema::{MODEL_SCHEMA_FILE, PrivacyRecord, PublicSchema, StageContext, StageError};

/// Writes `model/`, `privacy.json` and `statement.txt`.
pub(super) fn write(
    context: &StageContext<'_>,
    schema: &PublicSchema,
    start: &Start,
    record: &PrivacyRecord,
) -> Result<(), StageError> {
    let folder = context.output_path("model");
    std::fs::create_dir_all(&folder)?;
    start.save_weights(&folder)?;
    start
        .tokenizer
        .save(&folder, Some(start.network.context()))?;
    let is_private = matches!(
        record,
        PrivacyRecord::Private(_) | PrivacyRecord::NotPrivate
    );
    PublicSchema {
        trained_on_private: is_private,
        public_inputs: record.public_inputs(),
        ..start.schema(schema).without_records()
    }
    .save(folder.join(MODEL_SCHEMA_FILE))?;
    private::save(context, record)
}
