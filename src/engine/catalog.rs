//! The modules as the playbook loader asks for them, and variables for names of imports.

use std::sync::Arc;

use crate::engine::World;
use crate::engine::view::shown;
use crate::playbook::{Catalog, EarlyVars};
use crate::template::Templar;
use crate::vars::{Layer, Layers, Rank};
use crate::yaml::Node;

/// [`crate::modules::ALL`] as a catalog.
#[derive(Debug)]
struct Modules;

/// Returns the catalog of all modules.
pub fn catalog() -> &'static dyn Catalog {
    &Modules
}

impl Catalog for Modules {
    fn is_module(&self, name: &str) -> bool {
        crate::modules::find(name).is_some()
    }

    fn takes_free_form(&self, name: &str) -> bool {
        crate::modules::find(name).is_some_and(|module| module.doc().free_form.is_some())
    }

    fn names(&self) -> Vec<&'static str> {
        crate::modules::ALL.iter().map(|module| module.doc().name).collect()
    }
}

/// Renders names of imports from what is known before a run: variables written around them, and `-e`.
pub struct Early {
    templar: Templar,
    extra: Arc<Layer>,
}

impl Early {
    /// Takes what it needs of the world.
    pub fn new(world: &World) -> Self {
        let templar =
            Templar::new(world.sources.clone(), world.files.clone(), world.outside.clone());
        Self { templar, extra: world.extra.clone() }
    }
}

impl std::fmt::Debug for Early {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Early")
    }
}

impl EarlyVars for Early {
    fn render(&self, text: &str, vars: &[(Node, Node)]) -> Result<String, String> {
        let mut layers = Layers::default();
        layers.push(Rank::PlayVars, Arc::new(Layer::written(vars, "vars of the import")));
        layers.push(Rank::Extra, self.extra.clone());
        let scope = crate::vars::scope(Arc::new(layers), &self.templar);
        match self.templar.text(text, None, &scope) {
            Ok(value) => Ok(shown(&value)),
            Err(error) => Err(error.message),
        }
    }
}
