//! The one registry of a model's parameters.

use super::{Arithmetic, Array};
use dpx_schema::Device;
use dpx_schema::params::Trainable;
use std::collections::HashMap;

/// Place of a parameter in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId(usize);

impl ParameterId {
    /// Position in the order of the registry.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// What a parameter is for; selections of trainable parameters go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Weight of a linear layer inside the model.
    Weight,
    /// Bias of a linear layer inside the model.
    Bias,
    /// Scale or shift of a norm.
    Norm,
    /// Embedding table of tokens, positions or segments.
    Embedding,
    /// Embedding table that is the output layer's weight too.
    TiedEmbedding,
    /// Weight or bias of the output layer.
    Head,
    /// Either matrix of a low-rank adapter.
    Lora,
}

/// Which parameters are trained, by their roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Selection {
    #[default]
    All,
    /// Not one: for inference.
    Nothing,
    /// Low-rank adapters alone.
    Lora,
    /// Biases and norms (Bu et al. 2022, DP-BiTFiT).
    Bias,
    /// The output layer alone.
    Head,
}

impl From<Trainable> for Selection {
    fn from(asked: Trainable) -> Self {
        match asked {
            Trainable::All => Self::All,
            Trainable::Lora => Self::Lora,
            Trainable::Bias => Self::Bias,
            Trainable::Head => Self::Head,
        }
    }
}

impl Selection {
    /// Whether a parameter of this role is trained.
    pub fn takes(self, role: Role) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Lora => role == Role::Lora,
            Self::Bias => matches!(role, Role::Bias | Role::Norm),
            Self::Head => matches!(role, Role::Head | Role::TiedEmbedding),
        }
    }
}

/// A named array of a model.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Parameter {
    /// Hugging Face name, such as `transformer.h.0.attn.c_attn.weight`.
    pub name: String,
    pub value: Array,
    pub role: Role,
    /// Whether it has a gradient: clipped, noised and updated with the others.
    pub trainable: bool,
}

/// All parameters of a model in a fixed order. Clipping, noise and update go by this registry and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    list: Vec<Parameter>,
    by_name: HashMap<String, ParameterId>,
}

impl Parameters {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a parameter, trainable at first.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn add(&mut self, name: impl Into<String>, role: Role, value: Array) -> ParameterId {
        let name = name.into();
        let id = ParameterId(self.list.len());
        let before = self.by_name.insert(name.clone(), id);
        assert!(before.is_none(), "parameter `{name}` is entered twice");
        self.list.push(Parameter {
            name,
            value,
            role,
            trainable: true,
        });
        id
    }

    /// The parameter with its name and role.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.list[id.0]
    }

    /// The numbers that a parameter holds now.
    pub fn value(&self, id: ParameterId) -> &Array {
        &self.list[id.0].value
    }

    /// Its value, to be written to.
    pub fn value_mut(&mut self, id: ParameterId) -> &mut Array {
        &mut self.list[id.0].value
    }

    /// Whether it has a gradient: it is clipped, noised and updated.
    pub fn trainable(&self, id: ParameterId) -> bool {
        self.list[id.0].trainable
    }

    /// The place of the parameter of a name, where there is one.
    pub fn find(&self, name: &str) -> Option<ParameterId> {
        self.by_name.get(name).copied()
    }

    /// All parameters in the order in which they were entered.
    pub fn iter(&self) -> impl Iterator<Item = (ParameterId, &Parameter)> {
        self.list
            .iter()
            .enumerate()
            .map(|(index, parameter)| (ParameterId(index), parameter))
    }

    /// All parameters in order, to be written to.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ParameterId, &mut Parameter)> {
        self.list
            .iter_mut()
            .enumerate()
            .map(|(index, parameter)| (ParameterId(index), parameter))
    }

    /// Places of the trainable parameters in order.
    pub fn trainable_ids(&self) -> Vec<ParameterId> {
        self.iter()
            .filter(|(_, parameter)| parameter.trainable)
            .map(|(id, _)| id)
            .collect()
    }

    /// Trains the selected parameters and freezes all others.
    ///
    /// # Panics
    /// When a matrix that is held in fewer bits than f32 would be trained.
    pub fn select(&mut self, selection: Selection) {
        for (_, parameter) in self.iter_mut() {
            parameter.trainable = selection.takes(parameter.role);
            assert!(
                !(parameter.trainable && parameter.value.is_rounded()),
                "`{}` is rounded, which only frozen parameters are",
                parameter.name
            );
        }
    }

    /// Takes out the parameters of a role, which must be the last ones entered, so that no place changes.
    ///
    /// # Panics
    /// When another parameter was entered after one of them.
    pub(crate) fn remove_role(&mut self, role: Role) {
        while self.list.last().is_some_and(|last| last.role == role) {
            if let Some(last) = self.list.pop() {
                self.by_name.remove(&last.name);
            }
        }
        let left = self.list.iter().find(|parameter| parameter.role == role);
        assert!(left.is_none(), "parameters of {role:?} are not the last");
    }

    /// Where the values are; the host when there are none.
    pub fn device(&self) -> Device {
        self.list
            .first()
            .map_or(Device::Cpu, |parameter| parameter.value.device())
    }

    /// Says how a device multiplies by the parameters from now on. The host computes in f32 whatever is said.
    pub fn compute_in(&mut self, arithmetic: Arithmetic) {
        for (_, parameter) in self.iter_mut() {
            parameter.value.set_arithmetic(arithmetic);
        }
    }

    /// Moves the values of the trained parameters to a device, unless they are there already.
    ///
    /// # Panics
    /// When the device cannot be used: [`DeviceExt::usable`](crate::device::DeviceExt::usable) says so before.
    pub fn move_trainable(&mut self, device: Device) {
        for (_, parameter) in self.iter_mut().filter(|(_, one)| one.trainable) {
            parameter.value.move_to(device);
        }
    }

    /// The values of the trained parameters in order, on the host.
    pub fn trainable_on_host(&self) -> Vec<Array> {
        let trained = self.iter().filter(|(_, parameter)| parameter.trainable);
        let values: Vec<Array> = trained.map(|(_, one)| one.value.clone()).collect();
        Array::all_on_host(&values)
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The smallest dimension of any matrix; none where there is no matrix.
    pub fn least_width(&self) -> Option<usize> {
        let shapes = self.list.iter().map(|parameter| parameter.value.shape());
        let matrices = shapes.filter(|shape| shape.len() > 1);
        matrices.flatten().copied().min()
    }

    /// Number of values in all parameters.
    pub fn value_count(&self) -> usize {
        self.list
            .iter()
            .map(|parameter| parameter.value.len())
            .sum()
    }
}
