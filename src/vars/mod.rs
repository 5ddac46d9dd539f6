//! Variables: layers in Ansible's precedence order, each value knowing its origin, templated when used.
//!
//! Lives here: [`Layer`], [`Layers`] and precedence, and [`scope`] (one host's and task's view, a lazy mapping for
//! templates).
//! Does not: where layers come from (inventory, playbook, engine build them), or the template language.

mod scope;

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value;

pub use scope::scope;
pub(crate) use scope::{is_scope, lazy, written};

use crate::source::Span;
use crate::yaml::Node;

/// A variable: text that may hold templates, or data that never does.
#[derive(Clone, Debug)]
pub enum Variable {
    /// As written in a file or on the command line: templated when used.
    Written(Node),
    /// Data (facts, results, loop items): never templated again.
    Data(Value),
}

/// Where a variable came from; shown by `explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// In Ansible's words: `inventory group_vars of webservers`, `play vars`, `set_fact`, `-e` ...
    pub what: Arc<str>,
    /// The place, when it was written in a file.
    pub span: Option<Span>,
}

/// Precedence, low to high; `ansible-dialect.md` "Precedence".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Rank {
    /// Defaults of roles.
    RoleDefaults,
    /// Group variables of `all`: inventory file, inventory group_vars, playbook group_vars (layers in that order).
    GroupAll,
    /// Other groups.
    Groups,
    /// Host variables: inventory file, inventory host_vars, playbook host_vars.
    Host,
    /// Gathered facts.
    Facts,
    /// Play `vars`.
    PlayVars,
    /// `vars_prompt`.
    PlayPrompt,
    /// `vars_files`.
    PlayFiles,
    /// Role `vars`.
    RoleVars,
    /// Block `vars`.
    BlockVars,
    /// Task `vars`.
    TaskVars,
    /// `include_vars`.
    IncludeVars,
    /// `set_fact` and `register`.
    SetFacts,
    /// Role and include parameters.
    RoleParams,
    /// `-e`.
    Extra,
    /// Magic variables.
    Magic,
}

/// Values of one origin kind at one rank.
#[derive(Clone, Default)]
pub struct Layer {
    /// Names and values with their origins.
    pub values: IndexMap<Arc<str>, (Variable, Origin)>,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.keys()).finish()
    }
}

/// A stack of layers, lowest first; layers of equal rank keep the order in which they were pushed (later wins).
#[derive(Clone, Debug, Default)]
pub struct Layers {
    layers: Vec<(Rank, Arc<Layer>)>,
    merge: bool,
}

impl Layers {
    /// Adds a layer above all layers of its rank and below higher ranks.
    pub fn push(&mut self, rank: Rank, layer: Arc<Layer>) {
        if layer.values.is_empty() {
            return;
        }
        let at = self.layers.partition_point(|(known, _)| *known <= rank);
        self.layers.insert(at, (rank, layer));
    }

    /// Makes mappings of the same name merge, the higher over the lower (`hash_behaviour: merge`).
    pub fn merge_hashes(&mut self, merge: bool) {
        self.merge = merge;
    }

    /// Returns all values of a name that count, highest first: one, unless mappings are merged.
    pub(super) fn counting<'a>(&'a self, name: &'a str) -> Vec<&'a Variable> {
        let all = self.chain(name).map(|(_, (variable, _))| variable);
        all.take(if self.merge { usize::MAX } else { 1 }).collect()
    }

    /// Returns the winning value of a name.
    pub fn get(&self, name: &str) -> Option<&(Variable, Origin)> {
        self.layers.iter().rev().find_map(|(_, layer)| layer.values.get(name))
    }

    /// Returns every value of a name, winner first, with its rank (`explain`).
    pub fn chain<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (Rank, &'a (Variable, Origin))> + 'a {
        self.layers
            .iter()
            .rev()
            .filter_map(move |(rank, layer)| layer.values.get(name).map(|value| (*rank, value)))
    }

    /// Returns all names, each once.
    pub fn names(&self) -> impl Iterator<Item = Arc<str>> {
        let mut seen = indexmap::IndexSet::new();
        for (_, layer) in &self.layers {
            for name in layer.values.keys() {
                seen.insert(name.clone());
            }
        }
        seen.into_iter()
    }
}

impl Layer {
    /// Makes a layer from mapping entries written in a file; keys that are not text are left out (the loader refused them).
    pub fn written(entries: &[(Node, Node)], what: &str) -> Self {
        let what: Arc<str> = Arc::from(what);
        let values = entries
            .iter()
            .filter_map(|(key, value)| {
                let origin = Origin { what: what.clone(), span: Some(key.span) };
                Some((Arc::from(key.raw()?), (Variable::Written(value.clone()), origin)))
            })
            .collect();
        Self { values }
    }

    /// Makes a layer of data.
    pub fn data(values: impl IntoIterator<Item = (String, Value)>, what: &str) -> Self {
        let what: Arc<str> = Arc::from(what);
        let values = values
            .into_iter()
            .map(|(name, value)| {
                let origin = Origin { what: what.clone(), span: None };
                (Arc::from(name), (Variable::Data(value), origin))
            })
            .collect();
        Self { values }
    }
}
