//! What the kinds of stage take: the bridge from kinds to their parameter types.

use dpx_schema::Kind;
use dpx_schema::params::{
    AuditParams, ClassifyParams, ClassifyPerformance, CountsParams, NoPerformance,
    PreprocessParams, PretrainParams, PretrainPerformance, SampleParams, SamplePerformance,
    ScoreParams, ScorePerformance, SelectParams, SelectPerformance, TeacherParams,
    TeacherPerformance, TrainParams, TrainPerformance,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::OnceLock;

#[derive(Debug)]
pub(crate) struct KindTable {
    /// JSON Schema of the parameters that can change a result.
    pub(crate) params: Value,
    /// JSON Schema of the parameters that only change speed.
    pub(crate) performance: Value,
    normalize: fn(Value, Value) -> Result<(Value, Value), String>,
}

impl KindTable {
    pub(crate) fn of(kind: Kind) -> &'static Self {
        static TABLES: OnceLock<Vec<KindTable>> = OnceLock::new();
        let tables = TABLES.get_or_init(|| Kind::ALL.iter().map(|&kind| build(kind)).collect());
        let index = Kind::ALL
            .iter()
            .position(|&other| other == kind)
            .expect("`Kind::ALL` holds every kind");
        &tables[index]
    }

    /// Fills in defaults and gives every value its one spelling, through the kind's own types.
    ///
    /// # Errors
    /// When the values do not fit the types.
    pub(crate) fn normalize(
        &self,
        params: Value,
        performance: Value,
    ) -> Result<(Value, Value), String> {
        (self.normalize)(params, performance)
    }

    /// Whether a parameter only changes speed.
    pub(crate) fn is_performance(&self, key: &str) -> bool {
        self.performance["properties"].get(key).is_some()
    }

    /// The schema of a parameter of either sort.
    pub(crate) fn property(&self, key: &str) -> Option<&Value> {
        [&self.params, &self.performance]
            .into_iter()
            .find_map(|schema| schema["properties"].get(key))
    }

    /// Names of all parameters.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        [&self.params, &self.performance]
            .into_iter()
            .filter_map(|schema| schema["properties"].as_object())
            .flat_map(|properties| properties.keys().map(String::as_str))
    }
}

fn build(kind: Kind) -> KindTable {
    match kind {
        Kind::Preprocess => table::<PreprocessParams, NoPerformance>(),
        Kind::Pretrain => table::<PretrainParams, PretrainPerformance>(),
        Kind::Train => table::<TrainParams, TrainPerformance>(),
        Kind::Counts => table::<CountsParams, NoPerformance>(),
        Kind::Teacher => table::<TeacherParams, TeacherPerformance>(),
        Kind::Select => table::<SelectParams, SelectPerformance>(),
        Kind::Sample => table::<SampleParams, SamplePerformance>(),
        Kind::Classify => table::<ClassifyParams, ClassifyPerformance>(),
        Kind::Score => table::<ScoreParams, ScorePerformance>(),
        Kind::Audit => table::<AuditParams, NoPerformance>(),
    }
}

fn table<P, Q>() -> KindTable
where
    P: JsonSchema + Serialize + DeserializeOwned,
    Q: JsonSchema + Serialize + DeserializeOwned,
{
    KindTable {
        params: schema_of::<P>(),
        performance: schema_of::<Q>(),
        normalize: |params, performance| Ok((through::<P>(params)?, through::<Q>(performance)?)),
    }
}

fn through<T: Serialize + DeserializeOwned>(value: Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(value).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// The draft-07 JSON Schema of a type, without references to elsewhere.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    settings.into_generator().into_root_schema_for::<T>().into()
}
